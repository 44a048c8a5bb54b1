"""Wrappers over any port that fail by a seeded plan, before a call takes effect or after it did.

A fault after the effect is what a lost answer looks like: the caller is told ``Temporary``, and the write is there.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from email.message import EmailMessage
from enum import Enum
from typing import TypeVar

from syncline.domain.errors import Temporary
from syncline.ports.cache import Cache
from syncline.ports.credentials import Credential, CredentialIssuer
from syncline.ports.mail import Mailer, SendRate
from syncline.ports.objects import ListedObject, ListedVersion, ObjectInfo, ObjectStore
from syncline.ports.queues import DeadLetter, Message, Queue, Queues
from syncline.ports.tables import Check, Delete, Key, Put, Row, Table, Tables, Update, Write
from syncline.ports.topics import ChangesTopic

T = TypeVar("T")


class Fault(Enum):
    NONE = "none"
    BEFORE = "before"
    AFTER = "after"
    TWICE = "twice"


class FaultPlan:
    """Which calls fail: each with the chance ``before``, ``after`` or ``twice`` (0 to 1; 0 by default), from ``seed``.

    The same seed and the same calls in the same order give the same faults. ``struck`` counts them by call and kind;
    ``on = False`` heals everything.
    """

    def __init__(self, seed: int, *, before: float = 0, after: float = 0, twice: float = 0) -> None:
        self.on = True
        self.struck: Counter[tuple[str, Fault]] = Counter()
        self._random = random.Random(seed)
        self._before = before
        self._after = after
        self._twice = twice

    def draw(self, call: str) -> Fault:
        """The fault of this call, one of none, before or after."""
        chance = self._random.random()  # drawn even while off: turning faults off moves no later ones
        if not self.on or chance >= self._before + self._after:
            return Fault.NONE
        return self._strike(call, Fault.BEFORE if chance < self._before else Fault.AFTER)

    def draw_twice(self, call: str) -> bool:
        """Whether this delivery happens twice."""
        happens = self._random.random() < self._twice and self.on
        return happens and self._strike(call, Fault.TWICE) is Fault.TWICE

    async def run(self, call: str, effect: Callable[[], Awaitable[T]]) -> T:
        fault = self.draw(call)
        if fault is Fault.BEFORE:
            raise Temporary(f"{call}: a planned fault, before the effect")
        result = await effect()
        if fault is Fault.AFTER:
            raise Temporary(f"{call}: a planned fault, after the effect")
        return result

    async def run_through(self, call: str, rows: AsyncIterator[T]) -> AsyncIterator[T]:
        """Iterate, and break off before the first row, or after the last."""
        fault = self.draw(call)
        if fault is Fault.BEFORE:
            raise Temporary(f"{call}: a planned fault, before the first")
        async for row in rows:
            yield row
        if fault is Fault.AFTER:
            raise Temporary(f"{call}: a planned fault, after the last")

    def _strike(self, call: str, fault: Fault) -> Fault:
        self.struck[call, fault] += 1
        return fault


class FaultyTables:
    def __init__(self, inner: Tables, plan: FaultPlan) -> None:
        self._inner = inner
        self._plan = plan

    async def get(self, table: Table, key: Key, *, eventual: bool = False) -> Row | None:
        return await self._plan.run("tables.get", lambda: self._inner.get(table, key, eventual=eventual))

    async def get_many(self, table: Table, keys: Sequence[Key], *, eventual: bool = False) -> dict[Key, Row]:
        return await self._plan.run("tables.get_many", lambda: self._inner.get_many(table, keys, eventual=eventual))

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
        rows = self._inner.query(
            table, pk, first=first, last=last, descending=descending, limit=limit, eventual=eventual
        )
        return self._plan.run_through("tables.query", rows)

    async def write(self, operation: Write) -> None:
        await self._plan.run("tables.write", lambda: self._inner.write(operation))

    async def put_many(self, table: Table, rows: Sequence[Row]) -> None:
        fault = self._plan.draw("tables.put_many")
        if fault is not Fault.NONE:
            # Of a broken batch some rows are written: none, or the first half.
            written = rows[: len(rows) // 2] if fault is Fault.AFTER else []
            await self._inner.put_many(table, written)
            raise Temporary(f"tables.put_many: a planned fault after {len(written)} rows")
        await self._inner.put_many(table, rows)

    async def transact(self, operations: Sequence[Put | Update | Delete | Check]) -> None:
        await self._plan.run("tables.transact", lambda: self._inner.transact(operations))


class FaultyObjects:
    def __init__(self, inner: ObjectStore, plan: FaultPlan) -> None:
        self._inner = inner
        self._plan = plan

    async def head(self, key: str, s3_version: str = "") -> ObjectInfo:
        return await self._plan.run("objects.head", lambda: self._inner.head(key, s3_version))

    async def get(self, key: str, s3_version: str = "", *, offset: int = 0, length: int | None = None) -> bytes:
        return await self._plan.run(
            "objects.get", lambda: self._inner.get(key, s3_version, offset=offset, length=length)
        )

    async def put(
        self,
        key: str,
        body: bytes,
        *,
        metadata: Mapping[str, str] | None = None,
        only_if_absent: bool = False,
    ) -> ObjectInfo:
        return await self._plan.run(
            "objects.put",
            lambda: self._inner.put(key, body, metadata=metadata, only_if_absent=only_if_absent),
        )

    def list_keys(self, prefix: str, *, after: str = "") -> AsyncIterator[str]:
        return self._plan.run_through("objects.list_keys", self._inner.list_keys(prefix, after=after))

    def list_objects(self, prefix: str, *, after: str = "") -> AsyncIterator[ListedObject]:
        return self._plan.run_through("objects.list_objects", self._inner.list_objects(prefix, after=after))

    def list_versions(self, prefix: str) -> AsyncIterator[ListedVersion]:
        return self._plan.run_through("objects.list_versions", self._inner.list_versions(prefix))

    async def delete_version(self, key: str, s3_version: str) -> None:
        await self._plan.run("objects.delete_version", lambda: self._inner.delete_version(key, s3_version))

    async def presign_get(self, key: str, s3_version: str, *, filename: str, expires_s: int) -> str:
        return await self._inner.presign_get(key, s3_version, filename=filename, expires_s=expires_s)


class FaultyQueues:
    """Besides failing, it sends ``twice`` on the queues that are not FIFO."""

    def __init__(self, inner: Queues, plan: FaultPlan) -> None:
        self._inner = inner
        self._plan = plan

    async def send(self, queue: Queue, body: bytes, *, group: str = "", dedup: str = "") -> None:
        await self._plan.run("queues.send", lambda: self._inner.send(queue, body, group=group, dedup=dedup))
        if queue is not Queue.COMMITS and self._plan.draw_twice("queues.send"):
            await self._inner.send(queue, body)

    async def receive(self, queue: Queue, *, limit: int = 10, wait_s: int = 20) -> Sequence[Message]:
        return await self._plan.run("queues.receive", lambda: self._inner.receive(queue, limit=limit, wait_s=wait_s))

    async def delete(self, queue: Queue, messages: Sequence[Message]) -> None:
        await self._plan.run("queues.delete", lambda: self._inner.delete(queue, messages))

    async def hide(self, queue: Queue, message: Message, seconds: int) -> None:
        await self._plan.run("queues.hide", lambda: self._inner.hide(queue, message, seconds))

    async def set_aside(self, queue: Queue, message: Message, reason: str) -> None:
        await self._plan.run("queues.set_aside", lambda: self._inner.set_aside(queue, message, reason))

    async def dead_letters(self, queue: Queue, *, limit: int = 10) -> Sequence[DeadLetter]:
        return await self._inner.dead_letters(queue, limit=limit)

    async def dead_depth(self, queue: Queue) -> int:
        return await self._inner.dead_depth(queue)

    async def redrive(self, queue: Queue, *, limit: int = 10) -> Sequence[DeadLetter]:
        return await self._plan.run("queues.redrive", lambda: self._inner.redrive(queue, limit=limit))

    async def discard_dead(self, queue: Queue, *, limit: int = 10) -> Sequence[DeadLetter]:
        return await self._plan.run("queues.discard_dead", lambda: self._inner.discard_dead(queue, limit=limit))

    async def depth(self, queue: Queue) -> int:
        return await self._plan.run("queues.depth", lambda: self._inner.depth(queue))


class FaultyTopic:
    def __init__(self, inner: ChangesTopic, plan: FaultPlan) -> None:
        self._inner = inner
        self._plan = plan

    async def publish(self, body: bytes) -> None:
        await self._plan.run("topic.publish", lambda: self._inner.publish(body))
        if self._plan.draw_twice("topic.publish"):
            await self._inner.publish(body)


class FaultyCache:
    """Forgets instead of failing: a faulty read finds nothing, a faulty write or publication is lost."""

    def __init__(self, inner: Cache, plan: FaultPlan) -> None:
        self._inner = inner
        self._plan = plan

    async def get(self, key: str) -> bytes | None:
        return None if self._lost("cache.get") else await self._inner.get(key)

    async def put(self, key: str, value: bytes, *, ttl_s: int) -> None:
        if not self._lost("cache.put"):
            await self._inner.put(key, value, ttl_s=ttl_s)

    async def drop(self, keys: Sequence[str]) -> None:
        if not self._lost("cache.drop"):
            await self._inner.drop(keys)

    async def count(self, key: str, *, window_s: int) -> int | None:
        return None if self._lost("cache.count") else await self._inner.count(key, window_s=window_s)

    async def publish(self, channel: str, message: bytes) -> None:
        if not self._lost("cache.publish"):
            await self._inner.publish(channel, message)

    def subscribe(self, channel: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._inner.subscribe(channel)

    def _lost(self, call: str) -> bool:
        return self._plan.draw(call) is not Fault.NONE


class FaultyMailer:
    def __init__(self, inner: Mailer, plan: FaultPlan) -> None:
        self._inner = inner
        self._plan = plan

    async def send(self, message: EmailMessage, *, to: str) -> str:
        return await self._plan.run("mail.send", lambda: self._inner.send(message, to=to))

    async def rate(self) -> SendRate:
        return await self._plan.run("mail.rate", self._inner.rate)


class FaultyCredentials:
    def __init__(self, inner: CredentialIssuer, plan: FaultPlan) -> None:
        self._inner = inner
        self._plan = plan

    async def issue(
        self,
        *,
        session_name: str,
        write_prefixes: tuple[str, ...],
        read_prefixes: tuple[str, ...],
        duration_s: int,
    ) -> Credential:
        return await self._plan.run(
            "credentials.issue",
            lambda: self._inner.issue(
                session_name=session_name,
                write_prefixes=write_prefixes,
                read_prefixes=read_prefixes,
                duration_s=duration_s,
            ),
        )
