"""All subscriptions of one process over one connection to Redis, which comes back by itself."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

MAX_PENDING = 1000
"""Messages kept for a subscriber that does not read; later ones are lost, as Redis would lose them."""

READ_S = 5.0
CONFIRM_S = 2.0
PAUSE_S = 0.2
PAUSE_S_MAX = 5.0

log = logging.getLogger(__name__)


class Subscriptions:
    """Hands each message on to those who subscribed to its channel.

    Only the reader's task touches the connection; subscribers tell it through ``_changed`` that there is something to
    ask for. While Redis is away they wait and get nothing. Life: the first ``subscribe`` starts the reader, ``close``
    ends it.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._subscribers: dict[str, list[asyncio.Queue[bytes]]] = {}
        self._asked: set[str] = set()
        self._acks_due: Counter[str] = Counter()
        self._changed = asyncio.Event()
        self._acknowledged = asyncio.Event()
        self._away = False
        self._reader: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def subscribe(self, channel: str) -> AsyncIterator[AsyncIterator[bytes]]:
        pending: asyncio.Queue[bytes] = asyncio.Queue(MAX_PENDING)
        self._subscribers.setdefault(channel, []).append(pending)
        self._changed.set()
        if self._reader is None:
            self._reader = asyncio.create_task(self._read_on())
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._until_confirmed(channel), CONFIRM_S)
            yield _drain(pending)
        finally:
            self._subscribers[channel].remove(pending)
            if not self._subscribers[channel]:
                del self._subscribers[channel]
                self._changed.set()

    async def close(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            with suppress(asyncio.CancelledError):
                await self._reader

    async def _until_confirmed(self, channel: str) -> None:
        while not self._away and (channel not in self._asked or self._acks_due[channel]):
            await self._acknowledged.wait()

    async def _read_on(self) -> None:
        """Connect, read until the connection breaks, again and again, until cancelled."""
        pause_s = PAUSE_S
        while True:
            try:
                async with self._redis.pubsub() as pubsub:
                    while True:
                        await self._ask_for_changes(pubsub)
                        if message := await self._next_message(pubsub):
                            self._hand_out(message)
                            pause_s = PAUSE_S
            except (RedisError, OSError) as error:
                log.warning("Subscriptions wait for the cache to come back: %s", error)
                self._away = True  # nobody waits for a confirmation meanwhile
                self._tell_waiting()
            finally:
                self._asked.clear()
                self._acks_due.clear()
            await asyncio.sleep(pause_s)
            pause_s = min(PAUSE_S_MAX, pause_s * 2)

    async def _ask_for_changes(self, pubsub: PubSub) -> None:
        """Subscribe to what is newly wanted, and leave what nobody wants any more."""
        self._changed.clear()
        wanted = set(self._subscribers)
        if new := wanted - self._asked:
            self._asked |= new
            self._acks_due.update(new)
            await pubsub.subscribe(*new)
        if gone := self._asked - wanted:
            self._asked -= gone
            await pubsub.unsubscribe(*gone)

    async def _next_message(self, pubsub: PubSub) -> Mapping[str, Any] | None:
        """The next message, or None when there is something to ask for, or none came for a while."""
        changed = asyncio.ensure_future(self._changed.wait())
        if not pubsub.subscribed:
            await changed
            return None
        reading = asyncio.ensure_future(pubsub.get_message(timeout=READ_S))
        try:
            await asyncio.wait((reading, changed), return_when=asyncio.FIRST_COMPLETED)
            return reading.result() if reading.done() else None
        finally:
            # A read that is cut off leaves what came on the connection: the next one finds it.
            for task in (reading, changed):
                task.cancel()
            await asyncio.gather(reading, changed, return_exceptions=True)

    def _hand_out(self, message: Mapping[str, Any]) -> None:
        channel = message["channel"].decode()
        if message["type"] == "subscribe":
            self._acks_due[channel] -= 1
            self._away = False
            self._tell_waiting()
        if message["type"] == "message":
            for pending in self._subscribers.get(channel, []):
                if not pending.full():
                    pending.put_nowait(message["data"])

    def _tell_waiting(self) -> None:
        self._acknowledged.set()
        self._acknowledged = asyncio.Event()


async def _drain(pending: asyncio.Queue[bytes]) -> AsyncIterator[bytes]:
    while True:
        yield await pending.get()
