"""Rows that cannot be read, set aside: moved out of the way of the others, and kept for the operator to see.

Rows in the table ``mail``::

    pk = aside   sk = {table}#{pk}#{sk}   part, reason, at_ms, row (packed: what the row was)
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from syncline.domain.errors import Broken, ConditionFailed
from syncline.ports.tables import Absent, Delete, Equals, Exists, Key, Put, Row, Table, Tables, Value
from syncline.store.codec import number, pack, text, unpack

_PARTITION = "aside"


class DamagedRow(Broken):
    """A row says nothing that can be read."""

    def __init__(self, table: Table, row: Row, reason: str) -> None:
        super().__init__(reason)
        self.table = table
        self.row = row


class AsideRow(msgspec.Struct, frozen=True):
    """``row`` of ``table`` as it was, and why and when ``part`` of a service set it aside."""

    table: Table
    row: Mapping[str, Value]
    part: str
    reason: str
    at_ms: int


@contextlib.contextmanager
def reading(table: Table, row: Row) -> Iterator[None]:
    """What is broken within is this row: raises ``DamagedRow``."""
    try:
        yield
    except (Broken, ValueError) as error:
        raise DamagedRow(table, row, str(error)) from error


class Aside:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def put(self, aside: AsideRow) -> bool:
        """Move a row here; False when it is another one by now, or gone."""
        values = {name: value for name, value in aside.row.items() if name not in ("pk", "sk")}
        key = _key_of(aside.row)
        said: Row = {
            "pk": _PARTITION,
            "sk": _place(aside),
            "part": aside.part,
            "reason": aside.reason,
            "at_ms": aside.at_ms,
            "row": pack(dict(aside.row)),
        }
        try:
            moved = Delete(aside.table, key, Equals(values) if values else Exists())
            await self._tables.transact([Put(Table.MAIL, said), moved])
        except ConditionFailed:
            return False
        return True

    async def all(self, limit: int) -> list[AsideRow]:
        rows = self._tables.query(Table.MAIL, _PARTITION, limit=limit)
        return [_read(row) async for row in rows]

    async def put_back(self, aside: AsideRow) -> bool:
        """Where it was; False when there is another row by now, and this one stays aside."""
        back = Put(aside.table, aside.row, Absent())
        try:
            await self._tables.transact([back, Delete(Table.MAIL, Key(_PARTITION, _place(aside)))])
        except ConditionFailed:
            return False
        return True


def _key_of(row: Row) -> Key:
    return Key(str(row["pk"]), str(row["sk"]))


def _place(aside: AsideRow) -> str:
    key = _key_of(aside.row)
    return f"{aside.table.value}#{key.pk}#{key.sk}"


def _read(row: Row) -> AsideRow:
    table = Table(str(row["sk"]).partition("#")[0])
    was = unpack(dict[str, Any], row["row"])
    return AsideRow(table, was, text(row, "part"), text(row, "reason"), number(row, "at_ms"))
