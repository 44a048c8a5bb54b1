"""Tables on DynamoDB."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from syncline.aws.errors import REFUSED_UNDONE, code_of, ours
from syncline.aws.names import table_name
from syncline.aws.rows import Expression, Request, from_item, key_of, to_item, to_key, to_request
from syncline.domain.errors import Broken, Temporary
from syncline.ports.tables import (
    MAX_TRANSACTION,
    Check,
    Delete,
    Key,
    Put,
    Row,
    Table,
    Update,
    Write,
)

GET_BATCH = 100
PUT_BATCH = 25
BATCHES_AT_ONCE = 4
"""DynamoDB's bounds of one batch request, and how many of them one call has under way."""

MAX_ATTEMPTS = 8
"""Tries in a row that brought a batch no further, or a write that was throttled, before we give up."""

PAUSE_S = 0.05
PAUSE_S_MAX = 2.0

Client = Any
T = TypeVar("T")


class DynamoTables:
    """``Tables`` whose names begin with ``stack``.

    ``client`` retries by itself; ``once`` never does. A conditional write that took effect, but whose answer was
    lost, would on a retry fail its own condition: such writes go through ``once`` and come out as ``Temporary``.
    Transactions carry a token by which DynamoDB knows a repetition, so they may be retried.
    """

    def __init__(self, client: Client, once: Client, stack: str) -> None:
        self._client = client
        self._once = once
        self._stack = stack

    async def get(self, table: Table, key: Key, *, eventual: bool = False) -> Row | None:
        with ours(f"Get {key} from {table.value}"):
            answer = await self._client.get_item(
                TableName=self._name(table), Key=to_key(key), ConsistentRead=not eventual
            )
        return from_item(answer["Item"]) if "Item" in answer else None

    async def get_many(self, table: Table, keys: Sequence[Key], *, eventual: bool = False) -> dict[Key, Row]:
        found: dict[Key, Row] = {}

        async def get_batch(batch: Sequence[Key]) -> None:
            await self._get_batch(table, batch, found, eventual)

        await _few_at_once(get_batch, list(_cut(list(dict.fromkeys(keys)), GET_BATCH)))
        return found

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
        if limit == 0 or (last is not None and (last == "" or last < first)):
            return  # DynamoDB refuses to be asked for nothing
        request = self._range(table, pk, first, last)
        request |= {"ScanIndexForward": not descending, "ConsistentRead": not eventual}
        left = limit
        while True:
            if left is not None:
                request["Limit"] = left
            with ours(f"Query {pk} in {table.value}"):
                page = await self._client.query(**request)
            for item in page["Items"]:
                yield from_item(item)
            left = None if left is None else left - len(page["Items"])
            if left == 0 or "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    async def write(self, operation: Write) -> None:
        request = to_request(self._stack, operation)
        repeatable = operation.when is None and not (isinstance(operation, Update) and operation.add)
        client = self._client if repeatable else self._once
        with ours(f"Write to {operation.table.value}"):
            await _retry_undone(lambda: _send(client, operation, request))

    async def put_many(self, table: Table, rows: Sequence[Row]) -> None:
        if len({key_of(row) for row in rows}) != len(rows):
            raise Broken(f"Two rows for {table.value} have the same key")

        async def put_batch(batch: Sequence[Row]) -> None:
            await self._put_batch(table, batch)

        await _few_at_once(put_batch, list(_cut(rows, PUT_BATCH)))

    async def transact(self, operations: Sequence[Put | Update | Delete | Check]) -> None:
        if not 0 < len(operations) <= MAX_TRANSACTION:
            raise Broken(f"A transaction has 1 to {MAX_TRANSACTION} operations, not {len(operations)}")
        names = {Put: "Put", Update: "Update", Delete: "Delete", Check: "ConditionCheck"}
        items = [{names[type(operation)]: to_request(self._stack, operation)} for operation in operations]
        with ours(f"A transaction of {len(operations)} on {operations[0].table.value}"):
            await self._client.transact_write_items(TransactItems=items)

    def _name(self, table: Table) -> str:
        return table_name(self._stack, table)

    def _range(self, table: Table, pk: str, first: str, last: str | None) -> Request:
        expression = Expression()
        parts = [f"{expression.name('pk')} = {expression.value(pk)}"]
        if first and last is not None:
            sk = expression.name("sk")
            parts.append(f"{sk} BETWEEN {expression.value(first)} AND {expression.value(last)}")
        elif first:
            parts.append(f"{expression.name('sk')} >= {expression.value(first)}")
        elif last is not None:
            parts.append(f"{expression.name('sk')} <= {expression.value(last)}")
        condition = " AND ".join(parts)
        return {
            "TableName": self._name(table),
            "KeyConditionExpression": condition,
            **expression.members(),
        }

    async def _get_batch(self, table: Table, keys: Sequence[Key], found: dict[Key, Row], eventual: bool) -> None:
        name = self._name(table)
        left: list[Any] = [to_key(key) for key in keys]
        tries = 0
        while left:
            with ours(f"Get {len(left)} rows from {table.value}"):
                answer = await self._client.batch_get_item(
                    RequestItems={name: {"Keys": left, "ConsistentRead": not eventual}}
                )
            rows = [from_item(item) for item in answer["Responses"].get(name, [])]
            found.update((key_of(row), row) for row in rows)
            rest = answer.get("UnprocessedKeys", {}).get(name, {}).get("Keys", [])
            tries = await _pause_for_rest(tries, len(rest), progressed=len(rest) < len(left))
            left = rest

    async def _put_batch(self, table: Table, rows: Sequence[Row]) -> None:
        name = self._name(table)
        left: list[Any] = [{"PutRequest": {"Item": to_item(row)}} for row in rows]
        tries = 0
        while left:
            with ours(f"Put {len(left)} rows into {table.value}"):
                answer = await self._client.batch_write_item(RequestItems={name: left})
            rest = answer.get("UnprocessedItems", {}).get(name, [])
            tries = await _pause_for_rest(tries, len(rest), progressed=len(rest) < len(left))
            left = rest


