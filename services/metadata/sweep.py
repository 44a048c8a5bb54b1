"""The sweep: heals what was lost on the way, by itself, every so often.

It consists of jobs (``grant_sweep``, ``move_sweep``). Every metadata process runs it; a conditional write gives each
round of a job to one of them, which saves work and no more: rounds may overlap, be cut off anywhere and be done twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from services.metadata.measures import Measures
from syncline.domain.errors import SynclineError
from syncline.ports.clock import Clock
from syncline.ports.tables import Tables
from syncline.serving.logging import get_logger
from syncline.store.sweeps import Sweeps

GRACE_S_MAX = 180
"""The ordinary roads have done their work by then: S3's events are delayed by two minutes."""
TURN_SHARE = 0.9
"""A turn lasts this much of an interval, so that a worker alone gets every one of its own."""


class Job(Protocol):
    """What the sweep does in rounds."""

    @property
    def name(self) -> str: ...

    async def round(self) -> None:
        """Find and heal what is due. Raises any ``SynclineError``: what was left is found again."""
        ...


def grace_s(interval_s: int) -> int:
    """How old a thing must be before the sweep takes it for forgotten."""
    return min(interval_s, GRACE_S_MAX)


class Sweep:
    """The part of the service that sweeps, every ``interval_s`` seconds from its start on."""

    def __init__(
        self, jobs: Sequence[Job], tables: Tables, clock: Clock, measures: Measures, *, interval_s: int
    ) -> None:
        self._jobs = jobs
        self._sweeps = Sweeps(tables)
        self._clock = clock
        self._measures = measures
        self._interval_s = interval_s
        self._draining = asyncio.Event()
        self._began_ms = clock.now_ms()

    async def start(self) -> None:
        """Nothing to make ready."""

    async def run(self) -> None:
        """Sweep until drained; a round in hand is cut off, as the next one finds what it left."""
        sweeping = asyncio.ensure_future(self._sweep_for_ever())
        draining = asyncio.ensure_future(self._draining.wait())
        try:
            await asyncio.wait([sweeping, draining], return_when=asyncio.FIRST_COMPLETED)
        finally:
            draining.cancel()
            sweeping.cancel()
            ends = await asyncio.gather(sweeping, return_exceptions=True)
        if isinstance(ends[0], Exception):
            raise ends[0]

    async def drain(self) -> None:
        self._draining.set()

    async def stop(self) -> None:
        self._draining.set()

    async def once(self) -> None:
        """One round of each job whose turn is ours. Never raises what the next round may mend."""
        for job in self._jobs:
            result = "done"
            try:
                if not await self._is_ours(job):
                    continue
                with self._measures.sweep_seconds.labels(job.name).time():
                    await job.round()
                await self._sweeps.done(job.name, self._clock.now_ms())
            except SynclineError as error:
                # Nothing is passed over: what was not healed is still there to be found.
                get_logger().warning("sweep-cut-off", job=job.name, reason=f"{type(error).__name__}: {error}"[:200])
                result = "failed"
            self._measures.sweep_rounds.labels(job.name, result).inc()

    async def rounds_missed(self) -> float:
        """How many intervals ago the job that was done longest ago was done, by whatever worker, counted from this
        worker's start at most: a stack that was down has missed nothing. Raises what ``Tables`` raises."""
        standing = await self._sweeps.standing([job.name for job in self._jobs])
        oldest_ms = max(self._began_ms, min(standing.done_ms.values()))
        return max(0, self._clock.now_ms() - oldest_ms) / (self._interval_s * 1000)

    async def views_behind_s(self) -> float:
        """For how long the views of some library have been behind its journal, as the last round left it."""
        return self._since((await self._sweeps.standing(())).behind.views_ms)

    async def news_behind_s(self) -> float:
        """For how long consumers of the topic have not heard of some commit, as the last round left it."""
        return self._since((await self._sweeps.standing(())).behind.news_ms)

    def _since(self, then_ms: int) -> float:
        return max(0, self._clock.now_ms() - then_ms) / 1000 if then_ms else 0.0

    async def _sweep_for_ever(self) -> None:
        while True:
            await self.once()
            await self._clock.sleep(self._interval_s)

    async def _is_ours(self, job: Job) -> bool:
        now_ms = self._clock.now_ms()
        until_ms = now_ms + int(self._interval_s * 1000 * TURN_SHARE)
        return await self._sweeps.take_turn(job.name, now_ms=now_ms, until_ms=until_ms)
