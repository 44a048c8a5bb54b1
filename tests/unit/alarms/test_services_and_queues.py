"""Alarms about instances, queues and requests: each goes off by its cause, and is quiet again once that is mended."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from syncline.domain.alarms import QUEUE_AGE_S_MAX
from syncline.domain.figures import CONSUMED, PULSE_S, SERVICES, WINDOW_S
from syncline.domain.health import STALE_S
from syncline.messages import library_moved, send_letter
from syncline.messages.library_moved import LibraryMoved
from syncline.messages.send_letter import SendLetter
from syncline.ports.queues import Queue, receives_max
from tests.unit.alarms.world import Stack, a_stack, goes_off
from tests.unit.metadata.world import LIBRARY

QUEUES = [(queue, service) for service, queues in CONSUMED.items() for queue in queues]


@pytest.mark.parametrize("service", SERVICES)
@goes_off("service-gone")
async def test_the_only_instance_of_a_service_is_killed(service: str):
    async with a_stack() as stack:
        await stack.kill(service)
        await stack.pass_time(STALE_S + PULSE_S)
        assert await stack.firing() == [f"service-gone-{service}", f"instance-lost-{service}"]
        stack.start(service)
        await stack.pass_time(WINDOW_S)
        assert await stack.firing() == []


@goes_off("service-gone")
async def test_a_service_is_stopped_and_nothing_takes_its_place():
    async with a_stack() as stack:
        await stack.stop("syncer")
        assert await stack.firing() == ["service-gone-syncer"]


@goes_off("instance-lost")
async def test_one_of_two_instances_is_killed_and_the_other_goes_on():
    async with a_stack() as stack:
        other = stack._lives["notifier"]
        stack.start("notifier")
        await stack.pass_time(1)
        stack._lives["other notifier"], stack._stops["other notifier"] = other, asyncio.Event()
        await stack.kill("notifier")
        # They share their tables, which come back for the other one.
        stack.mends("tables of notifier")
        del stack._lives["notifier"]
        await stack.pass_time(STALE_S + PULSE_S)
        assert await stack.firing() == ["instance-lost-notifier"]


async def a_message(stack: Stack, queue: str) -> None:
    """One that its consumer can handle."""
    moved = library_moved.encode(LibraryMoved(LIBRARY, 0, "inc"))
    notice = SendLetter("l" * 20, "password-changed", "bob@example.org", {}, "", stack.clock.now_ms() // 1000 + 10**6)
    says: dict[str, Callable[[], Awaitable[object]]] = {
        "sync": lambda: stack.queues.send(Queue.SYNC, moved),
        "notify": lambda: stack.queues.send(Queue.NOTIFY, moved),
        "letters": lambda: stack.queues.send(Queue.LETTERS, send_letter.encode(notice)),
        "bounces": lambda: stack.queues.send(Queue.BOUNCES, json.dumps({"eventType": "Delivery"}).encode()),
        "uploads": lambda: stack.upload("late.txt"),
    }
    if queue in says:
        await says[queue]()
        return
    permit = await stack.permit(b"content", name="late.txt", direct=queue == "direct")
    await stack.put(permit, b"content")
    if queue == "commits":
        await stack.forget(Queue.UPLOADS)
        await stack.add(permit)


@pytest.mark.parametrize(("queue", "service"), QUEUES)
@goes_off("queue-old")
async def test_messages_that_nobody_took_for_too_long(queue: str, service: str):
    """While the service is away only its absence is known; once it is back, how far it is behind."""
    async with a_stack() as stack:
        await stack.stop(service)
        await a_message(stack, queue)
        await stack.pass_time(QUEUE_AGE_S_MAX[queue] + 1)
        assert f"service-gone-{service}" in await stack.firing()
        stack.start(service)
        told = []
        for _ in range(3):
            await stack.pass_time(PULSE_S / 2)
            told += await stack.firing()
        assert set(told) == {f"queue-old-{queue}"}
        await stack.pass_time(PULSE_S)
        assert await stack.firing() == []


@goes_off("queue-old")
async def test_a_message_that_fails_again_and_again():
    """The topic is away: commits are appended, and their messages stay until everyone can be told."""
    async with a_stack() as stack:
        stack.breaks("topic")
        await stack.add(await stack.upload("plan.txt"))
        await stack.pass_time(QUEUE_AGE_S_MAX["commits"] + PULSE_S + 1)
        assert "queue-old-commits" in await stack.firing()
        stack.mends("topic")
        await stack.pass_time(200)
        assert await stack.firing() == []


@pytest.mark.parametrize(("queue", "service"), QUEUES)
@goes_off("dead-letters")
async def test_garbage_on_a_queue(queue: str, service: str):
    async with a_stack() as stack:
        order = {"group": LIBRARY, "dedup": "garbage"} if queue == "commits" else {}
        await stack.queues.send(Queue(queue), b"garbage", **order)
        await stack.pass_time(1)
        assert await stack.firing() == [f"dead-letters-{queue}"]
        await stack.queues.discard_dead(Queue(queue))
        assert await stack.firing() == []


@goes_off("dead-letters")
async def test_a_message_received_too_often():
    async with a_stack() as stack:
        await stack.stop("syncer")
        await a_message(stack, "sync")
        for _ in range(receives_max(Queue.SYNC) + 1):
            await stack.queues.receive(Queue.SYNC, wait_s=0)
            stack.clock.advance(61)
        assert "dead-letters-sync" in await stack.firing()


@pytest.mark.parametrize("service", ["gateway", "syncer"])
@goes_off("errors")
async def test_requests_that_fail_while_the_tables_are_away(service: str):
    async with a_stack() as stack:
        assert set(await stack.get_often(service, 60)) == {200}
        await stack.pass_time(PULSE_S)
        assert await stack.firing() == []
        stack.breaks(f"tables of {service}")
        assert set(await stack.get_often(service, 60)) == {503}
        stack.mends(f"tables of {service}")
        await stack.pass_time(PULSE_S)
        assert await stack.firing() == [f"errors-{service}"]
        await stack.pass_time(WINDOW_S)
        assert await stack.firing() == []


@goes_off("slow")
@goes_off("commits-slow")
async def test_tables_and_objects_that_take_their_time():
    """Seconds of these are real: times of work are measured by a clock that nobody sets."""
    async with a_stack() as stack:
        for port, seconds in (("tables of gateway", 5.2), ("tables of syncer", 5.2), ("objects", 10.2)):
            stack.plan(port).delay_s = seconds
        await stack.add(await stack.upload("slow.txt"))
        asked = await asyncio.gather(*(stack.get_often(service, 60) for service in ("gateway", "syncer")))
        for port in ("tables of gateway", "tables of syncer", "objects"):
            stack.plan(port).delay_s = 0
        assert {*asked[0], *asked[1]} == {200}
        await stack.pass_time(PULSE_S)
        assert await stack.firing() == ["slow-gateway", "slow-syncer", "commits-slow"]
