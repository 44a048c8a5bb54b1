"""A service's life: start, run, drain, stop.

``live`` starts the parts in order and runs them side by side until a signal (SIGTERM, SIGINT) comes or one of them
ends. Then all drain at once: they take nothing new and finish what they have in hand. Then they stop, last first.
A second signal cuts draining short.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from typing import Protocol

from syncline.serving.logging import get_logger

DRAIN_S_MAX = 40.0
STOP_S_MAX = 10.0


class Part(Protocol):
    """One thing a service does: serving HTTP, consuming a queue, ticking."""

    async def start(self) -> None:
        """Be ready to work, or raise."""
        ...

    async def run(self) -> None:
        """Work until drained. Raising ends the service (whoever supervises it starts it again)."""
        ...

    async def drain(self) -> None:
        """Take nothing new; return soon. ``run`` returns once what is in hand is done."""
        ...

    async def stop(self) -> None:
        """Let go of everything, whatever state it is in. Also called when ``start`` of a later part failed."""
        ...


async def live(parts: Sequence[Part], *, stop: asyncio.Event | None = None, drain_s_max: float = DRAIN_S_MAX) -> None:
    """Run the parts of a service until a signal, until ``stop`` is set, or until one of them ends.

    Raises what a part's ``start`` or ``run`` raised, after the others have drained and stopped.
    """
    wanted = stop or asyncio.Event()
    hurried = asyncio.Event()
    forget_signals = _listen_to_signals(wanted, hurried)
    started: list[Part] = []
    log = get_logger()
    try:
        for part in parts:
            started.append(part)
            await part.start()
        log.info("started")
        await _run_and_drain(started, wanted, hurried, drain_s_max)
    finally:
        forget_signals()
        await _stop(started)
        log.info("stopped")


async def _run_and_drain(
    parts: Sequence[Part], wanted: asyncio.Event, hurried: asyncio.Event, drain_s_max: float
) -> None:
    runs = [asyncio.create_task(part.run(), name=type(part).__name__) for part in parts]
    waiting = asyncio.create_task(wanted.wait())
    hurry = asyncio.create_task(hurried.wait())
    try:
        await asyncio.wait([*runs, waiting], return_when=asyncio.FIRST_COMPLETED)
        get_logger().info("draining")
        await asyncio.gather(*(part.drain() for part in parts), return_exceptions=True)
        rest = asyncio.create_task(_all_end(runs))
        await asyncio.wait([rest, hurry], timeout=drain_s_max, return_when=asyncio.FIRST_COMPLETED)
        rest.cancel()
    finally:
        for task in (*runs, waiting, hurry):
            task.cancel()
        await asyncio.gather(*runs, waiting, hurry, return_exceptions=True)
    for run in runs:
        if not run.cancelled() and (error := run.exception()) is not None:
            raise error


async def _all_end(runs: Sequence[asyncio.Task[None]]) -> bool:
    await asyncio.wait(runs)
    return True


async def _stop(parts: Sequence[Part]) -> None:
    for part in reversed(parts):
        try:
            await asyncio.wait_for(part.stop(), STOP_S_MAX)
        except Exception as error:  # noqa: BLE001 (the other parts must still be stopped)
            get_logger().error(
                "stop-failed", part=type(part).__name__, error=type(error).__name__, reason=str(error)[:500]
            )


def _listen_to_signals(wanted: asyncio.Event, hurried: asyncio.Event) -> Callable[[], None]:
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)

    def heard() -> None:
        (hurried if wanted.is_set() else wanted).set()

    try:
        for number in signals:
            loop.add_signal_handler(number, heard)
    except (NotImplementedError, RuntimeError, ValueError):  # no signals here: not the main thread
        return lambda: None

    def forget() -> None:
        for number in signals:
            loop.remove_signal_handler(number)

    return forget
