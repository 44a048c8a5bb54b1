"""A gateway on ports in memory, with a decider in place of the metadata service, and people to use it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from argon2 import PasswordHasher

from services.gateway.app import NO_QUOTAS, Chance, Keys, Ports, make_gateway
from services.gateway.passwords import Passwords
from syncline.domain.commands import AddVersion, Command
from syncline.domain.deciding import decide
from syncline.domain.errors import NotFound
from syncline.domain.ids import id_from_bytes
from syncline.domain.nodes import Location
from syncline.domain.permits import PermitKey, PermitKeys
from syncline.domain.registration import Registration
from syncline.domain.tree import Tree
from syncline.memory.cache import MemoryCache
from syncline.memory.counting import CountingObjects, CountingQueues, CountingTables, Counts
from syncline.memory.credentials import MemoryCredentials
from syncline.memory.objects import MemoryObjects
from syncline.memory.queues import MemoryQueues
from syncline.memory.tables import MemoryTables
from syncline.messages import commit_changes, outcome_ready
from syncline.ports.queues import Message, Queue
from syncline.serving.consumer import Consumer, each
from syncline.serving.limits import DEFAULTS
from syncline.serving.metrics import Metrics
from syncline.store.journal import Journal
from syncline.store.usage import Quotas
from syncline.store.views import Views

PASSWORD = "correct horse battery"


class OffsetClock:
    """Real time that a test can move forward."""

    def __init__(self) -> None:
        self.offset_ms = 0

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.offset_ms

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def advance(self, seconds: float) -> None:
        self.offset_ms += int(seconds * 1000)


@dataclass(frozen=True)
class TestKey:
    __test__ = False

    id: str
    secret: bytes


TOKEN_KEYS = (TestKey("t2", b"t" * 32), TestKey("t1", b"o" * 32))
LINK_KEYS = (TestKey("l1", b"l" * 32),)
PERMIT_KEYS = PermitKeys((PermitKey("p1", b"p" * 32),))


class Decider:
    """Decides what comes on ``commits`` over whole trees in memory; ``write_views`` false leaves all to the overlay."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.journal = Journal(world.tables)
        self.trees: dict[str, Tree] = {}
        self.decided: list[Command] = []

    async def handle(self, message: Message) -> None:
        got = commit_changes.decode(message.body)
        command = got.command
        if command is None:
            command = msgspec.msgpack.decode(await self._world.objects.get(got.body_key), type=Command)
        outcome = await self.journal.outcome(command.id)
        if outcome is None:
            outcome = await self._decide(command)
            self.decided.append(command)
        await self._world.cache.publish(outcome_ready.channel(command.id), outcome_ready.encode(outcome))

    async def _decide(self, command: Command) -> Any:
        tree = self.trees.setdefault(command.library, Tree(command.library))
        head = await self.journal.head(command.library)
        assert head is not None
        now_ms = self._world.clock.now_ms()
        landed = {r.permit.id: await self._landed(r) for r in command.requests if isinstance(r, AddVersion)}
        decision = decide(tree, command, landed, seq=head.seq + 1, now_ms=now_ms, device_name="test-device")
        await self.journal.append(decision.commit, decision.outcome, expected=head, now_ms=now_ms)
        if decision.commit is not None:
            tree.apply(decision.commit)
            # Every other commit's rows are written, so that answers come from rows and overlay alike.
            if decision.commit.seq % 2 == 0:
                await self.write_views(command.library)
        return decision.outcome

    async def write_views(self, library: str) -> None:
        """Bring the rows up to the head."""
        views = Views(self._world.tables)
        applied = await views.applied(library)
        commits = [commit async for commit in self.journal.read(library, applied)]
        await views.write(*commits)
        await views.advance(library, after=applied, to=applied + len(commits))

    async def _landed(self, request: AddVersion) -> Location | str:
        try:
            info = await self._world.objects.head(request.permit.key)
        except NotFound:
            return "not-landed"
        return Location(info.key, info.s3_version, 0, info.size_bytes)


