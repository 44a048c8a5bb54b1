"""Consuming a queue: receive, handle, delete; never lose a message and never loop on one.

A handler gets a ``Batch`` and does its work; what it returns from is deleted. What it raises decides:

- ``Temporary`` or ``ConditionFailed``: the messages stay on the queue and come again after a growing pause.
- ``Unreadable``, ``Refused``, ``Broken``: no repetition can help; the message is set aside with the reason. With
  several messages in hand, each is handled alone first, so that one bad message does not take others with it.
- anything else is a bug: comes again, and is set aside with the reason at the last receiving.

Messages of one FIFO group make batches of their own, in order; when one fails, those behind it wait for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from syncline.domain.errors import Broken, ConditionFailed, Refused, SynclineError, Temporary
from syncline.domain.traceparent import trace_id_of
from syncline.messages.envelope import Unreadable
from syncline.ports import tracing
from syncline.ports.clock import Clock
from syncline.ports.queues import Message, Queue, Queues, receives_max, visibility_s
from syncline.ports.tracing import SpanKind
from syncline.serving.ages import Ages
from syncline.serving.logging import bind_context, clear_context, get_logger
from syncline.serving.metrics import Metrics

BATCH_MESSAGES_MAX = 10
RECEIVE_WAIT_S = 20
RECEIVERS = 2
BACKOFF_S = (5, 15, 45, 135, 405)
RECEIVE_RETRY_S = (0.5, 1.0, 2.0, 5.0, 10.0)
RELEASE_S = 2.0
EXTENSIONS_MAX = 120
REASON_CHARACTERS_MAX = 500
AGAIN_MS_MAX = 30_000
"""A message that does not come again so long after it could was handled by somebody else."""


class Batch:
    """Messages to handle together. Those not ``finish``ed one by one are finished when the handler returns."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self.messages = tuple(messages)
        self.finished: list[Message] = []
        self.hopeless: list[tuple[Message, str]] = []

    @property
    def open(self) -> list[Message]:
        """The messages nothing has been decided about yet."""
        decided = {m.receipt for m in self.finished} | {m.receipt for m, _ in self.hopeless}
        return [m for m in self.messages if m.receipt not in decided]

    def finish(self, message: Message) -> None:
        """This one is done, whatever becomes of the others."""
        self.finished.append(message)

    def set_aside(self, message: Message, reason: str) -> None:
        """This one can never succeed."""
        self.hopeless.append((message, reason))


BatchHandler = Callable[[Batch], Awaitable[None]]


def each(handle: Callable[[Message], Awaitable[None]]) -> BatchHandler:
    """A batch handler that handles message after message; a failure leaves those behind it."""

    async def handle_all(batch: Batch) -> None:
        for message in batch.messages:
            with in_trace_of(message):
                await handle(message)
            batch.finish(message)

    return handle_all


@contextmanager
def in_trace_of(message: Message) -> Iterator[None]:
    """What is done for one message of a batch goes on in the trace that sent it."""
    if not message.trace or trace_id_of(message.trace) == tracing.current_trace_id():
        yield
        return
    with tracing.span_for(message.trace, "message", SpanKind.CONSUMER):
        yield


