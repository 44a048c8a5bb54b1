"""Changes of members: written down with the change itself, until followers have been told.

Rows in the table ``directory``::

    pk = memberchanges#{library}  sk = {epoch, 20 digits}       body (packed changes); expires_at once they were told
    pk = memberchanges#{library}  sk = !{group}                 rev: the group's changes up to here are among them
    pk = memberdue#{shard}        sk = {library}                epoch: up to there is something to tell
    pk = group#{group}            sk = change#{rev, 20 digits}  by, account, joined; until the group's libraries have it

The members' epoch numbers a library's changes as the seq does its commits: a row is made in the transaction that moves
the epoch there, so whoever reads on from an epoch misses nothing.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Sequence

import msgspec

from syncline.domain.digests import SeqRange
from syncline.domain.errors import ConditionFailed
from syncline.domain.membership import MemberChange
from syncline.ports.tables import Absent, Condition, Delete, Equals, Exists, Key, Put, Row, Table, Tables, Update, Value
from syncline.store.aside import reading
from syncline.store.codec import blob, number, pack, text, unpack

SHARDS = 4
KEPT_S = 90 * 24 * 3600
"""Longer than any window is open."""

Changes = tuple[MemberChange, ...]


class MembersMoved(msgspec.Struct, frozen=True):
    """A library whose followers are to be told of its members up to ``epoch``."""

    library: str
    epoch: int


class GroupChange(msgspec.Struct, frozen=True):
    """``by`` put an account into a group, or took it out; the group came to ``rev``."""

    rev: int
    by: str
    account: str
    joined: bool


def written(library: str, epoch: int, changes: Sequence[MemberChange]) -> list[Put]:
    """For the transaction that moves the members' epoch to ``epoch``: the changes, and that they are to be told."""
    key = _key(library, epoch)
    return [
        Put(Table.DIRECTORY, {"pk": key.pk, "sk": key.sk, "body": pack(tuple(changes))}),
        Put(Table.DIRECTORY, due_row(MembersMoved(library, epoch))),
    ]


def due_row(moved: MembersMoved) -> Row:
    key = _due_key(moved.library)
    return {"pk": key.pk, "sk": key.sk, "epoch": moved.epoch}


def taken_in(library: str, group: str, rev: int, *, before: int) -> Put:
    """For the same transaction: the group's changes up to ``rev`` are among them, as those up to ``before`` were."""
    key = _group_in_library_key(library, group)
    when: Condition = Equals({"rev": before}) if before else Absent()
    return Put(Table.DIRECTORY, {"pk": key.pk, "sk": key.sk, "rev": rev}, when)


def group_written(group: str, change: GroupChange) -> Put:
    """For the transaction that moves a group to the change's ``rev``."""
    key = _group_key(group, change.rev)
    said: dict[str, Value] = {"by": change.by, "account": change.account, "joined": change.joined}
    return Put(Table.DIRECTORY, {"pk": key.pk, "sk": key.sk, **said})


class MemberChanges:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def due(self, shard: int, *, limit: int) -> list[MembersMoved]:
        """Libraries with something to tell, by id. Raises ``DamagedRow``."""
        rows = self._tables.query(Table.DIRECTORY, f"memberdue#{shard}", limit=limit)
        return [_moved(row) async for row in rows]

    async def read(self, library: str, after: int, upto: int, *, limit: int) -> list[tuple[int, Changes]]:
        """The changes after an epoch, with the epoch each led to; those of ``limit`` epochs at most. Raises
        ``DamagedRow``."""
        first, last = _key(library, after + 1), _key(library, upto)
        rows = self._tables.query(Table.DIRECTORY, first.pk, first=first.sk, last=last.sk, limit=limit)
        return [_numbered(row) async for row in rows]

    async def in_ranges(self, library: str, ranges: Sequence[SeqRange], *, limit: int) -> list[MemberChange]:
        """All changes of these epochs, in order; those of ``limit`` epochs at most."""
        found: list[tuple[int, Changes]] = []
        for first, last in ranges:
            if len(found) < limit:
                found += await self.read(library, first - 1, last, limit=limit - len(found))
        return [change for _, changes in found for change in changes]

    async def expire(self, library: str, epochs: Sequence[int], *, now_s: int) -> None:
        """These were told: they are kept until no window is about them any more."""
        for epoch in epochs:
            with contextlib.suppress(ConditionFailed):
                told = {"expires_at": now_s + KEPT_S}
                await self._tables.write(Update(Table.DIRECTORY, _key(library, epoch), set=told, when=Exists()))

    async def settled(self, moved: MembersMoved) -> None:
        """All up to its epoch was told; nothing when there is more by now."""
        with contextlib.suppress(ConditionFailed):
            await self._tables.write(Delete(Table.DIRECTORY, _due_key(moved.library), Equals({"epoch": moved.epoch})))

    # -- groups -------------------------------------------------------------------------------------------------

    async def of_group(self, group: str) -> list[GroupChange]:
        """What changed in a group and is perhaps not in its libraries yet, in order."""
        first = _group_key(group, 0)
        rows = self._tables.query(Table.DIRECTORY, first.pk, first=first.sk, last="change#~")
        return [_group_change(row) async for row in rows]

    async def taken_in(self, library: str, group: str) -> int:
        """Up to which ``rev`` the library has the group's changes; 0 for none."""
        row = await self._tables.get(Table.DIRECTORY, _group_in_library_key(library, group))
        return 0 if row is None else number(row, "rev")

    async def forget_of_group(self, group: str, changes: Sequence[GroupChange]) -> None:
        """The group's libraries have them."""
        for change in changes:
            await self._tables.write(Delete(Table.DIRECTORY, _group_key(group, change.rev)))


def _moved(row: Row) -> MembersMoved:
    with reading(Table.DIRECTORY, row):
        return MembersMoved(str(row["sk"]), number(row, "epoch"))


def _numbered(row: Row) -> tuple[int, Changes]:
    with reading(Table.DIRECTORY, row):
        return int(str(row["sk"])), unpack(Changes, blob(row, "body"))


def _key(library: str, epoch: int) -> Key:
    return Key(f"memberchanges#{library}", f"{epoch:020d}")


def _group_in_library_key(library: str, group: str) -> Key:
    return Key(f"memberchanges#{library}", f"!{group}")


def _due_key(library: str) -> Key:
    return Key(f"memberdue#{zlib.crc32(library.encode()) % SHARDS}", library)


def _group_key(group: str, rev: int) -> Key:
    return Key(f"group#{group}", f"change#{rev:020d}")


def _group_change(row: Row) -> GroupChange:
    rev = int(str(row["sk"]).removeprefix("change#"))
    return GroupChange(rev, text(row, "by"), text(row, "account"), row.get("joined") is True)
