"""Gateway, syncer and S3 over ports in memory, in a thread of their own: the command runs a loop of its own."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, TypeVar

import msgspec
import structlog
from aiohttp.test_utils import TestClient, TestServer
from argon2 import PasswordHasher

from deploy.local.front import Upstreams, front_app
from services.gateway.app import Chance, Keys, Ports, make_gateway
from services.gateway.passwords import Passwords
from services.syncer import app as syncer
from syncline.domain.commands import AddVersion
from syncline.memory.cache import MemoryCache
from syncline.memory.credentials import MemoryCredentials
from syncline.memory.objects import MemoryObjects
from syncline.memory.queues import MemoryQueues
from syncline.memory.tables import MemoryTables
from syncline.messages import commit_changes, library_moved
from syncline.ports.credentials import Credential
from syncline.ports.queues import Message, Queue
from syncline.serving.consumer import Consumer, each
from syncline.serving.metrics import Metrics
from tests.unit.client.cli.s3 import S3Face
from tests.unit.gateway.world import LINK_KEYS, PERMIT_KEYS, TOKEN_KEYS, Decider, OffsetClock, World

T = TypeVar("T")
START_S_MAX = 30
SHUTDOWN_S = 1.0
"""What an interrupted client left under way is not waited for any longer."""
NAMES = ("gateway", "syncer", "metadata", "notifier")


class Credentials(MemoryCredentials):
    """Credentials that lead to the S3 of this service."""

    endpoint = ""

    async def issue(self, **asked: Any) -> Credential:

        return msgspec.structs.replace(await super().issue(**asked), endpoint=self.endpoint)


class PublishingDecider(Decider):
    """Tells of each commit, as metadata does through the topic.

    ``events_are_quicker``: S3's events bring files in before the commands of the clients that sent them.
    """

    events_are_quicker = False

    async def handle(self, message: Message) -> None:
        command = commit_changes.decode(message.body).command
        if self.events_are_quicker and command and isinstance(command.requests[0], AddVersion):
            await self._decide(msgspec.structs.replace(command, id=self._world.new_id()))
        await super().handle(message)
        library = command.library if command else self.decided[-1].library
        head = await self.journal.head(library)
        assert head is not None
        moved = library_moved.LibraryMoved(library, head.seq, head.incarnation)
        await self._world.queues.send(Queue.SYNC, library_moved.encode(moved))


class Memory(World):
    """The gateway's world with S3 and a syncer beside it."""

    def __init__(self) -> None:
        self.clock = OffsetClock()
        self.tables = MemoryTables()
        self.queues = MemoryQueues(self.clock)
        self.objects = MemoryObjects(self.clock)
        self.cache = MemoryCache(self.clock)
        self.credentials = Credentials(self.clock)
        self._numbers = itertools.count(1)
        self.app = make_gateway(
            Ports(self.tables, self.objects, self.queues, self.cache, self.credentials, self.clock),
            Keys(PERMIT_KEYS, TOKEN_KEYS, LINK_KEYS),
            public_url="http://syncline.test",
            passwords=Passwords(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)),
            chance=Chance(new_id=self.new_id),
        )
        self.syncer = syncer.make_syncer(
            syncer.Ports(self.tables, self.objects, self.queues, self.cache, self.clock),
            token_keys=TOKEN_KEYS,
            public_url="http://syncline.test",
        )
        self.s3 = S3Face(self.objects)
        self.decider: PublishingDecider = PublishingDecider(self)
        self.consumer = Consumer(
            self.queues,
            Queue.COMMITS,
            each(self.decider.handle),
            clock=self.clock,
            metrics=Metrics("decider"),
            receivers=1,
        )


class Service:
    url: str
    world: Memory

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._started: Future[None] = Future()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Service:
        # The service's log would go to the very stdout that the command writes to.
        structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
        self._thread.start()
        self._started.result(START_S_MAX)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(START_S_MAX)
        structlog.reset_defaults()

    def asks(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run something in the service's own loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(START_S_MAX)

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

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._run())

    async def _run(self) -> None:
        self._stop = asyncio.Event()
        try:
            async with AsyncExitStack() as stack:
                await self._start(stack)
                self._started.set_result(None)
                await self._stop.wait()
        except BaseException as error:
            if not self._started.done():
                self._started.set_exception(error)
            raise

    async def _start(self, stack: AsyncExitStack) -> None:
        self.world = world = Memory()
        issuer = world.credentials
        assert isinstance(issuer, Credentials)
        for work in (world.consumer.run(), world.syncer.consumer.run(), world.syncer.hub.run()):
            stack.push_async_callback(_end, asyncio.create_task(work))
        world.client = await stack.enter_async_context(TestClient(TestServer(world.app)))
        gateway = str(world.client.make_url("")).rstrip("/")
        syncing = await _listening(stack, TestServer(world.syncer.app))
        issuer.endpoint = await _listening(stack, TestServer(world.s3.app))
        upstreams = Upstreams(dict(zip(NAMES, (gateway, syncing, gateway, gateway), strict=True)))
        self.url = await _listening(stack, TestServer(await stack.enter_async_context(front_app(upstreams))))
        stack.push_async_callback(world.syncer.hub.drain)


async def _listening(stack: AsyncExitStack, server: TestServer) -> str:
    await server.start_server(shutdown_timeout=SHUTDOWN_S)
    stack.push_async_callback(server.close)
    return str(server.make_url("")).rstrip("/")


async def _end(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
