"""Starts programs in order, keeps them running, and stops them in reverse order.

Every program runs under a leash (`deploy.local.leash`), so that none outlives the supervisor.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator
from enum import Enum
from pathlib import Path

from deploy.local import leash
from deploy.local.lock import CannotStart
from deploy.local.logs import Console, RotatedLog
from deploy.local.place import Place
from deploy.local.programs import Program

READY_SECONDS_MAX = 90.0
PROBE_EVERY_SECONDS = 0.1
RESTARTS_MAX = 10
BACKOFF_SECONDS_FIRST = 0.5
BACKOFF_SECONDS_MAX = 30.0
# A program that ran this long has recovered: its next failure starts counting anew.
STEADY_SECONDS = 60.0
LEASH_SLACK_SECONDS = 5.0
LINE_BYTES_MAX = 64 * 1024
LINES_REMEMBERED = 12

_TREE = Path(__file__).resolve().parents[2]


class State(Enum):
    """Where a program is in its life."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    BACKING_OFF = "backing off"
    STOPPED = "stopped"


class BaseEnded(Exception):
    """A program that others stand on ended: they must all start anew."""


class Supervised:
    """One program under its leash: started, watched, started again when it ends, stopped."""

    def __init__(self, program: Program, supervisor: Supervisor):
        self.program = program
        self.state = State.WAITING
        self._supervisor = supervisor
        self._log = RotatedLog(supervisor.place.logs / f"{program.name}.log")
        self._last_lines: deque[str] = deque(maxlen=LINES_REMEMBERED)
        self._process: asyncio.subprocess.Process | None = None
        self._output: asyncio.Task[None] | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the program and wait until it is ready. Raises CannotStart if it does not get there."""
        await self._spawn()
        try:
            async with asyncio.timeout(READY_SECONDS_MAX):
                await self._until_ready()
        except TimeoutError:
            raise CannotStart(self._trouble(f"was not ready after {READY_SECONDS_MAX:.0f} s")) from None
        if self.state is not State.READY:
            raise CannotStart(self._trouble(f"ended at its start (status {self._status()})"))
        self._keeper = asyncio.create_task(self._keep(), name=f"keep {self.program.name}")

    async def failed(self) -> None:
        """Wait until the program can no longer be kept running. Raises BaseEnded or CannotStart."""
        assert self._keeper is not None
        await asyncio.shield(self._keeper)

    async def stop(self) -> None:
        """End the program: SIGTERM, its grace, SIGKILL. Ends when it has ended."""
        self.state = State.STOPPED
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        await self._end_process()
        self._log.close()

    async def _keep(self) -> None:
        restarts = 0
        while True:
            assert self._process is not None
            started = asyncio.get_running_loop().time()
            await self._process.wait()
            await self._end_process()
            self._supervisor.console.say(self._trouble(f"ended (status {self._status()})", lines=False))
            if self.program.base:
                raise BaseEnded(self.program.name)
            if asyncio.get_running_loop().time() - started > STEADY_SECONDS:
                restarts = 0
            if restarts >= RESTARTS_MAX:
                raise CannotStart(self._trouble(f"ended {restarts + 1} times in a row"))
            self.state = State.BACKING_OFF
            await asyncio.sleep(min(BACKOFF_SECONDS_FIRST * 2**restarts, BACKOFF_SECONDS_MAX))
            restarts += 1
            await self._spawn()
            await self._until_ready()

    async def _spawn(self) -> None:
        self.state = State.STARTING
        watched, lock = self._supervisor.watched, self._supervisor.lock
        seconds = (str(self.program.grace_seconds), str(self.program.linger_seconds))
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", leash.__file__, str(watched), *seconds, *self.program.command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=dict(self.program.environment),
            cwd=_TREE,
            pass_fds=(watched, lock),
            # Ctrl-C in the terminal is the supervisor's to hear: it stops the programs in order.
            start_new_session=True,
        )
        self._output = asyncio.create_task(self._read_output(self._process))

    async def _until_ready(self) -> None:
        assert self._process is not None
        while self._process.returncode is None:
            if await self.program.ready():
                self.state = State.READY
                return
            await asyncio.sleep(PROBE_EVERY_SECONDS)

    async def _end_process(self) -> None:
        if self._process is None:
            return
        if self._process.returncode is None:
            self._process.terminate()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.program.grace_seconds + LEASH_SLACK_SECONDS):
                    await self._process.wait()
        # The leash leads its own process group: nothing of it is left behind, whatever happened to it.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        if self._output is not None:
            await asyncio.gather(self._output, return_exceptions=True)

    async def _read_output(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for raw in lines(process.stdout):
            self._log.write(raw)
            text = raw.decode(errors="replace")
            self._last_lines.append(text)
            self._supervisor.console.log(self.program.name, text)

    def _status(self) -> int | None:
        return self._process.returncode if self._process is not None else None

    def _trouble(self, what: str, lines: bool = True) -> str:
        log = self._supervisor.place.logs / f"{self.program.name}.log"
        text = f"{self.program.name} {what}; see {log}"
        if lines and self._last_lines:
            text += ", which ends:\n" + "\n".join(f"  {line}" for line in self._last_lines)
        return text


class Supervisor:
    """The programs of one stack, in the order in which they started.

    `lock` is the file descriptor of DATA's lock: leashes hold it too, so it is free when all have ended.
    """

    def __init__(self, place: Place, console: Console, lock: int):
        self.place = place
        self.console = console
        self.lock = lock
        self.watched, self._held = os.pipe()
        self._running: list[list[Supervised]] = []

    async def start(self, *programs: Program) -> None:
        """Start `programs` side by side and wait until all are ready. Raises CannotStart."""
        group = [Supervised(program, self) for program in programs]
        self._running.append(group)
        starts = await asyncio.gather(*(supervised.start() for supervised in group), return_exceptions=True)
        for outcome in starts:
            if isinstance(outcome, BaseException):
                raise outcome

    async def watch(self) -> None:
        """Wait for what the supervisor cannot mend. Raises BaseEnded or CannotStart."""
        watches = [asyncio.create_task(each.failed()) for group in self._running for each in group]
        try:
            done, _ = await asyncio.wait(watches, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                await task
        finally:
            for task in watches:
                task.cancel()
            await asyncio.gather(*watches, return_exceptions=True)

    async def stop(self) -> None:
        """Stop everything, the last started first."""
        while self._running:
            await asyncio.gather(*(supervised.stop() for supervised in self._running[-1]))
            self._running.pop()

    def close(self) -> None:
        """Let go of the pipe that the leashes watch."""
        os.close(self._held)
        os.close(self.watched)

    def states(self) -> dict[str, State]:
        """Each program's state, by its name."""
        return {each.program.name: each.state for group in self._running for each in group}


async def lines(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """The lines of a stream without their ends; one longer than LINE_BYTES_MAX comes in pieces."""
    rest = b""
    while chunk := await reader.read(LINE_BYTES_MAX):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line
        while len(rest) > LINE_BYTES_MAX:
            yield rest[:LINE_BYTES_MAX]
            rest = rest[LINE_BYTES_MAX:]
    if rest:
        yield rest
