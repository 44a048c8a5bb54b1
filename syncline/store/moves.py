"""Moves: libraries with commits that not everyone who must hear of them is known to have heard of.

Rows in the table ``journal``::

    pk = moved#{shard}   sk = {library}   seq, incarnation, at_ms; told_ms, tries once the sweep has published again

The row is written in the transaction of each append, so no commit is without it, and it is removed by the sweep once
the views and the topic's consumers have come to its seq. Libraries at rest have none: finding those that lag reads
only what has moved lately. It costs a commit two write units; the removal one more for all commits since the last.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import AsyncIterator

import msgspec

from syncline.domain.errors import ConditionFailed
from syncline.ports.tables import Delete, Equals, Key, Put, Row, Table, Tables, Update
from syncline.store.codec import number, text

MOVE_SHARDS = 16
"""A partition takes 1,000 write units a second: together some 5,000 commits."""
_READ_AT_ONCE = 100


class Move(msgspec.Struct, frozen=True):
    """A library whose newest commit is (or was, when this was read) ``seq`` of ``incarnation``, appended at ``at_ms``.

    ``tries`` counts how often the sweep has published it again, ``told_ms`` is when it last did.
    """

    library: str
    seq: int
    incarnation: str
    at_ms: int
    told_ms: int = 0
    tries: int = 0


def move_of(library: str, seq: int, incarnation: str, at_ms: int) -> Put:
    """What says that a library moved, for the transaction that moves it."""
    key = _key(library)
    return Put(Table.JOURNAL, {"pk": key.pk, "sk": key.sk, "seq": seq, "incarnation": incarnation, "at_ms": at_ms})


class Moves:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def waiting(self, shard: int) -> AsyncIterator[list[Move]]:
        """The moves of one shard, in batches, by library."""
        batch: list[Move] = []
        async for row in self._tables.query(Table.JOURNAL, _partition(shard)):
            batch.append(_move(row))
            if len(batch) == _READ_AT_ONCE:
                yield batch
                batch = []
        if batch:
            yield batch

    async def told(self, move: Move, now_ms: int) -> None:
        """It was published again; nothing when the library has moved on since."""
        when = _still(move)
        with contextlib.suppress(ConditionFailed):
            await self._tables.write(
                Update(Table.JOURNAL, _key(move.library), set={"told_ms": now_ms}, add={"tries": 1}, when=when)
            )

    async def settled(self, move: Move) -> None:
        """Everyone has heard of it; nothing when the library has moved on since."""
        with contextlib.suppress(ConditionFailed):
            await self._tables.write(Delete(Table.JOURNAL, _key(move.library), _still(move)))


def _still(move: Move) -> Equals:
    return Equals({"seq": move.seq, "incarnation": move.incarnation})


def _key(library: str) -> Key:
    return Key(_partition(zlib.crc32(library.encode()) % MOVE_SHARDS), library)


def _partition(shard: int) -> str:
    return f"moved#{shard}"


def _move(row: Row) -> Move:
    told_ms, tries = (number(row, name) if name in row else 0 for name in ("told_ms", "tries"))
    return Move(str(row["sk"]), number(row, "seq"), text(row, "incarnation"), number(row, "at_ms"), told_ms, tries)
