"""A mailer that sends no faster than SES lets this account: mail waits for its turn, instead of being throttled.

The account's limits are asked for at the first mail and every hour. They are the whole account's, so notifiers count
their turns together in the cache. One that cannot (no cache, or it is away) begins slowly, becomes faster with every
mail that is taken, and halves its pace whenever it is throttled: so several of them come to share the rate all the
same. What cannot have its turn soon is ``Temporary``, and stays due.
"""

from __future__ import annotations

import asyncio
import math
from email.message import EmailMessage

from syncline.domain.errors import SynclineError, Temporary
from syncline.ports.cache import Cache
from syncline.ports.clock import Clock
from syncline.ports.mail import Mailer, SendRate
from syncline.serving.logging import get_logger

ASK_EVERY_MS = 3_600_000
ASK_AGAIN_MS = 60_000
"""After asking failed, and after the day's mail was used up."""
CAUTIOUS = SendRate(1.0, 200.0)
"""What every account of SES may send (its sandbox): until the real limits are known."""
PER_SECOND_MIN = 0.2
SLOWER = 0.5
FASTER = 1.05
"""After each mail that was taken: from half the pace to the whole in some 15 mails."""
WAIT_MS_MAX = 25_000
"""For one's own turn, and again for one of the account's; together below what a sender has for one mail
(``sending.SEND_S_MAX``)."""
TURNS = "mail-turns"
"""The key that notifiers count under."""


class PacedMailer:
    """``Mailer`` around another. Besides its errors raises ``Temporary`` when there is no turn soon."""

    def __init__(self, inner: Mailer, clock: Clock, cache: Cache | None) -> None:
        self._inner = inner
        self._clock = clock
        self._cache = cache
        self._alone = True
        self._asking = asyncio.Lock()
        self._ask_at_ms = 0.0
        self._allowed: SendRate | None = None
        self._per_second = CAUTIOUS.per_second
        self._left = CAUTIOUS.left_today
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._next_ms = 0.0

    async def send(self, message: EmailMessage, *, to: str) -> str:
        await self._learn()
        self._count_for_today()
        try:
            await self._wait_for_turn()
        except (Temporary, asyncio.CancelledError):
            self._left += 1
            raise
        try:
            answer = await self._inner.send(message, to=to)
        except Temporary:
            self._per_second = max(PER_SECOND_MIN, self._per_second * SLOWER)
            raise
        self._per_second = min(self._rate, self._per_second * FASTER)
        return answer

    async def rate(self) -> SendRate:
        return await self._inner.rate()

    async def used_percent(self) -> float | None:
        """How much of the mail of 24 hours is used up, as far as this notifier knows; None where there is no limit."""
        if self._allowed is None or math.isinf(self._allowed.per_day):
            return None
        return 100 * (1 - max(0.0, self._left) / self._allowed.per_day) if self._allowed.per_day else 100.0

    @property
    def _rate(self) -> float:
        """Mails in a second that the account may send, as far as that is known."""
        return (self._allowed or CAUTIOUS).per_second

    async def _learn(self) -> None:
        async with self._asking:
            now_ms = self._clock.now_ms()
            if now_ms < self._ask_at_ms:
                return
            try:
                allowed = await self._inner.rate()
            except SynclineError as error:
                # What was known before is better than nothing; without it, the least.
                get_logger().warning("send-limits-unknown", reason=str(error)[:200])
                self._ask_at_ms = now_ms + ASK_AGAIN_MS
                return
            at_full_pace = not self._alone and self._per_second >= self._rate
            self._per_second = allowed.per_second if at_full_pace else min(self._per_second, allowed.per_second)
            self._allowed, self._left = allowed, allowed.left_today
            self._ask_at_ms = now_ms + (ASK_EVERY_MS if allowed.left_today >= 1 else ASK_AGAIN_MS)

    def _count_for_today(self) -> None:
        if self._left < 1:
            self._ask_at_ms = min(self._ask_at_ms, self._clock.now_ms() + ASK_AGAIN_MS)
            raise Temporary("the mail that SES allows in 24 hours is used up")
        self._left -= 1

    async def _wait_for_turn(self) -> None:
        """No two mails are closer together than the pace allows, and none takes a turn that another notifier has."""
        if math.isinf(self._rate):
            return
        if self._waiting * 1000 / self._per_second > WAIT_MS_MAX:
            raise Temporary(f"no turn to send within {WAIT_MS_MAX} ms at {self._per_second:.1f} mails a second")
        self._waiting += 1
        try:
            # One at a time, so that a pace that has changed counts for all who wait.
            async with self._turn:
                await self._sleep_until(self._next_ms)
                await self._wait_for_shared_turn()
                self._next_ms = self._clock.now_ms() + 1000 / self._per_second
        finally:
            self._waiting -= 1

    async def _wait_for_shared_turn(self) -> None:
        """Take one of the account's turns in this second, or in a later one; they are spread over it."""
        window_s = max(1, math.ceil(1 / self._rate))
        turns = max(1, int(self._rate * window_s))
        apart_ms = window_s * 1000 / turns
        until_ms = self._clock.now_ms() + WAIT_MS_MAX
        while True:
            used = None if self._cache is None else await self._cache.count(TURNS, window_s=window_s)
            self._know_whether_alone(used is None)
            if used is None:
                return None
            now_ms = self._clock.now_ms()
            turn_ms = now_ms // (window_s * 1000) * window_s * 1000 + (used - 1) * apart_ms
            if used <= turns:
                return await self._sleep_until(turn_ms)
            if turn_ms > until_ms:
                raise Temporary(f"no turn to send within {WAIT_MS_MAX} ms: all mail has {self._rate:.1f} a second")
            await self._sleep_until(max(turn_ms, now_ms + apart_ms))

    async def _sleep_until(self, at_ms: float) -> None:
        if (left_ms := at_ms - self._clock.now_ms()) > 0:
            await self._clock.sleep(left_ms / 1000)

    def _know_whether_alone(self, alone: bool) -> None:
        """Turns that are counted together need no slow beginning; those that are not any more begin slowly again."""
        if alone and not self._alone:
            self._per_second = min(self._per_second, CAUTIOUS.per_second)
        elif self._alone and not alone:
            self._per_second = self._rate
        self._alone = alone
