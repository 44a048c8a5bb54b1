"""Ports whose every call is a numbered step, at which a worker can die, be refused service, or be held up."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from tests.unit.metadata.world import Worker, World


class Died(BaseException):
    """The process is gone: nothing after this runs, not even what handles errors."""


Step = Callable[[str], Awaitable[None]]
"""Called with ``before name`` and ``after name`` of every call to a port."""


class Stepped:
    """Any port, with ``step`` awaited around each of its calls."""

    def __init__(self, port: Any, step: Step) -> None:
        self._port = port
        self._step = step

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._port, name)
        if inspect.isasyncgenfunction(call):
            return lambda *args, **more: self._iterate(name, call(*args, **more))

        async def stepped(*args: Any, **more: Any) -> Any:
            await self._step(f"before {name}")
            answer = await call(*args, **more)
            await self._step(f"after {name}")
            return answer

        return stepped

    async def _iterate(self, name: str, rows: AsyncIterator[Any]) -> AsyncIterator[Any]:
        await self._step(f"before {name}")
        async for row in rows:
            yield row


class At:
    """Raises ``error`` at one step and counts all."""

    def __init__(self, stop_at: int | None = None, error: type[BaseException] = Died) -> None:
        self.steps: list[str] = []
        self._stop_at = stop_at
        self._error = error

    async def __call__(self, name: str) -> None:
        self.steps.append(name)
        # Once dead, dead: whatever still runs of the process gets nowhere.
        if self._stop_at is not None and (
            len(self.steps) == self._stop_at or (self._error is Died and len(self.steps) > self._stop_at)
        ):
            raise self._error(f"at step {len(self.steps)}, {name}")


def stepped_worker(world: World, step: Step, *, with_queues: bool = True) -> Worker:
    """A worker all of whose ports are stepped."""
    return Worker(
        world,
        tables=Stepped(world.tables, step),
        objects=Stepped(world.objects, step),
        topic=Stepped(world.topic, step),
        queues=Stepped(world.queues, step) if with_queues else None,
    )
