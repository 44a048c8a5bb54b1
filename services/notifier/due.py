"""What is done when it is due: looked for every few seconds, several at once, until the service is drained."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

from syncline.domain.errors import Temporary
from syncline.ports.clock import Clock
from syncline.serving.logging import get_logger

DUE_PER_SHARD = 64
"""What of one shard is looked at in one round; the rest waits for the next."""
RETRY_S = (10, 30, 120, 600, 1800, 3600)
"""Pauses after failures; the last one again and again."""

D = TypeVar("D")


def pause_ms(attempts: int) -> int:
    """How long to wait after so many attempts."""
    return RETRY_S[max(0, min(attempts, len(RETRY_S)) - 1)] * 1000


class DueLoop(ABC, Generic[D]):
    """A part of the service: finds what is due and does it, ``at_once`` at a time, then rests for ``tick_s``."""

    def __init__(self, clock: Clock, *, tick_s: float, at_once: int) -> None:
        self._clock = clock
        self._tick_s = tick_s
        self._draining = asyncio.Event()
        self._at_once = asyncio.Semaphore(at_once)

    @abstractmethod
    async def find_due(self) -> Sequence[D]:
        """What is due now, in all shards. Raises ``Temporary`` when the tables are away."""

    @abstractmethod
    async def do(self, due: D) -> None:
        """Do it, unless it is done already or in other hands."""

    async def start(self) -> None:
        """Nothing to make ready."""

    async def run(self) -> None:
        while not self._draining.is_set():
            try:
                await self.round()
            except Temporary as error:
                # What was due stays due; the next round finds it.
                get_logger().warning("round-cut-short", part=type(self).__name__, reason=str(error)[:200])
            await self._rest()

    async def drain(self) -> None:
        self._draining.set()

    async def stop(self) -> None:
        self._draining.set()

    async def round(self) -> None:
        """All that is due by now; one in trouble does not hold up the others. Raises the first one's trouble."""
        ends = await asyncio.gather(*map(self._one, await self.find_due()), return_exceptions=True)
        for end in ends:
            if isinstance(end, BaseException):
                raise end

    async def _one(self, due: D) -> None:
        async with self._at_once:
            if not self._draining.is_set():
                await self.do(due)

    async def _rest(self) -> None:
        waits = [
            asyncio.ensure_future(self._clock.sleep(self._tick_s)),
            asyncio.ensure_future(self._draining.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
