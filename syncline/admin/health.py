"""A look at a whole stack: pulses, queues, rows set aside. It only reads, and what is away hides nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import msgspec

from syncline.admin.ports import Ports
from syncline.domain.errors import SynclineError
from syncline.domain.figures import SERVICES
from syncline.domain.health import Firing, Observation, judge
from syncline.ports.queues import Queue
from syncline.store.aside import Aside
from syncline.store.pulses import Pulses

ASIDE_MAX = 1_000
LOOK_S_MAX = 15.0
"""For one thing to look at; all are looked at together."""

T = TypeVar("T")


class Unseen(msgspec.Struct, frozen=True):
    """What could not be seen, and why."""

    what: str
    reason: str


class Look(msgspec.Struct, frozen=True):
    """What was seen. ``waiting`` are messages by queue, those that could be counted."""

    observation: Observation
    waiting: dict[str, int]
    unseen: tuple[Unseen, ...]
    firing: tuple[Firing, ...]


class Looking:
    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._unseen: list[Unseen] = []

    async def look(self) -> Look:
        """Never raises a ``SynclineError``: what is away is unseen."""
        pulses, queues = Pulses(self._ports.tables), self._ports.queues
        instances, waiting, dead, aside = await asyncio.gather(
            asyncio.gather(*(self._see(f"the pulses of {one}", partial(pulses.of, one)) for one in SERVICES)),
            asyncio.gather(*(self._see(f"the queue {one.value}", partial(queues.depth, one)) for one in Queue)),
            asyncio.gather(
                *(self._see(f"dead letters of {one.value}", partial(queues.dead_depth, one)) for one in Queue)
            ),
            self._see("rows set aside", partial(Aside(self._ports.tables).all, ASIDE_MAX)),
        )
        # After the reading: only then it is known how far this clock is from AWS's.
        observation = Observation(
            at_ms=self._ports.clock.now_ms(),
            instances={service: tuple(of) for service, of in zip(SERVICES, instances, strict=True) if of is not None},
            dead_letters={queue.value: n for queue, n in zip(Queue, dead, strict=True) if n is not None},
            rows_aside=None if aside is None else len(aside),
        )
        depths = {queue.value: n for queue, n in zip(Queue, waiting, strict=True) if n is not None}
        return Look(observation, depths, tuple(self._unseen), tuple(judge(observation)))

    async def _see(self, what: str, looking: Callable[[], Awaitable[T]]) -> T | None:
        try:
            async with asyncio.timeout(LOOK_S_MAX):
                return await looking()
        except (SynclineError, TimeoutError) as error:
            self._unseen.append(Unseen(what, str(error) or f"no answer within {LOOK_S_MAX:.0f} s"))
            return None