class Consumer:
    """The part of a service that consumes one queue.

    ``receivers`` batches are in work at a time. Their messages are kept hidden while they are, extended up to
    ``EXTENSIONS_MAX`` times.
    """

    def __init__(
        self,
        queues: Queues,
        queue: Queue,
        handle: BatchHandler,
        *,
        clock: Clock,
        metrics: Metrics,
        receivers: int = RECEIVERS,
        wait_s: int = RECEIVE_WAIT_S,
    ) -> None:
        self.queue = queue
        self.ages = Ages()
        self._queues = queues
        self._handle = handle
        self._clock = clock
        self._metrics = metrics
        self._receivers = receivers
        self._visibility_s = visibility_s(queue)
        self._wait_s = wait_s
        # At the next receiving the queue itself would set the message aside, without a reason.
        self._received_max = receives_max(queue)
        self._draining = asyncio.Event()

    async def start(self) -> None:
        """Nothing to make ready: the queue is there, or the first receiving raises."""

    async def run(self) -> None:
        """Consume until drained. Raises ``Broken`` when the queue cannot be received from at all."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._receivers):
                group.create_task(self._receive_loop())

    async def drain(self) -> None:
        self._draining.set()

    async def stop(self) -> None:
        self._draining.set()

    async def run_once(self, *, wait_s: int = 0) -> int:
        """Receive and handle once; answers how many messages came. For tests and tools."""
        messages = await self._queues.receive(self.queue, limit=BATCH_MESSAGES_MAX, wait_s=wait_s)
        await self._work(messages)
        return len(messages)

    async def _receive_loop(self) -> None:
        failures = 0
        while not self._draining.is_set():
            try:
                messages = await self._receive()
                failures = 0
                if self._draining.is_set():
                    await self._release(messages)
                else:
                    await self._work(messages)
            except Temporary as error:
                # Receiving, deleting or hiding failed: the messages come again by themselves.
                get_logger().warning("queue-away", queue=self.queue.value, reason=str(error)[:200])
                self._metrics.messages.labels(self.queue.value, "away").inc()
                await self._pause(RECEIVE_RETRY_S[min(failures, len(RECEIVE_RETRY_S) - 1)])
                failures += 1

    async def _receive(self) -> Sequence[Message]:
        """One receiving. When draining begins meanwhile, what is on its way gets a moment to arrive."""
        receiving = asyncio.ensure_future(
            self._queues.receive(self.queue, limit=BATCH_MESSAGES_MAX, wait_s=self._wait_s)
        )
        draining = asyncio.ensure_future(self._draining.wait())
        try:
            await asyncio.wait([receiving, draining], return_when=asyncio.FIRST_COMPLETED)
            if not receiving.done():
                await asyncio.wait([receiving], timeout=RELEASE_S)
            return receiving.result() if receiving.done() else ()
        finally:
            draining.cancel()
            receiving.cancel()

    async def _release(self, messages: Sequence[Message]) -> None:
        for message in messages:
            await self._queues.hide(self.queue, message, 0)

    async def _pause(self, seconds: float) -> None:
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        draining = asyncio.ensure_future(self._draining.wait())
        await asyncio.wait([sleeping, draining], return_when=asyncio.FIRST_COMPLETED)
        sleeping.cancel()
        draining.cancel()

    async def _work(self, messages: Sequence[Message]) -> None:
        now_ms = self._clock.now_ms()
        for message in messages:
            age_s = max(0, now_ms - message.sent_at_ms) / 1000
            self._metrics.message_age_seconds.labels(self.queue.value).observe(age_s)
            self._waits(message, self._visibility_s)
        groups: dict[str, list[Message]] = {}
        for message in messages:
            groups.setdefault(message.group, []).append(message)
        ends = await asyncio.gather(*map(self._work_on, groups.values()), return_exceptions=True)
        for end in ends:
            if isinstance(end, BaseException):
                raise end

    async def _work_on(self, messages: Sequence[Message]) -> None:
        """Handle one batch, kept hidden meanwhile, and settle what becomes of each message."""
        clear_context()
        bind_context(queue=self.queue.value)
        in_hand = {message.receipt: message for message in messages}
        began = time.monotonic()
        keeping = asyncio.create_task(self._keep_hidden(in_hand))
        try:
            with self._traced(messages):
                await self._attempt(Batch(messages), in_hand)
        finally:
            keeping.cancel()
            self._metrics.message_seconds.labels(self.queue.value).observe(time.monotonic() - began)

    def _traced(self, messages: Sequence[Message]) -> AbstractContextManager[object]:
        """A batch goes on in the trace of its first message, and is linked to the others'."""
        parent, links = tracing.first_and_others([message.trace for message in messages])
        attributes = {"messaging.destination.name": self.queue.value, "messaging.batch.message_count": len(messages)}
        name = f"{self.queue.value} process"
        return tracing.span(name, SpanKind.CONSUMER, parent=parent, links=links, attributes=attributes)

    async def _attempt(self, batch: Batch, in_hand: dict[str, Message]) -> bool:
        """Whether nothing of the batch is left on the queue."""
        try:
            await self._handle(batch)
        except Exception as error:  # noqa: BLE001 (decided by kind in _fail, never passed over)
            await self._settle(batch, in_hand)
            return await self._fail(batch.open, error, in_hand)
        for message in batch.open:
            batch.finish(message)
        await self._settle(batch, in_hand)
        return True

    async def _fail(self, messages: Sequence[Message], error: Exception, in_hand: dict[str, Message]) -> bool:
        hopeless = isinstance(error, Broken | Refused | Unreadable)
        if not hopeless and all(message.received < self._received_max for message in messages):
            await self._leave(messages, error, in_hand)
            return not messages
        if len(messages) > 1:
            return await self._isolate(messages, in_hand)
        batch = Batch(messages)
        for message in messages:
            batch.set_aside(message, _reason(error))
        await self._settle(batch, in_hand)
        return True

    async def _isolate(self, messages: Sequence[Message], in_hand: dict[str, Message]) -> bool:
        """Handle each message alone, in order, to find the one that fails."""
        left = False
        for position, message in enumerate(messages):
            if await self._attempt(Batch([message]), in_hand):
                continue
            left = True
            if message.group:
                await self._hide(messages[position + 1 :], in_hand)
                break
        return not left

    async def _leave(self, messages: Sequence[Message], error: Exception, in_hand: dict[str, Message]) -> None:
        log = get_logger()
        for message in messages:
            self._metrics.messages.labels(self.queue.value, "retry").inc()
            if isinstance(error, Temporary | ConditionFailed):
                log.warning("message-retry", received=message.received, reason=_reason(error))
            else:
                log.error("message-failed", received=message.received, exc_info=error)
        await self._hide(messages, in_hand)

    async def _hide(self, messages: Sequence[Message], in_hand: dict[str, Message]) -> None:
        for message in messages:
            in_hand.pop(message.receipt, None)
            pause_s = BACKOFF_S[min(message.received, len(BACKOFF_S)) - 1]
            self._waits(message, pause_s)
            await self._queues.hide(self.queue, message, pause_s)

    async def _settle(self, batch: Batch, in_hand: dict[str, Message]) -> None:
        """Delete what is finished, set aside what is hopeless, as far as it is still in hand."""
        finished = [m for m in batch.finished if in_hand.pop(m.receipt, None)]
        hopeless = [(m, reason) for m, reason in batch.hopeless if in_hand.pop(m.receipt, None)]
        if finished:
            await self._queues.delete(self.queue, finished)
            self._waits_no_more(finished)
            self._metrics.messages.labels(self.queue.value, "done").inc(len(finished))
        for message, reason in hopeless:
            get_logger().error("message-set-aside", received=message.received, reason=reason)
            await self._queues.set_aside(self.queue, message, reason[:REASON_CHARACTERS_MAX])
            self._waits_no_more([message])
            self._metrics.messages.labels(self.queue.value, "set-aside").inc()

    async def _keep_hidden(self, in_hand: dict[str, Message]) -> None:
        for _ in range(EXTENSIONS_MAX):
            await self._clock.sleep(self._visibility_s / 3)
            for message in list(in_hand.values()):
                if message.receipt not in in_hand:
                    continue
                try:
                    await self._queues.hide(self.queue, message, self._visibility_s)
                    self._waits(message, self._visibility_s)
                except SynclineError as error:
                    # It comes again, to this worker or another: handling a message twice is harmless.
                    get_logger().warning("not-kept-hidden", reason=str(error)[:200])

    def _waits(self, message: Message, hidden_s: int) -> None:
        """It is on the queue still, and nobody else gets it for ``hidden_s``."""
        now_ms = self._clock.now_ms()
        until_ms = now_ms + hidden_s * 1000 + AGAIN_MS_MAX
        self.ages.met(_identity(message), message.sent_at_ms, now_ms=now_ms, until_ms=until_ms)

    def _waits_no_more(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self.ages.done(_identity(message))


def _identity(message: Message) -> Hashable:
    """The same however often a message is received."""
    return message.group, message.sent_at_ms, hash(message.body)


def _reason(error: Exception) -> str:
    kind = error.kind if isinstance(error, Refused) else type(error).__name__
    return f"{kind}: {error}"[:REASON_CHARACTERS_MAX]
