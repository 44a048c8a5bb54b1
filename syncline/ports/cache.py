"""The cache (Redis or Valkey): speed, never truth.

Every caller must be right, if slower, when all of this is gone: reads may find nothing, writes may be forgotten,
publications may be lost. Therefore nothing here raises for a cache that is away: ``get`` answers None, writes and
publications do nothing (the adapter counts and logs it), ``subscribe`` simply yields nothing until it is back.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol


class Cache(Protocol):
    async def get(self, key: str) -> bytes | None: ...

    async def put(self, key: str, value: bytes, *, ttl_s: int) -> None: ...

    async def drop(self, keys: Sequence[str]) -> None: ...

    async def count(self, key: str, *, window_s: int) -> int | None:
        """Count one more under ``key`` in the current window of ``window_s`` seconds; None when the cache is away."""
        ...

    async def publish(self, channel: str, message: bytes) -> None: ...

    def subscribe(self, channel: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Messages published to ``channel`` while the context is open. Survives the cache's restart."""
        ...
