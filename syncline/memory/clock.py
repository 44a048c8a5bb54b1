"""A clock that only a test or the simulation moves."""

from __future__ import annotations

import asyncio
import heapq
import itertools

START_MS = 1_767_225_600_000
"""2026-01-01T00:00:00Z: where a clock starts unless told."""

SETTLE_TURNS = 50
"""Turns of the event loop given to woken tasks before time goes on: they act at the time they woke."""


class ManualClock:
    """``Clock`` whose time stands still until ``advance`` or ``run_for`` moves it, and so do its sleepers."""

    def __init__(self, start_ms: int = START_MS) -> None:
        self._now_ms = start_ms
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now_ms(self) -> int:
        return self._now_ms

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        due_ms = self._now_ms + max(1, round(seconds * 1000))
        heapq.heappush(self._sleepers, (due_ms, next(self._order), woken))
        await woken

    def advance(self, seconds: float) -> None:
        """Move time on by ``seconds`` in one jump and wake who was due."""
        self._now_ms += round(seconds * 1000)
        while self._sleepers and self._sleepers[0][0] <= self._now_ms:
            self._wake_next()

    async def run_for(self, seconds: float) -> None:
        """Let ``seconds`` pass, stopping wherever somebody sleeps to and letting the woken act there."""
        end_ms = self._now_ms + round(seconds * 1000)
        await self._settle()
        while (due_ms := self.next_due_ms()) is not None and due_ms <= end_ms:
            self._now_ms = max(self._now_ms, due_ms)
            self._wake_next()
            await self._settle()
        self._now_ms = end_ms

    def next_due_ms(self) -> int | None:
        """When the next sleeper wakes, or None when nobody sleeps."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)  # cancelled
        return self._sleepers[0][0] if self._sleepers else None

    def _wake_next(self) -> None:
        _, _, woken = heapq.heappop(self._sleepers)
        if not woken.done():
            woken.set_result(None)

    async def _settle(self) -> None:
        for _ in range(SETTLE_TURNS):
            await asyncio.sleep(0)
