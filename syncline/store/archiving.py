"""What is still to be archived, how far that has come, and which snapshots there are.

Rows in the table ``directory``::

    pk = archive#{shard}      sk = {library}      mark, claimed_until (Unix ms), failures once there were any
    pk = archived#{library}   sk = {incarnation}  seq, changes, epoch, name, settings, tidied, abouts
    pk = snapshot#{library}   sk = {incarnation}  seq, body (packed SnapshotRecord)

Whoever changes a library marks it: the syncer for commits it is told of, the stores of members, names and settings in
the very transaction of the change. A mark says what there is to archive, so the same news twice is the same mark; it is
taken away only if it is still the one that was there before the archiving began. Nobody ever lists all libraries.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import AsyncIterator

import msgspec

from syncline.domain.errors import ConditionFailed
from syncline.ports.tables import Below, Delete, Equals, Exists, Key, Table, Tables, Update, Value
from syncline.store.codec import number, pack, text, unpack

SHARDS = 16


class Due(msgspec.Struct, frozen=True):
    """A library that has something new. ``claimed_until`` (Unix ms): somebody is at it until then. ``failures``: how
    often in a row it could not be archived, by whomever."""

    library: str
    mark: str
    claimed_until: int
    failures: int = 0


class ArchiveState(msgspec.Struct, frozen=True):
    """Everything up to ``seq`` is in the bucket, ``changes`` changes in all; and the members as of ``epoch``, with the
    settings of this digest. Up to ``tidied`` no replaced pieces are left; ``untidy_abouts``: older ones than the newest
    may be there.
    """

    seq: int = 0
    changes: int = 0
    epoch: int = 0
    name: str = ""
    tidied: int = 0
    untidy_abouts: bool = False
    settings: str = ""


class SnapshotRecord(msgspec.Struct, frozen=True, array_like=True):
    """A snapshot in the bucket. ``changes``: how many changes the journal has up to ``seq``; ``nodes`` how many nodes
    the snapshot holds; ``checksum`` is S3's SHA-256 of its bytes."""

    library: str
    incarnation: str
    seq: int
    key: str
    s3_version: str
    size_bytes: int
    checksum: str
    nodes: int
    changes: int
    at_ms: int


def mark(library: str, news: str) -> Update:
    """For the transaction that makes the news: its members, name or settings are others. Other news, another text."""
    return Update(Table.DIRECTORY, _due_key(library), set={"mark": news}, add={"claimed_until": 0})


def shard_of(library: str) -> int:
    return zlib.crc32(library.encode()) % SHARDS


class ArchiveStore:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    # -- what is due

    async def mark_commits(self, library: str, incarnation: str, seq: int) -> None:
        """There are commits up to ``seq``. One write unit; harmless to repeat."""
        await self._tables.write(mark(library, f"{incarnation} {seq}"))

    async def due(self, shard: int) -> AsyncIterator[Due]:
        async for row in self._tables.query(Table.DIRECTORY, f"archive#{shard}"):
            failures = number(row, "failures") if "failures" in row else 0
            yield Due(str(row["sk"]), text(row, "mark"), number(row, "claimed_until"), failures)

    async def claim(self, due: Due, *, now_ms: int, until_ms: int) -> bool:
        """Whether the library is ours until then. Claims only save work: two at once do no harm."""
        if due.claimed_until > now_ms:
            return False
        free = Equals({"claimed_until": due.claimed_until})
        update = Update(Table.DIRECTORY, _due_key(due.library), set={"claimed_until": until_ms}, when=free)
        try:
            await self._tables.write(update)
        except ConditionFailed:
            return False
        return True

    async def done(self, due: Due) -> None:
        """All that ``due`` speaks of is archived. With something newer to archive it stays, claimed by nobody."""
        key = _due_key(due.library)
        try:
            await self._tables.write(Delete(Table.DIRECTORY, key, Equals({"mark": due.mark})))
        except ConditionFailed:
            await self._release(due, failures=0)

    async def failed(self, due: Due) -> None:
        """It could not be archived: somebody, or the next turn, takes it up again."""
        await self._release(due, failures=due.failures + 1)

    async def _release(self, due: Due, *, failures: int) -> None:
        with contextlib.suppress(ConditionFailed):
            said: dict[str, Value] = {"claimed_until": 0, "failures": failures}
            await self._tables.write(Update(Table.DIRECTORY, _due_key(due.library), set=said, when=Exists()))

    # -- how far it has come

    async def state(self, library: str, incarnation: str) -> ArchiveState:
        row = await self._tables.get(Table.DIRECTORY, _state_key(library, incarnation))
        if row is None:
            return ArchiveState()
        members = (number(row, "epoch"), text(row, "name")) if "epoch" in row else (0, "")
        counted = (number(row, "seq"), number(row, "changes")) if "seq" in row else (0, 0)
        tidied = number(row, "tidied") if "tidied" in row else 0
        return ArchiveState(*counted, *members, tidied, row.get("untidy_abouts") is True, str(row.get("settings", "")))

    async def advance(self, library: str, incarnation: str, *, seq: int, changes: int) -> None:
        """Never goes back: somebody else may have come further."""
        key = _state_key(library, incarnation)
        with contextlib.suppress(ConditionFailed):
            further = Update(Table.DIRECTORY, key, set={"seq": seq, "changes": changes}, when=Below("seq", seq))
            await self._tables.write(further)

    async def about_archived(self, library: str, incarnation: str, *, epoch: int, name: str, settings: str) -> None:
        key = _state_key(library, incarnation)
        said: dict[str, Value] = {"epoch": epoch, "name": name, "settings": settings, "untidy_abouts": True}
        await self._tables.write(Update(Table.DIRECTORY, key, set=said))

    async def tidy(self, library: str, incarnation: str, *, tidied: int, abouts_of: int | None) -> None:
        """Nothing that was replaced is left up to ``tidied`` and, with ``abouts_of``, among the abouts of before that
        epoch."""
        key = _state_key(library, incarnation)
        await self._tables.write(Update(Table.DIRECTORY, key, set={"tidied": tidied}))
        if abouts_of is not None:
            with contextlib.suppress(ConditionFailed):
                unchanged = Equals({"epoch": abouts_of})
                await self._tables.write(Update(Table.DIRECTORY, key, set={"untidy_abouts": False}, when=unchanged))

    # -- snapshots

    async def snapshot(self, library: str, incarnation: str) -> SnapshotRecord | None:
        """The newest one. One read unit."""
        row = await self._tables.get(Table.DIRECTORY, _snapshot_key(library, incarnation))
        return None if row is None else unpack(SnapshotRecord, row["body"])

    async def keep_snapshot(self, record: SnapshotRecord) -> None:
        """It is the newest one from now on, unless there is a newer one."""
        key = _snapshot_key(record.library, record.incarnation)
        with contextlib.suppress(ConditionFailed):
            newest = Update(
                Table.DIRECTORY, key, set={"seq": record.seq, "body": pack(record)}, when=Below("seq", record.seq)
            )
            await self._tables.write(newest)


def _due_key(library: str) -> Key:
    return Key(f"archive#{shard_of(library)}", library)


def _state_key(library: str, incarnation: str) -> Key:
    return Key(f"archived#{library}", incarnation)


def _snapshot_key(library: str, incarnation: str) -> Key:
    return Key(f"snapshot#{library}", incarnation)
