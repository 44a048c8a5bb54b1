"""No alarm goes off on a stack that is well."""

from __future__ import annotations

from syncline.domain.figures import SERVICES
from tests.unit.alarms.world import a_stack


async def test_just_started():
    async with a_stack() as stack:
        assert await stack.firing() == []


async def test_idle_and_at_work():
    async with a_stack() as stack:
        await stack.pass_time(600)
        assert await stack.firing() == []
        for n in range(3):
            await stack.add(await stack.upload(f"file {n}"))
            await stack.pass_time(100)
            assert await stack.firing() == []
        assert len(await stack.names()) == 3
        assert (await stack.look()).observation.living("metadata")[0].measures["commits"] == 3


async def test_down_for_a_day():
    """What was on its way when everything stopped is told once it runs again, without a cry."""
    async with a_stack() as stack:
        await stack.pass_time(600)
        await stack.add(await stack.upload("evening.txt"))
        await stack.pass_time(5)
        for service in SERVICES:
            await stack.stop(service)
        stack.clock.advance(24 * 3_600)
        for service in SERVICES:
            stack.start(service)
        for _ in range(4):
            await stack.pass_time(20)
            assert await stack.firing() == []


async def test_stopped_and_started_again():
    """One more starts, then the old one stops: an upgrade without anyone to notice."""
    async with a_stack() as stack:
        await stack.pass_time(60)
        for service in SERVICES:
            old_stop, old_life = stack._stops[service], stack._lives[service]
            stack.start(service)
            await stack.pass_time(1)
            old_stop.set()
            await stack.pass_time(60)
            await old_life
            assert await stack.firing() == []
        await stack.pass_time(900)
        assert await stack.firing() == []
