"""The gateway over ports in memory, in a thread of its own: the command runs a loop of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from types import TracebackType
from typing import Any, TypeVar

import structlog

from tests.unit.gateway.world import World, running_world

T = TypeVar("T")


class Service:
    url: str
    world: World

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._started: Future[None] = Future()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Service:
        # The service's log would go to the very stdout that the command writes to.
        structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
        self._thread.start()
        self._started.result(30)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        structlog.reset_defaults()

    def asks(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run something in the service's own loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._run())

    async def _run(self) -> None:
        self._stop = asyncio.Event()
        try:
            async with running_world() as self.world:
                self.url = str(self.world.client.make_url("/")).rstrip("/")
                self._started.set_result(None)
                await self._stop.wait()
        except BaseException as error:
            if not self._started.done():
                self._started.set_exception(error)
            raise

    def put(self, email: str, library: str, name: str, content: bytes) -> None:
        """A version of the file ``name`` in the root, from a device of its own."""
        self.asks(self._put(email, library, name, content))

    async def _put(self, email: str, library: str, name: str, content: bytes) -> None:
        person = await self.world.sign_in(email)
        status, node = await person.ask("GET", f"/v1/libraries/{library}/nodes?path={name}")
        place = {"node": node["id"], "base_version": node["version"]["id"]} if status == 200 else {}
        permitted = await person.permit(library, content, **(place or {"parent": library, "name": name}))
        answer = await person.commit(library, {"op": "add", "permit": permitted["permit"]})
        assert answer["results"][0]["status"] == "applied"
