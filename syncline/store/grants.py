"""Grants: one credential's life each, and the index by which the sweep finds them.

Rows in the table ``directory``::

    pk = grant#{grant}        sk = grant     body (packed GrantRecord), ends_at, counted (see ``usage``), expires_at
    pk = grants#{hour}#{shard} sk = {grant}  ends_at, expires_at; last (the index)

An hour of the index is spread over ``INDEX_SHARDS`` partitions by the grants' CRC-32: in one partition it would take
500 grants a second. Rows of before that are in the partition ``grants#{hour}`` and are found there (``Entry.old``).

The index holds what the sweep has still to look at, by the Unix hour in which to: whoever issues a credential puts a
row into the hour of the credential's end, the sweep moves it on to the hour of its last look (``last``), and then
removes it. So a grant that is settled is in no hour, and finding the others costs nothing for it. ``ends_at`` is the
credential's end: the sweep removes only a row that no newer credential has written meanwhile.

``expires_at`` is when the row may go, long after the credential's own end.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import AsyncIterator, Sequence

import msgspec

from syncline.domain.errors import ConditionFailed
from syncline.ports.tables import Delete, Equals, Key, Put, Row, Table, Tables, Update
from syncline.store.codec import number, pack, unpack

GRANT_KEPT_S = 30 * 24 * 3600
GRANT_RENEWABLE_S = 24 * 3600
PERMIT_ALLOWANCE_S = GRANT_RENEWABLE_S
"""A permit is good this much longer than the credential it came with.

A large file's permit is fixed when its multipart upload begins, while its bytes go on arriving under renewed
credentials of the same grant; so it lives as long as a grant may be renewed. Writing needs a living credential anyway.
"""
LAST_AFTER_S = PERMIT_ALLOWANCE_S + 2 * 3_600
"""So long after its credential's end a grant is looked at for the last time, and settled for good."""
INDEX_SHARDS = 8
_HOUR_S = 3_600
_READ_AT_ONCE = 100


class GrantRecord(msgspec.Struct, frozen=True, array_like=True):
    """``prefix`` is what the credential may write under; ``expires_at`` (Unix s) its newest credential's end."""

    id: str
    library: str
    account: str
    device: str
    prefix: str
    direct: bool
    opened_at_ms: int
    expires_at: int


class Entry(msgspec.Struct, frozen=True):
    """One row of the index. ``last``: the look after which the grant is done. ``old``: where rows were before."""

    hour: int
    grant: str
    ends_at: int
    last: bool
    old: bool = False


def hour_of(at_s: int) -> int:
    """The hour of the index that a time (Unix s) lies in: Unix hours."""
    return at_s // _HOUR_S


class Grants:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def open(self, grant: GrantRecord) -> None:
        """Store a grant, or its newer state (a later ``expires_at``), that permits no bytes. Repeating is harmless."""
        await self._tables.transact(opening(grant, 0))

    async def get(self, grant: str) -> GrantRecord | None:
        return (await self.many([grant])).get(grant)

    async def many(self, grants: Sequence[str]) -> dict[str, GrantRecord]:
        """Those of many grants that exist, in batches."""
        keys = {grant_key(grant): grant for grant in grants}
        rows = await self._tables.get_many(Table.DIRECTORY, list(keys)) if keys else {}
        return {keys[key]: unpack(GrantRecord, row["body"]) for key, row in rows.items()}

    # -- the index, for the sweep -----------------------------------------------------------------------------------

    async def entries(self, hour: int) -> AsyncIterator[list[Entry]]:
        """What is to be looked at in one Unix hour, in batches."""
        for partition in _partitions(hour):
            batch: list[Entry] = []
            async for row in self._tables.query(Table.DIRECTORY, partition):
                batch.append(_entry(row, hour))
                if len(batch) == _READ_AT_ONCE:
                    yield batch
                    batch = []
            if batch:
                yield batch

    async def move(self, entry: Entry, to: Entry) -> None:
        """Look at a grant again in another hour. The new row is there before the old one goes."""
        await self._tables.write(Put(Table.DIRECTORY, _entry_row(to)))
        if _key(entry) != _key(to):
            await self.done(entry)

    async def done(self, entry: Entry) -> None:
        """Nothing is left to look at; unless a newer credential has put the grant into this hour again."""
        with contextlib.suppress(ConditionFailed):
            await self._tables.write(Delete(Table.DIRECTORY, _key(entry), Equals({"ends_at": entry.ends_at})))


def grant_key(grant: str) -> Key:
    return Key(f"grant#{grant}", "grant")


def opening(grant: GrantRecord, permitted_bytes: int) -> list[Put | Update]:
    """What stores a grant, or its newer state, under which so many bytes more are permitted, for one transaction."""
    state: Row = {"body": pack(grant), "ends_at": grant.expires_at, "expires_at": _gone_at(grant.expires_at)}
    entry = Entry(hour_of(grant.expires_at), grant.id, grant.expires_at, last=False)
    return [
        Update(Table.DIRECTORY, grant_key(grant.id), set=state, add={"counted": permitted_bytes}),
        Put(Table.DIRECTORY, _entry_row(entry)),
    ]


def _partitions(hour: int) -> list[str]:
    """Where an hour's entries are."""
    return [*(f"grants#{hour}#{shard}" for shard in range(INDEX_SHARDS)), f"grants#{hour}"]


def _key(entry: Entry) -> Key:
    partitions = _partitions(entry.hour)
    shard = INDEX_SHARDS if entry.old else zlib.crc32(entry.grant.encode()) % INDEX_SHARDS
    return Key(partitions[shard], entry.grant)


def _gone_at(ends_at: int) -> int:
    return ends_at + GRANT_KEPT_S


def _entry_row(entry: Entry) -> Row:
    key = _key(entry)
    row: Row = {
        "pk": key.pk,
        "sk": key.sk,
        "ends_at": entry.ends_at,
        "expires_at": _gone_at(entry.ends_at),
    }
    return {**row, "last": 1} if entry.last else row


def _entry(row: Row, hour: int) -> Entry:
    old = row["pk"] == _partitions(hour)[INDEX_SHARDS]
    return Entry(hour, str(row["sk"]), number(row, "ends_at"), "last" in row, old)
