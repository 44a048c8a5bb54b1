"""Tables: rows under a partition and a sort key, with conditional writes and transactions (Amazon DynamoDB).

What a caller may rely on, on every implementation:

- Every table has the key ``pk`` (str) and ``sk`` (str). Rows of one ``pk`` are ordered by the UTF-8 bytes of ``sk``.
- Reads see every write that was answered before they began (strongly consistent), unless ``eventual=True``.
- A conditional write and a transaction take effect whole or not at all; a failed condition raises
  ``ConditionFailed`` and has changed nothing. Two transactions that touch the same row never both succeed on the
  same observed state.
- Unconditional writes are idempotent: repeating one is harmless. After ``Temporary`` a write may have happened.
- A row is at most 400 KB, a transaction at most 100 operations and 4 MB (DynamoDB's limits).

Errors: ``ConditionFailed``; ``Temporary`` for throttling, conflicts between transactions and lost connections;
``Broken`` for what can never succeed (too large, no permission, no such table).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

Value = str | int | bool | bytes
Row = Mapping[str, Value]
"""A row: its key attributes ``pk`` and ``sk`` and any others. ``expires_at`` (Unix s) lets the table drop it later."""

MAX_TRANSACTION = 100


class Table(StrEnum):
    """The tables. What lies in each is written in syncline/store."""

    JOURNAL = "journal"
    VIEWS = "views"
    DIRECTORY = "directory"
    OUTCOMES = "outcomes"
    MAIL = "mail"
    AUDIT = "audit"


class Key(msgspec.Struct, frozen=True):
    pk: str
    sk: str


class Absent(msgspec.Struct, frozen=True):
    """The row must not exist."""


class Exists(msgspec.Struct, frozen=True):
    """The row must exist."""


class Equals(msgspec.Struct, frozen=True):
    """The row must exist and hold exactly these values."""

    values: Mapping[str, Value]


class Below(msgspec.Struct, frozen=True):
    """The row must not exist, lack the attribute, or hold a number below ``limit`` in it."""

    attribute: str
    limit: int


Condition = Absent | Exists | Equals | Below


class Put(msgspec.Struct, frozen=True):
    """Write a whole row, replacing what was there."""

    table: Table
    row: Row
    when: Condition | None = None


class Update(msgspec.Struct, frozen=True):
    """Set attributes of a row and add to numbers (a missing number counts as 0). Makes the row if it is not there."""

    table: Table
    key: Key
    set: Mapping[str, Value] = {}
    add: Mapping[str, int] = {}
    when: Condition | None = None


class Delete(msgspec.Struct, frozen=True):
    table: Table
    key: Key
    when: Condition | None = None


class Check(msgspec.Struct, frozen=True):
    """Only a condition, in a transaction."""

    table: Table
    key: Key
    when: Condition


Write = Put | Update | Delete


class Tables(Protocol):
    """All tables of one stack."""

    async def get(self, table: Table, key: Key, *, eventual: bool = False) -> Row | None:
        """The row under ``key``, or None. Half a read unit per 4 KB when ``eventual``, else one."""
        ...

    async def get_many(self, table: Table, keys: Sequence[Key], *, eventual: bool = False) -> dict[Key, Row]:
        """The rows that exist among ``keys`` (any number, repeats allowed)."""
        ...

    def query(
        self,
        table: Table,
        pk: str,
        *,
        first: str = "",
        last: str | None = None,
        descending: bool = False,
        limit: int | None = None,
        eventual: bool = False,
    ) -> AsyncIterator[Row]:
        """The rows of a partition with ``first <= sk <= last`` in order of ``sk``, at most ``limit``.

        Reads page by page as it is iterated: a caller that stops early pays only for what it read.
        """
        ...

    async def write(self, operation: Write) -> None:
        """One put, update or delete."""
        ...

    async def put_many(self, table: Table, rows: Sequence[Row]) -> None:
        """Write any number of whole rows without conditions, in any order, not atomic together; all written on return.

        After an error some may be written; repeating is harmless. Keys must be distinct.
        """
        ...

    async def transact(self, operations: Sequence[Put | Update | Delete | Check]) -> None:
        """All or nothing, at most ``MAX_TRANSACTION`` operations on distinct rows."""
        ...
