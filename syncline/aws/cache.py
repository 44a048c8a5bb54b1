"""The cache on Redis or Valkey."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from syncline.aws.subscriptions import Subscriptions
from syncline.domain.errors import Broken

TIMEOUT_S = 1.0
WHOLE_S = 2.0
"""For one answer of Redis, and for a whole call with its wait for a free connection."""

CONNECTIONS_MAX = 8
"""Redis answers in well under a millisecond: a few connections carry thousands of calls a second."""

HEALTH_CHECK_S = 15
REST_S = 1.0
REST_S_MAX = 10.0
"""How long the cache is left alone after a failure; doubled with every further one."""

T = TypeVar("T")

log = logging.getLogger(__name__)


class RedisCache:
    """``Cache`` that never raises for a Redis that is away, and then costs nothing: after a failure it is not asked
    for a while. ``failures`` counts what was given up, ``gave_up`` hears of it.
    """

    def __init__(
        self, redis: Redis, *, monotonic: Callable[[], float], gave_up: Callable[[], None] = lambda: None
    ) -> None:
        self.failures = 0
        self._on_failure = gave_up
        self._redis = redis
        self._subscriptions = Subscriptions(redis)
        self._monotonic = monotonic
        self._rest_until = float("-inf")
        self._rest_s = REST_S

    @classmethod
    @asynccontextmanager
    async def connect(
        cls, url: str, *, monotonic: Callable[[], float] = time.monotonic, gave_up: Callable[[], None] = lambda: None
    ) -> AsyncIterator[RedisCache]:
        """A cache at ``redis://host:port/db``, connected when it is first used. Raises ``Broken`` for no such URL."""
        try:
            pool = BlockingConnectionPool.from_url(
                url,
                timeout=None,  # for a free connection: WHOLE_S bounds the wait
                socket_timeout=TIMEOUT_S,
                socket_connect_timeout=TIMEOUT_S,
                socket_keepalive=True,
                health_check_interval=HEALTH_CHECK_S,
                max_connections=CONNECTIONS_MAX,
                retry=Retry(NoBackoff(), 0),
                protocol=2,
            )
        except ValueError as error:
            raise Broken(f"SYNCLINE_REDIS_URL is no Redis URL: {error}") from error
        redis = Redis.from_pool(pool)
        cache = cls(redis, monotonic=monotonic, gave_up=gave_up)
        try:
            yield cache
        finally:
            await cache._subscriptions.close()
            await redis.aclose()

    async def get(self, key: str) -> bytes | None:
        async def ask() -> bytes | None:
            value = await self._redis.get(key)
            return value if isinstance(value, bytes) else None

        return await self._unless_away(ask)

    async def put(self, key: str, value: bytes, *, ttl_s: int) -> None:
        async def ask() -> None:
            await self._redis.set(key, value, ex=ttl_s)

        await self._unless_away(ask)

    async def drop(self, keys: Sequence[str]) -> None:
        async def ask() -> None:
            await self._redis.delete(*keys)

        if keys:
            await self._unless_away(ask)

    async def count(self, key: str, *, window_s: int) -> int | None:
        counter = f"{key}:{int(time.time()) // window_s}"

        async def ask() -> int:
            async with self._redis.pipeline(transaction=True) as pipeline:
                pipeline.incr(counter)
                pipeline.expire(counter, window_s)
                counted, _ = await pipeline.execute()
            return int(counted)

        return await self._unless_away(ask)

    async def publish(self, channel: str, message: bytes) -> None:
        async def ask() -> None:
            await self._redis.publish(channel, message)

        await self._unless_away(ask)

    def subscribe(self, channel: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._subscriptions.subscribe(channel)

    async def _unless_away(self, ask: Callable[[], Awaitable[T]]) -> T | None:
        """What Redis answers, or None: at once while it rests after a failure."""
        if self._monotonic() < self._rest_until:
            return None
        try:
            async with asyncio.timeout(WHOLE_S):
                answer = await ask()
        except (RedisError, OSError) as error:  # TimeoutError is an OSError
            self._give_up(error)
            return None
        if self._rest_s > REST_S:
            log.info("The cache is back")
        self._rest_s = REST_S
        return answer

    def _give_up(self, error: Exception) -> None:
        self.failures += 1
        self._on_failure()
        if self._monotonic() < self._rest_until:
            return  # of calls that were under way together, the first one counts
        log.warning("The cache is away, going on without it for %.0f s: %s", self._rest_s, error)
        self._rest_until = self._monotonic() + self._rest_s
        self._rest_s = min(REST_S_MAX, self._rest_s * 2)
