"""start, run, drain, stop."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from syncline.serving.life import live


class Recorded:
    """A part that writes down what happens to it."""

    def __init__(self, name: str, log: list[str], *, fail_in: str = "", stubborn: bool = False) -> None:
        self.name, self.log, self.fail_in, self.stubborn = name, log, fail_in, stubborn
        self.drained = asyncio.Event()
        self.running = asyncio.Event()

    async def start(self) -> None:
        await self._note("start")

    async def run(self) -> None:
        self.running.set()
        await self._note("run")
        await self.drained.wait()
        if self.stubborn:
            await asyncio.Event().wait()
        self.log.append(f"{self.name} done")

    async def drain(self) -> None:
        await self._note("drain")
        self.drained.set()

    async def stop(self) -> None:
        await self._note("stop")

    async def _note(self, what: str) -> None:
        self.log.append(f"{self.name} {what}")
        if self.fail_in == what:
            raise ValueError(f"{self.name} {what}")


async def test_parts_start_in_order_and_stop_in_reverse() -> None:
    log: list[str] = []
    stop = asyncio.Event()
    parts = [Recorded("a", log), Recorded("b", log)]
    living = asyncio.create_task(live(parts, stop=stop))
    await parts[1].running.wait()
    stop.set()
    await asyncio.wait_for(living, 5)
    assert log[:2] == ["a start", "b start"]
    assert set(log[4:6]) == {"a drain", "b drain"}
    assert set(log[6:8]) == {"a done", "b done"}
    assert log[8:] == ["b stop", "a stop"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_and_a_second_one_hurries(number: signal.Signals) -> None:
    log: list[str] = []
    part = Recorded("a", log, stubborn=True)
    living = asyncio.create_task(live([part]))
    await part.running.wait()
    os.kill(os.getpid(), number)
    await part.drained.wait()
    await asyncio.sleep(0.05)
    assert not living.done()
    os.kill(os.getpid(), number)
    await asyncio.wait_for(living, 5)
    assert log[-1] == "a stop"


async def test_draining_has_an_end() -> None:
    log: list[str] = []
    stop = asyncio.Event()
    stop.set()
    await asyncio.wait_for(live([Recorded("a", log, stubborn=True)], stop=stop, drain_s_max=0.05), 5)
    assert log[-1] == "a stop"


async def test_a_part_that_fails_ends_the_others_in_good_order() -> None:
    log: list[str] = []
    with pytest.raises(ValueError, match="b run"):
        await asyncio.wait_for(live([Recorded("a", log), Recorded("b", log, fail_in="run")]), 5)
    assert "a done" in log
    assert log[-2:] == ["b stop", "a stop"]


async def test_a_part_that_does_not_start_stops_those_before_it() -> None:
    log: list[str] = []
    parts = [Recorded("a", log), Recorded("b", log, fail_in="start"), Recorded("c", log)]
    with pytest.raises(ValueError, match="b start"):
        await live(parts)
    assert log == ["a start", "b start", "b stop", "a stop"]


async def test_a_part_that_does_not_stop_well_keeps_no_other_from_stopping() -> None:
    log: list[str] = []
    stop = asyncio.Event()
    stop.set()
    await asyncio.wait_for(live([Recorded("a", log), Recorded("b", log, fail_in="stop")], stop=stop), 5)
    assert log[-2:] == ["b stop", "a stop"]
