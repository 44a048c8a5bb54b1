"""What is done when it is due: looked for every few seconds, several at once, until the service is drained."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

from services.notifier.aside import SettingAside
from syncline.domain.errors import Broken, Temporary
from syncline.ports.clock import Clock
from syncline.ports.tables import Row, Table
from syncline.serving.logging import get_logger
from syncline.store.aside import DamagedRow

DUE_PER_SHARD = 64
"""What of one shard is looked at in one round; the rest waits for the next."""
DAMAGED_PER_ROUND_MAX = 64
"""So many rows that cannot be read are set aside before a round waits for the next."""
RETRY_S = (10, 30, 120, 600, 1800, 3600)
"""Pauses after failures; the last one again and again."""

D = TypeVar("D")


def pause_ms(attempts: int) -> int:
    """How long to wait after so many attempts."""
    return RETRY_S[max(0, min(attempts, len(RETRY_S)) - 1)] * 1000


class DueLoop(ABC, Generic[D]):
    """A part of the service: finds what is due and does it, ``at_once`` at a time, then rests for ``tick_s``.

    A row that cannot be read is set aside, and so is one that is due and can never be done; the others go on.
    """

    def __init__(self, clock: Clock, aside: SettingAside, *, tick_s: float, at_once: int) -> None:
        self._clock = clock
        self._aside = aside
        self._tick_s = tick_s
        self._draining = asyncio.Event()
        self._at_once = asyncio.Semaphore(at_once)

    @abstractmethod
    async def find_due(self) -> Sequence[D]:
        """What is due now, in all shards. Raises ``Temporary`` when the tables are away."""

    @abstractmethod
    async def do(self, due: D) -> None:
        """Do it, unless it is done already or in other hands. Raises ``DamagedRow`` for a row that it met, and
        then meets no more; ``Broken`` when it can never be done."""

    @abstractmethod
    def row_of(self, due: D) -> tuple[Table, Row]:
        """The row that says that it is due."""

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
        ends = await asyncio.gather(*map(self._one, await self._find()), return_exceptions=True)
        for end in ends:
            if isinstance(end, BaseException):
                raise end

    async def _find(self) -> Sequence[D]:
        for _ in range(DAMAGED_PER_ROUND_MAX):
            try:
                return await self.find_due()
            except DamagedRow as damaged:
                await self._aside.set_aside(type(self).__name__, damaged)
        return ()

    async def _one(self, due: D) -> None:
        async with self._at_once:
            if self._draining.is_set():
                return
            try:
                await self.do(due)
            except DamagedRow as damaged:
                await self._aside.set_aside(type(self).__name__, damaged)
            except Broken as error:
                await self._aside.set_aside(type(self).__name__, DamagedRow(*self.row_of(due), str(error)))

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
