"""Groups: rights follow them at once, every change can be cut short and goes on, and many at once do no harm."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from syncline.domain.errors import NotFound, Refused, Temporary
from syncline.domain.rights import Role, highest
from syncline.memory.tables import MemoryTables
from syncline.ports.tables import Write
from syncline.store import groups as groups_module
from syncline.store.directory import Directory, GroupRecord, LibraryRecord
from syncline.store.groups import Groups
from syncline.store.journal import Journal

ALICE, BOB, CAROL = "a" * 20, "b" * 20, "c" * 20
GROUP = "g" * 20
LIBRARIES = ["k" * 20, "l" * 20, "m" * 20]


class Stopping(MemoryTables):
    """Fails from the ``at``-th write on (from 0), before or after it took effect, until ``on`` is false."""

    def __init__(self) -> None:
        super().__init__()
        self.on, self.at, self.after = False, 0, False

    def stop(self, at: int, *, after: bool) -> None:
        self.on, self.at, self.after = True, at, after

    async def _around(self, effect: Callable[[], Awaitable[None]]) -> None:
        if not self.on:
            return await effect()
        self.at -= 1
        if self.at >= 0:
            return await effect()
        if self.after and self.at == -1:
            await effect()
        raise Temporary("the tables are away")

    async def write(self, operation: Write) -> None:
        await self._around(lambda: super(Stopping, self).write(operation))

    async def transact(self, operations: Sequence[Any]) -> None:
        await self._around(lambda: super(Stopping, self).transact(operations))


class Scene:
    def __init__(self) -> None:
        self.tables = Stopping()
        self.directory = Directory(self.tables)
        self.groups = Groups(self.tables)
        self.journal = Journal(self.tables)

    async def epochs(self) -> list[int]:
        heads = await self.journal.heads(LIBRARIES)
        return [heads[library].epoch for library in LIBRARIES]

    async def roles(self, account: str) -> set[Role | None]:
        direct = {await self.directory.member(library, account) for library in LIBRARIES}
        listed = {record.id: role for record, role in await self.directory.libraries_of(account)}
        assert {listed.get(library) for library in LIBRARIES} == direct, "both sides say the same"
        return direct


@pytest.fixture
async def scene() -> Scene:
    made = Scene()
    for library in LIBRARIES:
        await made.directory.create_library(LibraryRecord(library, "L", 0), ALICE, "i" * 20)
    await made.groups.create(GroupRecord(GROUP, "G", ALICE, 0))
    for library in LIBRARIES:
        await made.groups.share(library, GROUP, Role.EDITOR)
    return made


async def test_every_change_of_a_group_moves_the_epochs_of_its_libraries(scene: Scene) -> None:
    before = await scene.epochs()
    await scene.groups.add(GROUP, BOB, at_ms=1)
    joined = await scene.epochs()
    assert all(now > then for now, then in zip(joined, before, strict=True))
    assert await scene.roles(BOB) == {Role.EDITOR}
    await scene.groups.add(GROUP, BOB, at_ms=2)
    assert await scene.epochs() == joined, "nothing changed, so nobody need be asked again"
    await scene.groups.remove(GROUP, BOB)
    assert all(now > then for now, then in zip(await scene.epochs(), joined, strict=True))
    assert await scene.roles(BOB) == {None}
    await scene.groups.remove(GROUP, BOB)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(8))
@pytest.mark.parametrize("change", ["add", "remove", "delete"])
async def test_a_change_cut_short_goes_on(scene: Scene, change: str, at: int, after: bool) -> None:
    """Asked again, it ends as if it had not been cut short: rights are right and no remembered role is good."""
    if change != "add":
        await scene.groups.add(GROUP, BOB, at_ms=0)
    before = await scene.epochs()

    async def do() -> None:
        if change == "add":
            await scene.groups.add(GROUP, BOB, at_ms=1)
        elif change == "remove":
            await scene.groups.remove(GROUP, BOB)
        else:
            await scene.groups.delete(GROUP)

    scene.tables.stop(at, after=after)
    try:
        await do()
    except Temporary:
        scene.tables.on = False
        await do()
    scene.tables.on = False
    assert await scene.roles(BOB) == ({Role.EDITOR} if change == "add" else {None})
    assert all(now > then for now, then in zip(await scene.epochs(), before, strict=True))
    record = await scene.groups.group(GROUP)
    if change == "delete":
        assert record is None
        assert await scene.groups.of(BOB) == await scene.groups.owned_by(ALICE) == []
        assert [await scene.directory.groups_in(library) for library in LIBRARIES] == [{}, {}, {}]
    else:
        assert record is not None
        assert (record.rev, record.members) == (record.settled, len(await scene.groups.members(GROUP)))


async def test_many_who_join_at_once_are_all_counted(scene: Scene) -> None:
    people = [f"{n:a>20}" for n in range(5)]
    await asyncio.gather(*(scene.groups.add(GROUP, one, at_ms=0) for one in people))
    record = await scene.groups.group(GROUP)
    assert record is not None
    assert record.members == len(people)
    assert sorted(await scene.groups.members(GROUP)) == sorted(people)


async def test_a_group_and_a_library_hold_only_so_many(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups_module, "GROUP_MEMBERS_MAX", 1)
    await scene.groups.add(GROUP, BOB, at_ms=0)
    with pytest.raises(Refused) as refused:
        await scene.groups.add(GROUP, CAROL, at_ms=0)
    assert refused.value.kind == "group-full"
    monkeypatch.setattr(groups_module, "GROUPS_PER_LIBRARY_MAX", 1)
    await scene.groups.create(GroupRecord("h" * 20, "H", ALICE, 0))
    with pytest.raises(Refused) as refused:
        await scene.groups.share(LIBRARIES[0], "h" * 20, Role.VIEWER)
    assert refused.value.kind == "too-many-groups"


async def test_what_is_not_there_is_not_found(scene: Scene) -> None:
    for change in (
        scene.groups.add("z" * 20, BOB, at_ms=0),
        scene.groups.remove("z" * 20, BOB),
        scene.groups.share(LIBRARIES[0], "z" * 20, Role.VIEWER),
        scene.groups.share("z" * 20, GROUP, Role.VIEWER),
    ):
        with pytest.raises(NotFound):
            await change
    await scene.groups.delete("z" * 20)


async def test_a_group_that_is_being_deleted_takes_nobody_and_no_library(scene: Scene) -> None:
    scene.tables.stop(1, after=False)
    with pytest.raises(Temporary):
        await scene.groups.delete(GROUP)
    scene.tables.on = False
    with pytest.raises(NotFound):
        await scene.groups.add(GROUP, BOB, at_ms=0)
    await scene.directory.create_library(LibraryRecord("n" * 20, "N", 0), ALICE, "i" * 20)
    with pytest.raises(NotFound):
        await scene.groups.share("n" * 20, GROUP, Role.VIEWER)


def test_the_highest_of_some_roles() -> None:
    assert highest([]) is None
    assert highest([Role.VIEWER, Role.OWNER, Role.EDITOR]) is Role.OWNER
    assert highest([Role.VIEWER, Role.EDITOR]) is Role.EDITOR
