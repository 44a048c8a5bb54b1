"""Retention: what is given up, when, and that bytes go only when nothing names them."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import Phase, given, settings, strategies as st
from msgspec.structs import replace

from services.metadata.giving_up import FREE_AFTER_S, LOOK_AGAIN_MS, GivingUp
from syncline.domain.commands import AddVersion, CopyVersion, MakeFolder, Purge, Remove, Request
from syncline.domain.errors import NotFound
from syncline.domain.facts import is_live
from syncline.domain.nodes import Kind, Location, Node
from syncline.domain.tree import Tree
from syncline.ports.queues import Queue
from syncline.store.purging import VERSIONS_AT_ONCE, given_up, kept_versions
from syncline.store.retentions import Retentions, Rules
from syncline.store.trash import Trash
from tests.unit.metadata.world import ALICE, BOB, LIBRARY, Worker, World

DAY_S = 86_400
ROUNDS_MAX = 50


class Library:
    """A library whose worker gives up, and somebody who edits, copies, removes and restores in it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.worker = Worker(world)
        self.retentions = Retentions(world.tables)
        self.job = GivingUp(world.tables, world.objects, world.queues, world.clock, self.worker.measures)

    async def write(self, name: str, content: bytes = b"content") -> Node:
        permit = await self.world.permit(content, name=name)
        await self.world.put(permit, content)
        await self.do(AddVersion(permit))
        return await self.node(permit.node)

    async def edit(self, node: Node, content: bytes) -> Node:
        assert node.version is not None
        permit = await self.world.permit(content, node=node.id, base=node.version.id)
        await self.world.put(permit, content)
        await self.do(AddVersion(permit))
        return await self.node(node.id)

    async def copy(self, version: str, *, name: str = "", node: Node | None = None) -> str:
        """A new file ``name``, or a version of ``node`` (restoring it); answers the result's status."""
        record = (await self.tree()).version(version)
        assert record is not None
        assert record.version is not None
        source = record.version
        base = node.version.id if node is not None and node.version is not None else ""
        request = CopyVersion(
            self.world.new_id(), version, node.id if node else self.world.new_id(), node is None, LIBRARY, name, base,
            source.size_bytes, source.checksum, 1, False,
        )  # fmt: skip
        return await self.do(request)

    async def remove(self, node: Node, *, held_all: bool = False) -> str:
        return await self.do(Remove(node.id, (await self.tree()).seq, held_all))

    async def do(self, request: Request) -> str:
        command = await self.world.ask(request)
        await self.worker.drain()
        return (await self.world.outcome(command)).results[0].status.value

    async def give_up(self) -> None:
        """Rounds until there is nothing to do; the commits they ask for are made."""
        for _ in range(ROUNDS_MAX):
            await self.job.round()
            if not await self.worker.once(Queue.COMMITS):
                return
        raise AssertionError("giving up never ends")

    async def rules(self, **rules: int | bool) -> None:
        await self.retentions.set_rules(LIBRARY, Rules(**rules))  # type: ignore[arg-type]

    async def later(self, days: float) -> None:
        self.world.clock.advance(days * DAY_S)

    async def tree(self) -> Tree:
        return await self.world.tree()

    async def node(self, node_id: str) -> Node:
        node = (await self.tree()).node(node_id)
        assert node is not None
        return node

    async def has(self, location: Location) -> bool:
        try:
            await self.world.objects.head(location.key, location.s3_version)
        except NotFound:
            return False
        return True

    async def trash(self) -> list[str]:
        snapshot = await self.world.trees.at_head(LIBRARY)
        return [one.node.name for one in (await Trash(self.world.tables).page(snapshot, "", 100)).removals]


@pytest.fixture
async def library() -> Library:
    return Library(await World().begin())


def place(node: Node) -> Location:
    assert node.version is not None
    return node.version.location


def version(node: Node) -> str:
    assert node.version is not None
    return node.version.id


async def test_superseded_versions_go_after_their_days_and_their_bytes_after_the_grace(library: Library) -> None:
    first = await library.write("plan", b"one")
    second = await library.edit(first, b"two")
    await library.rules(versions_days=10)
    await library.give_up()
    await library.later(9)
    third = await library.edit(second, b"three")
    await library.give_up()
    assert not (await library.tree()).is_purged(version(first))
    await library.later(2)
    await library.give_up()
    tree = await library.tree()
    assert [tree.is_purged(version(node)) for node in (first, second, third)] == [True, False, False]
    assert await library.copy(version(first), name="again") == "refused"
    await library.later(FREE_AFTER_S / DAY_S - 1)
    await library.give_up()
    assert await library.has(place(first))
    await library.later(2)
    await library.give_up()
    assert [await library.has(place(node)) for node in (first, second, third)] == [False, True, True]
    await library.world.whole()


