"""Workers in each other's way: at once on one library, with faults, stopped in the middle and woken late."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from services.metadata.committer import NOT_ALLOWED
from syncline.domain.commands import AddVersion, Command, MakeFolder, Move, Remove, Request
from syncline.domain.errors import ConditionFailed, Temporary
from syncline.domain.rights import Role
from syncline.messages import commit_changes
from syncline.messages.commit_changes import CommitChanges
from syncline.ports.queues import Message, Queue
from syncline.ports.tables import Table
from syncline.serving.consumer import Batch
from tests.unit.metadata.steps import Step, stepped_worker
from tests.unit.metadata.world import (
    ALICE,
    BOB,
    DESKTOP,
    LAPTOP,
    LIBRARY,
    Worker,
    World,
    in_order,
)

TRIES_MAX = 200


def batch_of(*commands: Command) -> Batch:
    """Received messages, as a queue that keeps no order would hand them out."""
    return Batch(
        [Message(commit_changes.encode(CommitChanges(command)), command.id, LIBRARY, 1, 0) for command in commands]
    )


async def until_done(worker: Worker, batch: Batch) -> None:
    """As a queue delivers again what a worker did not finish."""
    for _ in range(TRIES_MAX):
        try:
            await worker.committer.handle(batch)
            return
        except (Temporary, ConditionFailed):
            batch = Batch([message for message in batch.messages if message not in batch.finished])
    raise AssertionError("never done")


def hesitation(random: Random, faults: float) -> Step:
    """Every call takes its time; some fail before or after their effect."""

    async def step(name: str) -> None:
        for _ in range(random.choice((0, 0, 0, 1, 3, 20))):
            await asyncio.sleep(0)
        if random.random() < faults:
            raise Temporary(f"{name} was refused")

    return step


async def a_library(world: World, random: Random, files: int = 4) -> list[Request]:
    """Some files and folders, and requests about them that get in each other's way."""
    folders = [world.new_id() for _ in range(3)]
    await world.ask(*(MakeFolder(folder, LIBRARY, f"folder {n}") for n, folder in enumerate(folders)))
    permits = [await world.upload(f"file {n}", f"{n}".encode()) for n in range(files)]
    await world.add(*permits)
    await world.worker().once(Queue.COMMITS)
    requests: list[Request] = []
    for _ in range(24):
        permit, folder = random.choice(permits), random.choice(folders)
        kind = random.choice(("edit", "edit", "new", "move", "remove", "folder"))
        if kind == "edit":
            content = random.choice([b"one", b"two", world.new_id().encode()])
            who = random.choice([{}, {"account": BOB, "device": DESKTOP}])
            requests.append(AddVersion(await world.upload("", content, node=permit.node, base=permit.id, **who)))
        elif kind == "new":
            requests.append(AddVersion(await world.upload(random.choice("xy"), world.new_id().encode(), parent=folder)))
        elif kind == "move":
            requests.append(Move(permit.node, 2, folder, random.choice("xyz")))
        elif kind == "remove":
            requests.append(Remove(random.choice([permit.node, folder]), 2, random.random() < 0.5))
        else:
            requests.append(MakeFolder(world.new_id(), LIBRARY, random.choice("xyz")))
    return requests


@pytest.mark.parametrize("faults", [0.0, 0.02, 0.1])
@pytest.mark.parametrize("seed", range(8))
async def test_workers_at_once_on_one_library_lose_and_double_nothing(seed: int, faults: float):
    random = Random(seed)
    world = await World().begin()
    requests = await a_library(world, random)
    head = await world.journal.head(LIBRARY)
    assert head is not None
    commands = []
    for start in range(0, len(requests), 2):
        account, device = random.choice([(ALICE, LAPTOP), (BOB, DESKTOP)])
        some = tuple(requests[start : start + 2])
        commands.append(Command(world.new_id(), LIBRARY, account, device, 100 + start, head.epoch, some))
    workers = [stepped_worker(world, hesitation(random, faults)) for _ in range(3)]
    # Each command reaches two of the workers: a message whose time ran out is with both.
    jobs = [(worker, command) for command in commands for worker in random.sample(workers, 2)]
    random.shuffle(jobs)
    batches = [(worker, [c for w, c in jobs if w is worker]) for worker in workers]
    await asyncio.gather(
        *(
            until_done(worker, batch_of(*commands[start : start + 3]))
            for worker, commands in batches
            for start in range(0, len(commands), 3)
        )
    )
    commits = await world.commits()
    assert in_order(commits)
    assert len({commit.command for commit in commits}) == len(commits), "one commit for each command at most"
    for command in commands:
        outcome = await world.outcome(command)
        made = [commit.seq for commit in commits if commit.command == command.id]
        assert made in ([], [outcome.seq])
        assert len(outcome.results) == len(command.requests)
    await world.whole()
    tree = await world.tree()
    for request in requests:
        if isinstance(request, AddVersion):
            assert tree.version(request.permit.id) is not None, "bytes that landed are a version somewhere"
    published = await world.published()
    assert max(moved.seq for moved in published) == tree.seq


