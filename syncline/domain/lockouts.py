"""When the next attempt at a password is allowed. Pure.

Failures are counted for an e-mail address as tried from one network address (a **pair**), and for the e-mail address
from everywhere. The pair's wait doubles to a quarter of an hour; the other's only to a minute, and does not concern a
network address from which the right password came before: whoever attacks cannot keep an account's owner out for long.
"""

from __future__ import annotations

import msgspec

FORGET_MS = 24 * 3600 * 1000
"""Without another failure for so long, counting begins anew."""
COUNT_MAX = 64
"""Counting further would change nothing: every wait has reached its bound long before."""


class Allowance(msgspec.Struct, frozen=True):
    """``free`` attempts without waiting; then ``first_s``, doubled each time up to ``max_s``."""

    free: int
    first_s: int
    max_s: int


PAIR = Allowance(free=5, first_s=30, max_s=900)
EMAIL = Allowance(free=50, first_s=2, max_s=60)


class Failures(msgspec.Struct, frozen=True):
    """Attempts without success. Until ``until_ms`` none is allowed. ``known``: the right password came from here."""

    count: int = 0
    last_ms: int = 0
    until_ms: int = 0
    known: bool = False


def wait_s(failures: Failures, now_ms: int) -> int:
    """How long no attempt is allowed yet, in whole seconds; 0 when one is."""
    return max(0, -(-(failures.until_ms - now_ms) // 1000))


def attempted(failures: Failures, allowance: Allowance, now_ms: int) -> Failures:
    """After another attempt, counted before its result is known: many at once must not all be free."""
    stale = now_ms - failures.last_ms > FORGET_MS
    count = min(COUNT_MAX, (0 if stale else failures.count) + 1)
    over = count - allowance.free
    pause_s = min(allowance.max_s, allowance.first_s * 2 ** min(over, COUNT_MAX)) if over >= 0 else 0
    return Failures(count, now_ms, now_ms + pause_s * 1000, failures.known)


def succeeded(now_ms: int) -> Failures:
    """After the right password."""
    return Failures(0, now_ms, 0, known=True)
