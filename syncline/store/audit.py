"""The audit log: who did what, when, from which device and address. Rows are only ever put, never changed or removed.

Rows in the table ``audit``, which nobody may update or delete from (deploy/permissions.py)::

    pk = library#{library}#{yyyymm}   sk = {at_ms, 14 digits}#{id}   body (packed AuditEntry)
    pk = account#{account}#{yyyymm}   the same: what the account did, and what was done to it
    pk = email#{email}#{yyyymm}       the same: failed tries to sign in, whether there is such an account or not
    pk = stack#{yyyymm}               the same: acts about none of these

An act is written to each of its subjects, so that every reader finds it in one place. Its key is chosen when it begins:
writing it again, after a lost answer or with its result, leaves one row. Months are UTC.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import AsyncIterator, Iterator, Sequence
from contextvars import ContextVar

from syncline.messages.records import AuditEntry
from syncline.ports.tables import MAX_TRANSACTION, Check, Delete, Key, Put, Row, Table, Tables, Update, Write
from syncline.store.codec import pack, unpack

STACK = "stack"
FIRST_MONTH = (2026, 1)
"""Nothing was written before."""


def library_subject(library: str) -> str:
    return f"library#{library}"


def account_subject(account: str) -> str:
    return f"account#{account}"


def email_subject(email: str) -> str:
    return f"email#{email}"


def puts_of(entry: AuditEntry, subjects: Sequence[str]) -> list[Put]:
    """What writes an act down, one row for each subject."""
    body, month = pack(entry), _month(entry.at_ms)
    return [
        Put(Table.AUDIT, {"pk": f"{subject}#{month}", "sk": position_of(entry), "body": body}) for subject in subjects
    ]


def position_of(entry: AuditEntry) -> str:
    """Where an entry stands in its subject's log: the sort key, which orders by time."""
    return f"{entry.at_ms:014d}#{entry.id}"


def now_place(now_ms: int) -> str:
    """After everything until now."""
    return f"{now_ms:014d}#~"


class Audit:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def write(self, entry: AuditEntry, subjects: Sequence[str]) -> None:
        for put in puts_of(entry, subjects):
            await self._tables.write(put)

    async def read(self, subject: str, *, before: str) -> AsyncIterator[AuditEntry]:
        """The subject's entries before a place (see ``position_of``), newest first; a query for each month."""
        last: str | None = before
        for month in _months_down(int(before[:14])):
            async for row in self._tables.query(Table.AUDIT, f"{subject}#{month}", last=last, descending=True):
                if row["sk"] != before:
                    yield unpack(AuditEntry, row["body"])
            last = None


class Pending:
    """The record of an act that is under way."""

    def __init__(self, puts: Sequence[Put]) -> None:
        self.puts = puts
        self.written = False


_pending: ContextVar[Pending | None] = ContextVar("pending_audit", default=None)


@contextlib.contextmanager
def acting(puts: Sequence[Put]) -> Iterator[Pending]:
    """Until it ends, the first transaction through ``AuditedTables`` carries these rows: the act and its record are
    one."""
    pending = Pending(puts)
    token = _pending.set(pending)
    try:
        yield pending
    finally:
        _pending.reset(token)


class AuditedTables:
    """Tables whose transactions carry the record of the act they are made for (``acting``)."""

    def __init__(self, inner: Tables) -> None:
        self._inner = inner

    async def get(self, table: Table, key: Key, *, eventual: bool = False) -> Row | None:
        return await self._inner.get(table, key, eventual=eventual)

    async def get_many(self, table: Table, keys: Sequence[Key], *, eventual: bool = False) -> dict[Key, Row]:
        return await self._inner.get_many(table, keys, eventual=eventual)

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
        return self._inner.query(
            table, pk, first=first, last=last, descending=descending, limit=limit, eventual=eventual
        )

    async def write(self, operation: Write) -> None:
        await self._inner.write(operation)

    async def put_many(self, table: Table, rows: Sequence[Row]) -> None:
        await self._inner.put_many(table, rows)

    async def transact(self, operations: Sequence[Put | Update | Delete | Check]) -> None:
        pending = _pending.get()
        if pending is None or pending.written or len(operations) + len(pending.puts) > MAX_TRANSACTION:
            await self._inner.transact(operations)
            return
        # Last, so that a failed condition keeps its index.
        await self._inner.transact([*operations, *pending.puts])
        pending.written = True


def _month(at_ms: int) -> str:
    return f"{datetime.datetime.fromtimestamp(at_ms / 1000, datetime.UTC):%Y%m}"


def _months_down(at_ms: int) -> Iterator[str]:
    at = datetime.datetime.fromtimestamp(at_ms / 1000, datetime.UTC)
    year, month = at.year, at.month
    while (year, month) >= FIRST_MONTH:
        yield f"{year}{month:02d}"
        year, month = (year, month - 1) if month > 1 else (year - 1, 12)
