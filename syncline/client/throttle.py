"""How fast bytes may go: a bucket of tokens for each way, shared by all transfers of the process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from syncline.client.progress import Way
from syncline.client.settings import Limits, minute_now

BURST_S = 0.5
"""So much of a second's bytes may go at once after a rest."""
PIECE_BYTES = 16 * 1024
"""A limited upload goes in pieces of this size."""


@dataclass
class Bucket:
    """Tokens that flow in at ``rate`` bytes a second, up to ``BURST_S`` of it; whoever takes more than there are waits
    until they have flowed in, behind those who took before. So what has gone t seconds after any moment is never more
    than ``rate * (t + BURST_S)`` and what was taken at once. Times are seconds of one clock."""

    rate: int
    at: float
    tokens: float = 0.0

    def take(self, amount: int, now: float) -> float:
        """Take tokens; the seconds to wait before using them."""
        self.tokens = min(self.rate * BURST_S, self.tokens + max(0.0, now - self.at) * self.rate) - amount
        self.at = max(self.at, now)
        return max(0.0, -self.tokens / self.rate)


class Throttle:
    """Holds transfers back to the limits; ``adopt`` changes those, for what is waiting too."""

    def __init__(
        self,
        limits: Limits,
        *,
        now: Callable[[], float] = time.monotonic,
        minute: Callable[[], int] = minute_now,
    ) -> None:
        self._limits = limits
        self._now = now
        self._minute = minute
        self._buckets: dict[Way, Bucket] = {}
        self._changed = asyncio.Event()

    def adopt(self, limits: Limits) -> None:
        if limits != self._limits:
            self._limits = limits
            self._changed.set()
            self._changed = asyncio.Event()

    def rate(self, way: Way) -> int:
        """Bytes a second that may go this way now; 0: as many as can."""
        up, down = self._limits.at(self._minute())
        return up if way is Way.UP else down

    async def spend(self, way: Way, size_bytes: int) -> None:
        """Returns when so many bytes may go."""
        rate = self.rate(way)
        if not rate:
            return
        bucket = self._buckets.get(way)
        if bucket is None or bucket.rate != rate:
            bucket = self._buckets[way] = Bucket(rate, self._now())
        seconds = bucket.take(size_bytes, self._now())
        if seconds:
            try:
                await asyncio.wait_for(self._changed.wait(), seconds)
            except TimeoutError:
                return
