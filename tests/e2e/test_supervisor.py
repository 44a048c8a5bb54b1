"""The supervisor with throw-away programs: order, restarts, bounds, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from deploy.local import supervisor as supervising
from deploy.local.leash import stop_plan
from deploy.local.lock import CannotStart, check_ports, take_lock
from deploy.local.logs import Console
from deploy.local.place import Place
from deploy.local.programs import Program
from deploy.local.supervisor import BaseEnded, State, Supervisor, lines
from tests.e2e.embedded import TREE, free_place

WAIT_SECONDS_MAX = 60

# Writes its events to a file: started, and terminated when asked to end.
OBEDIENT = """
import os, signal, sys, time
def say(what):
    with open({journal!r}, "a") as file: file.write(what + " {name} " + str(os.getpid()) + "\\n")
def end(*_):
    say("ended"); sys.exit(0)
signal.signal(signal.SIGTERM, end)
say("started")
while True: time.sleep(60)
"""
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
while True: time.sleep(60)
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = free_place(tmp_path)
    made.make()
    return made


@asynccontextmanager
async def supervised(place: Place, out: io.StringIO | None = None) -> AsyncIterator[Supervisor]:
    lock = take_lock(place)
    running = Supervisor(place, Console(out=out or io.StringIO()), lock)
    try:
        yield running
    finally:
        await running.stop()
        running.close()
        os.close(lock)


def program(name: str, code: str, journal: Path | None = None, **settings: object) -> Program:
    text = code.format(name=name, journal=str(journal)) if journal else code
    return Program(name, (sys.executable, "-c", text), dict(os.environ), **settings)  # type: ignore[arg-type]


def events(journal: Path) -> list[tuple[str, str, int]]:
    if not journal.exists():
        return []
    parts = [line.split() for line in journal.read_text().splitlines()]
    return [(what, name, int(process)) for what, name, process in parts]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while not condition():  # noqa: ASYNC110 - what it waits for happens in other processes
            await asyncio.sleep(0.02)


def runs(process: int) -> bool:
    """Whether a process is there and no mere entry of one that ended."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, check=False)
    return not state.stdout.strip().startswith(b"Z") and bool(state.stdout.strip())


def spoke(journal: Path, name: str, times: int = 1) -> Callable[[], bool]:
    return lambda: sum(1 for event in events(journal) if event[:2] == ("started", name)) >= times


async def test_programs_stop_in_reverse_order(place, tmp_path):
    journal = tmp_path / "journal"
    async with supervised(place) as running:
        for name in ("first", "second", "third"):
            await running.start(program(name, OBEDIENT, journal))
            await until(spoke(journal, name))
    assert [event[:2] for event in events(journal)] == [
        ("started", "first"),
        ("started", "second"),
        ("started", "third"),
        ("ended", "third"),
        ("ended", "second"),
        ("ended", "first"),
    ]


async def test_a_program_that_dies_is_started_again(place, tmp_path):
    journal, out = tmp_path / "journal", io.StringIO()
    async with supervised(place, out) as running:
        await running.start(program("worker", OBEDIENT, journal))
        await until(spoke(journal, "worker"))
        os.kill(events(journal)[0][2], signal.SIGKILL)
        await until(spoke(journal, "worker", times=2))
        await until(lambda: running.states()["worker"] is State.READY)
    assert "worker ended (status 137); see" in out.getvalue()


async def test_one_that_keeps_dying_ends_the_stack_after_a_bound(place, monkeypatch):
    monkeypatch.setattr(supervising, "BACKOFF_SECONDS_FIRST", 0.01)
    monkeypatch.setattr(supervising, "RESTARTS_MAX", 2)
    async with supervised(place) as running:
        await running.start(program("fragile", "print('last words'); import sys; sys.exit(3)"))
        with pytest.raises(CannotStart, match=r"ended 3 times in a row(?s:.*)last words"):
            await running.watch()


async def test_one_that_never_gets_ready_tells_its_last_lines(place):
    async def never() -> bool:
        return False

    async with supervised(place) as running:
        failing = program("broken", "print('no such module'); import sys; sys.exit(1)", ready=never)
        with pytest.raises(CannotStart, match=r"broken ended at its start \(status 1\)(?s:.*)no such module"):
            await running.start(failing)


