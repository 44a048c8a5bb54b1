"""Checkpoints: how far a consumer has read a library's journal.

Rows in the table ``directory``: ``pk = checkpoint#{consumer}#{library}``, ``sk = checkpoint``, ``seq``.

The sweep publishes a library again until each of ``HEARERS`` has come to its newest commit.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from syncline.domain.errors import ConditionFailed
from syncline.ports.tables import Below, Key, Put, Table, Tables, Update
from syncline.store.codec import number

NOTIFIER = "notifier"
ARCHIVER = "archiver"
MEMBERS = "members"
"""How far followers were told of a library's members: not a seq but their epoch, and of no journal."""
HEARERS = (NOTIFIER, ARCHIVER)
"""The consumers of the topic that must hear of every move. One that keeps no checkpoint heals in its own way: the
syncer's held requests look for themselves when their time is over."""


class Checkpoints:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def get(self, consumer: str, library: str) -> int:
        """The last seq the consumer is done with; 0 when it never read this library."""
        row = await self._tables.get(Table.DIRECTORY, _key(consumer, library))
        return 0 if row is None else number(row, "seq")

    async def of_libraries(self, consumer: str, libraries: Sequence[str]) -> dict[str, int]:
        """``get`` of many libraries, in batches."""
        keys = {_key(consumer, library): library for library in libraries}
        rows = await self._tables.get_many(Table.DIRECTORY, list(keys)) if keys else {}
        return {library: number(rows[key], "seq") if key in rows else 0 for key, library in keys.items()}

    async def restart(self, consumer: str, library: str, seq: int) -> None:
        """The consumer goes on after ``seq`` of a journal that was made again, wherever it was in the old one."""
        key = _key(consumer, library)
        await self._tables.write(Put(Table.DIRECTORY, {"pk": key.pk, "sk": key.sk, "seq": seq}))

    async def advance(self, consumer: str, library: str, seq: int) -> None:
        """The consumer is done with everything up to ``seq``. Never goes back: an earlier seq changes nothing."""
        key = _key(consumer, library)
        with contextlib.suppress(ConditionFailed):
            await self._tables.write(Update(Table.DIRECTORY, key, set={"seq": seq}, when=Below("seq", seq)))


def _key(consumer: str, library: str) -> Key:
    return Key(f"checkpoint#{consumer}#{library}", "checkpoint")
