"""Syncers on ports in memory, sharing tables, queues and cache as processes would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp.test_utils import TestClient, TestServer

from services.syncer.app import Keeping, Ports, Syncer, make_syncer
from syncline.memory.cache import MemoryCache
from syncline.memory.clock import ManualClock
from syncline.memory.objects import MemoryObjects
from syncline.memory.queues import MemoryQueues
from syncline.memory.tables import MemoryTables
from syncline.messages.library_moved import LibraryMoved, encode
from syncline.ports.queues import Queue
from syncline.ports.tables import Table
from syncline.serving.auth import Caller, Tokens
from syncline.store.directory import DeviceRecord, Directory
from tests.unit.writing import INCARNATION, Writer, made_id, make_account


class Key(msgspec.Struct, frozen=True):
    id: str
    secret: bytes


TOKEN_KEYS = (Key("k1", b"t" * 32),)


class ReadsCounted(MemoryTables):
    """Counts the batches read from the journal's table: heads and commits, but not a single head.

    ``after_batch``: what happens between the n-th reading and its answer.
    """

    def __init__(self) -> None:
        super().__init__()
        self.journal_batches = 0
        self.after_batch: dict[int, Callable[[], Awaitable[None]]] = {}

    async def get_many(self, table: Table, keys: Any, *, eventual: bool = False) -> Any:
        if table is Table.JOURNAL:
            self.journal_batches += 1
        found = await super().get_many(table, keys, eventual=eventual)
        if table is Table.JOURNAL and (meanwhile := self.after_batch.pop(self.journal_batches, None)):
            await meanwhile()
        return found


class World:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.tables = ReadsCounted()
        self.objects = MemoryObjects(self.clock)
        self.queues = MemoryQueues(self.clock)
        self.cache = MemoryCache(self.clock)
        self.directory = Directory(self.tables)
        self._tasks: list[asyncio.Task[Any]] = []
        self._syncers: list[Syncer] = []

    async def syncer(self, *, held_max: int = 2_000, listening: bool = True, keeping: Keeping | None = None) -> Syncer:
        """Another process. Its hub runs; its queue is consumed by hand."""
        ports = Ports(self.tables, self.objects, self.queues, self.cache, self.clock)
        syncer = make_syncer(
            ports,
            token_keys=TOKEN_KEYS,
            public_url="https://sync.example.org",
            held_max=held_max,
            keeping=keeping,
        )
        self._syncers.append(syncer)
        if listening:
            self.background(syncer.hub.run())
            await self.clock.run_for(0.01)
        return syncer

    def background(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.append(task)
        return task

    async def account(self, name: str) -> str:
        account = await make_account(self.tables, name)
        await self.directory.create_device(
            DeviceRecord(made_id(f"device {account}"), account, f"{name}'s laptop", "", "", 0)
        )
        return account

    async def library(self, name: str, owner: str, *members: str) -> Writer:
        return await Writer(self.tables, self.clock, name).create(owner, *members)

    async def published(self, library: Writer) -> None:
        """What metadata sends after an append, on its way through the topic."""
        await self.queues.send(Queue.SYNC, encode(LibraryMoved(library.id, library.seq, INCARNATION)))

    async def close(self) -> None:
        for syncer in self._syncers:
            await syncer.hub.drain()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def headers_of(world: World, account: str) -> dict[str, str]:
    token = Tokens(TOKEN_KEYS, world.clock).issue(Caller(account, made_id(f"device {account}")))
    return {"Authorization": f"Bearer {token}"}


@asynccontextmanager
async def http(syncer: Syncer) -> AsyncIterator[TestClient[Any, Any]]:
    async with TestClient(TestServer(syncer.app)) as client:
        yield client