class Gate:
    """Holds up every call of one name until it is opened; tells when somebody stands before it."""

    def __init__(self, name: str, skip: int = 0) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()
        self._name = name
        self._skip = skip

    async def __call__(self, name: str) -> None:
        if name == self._name and not self.opened.is_set():
            self._skip -= 1
            if self._skip < 0:
                self.reached.set()
                await self.opened.wait()


@pytest.mark.parametrize("held_up_at", ["before put_many", "after put_many", "before write", "before publish"])
async def test_a_worker_woken_after_others_went_on_changes_nothing(world: World, held_up_at: str):
    """Stopped in the middle of writing views, it goes on when the same files have been changed, moved and removed."""
    folder = world.new_id()
    first = await world.upload("plan", b"one")
    await world.ask(MakeFolder(folder, LIBRARY, "papers"), AddVersion(first))
    gate = Gate(held_up_at)
    sleeper = stepped_worker(world, gate)
    sleeping = asyncio.ensure_future(sleeper.once(Queue.COMMITS))
    await gate.reached.wait()

    world.clock.advance(120)  # its message comes again, to another worker
    other = world.worker()
    await other.once(Queue.COMMITS)
    await world.add(await world.upload("", b"two", node=first.node, base=first.id))
    await world.ask(Move(first.node, 9, folder, "plan 2"))
    taker = await world.upload("plan", b"another in its old place")
    await world.add(taker)
    await world.ask(Remove(first.node, 9, False))
    await other.drain()
    before, head = world.rows(Table.VIEWS), await world.journal.head(LIBRARY)
    await world.whole()
    published = len(await world.published())
    assert published > 0

    gate.opened.set()
    await sleeping
    assert world.rows(Table.VIEWS) == before, "byte for byte"
    assert await world.journal.head(LIBRARY) == head
    assert await world.views.applied(LIBRARY) == head.seq if head else 0
    await world.whole()


async def test_half_written_views_are_not_read(world: World):
    """Rows of a commit that is not applied are there for all to see, and nobody looks at them."""
    await world.add(await world.upload("plan", b"one"))
    worker = world.worker()
    await worker.once(Queue.COMMITS)
    [permit] = [commit.changes[0].node for commit in await world.commits()]
    await world.ask(Move(permit.id, 1, LIBRARY, "moved"))
    gate = Gate("before write")
    sleeping = asyncio.ensure_future(stepped_worker(world, gate).once(Queue.COMMITS))
    await gate.reached.wait()
    assert await world.views.applied(LIBRARY) == 1
    old = await world.views.children(LIBRARY, LIBRARY, 1)
    assert [node.name for node in old] == ["plan"]
    snapshot = await world.trees.at_head(LIBRARY)
    assert [node.name for node in await snapshot.children(LIBRARY)] == ["moved"]
    gate.opened.set()
    await sleeping
    await world.whole()


async def test_rights_lost_between_the_look_and_the_append_are_lost(world: World):
    """The members change in the very moment before the append: it fails, and the committer looks again."""
    permit = await world.upload("plan", account=BOB, device=DESKTOP)
    command = await world.add(permit, account=BOB, device=DESKTOP)
    gate = Gate("before transact")
    committing = asyncio.ensure_future(stepped_worker(world, gate).once(Queue.COMMITS))
    await gate.reached.wait()
    await world.directory.set_member(LIBRARY, BOB, Role.VIEWER)
    gate.opened.set()
    await committing
    assert (await world.outcome(command)).refused == NOT_ALLOWED
    assert await world.commits() == []


async def test_the_outcome_of_another_worker_is_the_answer(world: World):
    """Two workers hold the same message; the slower one finds, at its append, that it is answered."""
    command = await world.add(await world.upload("plan"))
    gate = Gate("before transact")
    committing = asyncio.ensure_future(stepped_worker(world, gate).once(Queue.COMMITS))
    await gate.reached.wait()
    world.clock.advance(120)
    await world.worker().once(Queue.COMMITS)
    first = await world.outcome(command)
    gate.opened.set()
    await committing
    assert await world.left_on(Queue.COMMITS) == 0
    assert await world.outcome(command) == first
    assert len(await world.commits()) == 1
    await world.whole()
