"""The archiver: what it brings to the bucket, when, at what cost, and who may do it at once."""

from __future__ import annotations

import asyncio

import pytest

from services.syncer.app import Keeping
from services.syncer.archiver import Archiver
from syncline.domain.errors import Temporary
from syncline.domain.rights import Role
from syncline.memory.faults import FaultPlan, FaultyObjects, FaultyTables
from syncline.ports.queues import Queue
from syncline.serving.metrics import Metrics
from syncline.store.archive import Archive
from syncline.store.archiving import ArchiveStore
from syncline.store.directory import Directory
from tests.unit.syncer.world import World
from tests.unit.writing import INCARNATION, Writer


@pytest.fixture
async def world():
    world = World()
    yield world
    await world.close()


async def shared(world: World) -> Writer:
    alice = await world.account("Alice")
    bob = await world.account("Bob")
    return await world.library("photos", alice, bob)


def archiver(world: World, **more) -> Archiver:
    return Archiver(world.tables, world.objects, world.clock, Metrics("syncer"), **more)


async def archived_commits(world: World, library: Writer):
    archive = Archive(world.objects)
    [archived] = await archive.incarnations(library.id)
    return [commit async for commit in archive.commits(archived)]


def keys(world: World, prefix: str) -> list[str]:
    return sorted(key for key in world.objects._versions if key.startswith(prefix))


async def test_a_move_heard_of_is_archived_at_the_next_turn_and_forgotten(world):
    photos = await shared(world)
    syncer = await world.syncer(keeping=Keeping(archive_s=60))
    world.background(syncer.archiver.run())
    await photos.add(photos.commits[0].account if photos.commits else (await members(world, photos))[0], "a.jpg")
    await world.published(photos)
    await syncer.consumer.run_once()
    assert keys(world, "journal/") == []
    await world.clock.run_for(61)
    assert await archived_commits(world, photos) == photos.commits
    assert await archiver(world).archive_due() == 0


async def members(world: World, library: Writer) -> list[str]:
    return [member.account for member in await world.directory.members(library.id)]


async def test_only_what_is_new_is_written_and_a_full_segment_becomes_one_object(world):
    photos = await shared(world)
    [alice, *_] = await members(world, photos)
    one = archiver(world)
    for _ in range(3):
        for _ in range(5):
            await photos.add(alice, f"{photos.seq}.jpg")
        await one.archive(photos.id)
    assert [key[-25:] for key in keys(world, f"journal/{photos.id}/{INCARNATION}/0")] == [
        "000000000001-000000000005",
        "000000000006-000000000010",
        "000000000011-000000000015",
    ]
    while photos.seq < 520:
        await photos.add(alice, f"{photos.seq}.jpg")
    await one.archive(photos.id)
    from_the_first = [key for key in keys(world, f"journal/{photos.id}/{INCARNATION}/0") if "-000000000001-" in key]
    assert from_the_first[1].endswith("/00000000-000000000001-000000000511")
    assert await archived_commits(world, photos) == photos.commits


async def test_members_and_name_are_archived_when_they_change_and_only_then(world):
    photos = await shared(world)
    accounts = await members(world, photos)
    one = archiver(world)
    assert await one.archive_due() == 1  # a new library is news
    assert len(keys(world, f"journal/{photos.id}/{INCARNATION}/about")) == 1
    await photos.add(accounts[0], "a.jpg")
    await one.archive(photos.id)
    assert len(keys(world, f"journal/{photos.id}/{INCARNATION}/about")) == 1
    carol = await world.account("Carol")
    await world.clock.run_for(1)
    await Directory(world.tables).set_member(photos.id, carol, Role.VIEWER)
    assert await one.archive_due() == 1
    [found] = await Archive(world.objects).incarnations(photos.id)
    assert {member.account: member.role for member in found.about.members}[carol] is Role.VIEWER
    assert {member.email for member in found.about.members} >= {"carol@example.org"}


async def test_several_at_once_do_no_harm(world):
    photos = await shared(world)
    [alice, *_] = await members(world, photos)
    many = [archiver(world, snapshot_changes=10) for _ in range(4)]
    for _ in range(6):
        await photos.add_all(alice, [f"{photos.seq}-{n}" for n in range(4)])
        await asyncio.gather(*(one.archive(photos.id) for one in many))
    assert await archived_commits(world, photos) == photos.commits
    state = await ArchiveStore(world.tables).state(photos.id, INCARNATION)
    assert (state.seq, state.changes) == (6, 24)


@pytest.mark.parametrize("seed", range(10))
async def test_whatever_fails_it_stays_due_until_it_is_archived(world, seed):
    photos = await shared(world)
    [alice, *_] = await members(world, photos)
    for _ in range(30):
        await photos.add(alice, f"{photos.seq}.jpg")
    await ArchiveStore(world.tables).mark_commits(photos.id, INCARNATION, photos.seq)
    plan = FaultPlan(seed, before=0.1, after=0.1)
    tables, objects = FaultyTables(world.tables, plan), FaultyObjects(world.objects, plan)
    faulty = Archiver(tables, objects, world.clock, Metrics("syncer"), snapshot_changes=20)
    left = 1
    for _ in range(1_000):
        try:
            left = await faulty.archive_due()
        except Temporary:
            continue
        if not left:
            break
        await world.clock.run_for(700)  # claims end
    assert left == 0
    assert await archived_commits(world, photos) == photos.commits
    snapshot = await ArchiveStore(world.tables).snapshot(photos.id, INCARNATION)
    assert snapshot is not None
    assert snapshot.seq == photos.seq


async def test_one_broken_library_does_not_hold_up_the_others(world):
    photos, notes = await shared(world), await world.library("notes", await world.account("Carol"))
    [alice, *_] = await members(world, photos)
    [carol] = await members(world, notes)
    await photos.add(alice, "a")
    await notes.add(carol, "b")
    for library in (photos, notes):
        await ArchiveStore(world.tables).mark_commits(library.id, INCARNATION, 1)
    for (_, pk), partition in world.tables._partitions.items():
        if pk.startswith(f"journal#{photos.id}"):
            partition.remove("000000000001")
    one = archiver(world)
    assert await one.archive_due() == 2
    assert await archived_commits(world, notes) == notes.commits
    assert await one.archive_due() == 1  # still due: nobody went on over it


async def test_a_turn_reads_only_what_is_due(world):
    photos = await shared(world)
    [alice, *_] = await members(world, photos)
    await photos.add(alice, "a")
    one = archiver(world)
    await one.archive_due()
    before = world.tables.journal_batches
    assert await one.archive_due() == 0
    assert world.tables.journal_batches == before
    await world.queues.receive(Queue.SYNC, wait_s=0)
