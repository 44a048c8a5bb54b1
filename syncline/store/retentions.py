"""How long libraries keep what is no more current, and how far giving up has come.

Rows in the table ``directory``::

    pk = retained#{shard}   sk = {library}   versions_days, versions_max, trash_days, hold: what owners want
                                             rev: grows with each change of that
                                             aged, counted, trashed, freed: seqs up to which each rule is done
                                             look_at_ms: nothing becomes due before

Only libraries whose owners have said something, or given something up, have a row. Commits carry their time, so the
journal itself is the index of what becomes due: each rule has read it up to its seq; what comes next is due a fixed
time after its commit.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import AsyncIterator

import msgspec

from syncline.domain.errors import ConditionFailed
from syncline.ports.tables import Equals, Key, Row, Table, Tables, Update
from syncline.store.archiving import mark
from syncline.store.codec import number

RETENTION_SHARDS = 4
_READ_AT_ONCE = 100


class Rules(msgspec.Struct, frozen=True):
    """What owners want; 0: for ever. ``hold``: nothing at all is given up."""

    versions_days: int = 0
    versions_max: int = 0
    trash_days: int = 0
    hold: bool = False


class Progress(msgspec.Struct, frozen=True):
    """Up to which seq superseded versions by age and by count, trash, and the bytes of what was given up are done."""

    aged: int = 0
    counted: int = 0
    trashed: int = 0
    freed: int = 0


class Retained(msgspec.Struct, frozen=True):
    library: str
    rules: Rules
    progress: Progress
    rev: int
    look_at_ms: int


class Retentions:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def rules(self, library: str) -> Rules:
        row = await self._tables.get(Table.DIRECTORY, _key(library))
        return Rules() if row is None else _retained(row).rules

    async def set_rules(self, library: str, rules: Rules) -> None:
        """From now on. Counting starts anew, since a lower count concerns files that nobody has touched since."""
        values: dict[str, str | int | bool | bytes] = {**msgspec.structs.asdict(rules), "counted": 0, "look_at_ms": 0}
        said = Update(Table.DIRECTORY, _key(library), set=values, add={"rev": 1})
        await self._tables.transact([said, mark(library, f"{rules}")])

    async def watch(self, library: str) -> None:
        """Something will be given up: its bytes are to be freed when their time has come, also without rules."""
        await self._tables.transact([Update(Table.DIRECTORY, _key(library), set={"look_at_ms": 0}, add={"rev": 1})])

    async def retained(self, library: str) -> Retained | None:
        row = await self._tables.get(Table.DIRECTORY, _key(library))
        return None if row is None else _retained(row)

    async def due(self, shard: int, now_ms: int) -> AsyncIterator[list[Retained]]:
        """The libraries of one shard that there is something to look at in, in batches."""
        batch: list[Retained] = []
        async for row in self._tables.query(Table.DIRECTORY, _partition(shard)):
            one = _retained(row)
            if one.look_at_ms <= now_ms:
                batch.append(one)
            if len(batch) == _READ_AT_ONCE:
                yield batch
                batch = []
        if batch:
            yield batch

    async def advance(self, retained: Retained, progress: Progress, look_at_ms: int) -> None:
        """The rules have come so far; nothing when owners have changed their mind meanwhile."""
        values: dict[str, str | int | bool | bytes] = {**msgspec.structs.asdict(progress), "look_at_ms": look_at_ms}
        when = Equals({"rev": retained.rev})
        with contextlib.suppress(ConditionFailed):
            await self._tables.write(Update(Table.DIRECTORY, _key(retained.library), set=values, when=when))

    async def restart(self, library: str, kept: int) -> None:
        """The journal was made again and is another one after ``kept``: the rules read on from there at most."""
        retained = await self.retained(library)
        if retained is not None:
            done = (min(kept, seq) for seq in msgspec.structs.astuple(retained.progress))
            await self.advance(retained, Progress(*done), look_at_ms=0)


def _key(library: str) -> Key:
    return Key(_partition(zlib.crc32(library.encode()) % RETENTION_SHARDS), library)


def _partition(shard: int) -> str:
    return f"retained#{shard}"


def _retained(row: Row) -> Retained:
    def count(name: str) -> int:
        return number(row, name) if name in row else 0

    rules = Rules(count("versions_days"), count("versions_max"), count("trash_days"), row.get("hold") is True)
    progress = Progress(count("aged"), count("counted"), count("trashed"), count("freed"))
    return Retained(str(row["sk"]), rules, progress, number(row, "rev"), count("look_at_ms"))
