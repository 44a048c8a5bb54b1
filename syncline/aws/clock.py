"""The machine's clock."""

from __future__ import annotations

import asyncio
import time

from syncline.aws.calls import Unobserved


class SystemClock:
    """``Clock`` in real time."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class AwsClock(SystemClock, Unobserved):
    """AWS's time, as its last answer to this process told it; before the first one, this machine's."""

    def __init__(self) -> None:
        self._ahead_ms = 0

    def clock_ahead(self, seconds: float) -> None:
        self._ahead_ms = int(seconds * 1000)

    def now_ms(self) -> int:
        return super().now_ms() - self._ahead_ms
