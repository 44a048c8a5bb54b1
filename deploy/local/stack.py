"""An embedded stack's life: lock, start in order, run, stop in reverse order."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from deploy.definition import OPERATOR
from deploy.local import programs
from deploy.local.lock import CannotStart, check_ports, take_lock
from deploy.local.logs import Console
from deploy.local.place import Place
from deploy.local.provision import embedded_definition, provision
from deploy.local.supervisor import BaseEnded, Supervisor

# How often the whole stack starts anew because its local AWS ended, before it gives up.
RENEWALS_MAX = 5

WhenReady = Callable[[Supervisor], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Stack:
    """One embedded stack. `settings` override variables in every service's environment."""

    place: Place
    console: Console
    settings: Mapping[str, str] = field(default_factory=dict)

    async def run(self, when_ready: WhenReady) -> None:
        """Run until SIGINT or SIGTERM; `when_ready` is called once all is up, and may start more.

        Raises CannotStart, in words for a person, when the stack cannot start or go on.
        """
        self.place.make()
        lock = take_lock(self.place)
        try:
            await self._run_until_stopped(lock, when_ready)
        finally:
            os.close(lock)

    async def _run_until_stopped(self, lock: int, when_ready: WhenReady) -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        for _ in range(RENEWALS_MAX):
            check_ports(self.place)
            if await self._run_once(lock, when_ready, stop):
                return
            self.console.say("The local AWS ended; starting everything anew.")
        raise CannotStart(f"The local AWS ended {RENEWALS_MAX} times; see {self.place.logs / 'aws.log'}")

    async def _run_once(self, lock: int, when_ready: WhenReady, stop: asyncio.Event) -> bool:
        """Start and run everything; True when asked to stop, False when the local AWS ended."""
        supervisor = Supervisor(self.place, self.console, lock)
        life = asyncio.create_task(self._live(supervisor, when_ready))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([life, stopping], return_when=asyncio.FIRST_COMPLETED)
            if not stop.is_set():
                await life
        except BaseEnded:
            return False
        finally:
            stopping.cancel()
            life.cancel()
            await asyncio.gather(life, stopping, return_exceptions=True)
            if stop.is_set():
                self.console.say("Stopping …")
            await supervisor.stop()
            supervisor.close()
        return True

    async def _live(self, supervisor: Supervisor, when_ready: WhenReady) -> None:
        definition = embedded_definition()
        await supervisor.start(programs.local_aws(self.place), programs.valkey(self.place))
        keys = await provision(self.place, definition)
        programs.write_operator_environment(self.place, definition, keys[OPERATOR])
        await supervisor.start(*programs.services(self.place, definition, keys, self.settings))
        await supervisor.start(programs.front_door(self.place))
        await when_ready(supervisor)
        await supervisor.watch()
