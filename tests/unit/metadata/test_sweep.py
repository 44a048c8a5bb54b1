"""The sweep as a whole: whatever died or was lost, everything that landed is committed, seen, published and told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest

from services.metadata.move_sweep import PAUSE_S_MAX
from services.metadata.sweep import GRACE_S_MAX, grace_s
from syncline.domain.commands import MakeFolder
from syncline.domain.errors import Broken, Temporary
from syncline.memory.counting import CountingObjects, CountingTables, Counts
from syncline.memory.faults import FaultPlan, FaultyObjects, FaultyQueues, FaultyTables, FaultyTopic
from syncline.ports.queues import Queue
from syncline.store.directory import LibraryRecord
from tests.unit.metadata.steps import At, Died, stepped_worker
from tests.unit.metadata.sweeping import DIRECT_GRANT, Hearers, a_grant, emptied, heard, moves_of, some_id, sweep
from tests.unit.metadata.world import ALICE, BOB, DESKTOP, GRANT, SWEEP_S, Worker, World, altered

ROUNDS = 4
"""Sent by the first, early ones by the second; pauses between publications double."""
TURNS = 3_000
"""Of the event loop: more than a round takes."""


async def begun() -> World:
    """Bytes of two people, one of them by a plain tool; some committed by the fast road as well."""
    world = await World().begin()
    await a_grant(world)
    await a_grant(world, DIRECT_GRANT, direct=True)
    both = await world.upload("a")
    await world.upload("b", account=BOB, device=DESKTOP)
    direct = await world.permit(b"content", name="c", direct=True)
    await world.put(altered(direct, grant=DIRECT_GRANT, key=direct.key.replace(GRANT, DIRECT_GRANT)), b"content")
    await world.add(both)
    return world


async def all_is_well(world: World) -> None:
    """After some rounds with nobody else's help."""
    worker, hearers = world.worker(), Hearers(world)
    for _ in range(ROUNDS):
        await sweep(world, worker)
        await hearers.listen()
    assert await world.names() == ["a", "b", "c"]
    await world.whole()
    world.clock.advance(PAUSE_S_MAX)
    await sweep(world, worker)
    tree = await world.tree()
    assert await heard(world) == tree.seq
    assert not moves_of(world)
    assert await world.left_on(*Queue) == 0
    for queue in Queue:
        assert await world.set_aside(queue) == []


async def ordinary_work(worker: Worker) -> None:
    await worker.drain()


async def sweeping_work(worker: Worker) -> None:
    await worker.sweep.once()
    await worker.drain()


async def count_steps(work: Callable[[Worker], Awaitable[None]], *, lost: bool) -> int:
    world = await begun()
    if lost:
        await emptied(world)
        world.clock.advance(SWEEP_S)
    plan = At()
    await work(stepped_worker(world, plan))
    return len(plan.steps)


async def test_a_worker_killed_at_any_step_and_all_queues_emptied():
    """The worst that can happen to the ordinary roads: nothing is delivered again, and nobody commits anything more."""
    steps = await count_steps(ordinary_work, lost=False)
    assert steps > 30
    for stop_at in range(1, steps + 1):
        world = await begun()
        with pytest.raises(Died):
            await ordinary_work(stepped_worker(world, At(stop_at)))
        await emptied(world)
        await all_is_well(world)


async def test_a_sweep_killed_at_any_step():
    """Also between any two steps of healing; and then the queues are emptied once more."""
    steps = await count_steps(sweeping_work, lost=True)
    assert steps > 60
    for stop_at in range(1, steps + 1):
        world = await begun()
        await emptied(world)
        world.clock.advance(SWEEP_S)
        with pytest.raises(Died):
            await sweeping_work(stepped_worker(world, At(stop_at)))
        await emptied(world)
        await all_is_well(world)