class World:
    """``counts`` counts what the gateway alone asks of AWS."""

    def __init__(
        self,
        *,
        wait_s: float = 25.0,
        counts: Counts | None = None,
        registration: Registration = Registration.OPEN,
        quotas: Quotas = NO_QUOTAS,
        rates: Mapping[str, int] = DEFAULTS,
    ) -> None:
        self.clock = OffsetClock()
        self.tables = MemoryTables()
        self.queues = MemoryQueues(self.clock)
        self.objects = MemoryObjects(self.clock)
        self.cache = MemoryCache(self.clock)
        self.credentials = MemoryCredentials(self.clock)
        numbers = itertools.count(1)
        self._numbers = numbers
        hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
        counted = counts or Counts()
        self.app = make_gateway(
            Ports(
                CountingTables(self.tables, counted),
                CountingObjects(self.objects, counted),
                CountingQueues(self.queues, counted),
                self.cache,
                self.credentials,
                self.clock,
            ),
            Keys(PERMIT_KEYS, TOKEN_KEYS, LINK_KEYS),
            public_url="http://syncline.test",
            registration=registration,
            quotas=quotas,
            rates=rates,
            passwords=Passwords(hasher),
            chance=Chance(new_id=self.new_id),
            wait_s=wait_s,
        )
        self.decider = Decider(self)
        self.consumer = Consumer(
            self.queues,
            Queue.COMMITS,
            each(self.decider.handle),
            clock=self.clock,
            metrics=Metrics("decider"),
            receivers=1,
        )
        self.client: TestClient[Any, Any]

    def new_id(self) -> str:
        return id_from_bytes(hashlib.sha256(str(next(self._numbers)).encode()).digest())

    async def ask(
        self, method: str, path: str, body: Any = None, *, token: str = "", **more: Any
    ) -> tuple[int, Any, ClientResponse]:
        """(status, decoded body, response)."""
        headers = dict(more.pop("headers", {}))
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None:
            more["json"] = body if isinstance(body, dict) else msgspec.to_builtins(body)
        response = await self.client.request(method, path, headers=headers, allow_redirects=False, **more)
        raw = await response.read()
        is_json = "json" in response.content_type and raw
        return response.status, msgspec.json.decode(raw) if is_json else raw, response

    async def person(self, name: str) -> Person:
        email = f"{name}@example.org"
        status, _, _ = await self.ask("POST", "/v1/accounts", {"email": email, "password": PASSWORD, "name": name})
        assert status == 201
        return await self.sign_in(email)

    async def sign_in(self, email: str) -> Person:
        body = {"email": email, "password": PASSWORD, "device_name": "laptop"}
        status, session, _ = await self.ask("POST", "/v1/sessions", body)
        assert status == 201
        return Person(self, session)


class Person:
    """Somebody signed in."""

    def __init__(self, world: World, session: dict[str, Any]) -> None:
        self.world = world
        self.session = session
        self.account = session["account"]["id"]
        self.email = session["account"]["email"]
        self.device = session["device"]
        self.token = session["access_token"]

    async def ask(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, Any]:
        status, answer, _ = await self.world.ask(method, path, body, token=self.token, **more)
        return status, answer

    async def library(self, name: str = "Papers") -> str:
        status, library = await self.ask("POST", "/v1/libraries", {"name": name})
        assert status == 201
        return str(library["id"])

    async def share(self, library: str, other: Person, role: str) -> None:
        body = {"email": other.email, "role": role}
        status, _ = await self.ask("POST", f"/v1/libraries/{library}/members", body)
        assert status == 200

    async def permit(self, library: str, content: bytes, **intent: Any) -> dict[str, Any]:
        """A permit whose bytes have landed."""
        body = {"intents": [self.intent(content, **intent)]}
        status, answer = await self.ask("POST", f"/v1/libraries/{library}/uploads", body)
        assert status == 200, answer
        permitted: dict[str, Any] = answer["permits"][0]
        await self.world.objects.put(permitted["key"], content, metadata={"permit": permitted["permit"]})
        return permitted

    def intent(self, content: bytes, **intent: Any) -> dict[str, Any]:
        return {"size_bytes": len(content), "checksum": checksum(content), "mtime_ns": 1, "counter": 1, **intent}

    async def commit(self, library: str, *requests: dict[str, Any], **more: Any) -> dict[str, Any]:
        status, answer = await self.ask("POST", f"/v1/libraries/{library}/commits", {"requests": requests, **more})
        assert status == 200, answer
        assert answer["done"]
        return dict(answer)

    async def put(self, library: str, name: str, content: bytes) -> dict[str, Any]:
        """A new file at the root, committed; answers its result."""
        permitted = await self.permit(library, content, parent=library, name=name)
        answer = await self.commit(library, {"op": "add", "permit": permitted["permit"]})
        assert answer["results"][0]["status"] == "applied"
        return dict(answer["results"][0])


def checksum(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


@asynccontextmanager
async def running_world(
    *,
    wait_s: float = 25.0,
    deciding: bool = True,
    counts: Counts | None = None,
    registration: Registration = Registration.OPEN,
    quotas: Quotas = NO_QUOTAS,
    rates: Mapping[str, int] = DEFAULTS,
) -> AsyncIterator[World]:
    world = World(wait_s=wait_s, counts=counts, registration=registration, quotas=quotas, rates=rates)
    deciding_task = asyncio.create_task(world.consumer.run()) if deciding else None
    async with TestClient(TestServer(world.app)) as client:
        world.client = client
        yield world
    if deciding_task is not None:
        deciding_task.cancel()
        with suppress(asyncio.CancelledError, BaseExceptionGroup):
            await deciding_task
