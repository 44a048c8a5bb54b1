"""Wrappers over any port that count what AWS would bill: calls, and DynamoDB's read and write units.

Source of the units: "DynamoDB on-demand capacity mode" and "Read and write operations" in its developer guide: a
write unit per started KB (two in a transaction), a read unit per started 4 KB (a half when eventual); a missing row
costs as much as the smallest; a failed condition costs like a write.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from syncline.memory.rows import row_size_bytes
from syncline.ports.objects import ListedObject, ListedVersion, ObjectInfo, ObjectStore
from syncline.ports.queues import DeadLetter, Message, Queue, Queues
from syncline.ports.tables import Check, Delete, Key, Put, Row, Table, Tables, Update, Write

T = TypeVar("T")

WRITE_UNIT_BYTES = 1024
READ_UNIT_BYTES = 4096
GET_BATCH = 100
PUT_BATCH = 25
QUERY_PAGE_BYTES = 1024 * 1024
DELETE_BATCH = 10
LIST_PAGE_KEYS = 1000


Partition = tuple[Table, str]
"""A table and a partition key."""


@dataclass
class Counts:
    """What was used so far. ``calls`` counts requests to AWS by their API's name; ``read_of`` and ``written_of`` say to
    which partition keys the units went; ``reset`` starts again."""

    calls: Counter[str] = field(default_factory=Counter)
    read_units: float = 0
    write_units: int = 0
    read_of: dict[Partition, float] = field(default_factory=dict)
    written_of: dict[Partition, float] = field(default_factory=dict)

    @property
    def requests(self) -> int:
        return self.calls.total()

    def reset(self) -> None:
        self.calls.clear()
        self.read_units = 0
        self.write_units = 0
        self.read_of.clear()
        self.written_of.clear()

    def call(self, name: str, times: int = 1) -> None:
        self.calls[name] += times

    def read(self, partition: Partition, size_bytes: int, *, eventual: bool) -> None:
        self.read_more(partition, max(1, _started(size_bytes, READ_UNIT_BYTES)), eventual=eventual)

    def read_more(self, partition: Partition, units: int, *, eventual: bool) -> None:
        spent = units * (0.5 if eventual else 1)
        self.read_units += spent
        self.read_of[partition] = self.read_of.get(partition, 0) + spent

    def write(self, partition: Partition, size_bytes: int, *, times: int = 1) -> None:
        spent = max(1, _started(size_bytes, WRITE_UNIT_BYTES)) * times
        self.write_units += spent
        self.written_of[partition] = self.written_of.get(partition, 0) + spent


class CountingTables:
    """Reads the rows it is about to overwrite from ``inner``, as a write costs by the larger of old and new."""

    def __init__(self, inner: Tables, counts: Counts) -> None:
        self._inner = inner
        self._counts = counts

    async def get(self, table: Table, key: Key, *, eventual: bool = False) -> Row | None:
        self._counts.call("GetItem")
        row = await self._inner.get(table, key, eventual=eventual)
        self._counts.read((table, key.pk), row_size_bytes(row), eventual=eventual)
        return row

    async def get_many(self, table: Table, keys: Sequence[Key], *, eventual: bool = False) -> dict[Key, Row]:
        asked = set(keys)
        self._counts.call("BatchGetItem", _started(len(asked), GET_BATCH))
        rows = await self._inner.get_many(table, keys, eventual=eventual)
        for key in asked:
            self._counts.read((table, key.pk), row_size_bytes(rows.get(key)), eventual=eventual)
        return rows

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
        """A page's cost is that of all its bytes together; a caller that stops early is charged what it took."""
        size_bytes = 0
        rows = self._inner.query(
            table, pk, first=first, last=last, descending=descending, limit=limit, eventual=eventual
        )
        # Counted row by row: a caller that breaks off does not come back here.
        self._counts.call("Query")
        self._counts.read((table, pk), 0, eventual=eventual)
        async for row in rows:
            before, size_bytes = size_bytes, size_bytes + row_size_bytes(row)
            more_pages = _started(size_bytes, QUERY_PAGE_BYTES) - max(1, _started(before, QUERY_PAGE_BYTES))
            self._counts.calls["Query"] += max(0, more_pages)
            more_units = _started(size_bytes, READ_UNIT_BYTES) - max(1, _started(before, READ_UNIT_BYTES))
            self._counts.read_more((table, pk), max(0, more_units), eventual=eventual)
            yield row

    async def write(self, operation: Write) -> None:
        self._counts.call({Put: "PutItem", Update: "UpdateItem", Delete: "DeleteItem"}[type(operation)])
        before = await self._size(operation)
        try:
            await self._inner.write(operation)
        finally:
            self._counts.write(_partition(operation), max(before, await self._size(operation)))

    async def put_many(self, table: Table, rows: Sequence[Row]) -> None:
        self._counts.call("BatchWriteItem", _started(len(rows), PUT_BATCH))
        before = {_key(Put(table, row)): await self._size(Put(table, row)) for row in rows}
        await self._inner.put_many(table, rows)
        for row in rows:
            put = Put(table, row)
            self._counts.write(_partition(put), max(before[_key(put)], row_size_bytes(row)))

    async def transact(self, operations: Sequence[Put | Update | Delete | Check]) -> None:
        self._counts.call("TransactWriteItems")
        before = [await self._size(operation) for operation in operations]
        try:
            await self._inner.transact(operations)
        finally:
            for operation, size_bytes in zip(operations, before, strict=True):
                self._counts.write(_partition(operation), max(size_bytes, await self._size(operation)), times=2)

    async def _size(self, operation: Put | Update | Delete | Check) -> int:
        return row_size_bytes(await self._inner.get(operation.table, _key(operation)))


