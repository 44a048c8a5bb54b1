"""All subscriptions of one process over one connection to Redis, which comes back by itself."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

MAX_PENDING = 1000
"""Messages kept for a subscriber that does not read; later ones are lost, as Redis would lose them."""

READ_S = 5.0
CONFIRM_S = 1.0
PAUSE_S = 0.2
PAUSE_S_MAX = 5.0

log = logging.getLogger(__name__)


class Subscriptions:
    """Reads one Pub/Sub connection and hands each message to those who subscribed to its channel.

    Life: ``subscribe`` starts the reader, ``close`` ends it. While Redis is away subscribers wait and get nothing.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._subscribers: defaultdict[str, list[asyncio.Queue[bytes]]] = defaultdict(list)
        self._confirmed: dict[str, asyncio.Event] = {}
        self._connected: PubSub | None = None
        self._wanted = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def subscribe(self, channel: str) -> AsyncIterator[AsyncIterator[bytes]]:
        pending: asyncio.Queue[bytes] = asyncio.Queue(MAX_PENDING)
        self._subscribers[channel].append(pending)
        try:
            await self._ask_for(channel)
            yield _drain(pending)
        finally:
            self._subscribers[channel].remove(pending)
            if not self._subscribers[channel]:
                await self._leave(channel)

    async def close(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            with suppress(asyncio.CancelledError):
                await self._reader

    async def _ask_for(self, channel: str) -> None:
        """Subscribe to the channel, and wait a little for Redis to say that it is so."""
        if self._reader is None:
            self._reader = asyncio.create_task(self._read_on())
        self._wanted.set()
        confirmed = self._confirmed.setdefault(channel, asyncio.Event())
        if self._connected is not None and not confirmed.is_set():
            with suppress(RedisError, OSError):  # the reader sees it too, and connects again
                await self._connected.subscribe(channel)
        with suppress(TimeoutError):
            await asyncio.wait_for(confirmed.wait(), CONFIRM_S)

    async def _leave(self, channel: str) -> None:
        del self._subscribers[channel]
        self._confirmed.pop(channel, None)
        if self._connected is not None:
            with suppress(RedisError, OSError):
                await self._connected.unsubscribe(channel)

    async def _read_on(self) -> None:
        """Connect, read until the connection breaks, again and again, until cancelled."""
        pause_s = PAUSE_S
        while True:
            await self._wanted.wait()
            try:
                async with self._redis.pubsub() as pubsub:
                    await self._read(pubsub)
                pause_s = PAUSE_S
            except (RedisError, OSError) as error:
                log.warning("Subscriptions wait for the cache to come back: %s", error)
                await asyncio.sleep(pause_s)
                pause_s = min(PAUSE_S_MAX, pause_s * 2)
            finally:
                self._connected = None
                for confirmed in self._confirmed.values():
                    confirmed.clear()

    async def _read(self, pubsub: PubSub) -> None:
        """Until nobody is subscribed any more, or an error."""
        asked: set[str] = set()
        while new := set(self._subscribers) - asked:  # others subscribe meanwhile
            await pubsub.subscribe(*new)
            asked |= new
        self._connected = pubsub
        while self._subscribers:
            message = await pubsub.get_message(timeout=READ_S)
            if message is not None:
                self._hand_out(message["type"], message["channel"].decode(), message["data"])
        self._connected = None
        self._wanted.clear()

    def _hand_out(self, kind: str, channel: str, data: bytes) -> None:
        if kind == "subscribe" and channel in self._confirmed:
            self._confirmed[channel].set()
        if kind == "message":
            for pending in self._subscribers.get(channel, []):
                if not pending.full():
                    pending.put_nowait(data)


async def _drain(pending: asyncio.Queue[bytes]) -> AsyncIterator[bytes]:
    while True:
        yield await pending.get()