async def test_only_so_many_versions_are_kept_and_the_current_one_always(library: Library) -> None:
    nodes = [await library.write("plan", b"0")]
    for n in range(1, 6):
        nodes.append(await library.edit(nodes[-1], b"%d" % n))
    await library.rules(versions_max=2)
    await library.give_up()
    tree = await library.tree()
    assert [tree.is_purged(version(node)) for node in nodes] == [True] * 4 + [False] * 2
    nodes.append(await library.edit(nodes[-1], b"6"))
    await library.later(LOOK_AGAIN_MS / 1_000 / DAY_S)
    await library.give_up()
    tree = await library.tree()
    assert [tree.is_purged(version(node)) for node in nodes] == [True] * 5 + [False] * 2


async def test_what_was_removed_goes_with_all_that_was_in_it_and_leaves_the_trash(library: Library) -> None:
    world = library.world
    folder = world.new_id()
    await library.do(MakeFolder(folder, LIBRARY, "docs"))
    permits = [await world.upload(f"file {n}", b"%d" % n, parent=folder) for n in range(3)]
    await world.add(*permits)
    await library.worker.drain()
    kept = await library.write("kept", b"kept")
    saved = await library.node(permits[0].node)
    assert await library.copy(version(saved), name="saved") == "applied"
    await library.remove(await library.node(folder), held_all=True)
    await library.rules(trash_days=7)
    await library.give_up()
    assert await library.trash() == ["docs"]
    await library.later(8)
    await library.give_up()
    tree = await library.tree()
    assert [tree.is_purged(permit.id) for permit in permits] == [True] * 3
    assert not tree.is_purged(version(kept))
    assert await library.trash() == []
    await library.later(FREE_AFTER_S / DAY_S + 1)
    await library.give_up()
    nodes = [await library.node(permit.node) for permit in permits]
    # The first one's bytes are those of a live copy.
    assert [await library.has(place(node)) for node in nodes] == [True, False, False]
    await world.whole()


async def test_a_legal_hold_keeps_everything_and_its_end_lets_all_go_on(library: Library) -> None:
    first = await library.write("plan", b"one")
    second = await library.edit(first, b"two")
    await library.rules(versions_days=1, trash_days=1)
    await library.later(2)
    await library.give_up()
    assert (await library.tree()).is_purged(version(first))
    await library.remove(second)
    await library.rules(versions_days=1, trash_days=1, hold=True)
    await library.later(FREE_AFTER_S / DAY_S + 10)
    await library.give_up()
    assert await library.has(place(first)), "under a hold bytes stay, even those of what was given up before"
    assert not (await library.tree()).is_purged(version(second))
    await library.rules(versions_days=1, trash_days=1)
    await library.give_up()
    assert not await library.has(place(first))
    assert (await library.tree()).is_purged(version(second))


async def test_what_was_restored_in_time_is_kept(library: Library) -> None:
    node = await library.write("plan", b"one")
    await library.remove(node)
    await library.rules(trash_days=7)
    await library.later(6)
    assert await library.copy(version(node), node=node) == "applied"
    await library.later(2)
    await library.give_up()
    assert not (await library.tree()).is_purged(version(node))
    await library.remove(await library.node(node.id))
    await library.later(6)
    await library.give_up()
    assert await library.trash() == ["plan"], "a removal counts from itself"


async def test_a_lost_command_is_asked_for_again(library: Library) -> None:
    first = await library.write("plan", b"one")
    await library.edit(first, b"two")
    await library.rules(versions_days=1)
    await library.later(2)
    await library.job.round()
    await library.world.forget(Queue.COMMITS)
    await library.later(0.01)
    await library.give_up()
    assert (await library.tree()).is_purged(version(first))


async def test_what_an_owner_asks_for_is_judged_once_more(library: Library) -> None:
    world = library.world
    node = await library.write("plan", b"one")
    await library.remove(node)
    node = await library.node(node.id)
    request = Purge(node.id, (version(node),), node.seq)

    async def asked(account: str, epoch: int) -> str:
        command = await world.ask(request, account=account, epoch=epoch)
        await library.worker.drain()
        return (await world.outcome(command)).refused

    head = await world.journal.head(LIBRARY)
    assert head is not None
    assert await asked(BOB, head.epoch - 1) == "not-allowed", "an editor by now"
    await library.rules(hold=True)
    assert await asked(ALICE, head.epoch) == "under-hold"
    assert not (await library.tree()).is_purged(version(node))
    await library.rules()
    assert await asked(ALICE, head.epoch - 1) == ""
    assert (await library.tree()).is_purged(version(node))


async def test_what_was_given_up_by_hand_is_freed_without_rules(library: Library) -> None:
    node = await library.write("plan", b"one")
    await library.remove(node)
    node = await library.node(node.id)
    await library.retentions.watch(LIBRARY)
    await library.do(Purge(node.id, (version(node),), node.seq))
    await library.give_up()
    assert await library.has(place(node))
    await library.later(FREE_AFTER_S / DAY_S + 1)
    await library.give_up()
    assert not await library.has(place(node))