@pytest.mark.parametrize("seed", range(12))
async def test_everything_fails_now_and_then_and_messages_get_lost(seed: int):
    world = await begun()
    plan = FaultPlan(seed, before=0.05, after=0.05, twice=0.1)
    worker = Worker(
        world,
        tables=FaultyTables(world.tables, plan),
        objects=FaultyObjects(world.objects, plan),
        topic=FaultyTopic(world.topic, plan),
        queues=FaultyQueues(world.queues, plan),
    )
    for n in range(20):
        world.clock.advance(SWEEP_S)
        await worker.sweep.once()
        for queue in worker.consumers:
            with contextlib.suppress(Temporary):  # receiving or settling failed: the consumer's loop goes on as well
                await worker.once(queue)
        if n % 5 == seed % 5:
            await emptied(world)
    assert plan.struck
    await emptied(world)
    world.clock.advance(3_600)
    await all_is_well(world)


async def test_three_workers_sweep_at_once_and_none_knows_of_the_others():
    world = await begun()
    await emptied(world)
    world.clock.advance(SWEEP_S)
    workers = [world.worker() for _ in range(3)]
    await asyncio.gather(*(job.round() for worker in workers for job in worker.sweep._jobs))
    await asyncio.gather(*(worker.drain() for worker in workers))
    await all_is_well(world)


class FailingJob:
    name = "failing"

    def __init__(self, error: Exception) -> None:
        self.rounds = 0
        self._error = error

    async def round(self) -> None:
        self.rounds += 1
        raise self._error


async def test_it_goes_on_by_itself_until_drained(world: World):
    """By the clock alone, with the consumers asleep: what a failed round left, the next one does."""
    await a_grant(world)
    await world.upload("plan.txt")
    await emptied(world)
    worker = world.worker()
    failing = FailingJob(Broken("for a test"))
    worker.sweep._jobs = (failing, *worker.sweep._jobs)
    running = asyncio.ensure_future(worker.sweep.run())
    for _ in range(4):
        for _ in range(TURNS):
            await asyncio.sleep(0)
        world.clock.advance(SWEEP_S)
    assert failing.rounds == 4
    assert await world.left_on(Queue.COMMITS) > 0
    await worker.sweep.drain()
    await asyncio.wait_for(running, 5)
    assert worker.measures.sweep_rounds.labels("failing", "failed")._value.get() == failing.rounds
    assert worker.measures.sweep_rounds.labels("grants", "done")._value.get() >= 4


async def test_a_bug_ends_the_service_and_is_not_passed_over(world: World):
    worker = world.worker()
    worker.sweep._jobs = (FailingJob(ZeroDivisionError("a bug")),)
    with pytest.raises(ZeroDivisionError):
        await worker.sweep.run()


async def test_what_a_round_costs(world: World):
    """The numbers in ARCHITECTURE.md."""
    await sweep(world)
    counts = Counts()
    worker = Worker(world, tables=CountingTables(world.tables, counts), objects=CountingObjects(world.objects, counts))

    async def a_round() -> tuple[int, float, int]:
        counts.reset()
        world.clock.advance(SWEEP_S)
        await worker.sweep.once()
        return counts.requests, counts.read_units, counts.write_units

    requests, reads, writes = await a_round()
    assert (requests, reads, writes) == (55, 48, 7)
    for n in range(10):
        await a_grant(world, some_id(f"grant {n}"))
    # A listing each, and two BatchGetItem for each of the six shards that hold some.
    assert await a_round() == (requests + 10 + 12, reads + 20, writes)
    for n in range(10):
        library = some_id(f"library {n}")
        await world.directory.create_library(LibraryRecord(library, "Busy", 1), ALICE, "inc")
        await world.ask(MakeFolder(world.new_id(), library, "folder"), library=library)
    await world.worker().drain()
    await Hearers(world).listen()
    world.clock.advance(3_600 * 2)  # beyond the grants
    await a_round()
    assert not moves_of(world)
    assert counts.calls["DeleteItem"] >= 10
    again = await a_round()
    assert again[2] == writes
    assert again[0] <= requests + 2, "an hour or two more to look at"


def test_how_old_a_thing_must_be():
    assert [grace_s(interval) for interval in (2, 60, 900)] == [2, 60, GRACE_S_MAX]