class CountingObjects:
    def __init__(self, inner: ObjectStore, counts: Counts) -> None:
        self._inner = inner
        self._counts = counts

    async def head(self, key: str, s3_version: str = "") -> ObjectInfo:
        self._counts.call("HeadObject")
        return await self._inner.head(key, s3_version)

    async def get(self, key: str, s3_version: str = "", *, offset: int = 0, length: int | None = None) -> bytes:
        self._counts.call("GetObject")
        return await self._inner.get(key, s3_version, offset=offset, length=length)

    async def put(
        self,
        key: str,
        body: bytes,
        *,
        metadata: Mapping[str, str] | None = None,
        only_if_absent: bool = False,
    ) -> ObjectInfo:
        # What was stored, S3 tells only when asked.
        self._counts.call("PutObject")
        self._counts.call("HeadObject")
        return await self._inner.put(key, body, metadata=metadata, only_if_absent=only_if_absent)

    async def list_keys(self, prefix: str, *, after: str = "") -> AsyncIterator[str]:
        async for listed in self.list_objects(prefix, after=after):
            yield listed.key

    def list_objects(self, prefix: str, *, after: str = "") -> AsyncIterator[ListedObject]:
        return self._paged("ListObjectsV2", self._inner.list_objects(prefix, after=after))

    def list_versions(self, prefix: str) -> AsyncIterator[ListedVersion]:
        return self._paged("ListObjectVersions", self._inner.list_versions(prefix))

    async def _paged(self, call: str, found: AsyncIterator[T]) -> AsyncIterator[T]:
        seen = 0
        self._counts.call(call)
        async for listed in found:
            if seen and seen % LIST_PAGE_KEYS == 0:
                self._counts.call(call)
            seen += 1
            yield listed

    async def delete_version(self, key: str, s3_version: str) -> None:
        self._counts.call("DeleteObject")
        await self._inner.delete_version(key, s3_version)

    async def presign_get(self, key: str, s3_version: str, *, filename: str, expires_s: int) -> str:
        return await self._inner.presign_get(key, s3_version, filename=filename, expires_s=expires_s)


class CountingQueues:
    def __init__(self, inner: Queues, counts: Counts) -> None:
        self._inner = inner
        self._counts = counts

    async def send(self, queue: Queue, body: bytes, *, group: str = "", dedup: str = "") -> None:
        self._counts.call("SendMessage")
        await self._inner.send(queue, body, group=group, dedup=dedup)

    async def receive(self, queue: Queue, *, limit: int = 10, wait_s: int = 20) -> Sequence[Message]:
        self._counts.call("ReceiveMessage")
        return await self._inner.receive(queue, limit=limit, wait_s=wait_s)

    async def delete(self, queue: Queue, messages: Sequence[Message]) -> None:
        self._counts.call("DeleteMessageBatch", _started(len(messages), DELETE_BATCH))
        await self._inner.delete(queue, messages)

    async def hide(self, queue: Queue, message: Message, seconds: int) -> None:
        self._counts.call("ChangeMessageVisibility")
        await self._inner.hide(queue, message, seconds)

    async def set_aside(self, queue: Queue, message: Message, reason: str) -> None:
        self._counts.call("SendMessage")
        self._counts.call("DeleteMessageBatch")
        await self._inner.set_aside(queue, message, reason)

    async def dead_letters(self, queue: Queue, *, limit: int = 10) -> Sequence[DeadLetter]:
        self._counts.call("ReceiveMessage")
        return await self._inner.dead_letters(queue, limit=limit)

    async def dead_depth(self, queue: Queue) -> int:
        self._counts.call("GetQueueAttributes")
        return await self._inner.dead_depth(queue)

    async def redrive(self, queue: Queue, *, limit: int = 10) -> Sequence[DeadLetter]:
        letters = await self._inner.redrive(queue, limit=limit)
        self._counts.call("SendMessage", len(letters))
        self._took(letters)
        return letters

    async def discard_dead(self, queue: Queue, *, limit: int = 10) -> Sequence[DeadLetter]:
        letters = await self._inner.discard_dead(queue, limit=limit)
        self._took(letters)
        return letters

    def _took(self, letters: Sequence[DeadLetter]) -> None:
        self._counts.call("ReceiveMessage")
        if letters:
            self._counts.call("DeleteMessageBatch")

    async def depth(self, queue: Queue) -> int:
        self._counts.call("GetQueueAttributes")
        return await self._inner.depth(queue)


def _key(operation: Put | Update | Delete | Check) -> Key:
    if isinstance(operation, Put):
        return Key(str(operation.row["pk"]), str(operation.row["sk"]))
    return operation.key


def _partition(operation: Put | Update | Delete | Check) -> Partition:
    return operation.table, _key(operation).pk


def _started(amount: int, unit: int) -> int:
    return -(-amount // unit)
