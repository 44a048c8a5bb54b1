"""What callers of the cache may rely on (syncline/ports/cache.py), above all while it is away."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.conformance.conftest import CacheSubject


async def next_of(cached: CacheSubject, messages, *, turns: int = 200) -> bytes:
    task = asyncio.ensure_future(anext(messages))
    for turn in range(turns):
        await cached.wait(0.05 if turn else 0)
        if task.done():
            return task.result()
    task.cancel()
    raise AssertionError("No message came")


async def test_a_value_is_kept_until_its_time(cached):
    value = bytes(range(256))
    await cached.cache.put("key", value, ttl_s=1)
    await cached.cache.put("other", b"", ttl_s=100)
    assert await cached.cache.get("key") == value
    assert await cached.cache.get("none") is None
    await cached.wait(1.3)
    assert await cached.cache.get("key") is None
    assert await cached.cache.get("other") == b""


async def test_a_dropped_value_is_gone(cached):
    for key in "abc":
        await cached.cache.put(key, b"x", ttl_s=100)
    await cached.cache.drop(["a", "b", "none"])
    await cached.cache.drop([])
    assert [await cached.cache.get(key) for key in "abc"] == [None, None, b"x"]


async def test_counts_are_of_one_key_and_window(cached):
    assert [await cached.cache.count("a", window_s=3600) for _ in range(3)] == [1, 2, 3]
    assert await cached.cache.count("b", window_s=3600) == 1
    await cached.cache.count("short", window_s=1)
    await cached.wait(1.5)
    assert await cached.cache.count("short", window_s=1) == 1


async def test_a_message_reaches_all_who_subscribed(cached):
    async with (
        cached.cache.subscribe("one") as first,
        cached.cache.subscribe("one") as second,
        cached.cache.subscribe("two") as other,
    ):
        # Published before anybody reads: the subscription counts from the opening of the context.
        for n in range(3):
            await cached.cache.publish("one", b"\xff%d" % n)
        await cached.cache.publish("two", b"other")
        for n in range(3):
            assert await next_of(cached, first) == b"\xff%d" % n
            assert await next_of(cached, second) == b"\xff%d" % n
        assert await next_of(cached, other) == b"other"


async def test_one_who_left_disturbs_nobody(cached):
    async with cached.cache.subscribe("one") as staying:
        async with cached.cache.subscribe("one"), cached.cache.subscribe("two"):
            pass
        await cached.cache.publish("one", b"x")
        assert await next_of(cached, staying) == b"x"
    async with cached.cache.subscribe("one") as again:
        await cached.cache.publish("one", b"y")
        assert await next_of(cached, again) == b"y"


async def test_many_may_subscribe_at_once(cached):
    async with AsyncExitStack() as stack:
        channels = await asyncio.gather(
            *(stack.enter_async_context(cached.cache.subscribe(f"channel{n}")) for n in range(100))
        )
        for n in range(100):
            await cached.cache.publish(f"channel{n}", b"%d" % n)
        for n, messages in enumerate(channels):
            assert await next_of(cached, messages) == b"%d" % n


async def test_a_cache_that_is_away_is_silent(cached):
    await cached.cache.put("key", b"x", ttl_s=100)
    cached.stop()
    for _ in range(3):
        assert await cached.cache.get("key") is None
        assert await cached.cache.count("key", window_s=60) is None
        await cached.cache.put("key", b"y", ttl_s=100)
        await cached.cache.drop(["key"])
        await cached.cache.publish("channel", b"x")
    async with cached.cache.subscribe("channel") as messages:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(messages), 0.1)


async def test_a_cache_that_comes_back_is_used_again(cached):
    cached.stop()
    assert await cached.cache.get("key") is None
    cached.start()
    for _ in range(100):
        await cached.cache.put("key", b"x", ttl_s=100)
        if await cached.cache.get("key") == b"x":
            return
        await cached.wait(0.1)
    raise AssertionError("The cache was not used again")


async def test_a_subscription_outlives_a_restart(cached):
    async with cached.cache.subscribe("channel") as messages:
        await cached.cache.publish("channel", b"before")
        assert await next_of(cached, messages) == b"before"
        cached.stop()
        await cached.cache.publish("channel", b"lost")
        cached.start()
        reading = asyncio.ensure_future(anext(messages))
        for _ in range(150):
            await cached.cache.publish("channel", b"after")
            await cached.wait(0.1)
            if reading.done():
                break
        assert await asyncio.wait_for(reading, 1) == b"after"
