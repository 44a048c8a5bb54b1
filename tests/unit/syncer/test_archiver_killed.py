"""A syncer is killed at every call that archiving makes, before it takes effect and after; the next one ends it."""

from __future__ import annotations

import pytest

from services.syncer.archiver import CLAIM_MS, Archiver
from syncline.memory.clock import ManualClock
from syncline.memory.objects import MemoryObjects
from syncline.memory.tables import MemoryTables
from syncline.serving.metrics import Metrics
from syncline.store.archive import Archive, Archived
from syncline.store.archiving import SHARDS, ArchiveStore
from syncline.store.retentions import Retentions, Rules
from tests.unit.metadata.steps import At, Died, Stepped
from tests.unit.writing import INCARNATION, Writer, make_account

HELD = Rules(hold=True)
SNAPSHOT_CHANGES = 8


class Shelf:
    """A library that changed in all the ways that are archived: commits, members, name, settings."""

    async def begin(self) -> Shelf:
        self.clock = ManualClock()
        self.tables = MemoryTables()
        self.objects = MemoryObjects(self.clock)
        alice, bob = [await make_account(self.tables, name) for name in ("Alice", "Bob")]
        self.writer = await Writer(self.tables, self.clock, "photos").create(alice, bob)
        for number in range(12):
            await self.writer.add(alice, f"{number}.jpg")
        await Retentions(self.tables).set_rules(self.writer.id, HELD)
        return self

    def archiver(self, step: At | None = None) -> Archiver:
        tables = self.tables if step is None else Stepped(self.tables, step)
        objects = self.objects if step is None else Stepped(self.objects, step)
        return Archiver(tables, objects, self.clock, Metrics("syncer"), snapshot_changes=SNAPSHOT_CHANGES)

    async def archived(self) -> Archived:
        """What the bucket has, whole, and nothing left to do."""
        archive = Archive(self.objects)
        [archived] = await archive.incarnations(self.writer.id)
        assert [commit async for commit in archive.commits(archived)] == self.writer.commits
        store = ArchiveStore(self.tables)
        assert [due for shard in range(SHARDS) async for due in store.due(shard)] == []
        snapshot = await store.snapshot(self.writer.id, INCARNATION)
        assert snapshot is not None
        await self.objects.head(snapshot.key, snapshot.s3_version)
        return archived


async def test_killed_at_any_call_the_archive_is_the_same_in_the_end() -> None:
    shelf, plan = await Shelf().begin(), At()
    await shelf.archiver(plan).archive_due()
    whole = await shelf.archived()
    assert whole.about.settings.rules == HELD
    assert len(plan.steps) > 40
    for stop_at in range(1, len(plan.steps) + 1):
        shelf = await Shelf().begin()
        with pytest.raises(Died):
            await shelf.archiver(At(stop_at)).archive_due()
        # Its claim ends by itself.
        shelf.clock.advance(CLAIM_MS / 1000)
        await shelf.archiver().archive_due()
        again = await shelf.archived()
        assert (again.about, again.segments) == (whole.about, whole.segments)
