"""Metadata's world with a syncer's archiver beside it, and the operator's command on the same ports."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.syncer.archiver import Archiver
from syncline.admin.checking import Checked, Checking
from syncline.admin.ports import Ports
from syncline.admin.rebuilding import Rebuilding, Rebuilt
from syncline.domain.commands import MakeFolder, Move, Remove
from syncline.memory.tables import MemoryTables
from syncline.memory.topics import MemoryTopic
from syncline.ports.tables import Tables
from syncline.serving.metrics import Metrics
from syncline.store.directory import AccountRecord, Directory
from syncline.store.journal import Journal
from syncline.store.tree import TreeReader
from syncline.store.views import Views
from tests.unit.metadata.world import ALICE, BOB, KEYS, LIBRARY, World


class Operated(World):
    """``archive`` is what the syncer does each minute, ``lose_tables`` what an operator is for."""

    async def begin(self) -> Operated:
        await super().begin()
        for account, name in ((ALICE, "alice"), (BOB, "bob")):
            await self.directory.create_account(AccountRecord(account, f"{name}@example.org", name, "hash", 1))
        return self

    def archiver(self, snapshot_changes: int = 1_000_000) -> Archiver:
        return Archiver(self.tables, self.objects, self.clock, Metrics("syncer"), snapshot_changes=snapshot_changes)

    async def archive(self) -> None:
        await self.archiver().archive(LIBRARY)

    def ports(self, tables: Tables | None = None) -> Ports:
        tables = tables or self.tables
        topic = MemoryTopic(self.queues)
        return Ports(tables, self.objects, self.queues, topic, self.cache, self.clock, self.new_id, KEYS)

    @asynccontextmanager
    async def open_ports(self) -> AsyncIterator[Ports]:
        yield self.ports()

    def lose_tables(self) -> None:
        self.tables = MemoryTables()
        self.journal, self.views = Journal(self.tables), Views(self.tables)
        self.directory = Directory(self.tables)
        self.trees = TreeReader(self.journal, self.views)

    async def rebuild(self, *, yes: bool = False) -> Rebuilt:
        return await Rebuilding(self.ports()).rebuild(LIBRARY, yes=yes)

    async def check(self, *, mend: bool = False, heads: bool = True) -> Checked:
        return await Checking(self.ports(), mend=mend, heads=heads).check(LIBRARY)


async def a_life(world: Operated) -> None:
    """Files, folders, a move, a removal, a second version: seven commits."""
    worker, folder = world.worker(), world.new_id()
    await world.ask(MakeFolder(folder, LIBRARY, "plans"))
    first = await world.upload("a.txt", b"one")
    await world.add(first)
    inside = await world.upload("b.txt", b"two", parent=folder)
    await world.add(inside)
    await worker.drain()
    second = await world.permit(b"three", node=first.node, base=first.id)
    await world.put(second, b"three")
    await world.add(second)
    await worker.drain()
    seq = (await world.tree()).seq
    await world.ask(Move(inside.node, seq, LIBRARY, "moved.txt"))
    gone = await world.upload("gone.txt", b"four")
    await world.add(gone)
    await worker.drain()
    await world.ask(Remove(gone.node, (await world.tree()).seq, False))
    await worker.drain()
