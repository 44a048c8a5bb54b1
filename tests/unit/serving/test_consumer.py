"""Consuming a queue: nothing is lost, nothing loops, one bad message takes no others with it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest

from syncline.domain.errors import Broken, ConditionFailed, NotFound, Refused, Temporary
from syncline.memory.clock import ManualClock
from syncline.memory.queues import MemoryQueues
from syncline.messages.envelope import Unreadable
from syncline.ports.queues import RECEIVES_MAX, Message, Queue
from syncline.serving.consumer import BACKOFF_S, Batch, BatchHandler, Consumer, each
from syncline.serving.metrics import Metrics

Q = Queue.UPLOADS


class Bench:
    def __init__(self, handle: BatchHandler, queue: Queue = Q) -> None:
        self.clock = ManualClock()
        self.queues = MemoryQueues(self.clock)
        self.metrics = Metrics("test")
        self.queue = queue
        self.consumer = Consumer(
            self.queues, queue, handle, clock=self.clock, metrics=self.metrics, receivers=1, wait_s=20
        )

    async def send(self, *bodies: bytes, group: str = "") -> None:
        for body in bodies:
            await self.queues.send(self.queue, body, group=group, dedup=body.decode() if group else "")

    async def dead(self) -> dict[bytes, str]:
        return {message.body: reason for message, reason in await self.queues.dead_letters(self.queue)}

    async def left(self) -> int:
        """How many messages are on the queue, hidden ones too."""
        self.clock.advance(10_000)
        return await self.queues.depth(self.queue)


def failing(error: Callable[[], Exception], bad: bytes, seen: list[bytes]) -> BatchHandler:
    async def handle(message: Message) -> None:
        seen.append(message.body)
        if message.body == bad:
            raise error()

    return each(handle)


def whole(error: Callable[[], Exception], bad: bytes, seen: list[tuple[bytes, ...]]) -> BatchHandler:
    async def handle(batch: Batch) -> None:
        bodies = tuple(message.body for message in batch.messages)
        seen.append(bodies)
        if bad in bodies:
            raise error()

    return handle


async def test_what_is_handled_is_deleted() -> None:
    seen: list[bytes] = []
    bench = Bench(failing(ValueError, b"", seen))
    await bench.send(b"a", b"b", b"c")
    assert await bench.consumer.run_once() == 3
    assert sorted(seen) == [b"a", b"b", b"c"]
    assert await bench.left() == 0
    assert await bench.dead() == {}


@pytest.mark.parametrize("error", [Temporary, ConditionFailed, NotFound, KeyError, TimeoutError])
async def test_what_may_succeed_later_comes_again_after_a_growing_pause(error: type[Exception]) -> None:
    seen: list[bytes] = []
    bench = Bench(failing(lambda: error("away"), b"bad", seen))
    await bench.send(b"bad")
    for received in range(1, RECEIVES_MAX):
        assert await bench.consumer.run_once() == 1
        bench.clock.advance(BACKOFF_S[received - 1] - 1)
        assert await bench.consumer.run_once() == 0
        bench.clock.advance(1)
    # The last receiving: the queue itself would set it aside at the next, without a reason.
    assert await bench.consumer.run_once() == 1
    assert len(seen) == RECEIVES_MAX
    assert await bench.left() == 0
    (reason,) = (await bench.dead()).values()
    assert reason.startswith(error.__name__)


@pytest.mark.parametrize("error", [lambda: Unreadable("no"), lambda: Broken("no"), lambda: Refused("bad-permit", "no")])
async def test_what_can_never_succeed_is_set_aside_with_its_reason(error: Callable[[], Exception]) -> None:
    seen: list[bytes] = []
    bench = Bench(failing(error, b"bad", seen))
    await bench.send(b"bad", b"good")
    await bench.consumer.run_once()
    assert await bench.left() == 0
    dead = await bench.dead()
    assert list(dead) == [b"bad"]
    assert "no" in dead[b"bad"]
    assert b"good" in seen


async def test_one_bad_message_of_a_batch_takes_no_other_with_it() -> None:
    seen: list[tuple[bytes, ...]] = []
    bench = Bench(whole(lambda: Broken("no"), b"bad", seen))
    await bench.send(b"a", b"bad", b"c")
    await bench.consumer.run_once()
    assert len(seen[0]) == 3
    assert Counter(seen[1:]) == Counter([(b"a",), (b"bad",), (b"c",)])
    assert list(await bench.dead()) == [b"bad"]
    assert await bench.left() == 0


async def test_at_the_last_receiving_a_batch_is_tried_one_by_one() -> None:
    seen: list[tuple[bytes, ...]] = []
    bench = Bench(whole(lambda: Temporary("away"), b"bad", seen))
    await bench.send(b"a", b"bad")
    for _ in range(RECEIVES_MAX):
        await bench.consumer.run_once()
        bench.clock.advance(1_000)
    assert (b"a",) in seen
    assert list(await bench.dead()) == [b"bad"]
    assert await bench.left() == 0


async def test_what_a_handler_finished_stays_finished_when_it_fails() -> None:
    async def handle(batch: Batch) -> None:
        for message in batch.messages:
            if message.body == b"never":
                batch.set_aside(message, "poison")
            if message.body == b"done":
                batch.finish(message)
        raise Temporary("away")

    bench = Bench(handle)
    await bench.send(b"done", b"never", b"later")
    await bench.consumer.run_once()
    assert await bench.dead() == {b"never": "poison"}
    assert await bench.left() == 1


async def test_a_group_keeps_its_order_when_one_fails() -> None:
    seen: list[bytes] = []
    failures = [Temporary("away")]

    async def handle(message: Message) -> None:
        seen.append(message.body)
        if message.body == b"1" and failures:
            raise failures.pop()

    bench = Bench(each(handle), Queue.COMMITS)
    await bench.send(b"0", b"1", b"2", b"3", group="g")
    await bench.send(b"x", b"y", group="h")
    await bench.consumer.run_once()
    assert [body for body in seen if body in (b"0", b"1", b"2", b"3")] == [b"0", b"1"]
    assert [body for body in seen if body in (b"x", b"y")] == [b"x", b"y"]
    for _ in range(10):
        bench.clock.advance(500)
        await bench.consumer.run_once()
    assert [body for body in seen if body in (b"0", b"1", b"2", b"3")] == [b"0", b"1", b"1", b"2", b"3"]
    assert await bench.left() == 0


async def test_a_group_goes_on_behind_a_message_that_can_never_succeed() -> None:
    for error in (lambda: Broken("no"), lambda: Temporary("away")):
        seen: list[bytes] = []
        bench = Bench(failing(error, b"bad", seen), Queue.COMMITS)
        await bench.send(b"bad", b"1", b"2", group="g")
        for _ in range(RECEIVES_MAX * 3):
            await bench.consumer.run_once()
            bench.clock.advance(1_000)
        assert list(await bench.dead()) == [b"bad"]
        assert [body for body in seen if body != b"bad"] == [b"1", b"2"]
        assert await bench.left() == 0


async def test_a_group_keeps_its_order_when_its_messages_are_tried_alone() -> None:
    seen: list[tuple[bytes, ...]] = []
    failures = [Temporary("away")]

    async def handle(batch: Batch) -> None:
        bodies = tuple(message.body for message in batch.messages)
        if b"bad" in bodies:
            raise Broken("no")
        if b"1" in bodies and failures:
            raise failures.pop()
        seen.append(bodies)

    bench = Bench(handle, Queue.COMMITS)
    await bench.send(b"1", b"2", b"bad", group="g")
    for _ in range(6):
        await bench.consumer.run_once()
        bench.clock.advance(1_000)
    assert [body for bodies in seen for body in bodies] == [b"1", b"2"]
    assert list(await bench.dead()) == [b"bad"]
    assert await bench.left() == 0


async def test_a_message_in_work_is_kept_hidden() -> None:
    finish = asyncio.Event()
    begun = asyncio.Event()

    async def handle(_batch: Batch) -> None:
        begun.set()
        await finish.wait()

    bench = Bench(handle)
    await bench.send(b"slow")
    working = asyncio.create_task(bench.consumer.run_once())
    await begun.wait()
    for _ in range(30):
        await bench.clock.run_for(10)
        assert await bench.queues.depth(Q) == 0
    finish.set()
    await working
    assert await bench.left() == 0


async def test_draining_finishes_what_is_in_hand_and_takes_nothing_new() -> None:
    finish, begun = asyncio.Event(), asyncio.Event()
    seen: list[bytes] = []

    async def handle(batch: Batch) -> None:
        seen.extend(message.body for message in batch.messages)
        begun.set()
        await finish.wait()

    bench = Bench(handle)
    await bench.send(b"first")
    running = asyncio.create_task(bench.consumer.run())
    await begun.wait()
    await bench.consumer.drain()
    await bench.send(b"second")
    await asyncio.sleep(0.01)
    assert not running.done()
    finish.set()
    await asyncio.wait_for(running, 5)
    assert seen == [b"first"]
    assert await bench.left() == 1


async def test_draining_while_waiting_for_messages_ends_soon() -> None:
    bench = Bench(each(lambda message: asyncio.sleep(0)))
    running = asyncio.create_task(bench.consumer.run())
    await asyncio.sleep(0.01)
    await bench.consumer.drain()
    await asyncio.wait_for(running, 10)


class AwayQueues(MemoryQueues):
    """Receiving, deleting or hiding fails as long as ``failures`` last."""

    failures = 3
    broken = False

    async def receive(self, queue: Queue, *, limit: int = 10, wait_s: int = 20) -> list[Message]:
        self._fail()
        if self.broken:
            raise Broken("no such queue")
        return list(await super().receive(queue, limit=limit, wait_s=wait_s))

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise Temporary("away")


async def test_a_queue_that_is_away_is_tried_again() -> None:
    seen: list[bytes] = []
    clock = ManualClock()
    queues = AwayQueues(clock)
    consumer = Consumer(queues, Q, failing(ValueError, b"", seen), clock=clock, metrics=Metrics("t"), receivers=1)
    await queues.send(Q, b"a")
    running = asyncio.create_task(consumer.run())
    await clock.run_for(60)
    assert seen == [b"a"]
    await consumer.drain()
    await clock.run_for(60)
    await asyncio.wait_for(running, 5)


async def test_a_queue_that_cannot_be_received_from_ends_the_service() -> None:
    clock = ManualClock()
    queues = AwayQueues(clock)
    queues.failures, queues.broken = 0, True
    consumer = Consumer(queues, Q, each(lambda message: asyncio.sleep(0)), clock=clock, metrics=Metrics("t"))
    with pytest.raises(ExceptionGroup) as raised:
        await consumer.run()
    assert raised.group_contains(Broken)
