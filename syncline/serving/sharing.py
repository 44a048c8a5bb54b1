"""Readings shared by those who ask for the same at once: what wakes a thousand clients asks the tables a few times."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class SharedReads(Generic[K, V]):
    """``read`` is asked for each key by one reading at a time; who comes while it is on its way shares the next one.

    So every answer is of a reading that began after it was asked for: as new as a reading of one's own.
    """

    def __init__(self, read: Callable[[K], Awaitable[V]]) -> None:
        self._read = read
        self._next: dict[K, asyncio.Task[V]] = {}
        self._now: dict[K, asyncio.Task[V]] = {}

    async def get(self, key: K) -> V:
        """What ``read`` answers or raises."""
        if key not in self._next:
            self._next[key] = asyncio.create_task(self._read_next(key, self._now.get(key)))
        # Shielded: whoever goes away must not take the reading from the others.
        return await asyncio.shield(self._next[key])

    async def _read_next(self, key: K, before: asyncio.Task[V] | None) -> V:
        if before is not None:
            await asyncio.wait([before])
        self._now[key] = self._next.pop(key)
        try:
            return await self._read(key)
        finally:
            del self._now[key]
