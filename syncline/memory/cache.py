"""The cache in memory; ``away = True`` makes it as good as gone."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from syncline.ports.clock import Clock

MAX_PENDING_PER_SUBSCRIPTION = 10_000
"""A subscriber that reads no more loses messages beyond this, as with Redis."""


class MemoryCache:
    """``Cache`` on a clock."""

    def __init__(self, clock: Clock) -> None:
        self.away = False
        self._clock = clock
        self._values: dict[str, tuple[bytes, int]] = {}
        self._counts: dict[tuple[str, int], int] = {}
        self._subscribers: defaultdict[str, list[asyncio.Queue[bytes]]] = defaultdict(list)

    async def get(self, key: str) -> bytes | None:
        await asyncio.sleep(0)
        if self.away or key not in self._values:
            return None
        value, expires_ms = self._values[key]
        if expires_ms <= self._clock.now_ms():
            del self._values[key]
            return None
        return value

    async def put(self, key: str, value: bytes, *, ttl_s: int) -> None:
        await asyncio.sleep(0)
        if not self.away:
            self._values[key] = (bytes(value), self._clock.now_ms() + ttl_s * 1000)

    async def drop(self, keys: Sequence[str]) -> None:
        await asyncio.sleep(0)
        if not self.away:
            for key in keys:
                self._values.pop(key, None)

    async def count(self, key: str, *, window_s: int) -> int | None:
        await asyncio.sleep(0)
        if self.away:
            return None
        window = self._clock.now_ms() // (window_s * 1000)
        # Of one key only the current window is kept.
        self._counts = {at: n for at, n in self._counts.items() if at[0] != key or at[1] == window}
        self._counts[key, window] = self._counts.get((key, window), 0) + 1
        return self._counts[key, window]

    async def publish(self, channel: str, message: bytes) -> None:
        await asyncio.sleep(0)
        if self.away:
            return
        for pending in self._subscribers[channel]:
            if not pending.full():
                pending.put_nowait(bytes(message))

    @asynccontextmanager
    async def subscribe(self, channel: str) -> AsyncIterator[AsyncIterator[bytes]]:
        pending: asyncio.Queue[bytes] = asyncio.Queue(MAX_PENDING_PER_SUBSCRIPTION)
        self._subscribers[channel].append(pending)
        try:
            yield _drain(pending)
        finally:
            self._subscribers[channel].remove(pending)


async def _drain(pending: asyncio.Queue[bytes]) -> AsyncIterator[bytes]:
    while True:
        yield await pending.get()
