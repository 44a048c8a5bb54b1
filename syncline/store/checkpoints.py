"""Checkpoints: how far a consumer has read a library's journal.

Rows in the table ``directory``: ``pk = checkpoint#{consumer}#{library}``, ``sk = {incarnation}``, ``seq``.

A journal that was made again is another one: what was read of the old one says nothing about it.

The sweep publishes a library again until each of ``HEARERS`` has come to its newest commit.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from syncline.domain.errors import ConditionFailed
from syncline.ports.tables import Below, Key, Table, Tables, Update
from syncline.store.codec import number

NOTIFIER = "notifier"
ARCHIVER = "archiver"
MEMBERS = "members"
"""How far followers were told of a library's members: not a seq but their epoch, and of no journal."""
ANY_LIFE = "any"
"""In place of an incarnation, for what counts on through every rebuild: the epochs of members."""
HEARERS = (NOTIFIER, ARCHIVER)
"""The consumers of the topic that must hear of every move. One that keeps no checkpoint heals in its own way: the
syncer's held requests look for themselves when their time is over."""


class Checkpoints:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def get(self, consumer: str, library: str, incarnation: str) -> int:
        """The last seq the consumer is done with; 0 when it never read this journal."""
        row = await self._tables.get(Table.DIRECTORY, _key(consumer, library, incarnation))
        return 0 if row is None else number(row, "seq")

    async def of_libraries(self, consumer: str, incarnations: Mapping[str, str]) -> dict[str, int]:
        """``get`` of many libraries, each with its incarnation, in batches."""
        keys = {_key(consumer, library, incarnation): library for library, incarnation in incarnations.items()}
        rows = await self._tables.get_many(Table.DIRECTORY, list(keys)) if keys else {}
        return {library: number(rows[key], "seq") if key in rows else 0 for key, library in keys.items()}

    async def advance(self, consumer: str, library: str, incarnation: str, seq: int) -> None:
        """The consumer is done with everything up to ``seq``. Never goes back: an earlier seq changes nothing."""
        key = _key(consumer, library, incarnation)
        with contextlib.suppress(ConditionFailed):
            await self._tables.write(Update(Table.DIRECTORY, key, set={"seq": seq}, when=Below("seq", seq)))


def _key(consumer: str, library: str, incarnation: str) -> Key:
    return Key(f"checkpoint#{consumer}#{library}", incarnation)
