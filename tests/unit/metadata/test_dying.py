"""A worker dies, or is refused service, at any step whatever; what is delivered again heals everything."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from syncline.domain.commands import MakeFolder, Move
from syncline.domain.errors import Temporary
from syncline.ports.queues import Queue
from syncline.ports.tables import Table
from tests.unit.metadata.steps import At, Died, stepped_worker
from tests.unit.metadata.world import LIBRARY, World

HIDDEN_S = 120
"""Longer than a message stays hidden after its worker died, and than the first pauses after an error."""

Beginning = Callable[[World], Awaitable[None]]


async def three_commands(world: World) -> None:
    """Two of them take effect, in one batch: a folder, then two files into it."""
    folder = world.new_id()
    await world.ask(MakeFolder(folder, LIBRARY, "papers"))
    await world.add(await world.upload("a", parent=folder), await world.upload("b", parent=folder))
    await world.ask(Move("x" * 20, 0, LIBRARY, "nothing there"))
    await world.forget(Queue.UPLOADS)


async def three_events(world: World) -> None:
    """Bytes that landed, without a fast road; two devices."""
    await world.upload("a")
    await world.upload("b")
    await world.upload("c", account="b" * 20, device="e" * 20)


async def both_roads(world: World) -> None:
    await world.add(await world.upload("a"), await world.upload("b"))


BEGINNINGS: dict[str, tuple[Beginning, dict[str, list[str]]]] = {
    "commands": (three_commands, {"": ["papers"], "papers": ["a", "b"]}),
    "events": (three_events, {"": ["a", "b", "c"]}),
    "both roads": (both_roads, {"": ["a", "b"]}),
}


async def all_healed(world: World, expected: dict[str, list[str]], begun: int) -> None:
    """Another worker takes over: everything is committed once, in the views, published, and off the queues."""
    for _ in range(8):
        world.clock.advance(HIDDEN_S)
        await world.worker().drain()
    tree = await world.tree()
    for path, names in expected.items():
        folder = tree.find(path)
        assert folder is not None
        assert [node.name for node in tree.children(folder.id)] == names
    await world.whole()
    assert await world.left_on(Queue.UPLOADS, Queue.DIRECT, Queue.COMMITS) == 0
    for queue in (Queue.UPLOADS, Queue.DIRECT, Queue.COMMITS):
        assert await world.set_aside(queue) == []
    assert len(world.rows(Table.OUTCOMES)) >= begun
    published = await world.published()
    assert max(moved.seq for moved in published) == tree.seq


@pytest.mark.parametrize("name", BEGINNINGS)
async def test_dying_at_any_step_loses_and_doubles_nothing(name: str):
    begin, expected = BEGINNINGS[name]
    steps = await count_steps(begin)
    assert len(steps) > 20
    for stop_at in range(1, len(steps) + 1):
        world = await World().begin()
        await begin(world)
        begun = await world.left_on(Queue.COMMITS)
        plan = At(stop_at)
        with pytest.raises(Died):
            await stepped_worker(world, plan).drain()
        await all_healed(world, expected, begun)


@pytest.mark.parametrize("name", BEGINNINGS)
async def test_a_refused_service_at_any_step_loses_and_doubles_nothing(name: str):
    """One call fails for the moment, before or after it took effect, and the same worker goes on."""
    begin, expected = BEGINNINGS[name]
    for stop_at in range(1, len(await count_steps(begin)) + 1):
        world = await World().begin()
        await begin(world)
        begun = await world.left_on(Queue.COMMITS)
        worker = stepped_worker(world, At(stop_at, Temporary))
        for _ in range(6):
            for queue in worker.consumers:
                try:
                    await worker.once(queue)
                except Temporary:
                    continue  # receiving or deleting failed: the consumer's loop goes on as well
            world.clock.advance(HIDDEN_S)
        await all_healed(world, expected, begun)


async def count_steps(begin: Beginning) -> list[str]:
    world = await World().begin()
    await begin(world)
    plan = At()
    await stepped_worker(world, plan).drain()
    return plan.steps


async def test_dying_after_the_append_leaves_work_that_the_next_command_does_too():
    """Even if the first message never came back, whoever commits next brings the views up."""
    world = await World().begin()
    await world.add(await world.upload("a"))

    async def die_before_views(name: str) -> None:
        if name == "before put_many":
            raise Died

    with pytest.raises(Died):
        await stepped_worker(world, die_before_views).once(Queue.COMMITS)
    assert len(await world.commits()) == 1
    assert await world.views.applied(LIBRARY) == 0
    snapshot = await world.trees.at_head(LIBRARY)
    assert [node.name for node in await snapshot.children(LIBRARY)] == ["a"], "readers see it nevertheless"
    world.queues._lines[Queue.COMMITS].waiting.clear()
    await world.add(await world.upload("b"))
    await world.worker().once(Queue.COMMITS)
    await world.whole()
    assert [moved.seq for moved in await world.published()] == [2]