async def _send(client: Client, operation: Write, request: Request) -> None:
    if isinstance(operation, Put):
        await client.put_item(**request)
    elif isinstance(operation, Update):
        await client.update_item(**request)
    else:
        await client.delete_item(**request)


async def _retry_undone(send: Callable[[], Awaitable[None]]) -> None:
    """Repeat a write as long as DynamoDB says that it was throttled and so has done nothing."""
    for tries in range(1, MAX_ATTEMPTS + 1):
        try:
            await send()
            return
        except ClientError as error:
            if code_of(error) not in REFUSED_UNDONE or tries == MAX_ATTEMPTS:
                raise
        await asyncio.sleep(_pause_s(tries))


async def _pause_for_rest(tries: int, rest: int, *, progressed: bool) -> int:
    """Wait before the unprocessed rest of a batch is asked for again; the new number of fruitless tries."""
    if not rest:
        return 0
    tries = 1 if progressed else tries + 1
    if tries >= MAX_ATTEMPTS:
        raise Temporary(f"DynamoDB left {rest} rows unprocessed {tries} times in a row")
    await asyncio.sleep(_pause_s(tries))
    return tries


def _pause_s(tries: int) -> float:
    return random.uniform(0, min(PAUSE_S_MAX, PAUSE_S * float(2**tries)))


async def _few_at_once(work: Callable[[Sequence[T]], Awaitable[None]], batches: list[Sequence[T]]) -> None:
    """All batches, a few under way at a time. The first error stops the rest."""
    waiting = iter(batches)

    async def worker() -> None:
        for batch in waiting:
            await work(batch)

    workers = [asyncio.create_task(worker()) for _ in range(min(BATCHES_AT_ONCE, len(batches)))]
    try:
        await asyncio.gather(*workers)
    finally:
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


def _cut(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]