async def test_a_long_history_goes_oldest_first_and_the_last_content_with_the_removal(library: Library) -> None:
    first = await library.write("plan", b"0")
    node = first
    for n in range(1, 4):
        node = await library.edit(node, b"%d" % n)
    snapshot = await library.world.trees.at_head(LIBRARY)
    given = given_up(node, await kept_versions(snapshot, node), removed_seq=9)
    assert [one.version for one in (first, node)] == [given.versions[0], given.versions[-1]]
    assert [request.removed_seq for request in given.requests] == [9]
    many = [replace(given.versions[0], id=f"{n:020}") for n in range(VERSIONS_AT_ONCE)]
    parts = given_up(node, [given.versions[-1], *many], removed_seq=9).requests
    assert [(len(part.versions), part.removed_seq) for part in parts] == [(VERSIONS_AT_ONCE, 0), (1, 9)]


@settings(max_examples=40, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(seed=st.integers(0, 2**32))
async def test_bytes_live_exactly_as_long_as_something_names_them(seed: int) -> None:
    random = Random(seed)
    library = Library(await World().begin())
    rules = {
        "versions_days": random.choice((0, 3)),
        "versions_max": random.choice((0, 2)),
        "trash_days": random.choice((0, 5)),
    }
    await library.rules(**rules)
    for step in range(30):
        await wander(random, library, step)
        await library.later(random.choice((0, 0.5, 2, FREE_AFTER_S / DAY_S / 2)))
        if random.random() < 0.5:
            await library.give_up()
        await nothing_named_is_gone(library, seed)
    hold = random.random() < 0.3
    await library.rules(**rules, hold=hold)
    before = sum(len(versions) for versions in library.world.objects._versions.values())
    for _ in range(2):
        await library.later(FREE_AFTER_S / DAY_S + 10)
        await library.give_up()
    await nothing_named_is_gone(library, seed)
    after = sum(len(versions) for versions in library.world.objects._versions.values())
    if hold:
        assert after == before, f"seed {seed}: something went under a hold"
    else:
        await nothing_unnamed_is_left(library, seed)
        await everything_due_was_given_up(library, rules, seed)
    await library.world.whole()


async def wander(random: Random, library: Library, step: int) -> None:
    tree = await library.tree()
    ids = {change.node.id for commit in await library.world.commits() for change in commit.changes}
    files = [node for node in map(tree.node, sorted(ids)) if node is not None and node.kind is Kind.FILE]
    live = [node for node in files if is_live(tree, node)]
    what = random.choice(("write", "edit", "edit", "copy", "remove", "restore"))
    if what == "write" or not files:
        await library.write(f"file {step}", b"%d" % step)
    elif what == "edit" and live:
        await library.edit(random.choice(live), b"%d" % step)
    elif what == "remove" and live:
        await library.remove(random.choice(live))
    else:
        source = random.choice(sorted(tree._versions))
        record = tree.version(source)
        assert record is not None
        into = await library.node(record.node) if what == "restore" else None
        status = await library.copy(source, name=f"copy {step}", node=into)
        assert (status == "refused") == tree.is_purged(source)


async def nothing_named_is_gone(library: Library, seed: int) -> None:
    tree = await library.tree()
    for version_id, record in tree._versions.items():
        if record.version is not None and not tree.is_purged(version_id):
            assert await library.has(record.version.location), f"seed {seed}: {version_id} lost its bytes"
    for node in tree.live_nodes():
        assert node.version is None or not tree.is_purged(node.version.id)


async def nothing_unnamed_is_left(library: Library, seed: int) -> None:
    tree = await library.tree()
    records = tree._versions.items()
    named = {
        (record.version.location.key, record.version.location.s3_version)
        for version_id, record in records
        if record.version is not None and not tree.is_purged(version_id)
    }
    stored = {(key, info.s3_version) for key, all_ in library.world.objects._versions.items() for info, _ in all_}
    assert {one for one in stored if one[0].startswith("objects/")} == named, f"seed {seed}"


async def everything_due_was_given_up(library: Library, rules: dict[str, int], seed: int) -> None:
    tree = await library.tree()
    by_node: dict[str, list[str]] = {}
    for version_id, record in tree._versions.items():
        if record.version is not None and not tree.is_purged(version_id):
            by_node.setdefault(record.node, []).append(version_id)
    for node_id, versions in by_node.items():
        node = tree.node(node_id)
        assert node is not None
        if rules["versions_days"]:
            assert versions == [version(node)], f"seed {seed}"
        if rules["versions_max"]:
            assert len(versions) <= rules["versions_max"], f"seed {seed}"
        if rules["trash_days"]:
            assert is_live(tree, node), f"seed {seed}"
