"""The network between a service and Redis, or the local AWS, is cut while people work: slower, and still right."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from syncline.domain.rights import Role
from tests.containers.composed import ANSWERS, ComposedStack
from tests.containers.replica import Replica
from tests.e2e.people import person


@asynccontextmanager
async def cut_off(stack: ComposedStack, one: Replica) -> AsyncIterator[None]:
    """Take a container from the network: connections that are open hang, new ones fail. Healed in the end."""
    network = stack.network
    await asyncio.to_thread(network.disconnect, one.container)
    try:
        yield
    finally:
        await asyncio.to_thread(network.connect, one.container, aliases=[one.service])


async def test_redis_cut_off_under_load(stack: ComposedStack, tmp_path: Path):
    async with stack.load(tmp_path) as load:
        async with cut_off(stack, stack.one("redis")):
            await load.answered(ANSWERS)
        await load.answered(ANSWERS)
        await stack.check(load)
        assert load.troubles == []


async def test_without_redis_held_requests_are_woken_all_the_same(stack: ComposedStack, tmp_path: Path):
    async with person(stack.url, tmp_path, "alice") as alice, person(stack.url, tmp_path, "bob") as bob:
        library = await alice.library((bob, Role.EDITOR))
        token = (await alice.api.heads()).token
        async with cut_off(stack, stack.one("redis")):
            held = [asyncio.create_task(alice.api.heads(since=token, wait_s=50)) for _ in range(4)]
            await bob.add(library, "news", b"from bob")
            for answer in await asyncio.wait_for(asyncio.gather(*held), 100):
                assert {head.library: head.seq for head in answer.heads} == {library: 1}


async def test_a_metadata_cut_off_from_aws_under_load(stack: ComposedStack, tmp_path: Path):
    """What it had in hand the others take over; healed, it does its share again."""
    one = stack.one("metadata")
    async with stack.load(tmp_path) as load:
        async with cut_off(stack, one):
            await load.answered(ANSWERS)
            done = await asyncio.to_thread(lambda: one.work)
            await load.answered(ANSWERS)
            assert await asyncio.to_thread(lambda: one.work) == done
        await asyncio.to_thread(stack.wait_healthy)
        await stack.all_work(load, [one])
        await stack.check(load)
        assert load.troubles == []
