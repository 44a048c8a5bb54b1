"""Tidying the archive: what was replaced goes, a day later, and never what somebody may still need."""

from __future__ import annotations

import copy
import zlib
from typing import Any

import pytest

from services.syncer.archiver import Archiver
from services.syncer.tidying import REPLACED_KEPT_S
from syncline.domain.errors import Temporary
from syncline.domain.rights import Role
from syncline.memory.faults import FaultPlan, FaultyObjects, FaultyTables
from syncline.serving.metrics import Metrics
from syncline.store.archive import Archive
from syncline.store.archiving import ArchiveStore
from syncline.store.directory import Directory
from tests.unit.metadata.steps import At, Died, Stepped
from tests.unit.syncer.world import World
from tests.unit.writing import INCARNATION, Writer

FULL = 511
"""The last seq of the first segment."""


@pytest.fixture
async def world():
    world = World()
    yield world
    await world.close()


class Photos:
    """A library that grows, and the archiver that is at it."""

    def __init__(self, world: World, writer: Writer, alice: str) -> None:
        self.world = world
        self.writer = writer
        self.alice = alice

    def archiver(self, *, step: At | None = None, plan: FaultPlan | None = None) -> Archiver:
        tables: Any = self.world.tables
        objects: Any = self.world.objects
        if step is not None:
            tables, objects = Stepped(tables, step), Stepped(objects, step)
        if plan is not None:
            tables, objects = FaultyTables(tables, plan), FaultyObjects(objects, plan)
        return Archiver(tables, objects, self.world.clock, Metrics("syncer"), snapshot_changes=100)

    async def grow(self, to: int, each: int = 64) -> None:
        while self.writer.seq < to:
            for _ in range(min(each, to - self.writer.seq)):
                await self.writer.add(self.alice, f"{self.writer.seq}.jpg")
            await self.archiver().archive(self.writer.id)

    async def later(self, seconds: float = REPLACED_KEPT_S + 1) -> None:
        await self.world.clock.run_for(seconds)

    def keys(self, room: str) -> list[str]:
        prefix = f"{room}/{self.writer.id}/{INCARNATION}/"
        return sorted(key.removeprefix(prefix) for key in self.world.objects._versions if key.startswith(prefix))

    def segments(self) -> list[str]:
        return [key for key in self.keys("journal") if not key.startswith("about")]

    async def whole(self) -> None:
        """The bucket has every commit, and the tables name a snapshot that is there."""
        archive = Archive(self.world.objects)
        [archived] = await archive.incarnations(self.writer.id)
        assert [commit async for commit in archive.commits(archived)] == self.writer.commits
        snapshot = await ArchiveStore(self.world.tables).snapshot(self.writer.id, INCARNATION)
        if snapshot is not None:
            await self.world.objects.head(snapshot.key, snapshot.s3_version)


@pytest.fixture
async def photos(world: World) -> Photos:
    alice = await world.account("Alice")
    return Photos(world, await world.library("photos", alice), alice)


async def test_pieces_go_a_day_after_the_whole_segment_came(photos: Photos) -> None:
    await photos.grow(600)
    assert len(photos.segments()) > 8
    await photos.later(REPLACED_KEPT_S / 2)
    await photos.archiver().archive(photos.writer.id)
    assert len(photos.segments()) > 8, "whoever listed them just now still reads them"
    await photos.later()
    await photos.archiver().archive(photos.writer.id)
    first, *rest = photos.segments()
    assert first == "00000000-000000000001-000000000511"
    assert all(key.startswith("00000001-") for key in rest)
    assert rest, "the segment that is filling keeps its pieces"
    await photos.whole()
    state = await ArchiveStore(photos.world.tables).state(photos.writer.id, INCARNATION)
    assert state.tidied == FULL


async def test_pieces_stay_beside_a_damaged_whole(photos: Photos) -> None:
    await photos.grow(520)
    key = f"journal/{photos.writer.id}/{INCARNATION}/00000000-000000000001-000000000511"
    [(info, body)] = photos.world.objects._versions[key]
    photos.world.objects._versions[key] = [(info, body[:-1] + b"?")]
    await photos.later()
    await photos.archiver().archive(photos.writer.id)
    assert len(photos.segments()) > 8
    await photos.whole()