async def test_when_a_base_ends_everything_is_to_start_anew(place, tmp_path):
    journal = tmp_path / "journal"
    async with supervised(place) as running:
        await running.start(program("base", OBEDIENT, journal, base=True))
        await until(spoke(journal, "base"))
        os.kill(events(journal)[0][2], signal.SIGKILL)
        with pytest.raises(BaseEnded):
            await running.watch()


async def test_one_that_does_not_listen_is_killed_after_its_grace(place):
    out = io.StringIO()
    async with supervised(place, out) as running:
        await running.start(program("deaf", DEAF, grace_seconds=0.4))
        await until(lambda: "deaf" in (place.logs / "deaf.log").read_text())
    assert running.states() == {}


async def test_output_is_kept_whole_whatever_its_lines(place):
    text = "x" * (3 * supervising.LINE_BYTES_MAX)
    code = f"print('a'); print('x' * {len(text)}); print('ümlaut'); print('no end', end='', flush=True)"
    async with supervised(place) as running:
        await running.start(program("talker", code + "; import time; time.sleep(60)"))
        await until(lambda: "ümlaut" in (place.logs / "talker.log").read_text())
    written = (place.logs / "talker.log").read_text()
    assert written.replace("\n", "") == f"a{text}ümlautno end"


async def test_lines_are_cut_where_they_end():
    reader = asyncio.StreamReader()
    reader.feed_data(b"one\n\ntwo")
    reader.feed_eof()
    assert [line async for line in lines(reader)] == [b"one", b"", b"two"]


def test_a_program_is_asked_twice_before_it_is_killed():
    assert list(stop_plan(100.0, 10.0)) == [
        (100.0, signal.SIGTERM),
        (105.0, signal.SIGTERM),
        (110.0, signal.SIGKILL),
    ]


SUPERVISOR = """
import asyncio, io, os, sys
from pathlib import Path
from deploy.local.lock import take_lock
from deploy.local.logs import Console
from deploy.local.place import Place, Ports
from deploy.local.programs import Program
from deploy.local.supervisor import Supervisor
place = Place(Path({data!r}), Ports.starting_at({port}))
async def main():
    supervisor = Supervisor(place, Console(), take_lock(place))
    deaf = Program("deaf", (sys.executable, "-c", {deaf!r}), dict(os.environ), grace_seconds=0.5)
    obedient = Program("obedient", (sys.executable, "-c", {obedient!r}), dict(os.environ), linger_seconds=0.2)
    await supervisor.start(deaf, obedient)
    await asyncio.sleep(600)
asyncio.run(main())
"""


async def test_nothing_outlives_a_supervisor_that_is_killed(place, tmp_path):
    journal = tmp_path / "journal"
    code = SUPERVISOR.format(
        data=str(place.data),
        port=place.ports.front,
        deaf=DEAF,
        obedient=OBEDIENT.format(name="obedient", journal=str(journal)),
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=TREE, stdout=subprocess.DEVNULL)
    try:
        deaf_log = place.logs / "deaf.log"
        await until(lambda: spoke(journal, "obedient")() and deaf_log.exists() and bool(deaf_log.read_text()))
        listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True)
        pairs = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()]
        leashes = [child for child, parent in pairs if parent == process.pid]
        programs = [child for child, parent in pairs if parent in leashes]
        assert len(leashes) == len(programs) == 2
    finally:
        process.kill()
        process.wait()
    await until(lambda: not any(runs(one) for one in (*leashes, *programs)))
    assert ("ended", "obedient") in [event[:2] for event in events(journal)]
    os.close(take_lock(place))  # free again, as its last holder has ended


def test_a_second_stack_on_the_same_data_is_refused(place):
    lock = take_lock(place)
    try:
        with pytest.raises(CannotStart, match=f"Another stack \\(process {os.getpid()}\\) runs on"):
            take_lock(place)
    finally:
        os.close(lock)


def test_a_busy_port_is_told_in_one_line(place):
    import socket

    with socket.socket() as busy:
        busy.bind(("127.0.0.1", place.ports.syncer))
        busy.listen()
        with pytest.raises(CannotStart, match=f"Port {place.ports.syncer} \\(for syncer\\) is not free") as told:
            check_ports(place)
    assert "\n" not in str(told.value)
