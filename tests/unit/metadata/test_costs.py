"""What a commit costs in AWS calls and units: the numbers in ARCHITECTURE.md; they do not grow with the library.

Run ``python -m tests.unit.metadata.test_costs`` to print them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from syncline.domain.commands import AddVersion, Command, MakeFolder, Move, Remove
from syncline.memory.counting import CountingObjects, CountingQueues, CountingTables, Counts
from syncline.memory.objects import created_event
from syncline.ports.queues import Queue
from tests.unit.metadata.world import LIBRARY, Worker, World, statuses


class CountingTopic:
    def __init__(self, world: World, counts: Counts) -> None:
        self._topic = world.topic
        self._counts = counts

    async def publish(self, body: bytes) -> None:
        self._counts.call("Publish")
        await self._topic.publish(body)


@dataclass
class Cost:
    """``calls`` and units of one piece of work, with ``others`` in the library already."""

    world: World
    worker: Worker
    counts: Counts
    folder: str
    permits: list[str]

    async def of(self, work: Callable[[], Awaitable[object]], queue: Queue = Queue.COMMITS) -> Counts:
        """What the worker uses to do what ``work`` asks for."""
        await work()
        if queue is Queue.COMMITS:
            await self.world.forget(Queue.UPLOADS)
        self.counts.reset()
        assert await self.worker.once(queue) > 0
        await asyncio.sleep(0)
        return self.counts


async def a_library(others: int, *, cold: bool = False) -> Cost:
    """A library with a folder of ``others`` files, and a worker that has committed in it (unless ``cold``)."""
    world = await World().begin()
    folder = world.new_id()
    await world.ask(MakeFolder(folder, LIBRARY, "old"))
    permits = []
    for start in range(0, others, 200):
        permits += [await world.upload(f"old {n}", parent=folder) for n in range(start, min(start + 200, others))]
        await world.add(*permits[start:])
    await world.worker().drain()
    counts = Counts()
    worker = Worker(
        world,
        tables=CountingTables(world.tables, counts),
        objects=CountingObjects(world.objects, counts),
        queues=CountingQueues(world.queues, counts),
        topic=CountingTopic(world, counts),
    )
    if not cold:
        await world.add(await world.upload("warm"))
        await worker.drain()
    return Cost(world, worker, counts, folder, [permit.node for permit in permits])


async def new_files(cost: Cost, files: int, *, parent: str = "") -> Counts:
    """New files, put into a new folder unless ``parent`` says which."""
    world = cost.world

    asked: list[Command] = []

    async def ask() -> None:
        folder = parent or world.new_id()
        permits = []
        for n in range(files):
            permit = await world.permit(b"content", name=f"new file {n}.txt", parent=folder)
            await world.put(permit, b"content")
            permits.append(permit)
        made = [] if parent else [MakeFolder(folder, LIBRARY, "new")]
        asked.append(await world.ask(*made, *map(AddVersion, permits)))

    counts = await cost.of(ask)
    assert set(statuses(await world.outcome(asked[0]))) == {"applied"}
    await world.whole()
    return counts


async def updates(cost: Cost, files: int) -> Counts:
    world = cost.world

    async def ask() -> None:
        tree = await world.tree()
        permits = []
        for node_id in cost.permits[:files]:
            node = tree.node(node_id)
            assert node is not None
            assert node.version is not None
            permits.append(await world.permit(b"newer", node=node_id, base=node.version.id))
        for permit in permits:
            await world.put(permit, b"newer")
        await world.add(*permits)

    counts = await cost.of(ask)
    await world.whole()
    return counts


async def folder_move(cost: Cost) -> Counts:
    head = await cost.world.journal.head(LIBRARY)
    assert head is not None
    counts = await cost.of(lambda: cost.world.ask(Move(cost.folder, head.seq, LIBRARY, "moved")))
    assert "moved" in await cost.world.names()
    return counts


async def folder_removal(cost: Cost) -> Counts:
    head = await cost.world.journal.head(LIBRARY)
    assert head is not None
    counts = await cost.of(lambda: cost.world.ask(Remove(cost.folder, head.seq, True)))
    assert "old" not in await cost.world.names()
    return counts


async def known_events(cost: Cost, events: int) -> Counts:
    """Events of what the fast road has committed."""
    world = cost.world

    async def announce() -> None:
        tree = await world.tree()
        for node_id in cost.permits[:events]:
            node = tree.node(node_id)
            assert node is not None
            assert node.version is not None
            info = await world.objects.head(node.version.location.key)
            await world.queues.send(Queue.UPLOADS, created_event(info, sequencer=1))

    return await cost.of(announce, Queue.UPLOADS)


TABLE: dict[str, Callable[[int], Awaitable[Counts]]] = {}


def row(name: str) -> Callable[[Callable[[int], Awaitable[Counts]]], Callable[[int], Awaitable[Counts]]]:
    def add(measure: Callable[[int], Awaitable[Counts]]) -> Callable[[int], Awaitable[Counts]]:
        TABLE[name] = measure
        return measure

    return add


@row("1 new file, into a folder with others")
async def one_file(others: int) -> Counts:
    cost = await a_library(others)
    return await new_files(cost, 1, parent=cost.folder)


@row("1 new file, by a worker that knows nothing yet")
async def one_file_cold(others: int) -> Counts:
    cost = await a_library(others, cold=True)
    return await new_files(cost, 1, parent=cost.folder)


@row("a new version of 1 file")
async def one_update(others: int) -> Counts:
    return await updates(await a_library(others), 1)


@row("a new folder with 100 new files, one command")
async def hundred_files(others: int) -> Counts:
    return await new_files(await a_library(others), 100)


@row("a new folder with 999 new files, one command")
async def thousand_files(others: int) -> Counts:
    return await new_files(await a_library(others), 999)


@row("moving a folder with others in it")
async def moving(others: int) -> Counts:
    return await folder_move(await a_library(others))


@row("removing a folder with others in it")
async def removing(others: int) -> Counts:
    return await folder_removal(await a_library(others))


@row("10 S3 events of files that the fast road committed")
async def events(others: int) -> Counts:
    return await known_events(await a_library(others), 10)


BOUNDS = {
    # name: (calls, read units, write units)
    "1 new file, into a folder with others": (13, 7, 12),
    "1 new file, by a worker that knows nothing yet": (15, 9, 12),
    "a new version of 1 file": (14, 9, 12),
    "a new folder with 100 new files, one command": (125, 206, 330),
    "a new folder with 999 new files, one command": (1_150, 2_010, 3_200),
    "moving a folder with others in it": (11, 6, 12),
    "removing a folder with others in it": (10, 5, 12),
    "10 S3 events of files that the fast road committed": (3, 10, 0),
}
"""The table in ARCHITECTURE.md, rounded up."""
FEW, MANY = 20, 300


@pytest.mark.parametrize("name", TABLE)
async def test_the_price_is_what_is_written_and_does_not_grow_with_the_library(name: str):
    few, many = await TABLE[name](FEW), await TABLE[name](MANY)
    for counts in (few, many):
        used = (counts.requests, counts.read_units, counts.write_units)
        assert all(value <= bound for value, bound in zip(used, BOUNDS[name], strict=True)), counts
    assert few.calls == many.calls


async def main() -> None:
    print("| work | calls | read units | write units |\n|---|---|---|---|")
    for name, measure in TABLE.items():
        counts = await measure(MANY)
        print(f"| {name} | {counts.requests} | {counts.read_units:g} | {counts.write_units} |", dict(counts.calls))


if __name__ == "__main__":
    asyncio.run(main())
