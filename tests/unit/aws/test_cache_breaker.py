"""A cache that is away costs nothing per call."""

import asyncio
import socket

import pytest

from syncline.aws.cache import REST_S, REST_S_MAX, RedisCache
from syncline.domain.errors import Broken


@pytest.fixture
def nobody() -> str:
    """The address of a port on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"redis://127.0.0.1:{free.getsockname()[1]}/0"


async def test_a_dead_cache_is_asked_once_in_a_while(nobody):
    now = 0.0
    async with RedisCache.connect(nobody, monotonic=lambda: now) as cache:
        for _ in range(100):
            assert await cache.get("key") is None
            await cache.put("key", b"x", ttl_s=1)
        assert cache.failures == 1
        now += REST_S
        await cache.get("key")
        await cache.get("key")
        assert cache.failures == 2
        now += REST_S
        await cache.get("key")
        assert cache.failures == 2  # it rests longer now
        now += 1000 * REST_S_MAX
        await cache.get("key")
        assert cache.failures == 3


async def test_calls_that_fail_together_count_as_one_failure_for_the_rest(nobody):
    now = 0.0
    async with RedisCache.connect(nobody, monotonic=lambda: now) as cache:
        await asyncio.gather(*(cache.get(f"{n}") for n in range(20)))
        failed = cache.failures
        now += REST_S
        await cache.get("key")
        assert cache.failures == failed + 1  # asked again after the first, shortest rest


async def test_subscribing_to_a_dead_cache_waits_for_nothing(nobody, caplog):
    loop = asyncio.get_running_loop()
    async with RedisCache.connect(nobody, monotonic=loop.time) as cache:
        async with cache.subscribe("first"):  # finds out that nobody is there
            pass
        caplog.clear()
        for n in range(1000):
            async with cache.subscribe(f"{n}"):
                pass
        assert len(caplog.records) <= 10  # far fewer tries to connect than subscriptions


async def test_an_address_that_is_none_is_broken():
    with pytest.raises(Broken, match="SYNCLINE_REDIS_URL"):
        async with RedisCache.connect("http://example.org"):
            pass
