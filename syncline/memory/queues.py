"""Queues in memory, with SQS's visibility, FIFO groups, deduplication, delays and dead letters."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from syncline.ports import tracing
from syncline.ports.clock import Clock
from syncline.ports.queues import DeadLetter, Message, Queue, check_limit, check_message, receives_max, visibility_s

DEDUP_WINDOW_MS = 5 * 60 * 1000


@dataclass
class _Stored:
    id: int
    body: bytes
    group: str
    sent_at_ms: int
    visible_at_ms: int
    received: int = 0
    receipt: str = ""
    reason: str = ""
    trace: str = ""

    def message(self) -> Message:
        return Message(self.body, self.receipt, self.group, self.received, self.sent_at_ms, self.trace)


@dataclass
class _Line:
    waiting: list[_Stored] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    dedup_until_ms: dict[tuple[str, str], int] = field(default_factory=dict)


class MemoryQueues:
    """``Queues`` on a clock. Where SQS may do either, it does what is harder on callers: the receipt of an
    earlier receiving deletes nothing.
    """

    def __init__(
        self, clock: Clock, *, visibility_s: int | None = None, delays_s: Mapping[Queue, int] | None = None
    ) -> None:
        self._clock = clock
        self._visibility_s = visibility_s
        self._delays_s = dict(delays_s or {})
        self._lines = {queue: _Line() for queue in Queue}
        self._ids = 0
        self._changed = asyncio.Event()

    async def send(self, queue: Queue, body: bytes, *, group: str = "", dedup: str = "") -> None:
        check_message(queue, body, group, dedup)
        await asyncio.sleep(0)
        line, now = self._lines[queue], self._clock.now_ms()
        if dedup:
            line.dedup_until_ms = {key: until for key, until in line.dedup_until_ms.items() if until > now}
            if (group, dedup) in line.dedup_until_ms:
                return
            line.dedup_until_ms[group, dedup] = now + DEDUP_WINDOW_MS
        self._ids += 1
        visible_at_ms = now + self._delays_s.get(queue, 0) * 1000
        line.waiting.append(_Stored(self._ids, bytes(body), group, now, visible_at_ms, trace=tracing.current()))
        self._wake()

    async def receive(self, queue: Queue, *, limit: int = 10, wait_s: int = 20) -> Sequence[Message]:
        check_limit(limit)
        deadline_ms = self._clock.now_ms() + wait_s * 1000
        await asyncio.sleep(0)
        while True:
            changed = self._changed
            if taken := self._take(queue, limit):
                return taken
            left_ms = deadline_ms - self._clock.now_ms()
            if left_ms <= 0:
                return []
            await self._wait(changed, min(left_ms, self._next_visible_ms(queue)))

    async def delete(self, queue: Queue, messages: Sequence[Message]) -> None:
        await asyncio.sleep(0)
        receipts = {message.receipt for message in messages}
        line = self._lines[queue]
        line.waiting = [stored for stored in line.waiting if stored.receipt not in receipts]
        self._wake()

    async def hide(self, queue: Queue, message: Message, seconds: int) -> None:
        await asyncio.sleep(0)
        for stored in self._lines[queue].waiting:
            if stored.receipt == message.receipt:
                stored.visible_at_ms = self._clock.now_ms() + seconds * 1000
        self._wake()

    async def set_aside(self, queue: Queue, message: Message, reason: str) -> None:
        await asyncio.sleep(0)
        self._lines[queue].dead.append((message, reason))
        await self.delete(queue, [message])

    async def dead_letters(self, queue: Queue, *, limit: int = 10) -> Sequence[DeadLetter]:
        await asyncio.sleep(0)
        return list(self._lines[queue].dead[:limit])

    async def dead_depth(self, queue: Queue) -> int:
        await asyncio.sleep(0)
        return len(self._lines[queue].dead)

    async def redrive(self, queue: Queue, *, limit: int = 10) -> Sequence[DeadLetter]:
        letters = await self.discard_dead(queue, limit=limit)
        now = self._clock.now_ms()
        for message, reason in letters:
            self._ids += 1
            visible_at_ms = now + self._delays_s.get(queue, 0) * 1000
            again = _Stored(
                self._ids, message.body, message.group, now, visible_at_ms, reason=reason, trace=message.trace
            )
            self._lines[queue].waiting.append(again)
        self._wake()
        return letters

    async def discard_dead(self, queue: Queue, *, limit: int = 10) -> Sequence[DeadLetter]:
        check_limit(limit)
        await asyncio.sleep(0)
        line = self._lines[queue]
        taken, line.dead = line.dead[:limit], line.dead[limit:]
        return taken

    async def depth(self, queue: Queue) -> int:
        await asyncio.sleep(0)
        now = self._clock.now_ms()
        return sum(stored.visible_at_ms <= now for stored in self._lines[queue].waiting)

    def _take(self, queue: Queue, limit: int) -> list[Message]:
        line, now = self._lines[queue], self._clock.now_ms()
        # A group waits while any of its messages is hidden: the order within it is kept.
        busy = {stored.group for stored in line.waiting if stored.group and stored.visible_at_ms > now}
        taken: list[Message] = []
        for stored in list(line.waiting):
            if len(taken) == limit:
                break
            if stored.visible_at_ms > now or stored.group in busy:
                continue
            if stored.received >= receives_max(queue):
                line.dead.append((stored.message(), stored.reason))
                line.waiting.remove(stored)
                continue
            stored.received += 1
            stored.receipt = f"{queue.value}-{stored.id}-{stored.received}"
            stored.visible_at_ms = now + (self._visibility_s or visibility_s(queue)) * 1000
            taken.append(stored.message())
        return taken

    def _next_visible_ms(self, queue: Queue) -> int:
        now = self._clock.now_ms()
        due = [stored.visible_at_ms - now for stored in self._lines[queue].waiting if stored.visible_at_ms > now]
        return min(due, default=visibility_s(queue) * 1000)

    async def _wait(self, changed: asyncio.Event, wait_ms: int) -> None:
        """Until something happened on a queue or ``wait_ms`` passed on the clock."""
        tasks = [
            asyncio.ensure_future(changed.wait()),
            asyncio.ensure_future(self._clock.sleep(wait_ms / 1000)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