async def test_the_newest_snapshot_stays_and_the_one_before_and_those_of_the_last_day(photos: Photos) -> None:
    await photos.grow(450)
    assert len(photos.keys("snapshots")) == 3, "any of them may have been named just now"
    [first, *_] = photos.keys("snapshots")
    await photos.later()
    await photos.grow(550)
    newest = await ArchiveStore(photos.world.tables).snapshot(photos.writer.id, INCARNATION)
    assert newest is not None
    assert first not in photos.keys("snapshots")
    assert len(photos.keys("snapshots")) == 2
    assert newest.key.endswith(photos.keys("snapshots")[-1])
    await photos.whole()


async def test_who_was_a_member_leaves_the_archive_too(photos: Photos) -> None:
    directory = Directory(photos.world.tables)
    bob = await photos.world.account("Bob")
    await directory.set_member(photos.writer.id, bob, Role.VIEWER)
    await photos.grow(1)
    await photos.world.clock.run_for(1)
    await directory.set_member(photos.writer.id, bob, None)
    await photos.grow(2)
    assert b"bob@example.org" in abouts(photos)
    await photos.later()
    await photos.grow(3)
    assert b"bob@example.org" not in abouts(photos)
    assert len([key for key in photos.keys("journal") if key.startswith("about")]) == 1
    state = await ArchiveStore(photos.world.tables).state(photos.writer.id, INCARNATION)
    assert not state.untidy_abouts


def abouts(photos: Photos) -> bytes:
    """All that is said of members, unpacked."""
    found = b""
    for key, versions in photos.world.objects._versions.items():
        if "/about-" in key:
            found += b"".join(zlib.decompress(body[19 + 32 :]) for _, body in versions)
    return found


async def test_dying_between_any_two_steps_loses_nothing(photos: Photos) -> None:
    """From the moment when all of it is due, at every step of the turn that tidies, and of the one after."""
    await photos.grow(FULL + 250)
    await photos.later()
    await photos.writer.add(photos.alice, "one more")
    counting = At()
    saved = {key: list(versions) for key, versions in photos.world.objects._versions.items()}
    rows = copy.deepcopy(photos.world.tables._partitions)
    await photos.archiver(step=counting).archive(photos.writer.id)
    tidy = photos.segments()
    assert counting.steps.count("before delete_version") > 5
    for at in range(1, len(counting.steps) + 1):
        photos.world.objects._versions = {key: list(versions) for key, versions in saved.items()}
        photos.world.tables._partitions = copy.deepcopy(rows)
        with pytest.raises(Died):
            await photos.archiver(step=At(at)).archive(photos.writer.id)
        archive = Archive(photos.world.objects)
        [archived] = await archive.incarnations(photos.writer.id)
        assert archived.last >= photos.writer.seq - 1, f"step {at}: a gap"
        assert len([commit async for commit in archive.commits(archived)]) == archived.last
        await photos.archiver().archive(photos.writer.id)
        await photos.whole()
        assert photos.segments() == tidy, f"step {at}: something is left for ever"


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_fails_nothing_is_lost_and_all_goes_in_the_end(photos: Photos, seed: int) -> None:
    plan = FaultPlan(seed, before=0.1, after=0.1)
    for _ in range(12):
        for _ in range(60):
            await photos.writer.add(photos.alice, f"{photos.writer.seq}.jpg")
        for _ in range(3):
            try:
                await photos.archiver(plan=plan).archive(photos.writer.id)
            except Temporary:
                continue
        await photos.later(REPLACED_KEPT_S / 4)
    await photos.grow(photos.writer.seq + 1)
    await photos.later()
    await photos.grow(photos.writer.seq + 200)
    await photos.whole()
    assert [key for key in photos.segments() if key.startswith("00000000-")] == ["00000000-000000000001-000000000511"]
    assert len(photos.keys("snapshots")) <= 3
