"""Tables in memory, with DynamoDB's promises and limits."""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right, insort
from collections.abc import AsyncIterator, Mapping, Sequence

from syncline.domain.errors import Broken, ConditionFailed
from syncline.memory.rows import check_key, check_row, check_values, key_of, row_size_bytes
from syncline.ports.tables import (
    MAX_TRANSACTION,
    Absent,
    Below,
    Check,
    Condition,
    Delete,
    Equals,
    Exists,
    Key,
    Put,
    Row,
    Table,
    Update,
    Value,
    Write,
)

MAX_TRANSACTION_BYTES = 4 * 1024 * 1024
QUERY_PAGE_ROWS = 100
"""Rows taken at one moment of a query; between pages others write, as on DynamoDB."""


class _Partition:
    """The rows of one pk. Python orders strings by code point, which is the order of their UTF-8 bytes."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Value]] = {}
        self.order: list[str] = []

    def store(self, sk: str, row: dict[str, Value]) -> None:
        if sk not in self.rows:
            insort(self.order, sk)
        self.rows[sk] = row

    def remove(self, sk: str) -> None:
        if self.rows.pop(sk, None) is not None:
            del self.order[bisect_left(self.order, sk)]

    def between(self, first: str, last: str | None) -> list[str]:
        end = len(self.order) if last is None else bisect_right(self.order, last)
        return self.order[bisect_left(self.order, first) : end]


class MemoryTables:
    """``Tables`` whose every operation takes effect in one turn of the loop, after others had theirs."""

    def __init__(self) -> None:
        self._partitions: dict[tuple[Table, str], _Partition] = {}

    async def get(self, table: Table, key: Key, *, eventual: bool = False) -> Row | None:
        check_key(key)
        await asyncio.sleep(0)
        row = self._row(table, key)
        return None if row is None else dict(row)

    async def get_many(self, table: Table, keys: Sequence[Key], *, eventual: bool = False) -> dict[Key, Row]:
        for key in keys:
            check_key(key)
        await asyncio.sleep(0)
        found = {key: self._row(table, key) for key in keys}
        return {key: dict(row) for key, row in found.items() if row is not None}

    async def query(
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
        left = limit
        after: str | None = None
        while left is None or left > 0:
            await asyncio.sleep(0)
            page = self._page(table, pk, first, last, descending, after)[:left]
            for row in page:
                yield row
            if not page:
                return
            after = str(page[-1]["sk"])
            left = None if left is None else left - len(page)

    async def write(self, operation: Write) -> None:
        check_operation(operation)
        await asyncio.sleep(0)
        self._require(operation, 0)
        self._take_effect([operation])

    async def put_many(self, table: Table, rows: Sequence[Row]) -> None:
        keys = {key_of(row) for row in rows}
        if len(keys) != len(rows):
            raise Broken(f"Two rows for {table.value} have the same key")
        for row in rows:
            check_row(row)
        for row in rows:
            # A turn for each: readers may see some of the rows before the others.
            await asyncio.sleep(0)
            self._take_effect([Put(table, row)])

    async def transact(self, operations: Sequence[Put | Update | Delete | Check]) -> None:
        check_transaction(operations)
        await asyncio.sleep(0)
        for index, operation in enumerate(operations):
            self._require(operation, index)
        self._take_effect(operations)

    def drop_expired(self, now_s: int) -> None:
        """Drop the rows whose ``expires_at`` has passed, as DynamoDB does some time later."""
        for partition in self._partitions.values():
            for sk, row in list(partition.rows.items()):
                expires_at = row.get("expires_at")
                if isinstance(expires_at, int) and expires_at < now_s:
                    partition.remove(sk)

    def _row(self, table: Table, key: Key) -> dict[str, Value] | None:
        partition = self._partitions.get((table, key.pk))
        return partition.rows.get(key.sk) if partition else None

    def _page(
        self, table: Table, pk: str, first: str, last: str | None, descending: bool, after: str | None
    ) -> list[Row]:
        partition = self._partitions.get((table, pk))
        if partition is None:
            return []
        keys = partition.between(first, last)
        if descending:
            end = len(keys) if after is None else bisect_left(keys, after)
            keys = keys[max(0, end - QUERY_PAGE_ROWS) : end][::-1]
        else:
            start = 0 if after is None else bisect_right(keys, after)
            keys = keys[start : start + QUERY_PAGE_ROWS]
        return [dict(partition.rows[sk]) for sk in keys]

    def _require(self, operation: Put | Update | Delete | Check, index: int) -> None:
        key = _key(operation)
        row = self._row(operation.table, key)
        if operation.when is not None and not holds(operation.when, row):
            raise ConditionFailed(f"{operation.table.value} {key}: {operation.when} does not hold", index)

    def _take_effect(self, operations: Sequence[Put | Update | Delete | Check]) -> None:
        # All new rows first: an impossible one must leave the others undone.
        rows = [(op.table, _key(op), self._after(op)) for op in operations if not isinstance(op, Check)]
        for table, key, row in rows:
            partition = self._partitions.setdefault((table, key.pk), _Partition())
            if row is None:
                partition.remove(key.sk)
            else:
                partition.store(key.sk, row)
            if not partition.rows:
                del self._partitions[table, key.pk]

    def _after(self, operation: Write) -> dict[str, Value] | None:
        if isinstance(operation, Delete):
            return None
        if isinstance(operation, Put):
            return dict(operation.row)
        key = operation.key
        row = dict(self._row(operation.table, key) or {"pk": key.pk, "sk": key.sk})
        row.update(operation.set)
        for name, amount in operation.add.items():
            old = row.get(name, 0)
            if not isinstance(old, int) or isinstance(old, bool):
                raise Broken(f"{operation.table.value} {key}: {name!r} holds no number to add to")
            row[name] = old + amount
        check_row(row)
        return row


def holds(condition: Condition, row: Mapping[str, Value] | None) -> bool:
    """Whether ``row`` (None: no row) meets ``condition``. Types must agree: 1 is not True."""
    match condition:
        case Absent():
            return row is None
        case Exists():
            return row is not None
        case Equals(values=values):
            return row is not None and all(
                name in row and type(row[name]) is type(value) and row[name] == value for name, value in values.items()
            )
        case Below(attribute=attribute, limit=limit):
            if row is None or attribute not in row:
                return True
            number = row[attribute]
            return isinstance(number, int) and not isinstance(number, bool) and number < limit


def check_operation(operation: Put | Update | Delete | Check) -> None:
    """Raises ``Broken`` for an operation that DynamoDB would not take."""
    if isinstance(operation, Put):
        check_row(operation.row)
        return
    check_key(operation.key)
    if isinstance(operation, Update):
        check_values(operation.set)
        check_values(operation.add)
        if not operation.set and not operation.add:
            raise Broken(f"An update of {operation.key} sets nothing and adds nothing")
        if {"pk", "sk"} & {*operation.set, *operation.add} or set(operation.set) & set(operation.add):
            raise Broken(f"An update of {operation.key} sets its key, or sets and adds to one attribute")


def check_transaction(operations: Sequence[Put | Update | Delete | Check]) -> None:
    if not 0 < len(operations) <= MAX_TRANSACTION:
        raise Broken(f"A transaction has 1 to {MAX_TRANSACTION} operations, not {len(operations)}")
    for operation in operations:
        check_operation(operation)
    if len({(operation.table, _key(operation)) for operation in operations}) < len(operations):
        raise Broken("A transaction has two operations on one row")
    size = sum(row_size_bytes(op.row) if isinstance(op, Put) else 0 for op in operations)
    if size > MAX_TRANSACTION_BYTES:
        raise Broken(f"A transaction of {size} bytes is over {MAX_TRANSACTION_BYTES}")


def _key(operation: Put | Update | Delete | Check) -> Key:
    return key_of(operation.row) if isinstance(operation, Put) else operation.key
