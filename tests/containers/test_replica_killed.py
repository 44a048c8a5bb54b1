"""A replica of each service is killed while people work: nothing is lost, and nobody notices."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from deploy.definition import SERVICES
from syncline.domain.rights import Role
from tests.containers.composed import ANSWERS, SEED, ComposedStack
from tests.containers.replica import Replica, holding
from tests.e2e.people import Person, eventually, person
from tests.e2e.under_load import TRIES

HELD = 6
MOVED_S_MAX = 120


async def test_a_replica_of_each_service_killed_under_load(stack: ComposedStack, tmp_path: Path):
    chance = random.Random(SEED)
    async with stack.load(tmp_path) as load:
        for service in SERVICES:
            victim = chance.choice(stack.replicas(service))
            await crashed(stack, victim)
            await load.answered(ANSWERS)
            await asyncio.to_thread(stack.wait_healthy)
            await stack.all_work(load, [victim])
        await stack.check(load)
        assert load.troubles == []


async def test_held_requests_outlive_the_syncer_that_holds_them(stack: ComposedStack, tmp_path: Path):
    syncers = stack.replicas("syncer")
    async with person(stack.url, tmp_path, "alice") as alice, person(stack.url, tmp_path, "bob") as bob:
        library = await alice.library((bob, Role.EDITOR))
        token = (await alice.api.heads()).token
        held = [asyncio.create_task(moved(alice, library, token)) for _ in range(HELD)]
        await eventually(lambda: asyncio.to_thread(holding, syncers), until=all)
        await crashed(stack, syncers[0])
        await bob.add(library, "news", b"from bob")
        assert await asyncio.wait_for(asyncio.gather(*held), MOVED_S_MAX) == [1] * HELD
    await asyncio.to_thread(stack.wait_healthy)


async def test_the_local_aws_killed_under_load(stack: ComposedStack, tmp_path: Path):
    """As in the embedded stack: while it is away everybody has to wait, and what was acknowledged is there."""
    async with stack.load(tmp_path, tries=TRIES) as load:
        await crashed(stack, stack.one("aws"))
        await asyncio.to_thread(stack.wait_healthy)
        await load.answered(ANSWERS)
        await stack.check(load)


async def moved(asker: Person, library: str, token: str) -> int:
    """The library's seq once it has one; asked again when a held request ends without news, as clients do."""
    seq = 0
    while not seq:
        answer = await asker.api.heads(since=token, wait_s=50)
        [seq] = [head.seq for head in answer.heads if head.library == library]
    return seq


async def crashed(stack: ComposedStack, victim: Replica) -> None:
    """Kill it, and wait until it has begun anew."""
    before = victim.started_at
    await asyncio.to_thread(victim.crash)
    await asyncio.to_thread(stack.wait_until, lambda: victim.started_at != before, f"{victim.name} stays away")
