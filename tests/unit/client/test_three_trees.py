"""The planner over triples of trees: two people turn one random tree into two others, and then there is one again.

What is random is the trees, not only how they come about: folders change places, go into each other and into what
was below them, inodes are used again. ``shapes.py`` makes them; ``model.py`` carries plans out.
"""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from syncline.client.operations import MakeHere, MoveHere, Plan, RemoveHere, SendMove, SendRemove
from tests.unit.client.model import ModelClient, Service, Thing
from tests.unit.client.shapes import ARRANGING, BENIGN, Act, Seed, Shape, acts, grown, perturbed, seeds

ROUNDS_MAX = 16
EXAMPLES = 2 * settings().max_examples
"""More with HYPOTHESIS_PROFILE=thorough."""
ROUNDS_BY_CHANCE = 6
DEVICES = ("alice", "bob", "carol")


class World:
    """A library with three clients that all hold the tree grown from ``seeds``."""

    def __init__(self, seeds: list[Seed], *, none_empty: bool = False) -> None:
        self.service = Service()
        self.clients = {device: ModelClient(self.service, device) for device in DEVICES}
        self.start = grown(seeds, none_empty=none_empty)
        self.written = set(self.start.written)
        self.destroyed: set[bytes] = set()
        self.disk("alice", self.start)
        self.inodes: dict[str, dict[int, int]] = {}
        for device, client in self.clients.items():
            self.settle(device)
            self.inodes[device] = {key: client.disk[path].inode for path, key in self.start.paths().items()}
            assert client.files() == self.service.files()

    def disk(self, device: str, shape: Shape) -> None:
        """Give a client's disk a shape; things it had before keep their inodes."""
        client = self.clients[device]
        inodes = getattr(self, "inodes", {}).get(device, {})
        client.disk = {
            path: Thing(inodes.get(key, 100_000 + key), shape.placed[key].body) for path, key in shape.paths().items()
        }

    def perturb(self, device: str, acts: list[Act]) -> Shape:
        shape = perturbed(self.start, device, acts)
        self.written |= set(shape.written) & shape.bodies()
        self.destroyed |= self.start.bodies() - shape.bodies()
        self.disk(device, shape)
        return shape

    def settle(self, device: str) -> None:
        for _ in range(ROUNDS_MAX):
            planned = self.clients[device].step()
            one_thing_at_a_time(planned)
            if planned.empty:
                return
        pytest.fail(f"{device} goes on and on")

    def agree(self, order: tuple[str, ...] = DEVICES, chance: Random | None = None) -> None:
        """Everybody settles, after some rounds that ``chance`` carries out in parts, and all is as it should be."""
        for _ in range(ROUNDS_BY_CHANCE if chance else 0):
            for device in order:
                one_thing_at_a_time(self.clients[device].step(chance))
        for _ in range(3):
            for device in order:
                self.settle(device)
        for client in self.clients.values():
            assert client.step().empty
            assert client.files() == self.service.files()
            assert client.disk.keys() == self.service.paths()
            assert client.removed_unseen == []
            assert client.base.keys() == self.service.remote().nodes.keys()
        assert not self.written - self.destroyed - set(self.service.files().values())

    def ids(self) -> dict[str, str]:
        return {self.service.tree.path(node): node.id for node in self.service.tree.live_nodes()}


def one_thing_at_a_time(planned: Plan) -> None:
    """No plan has two things come to one place, or does two things to one node on one side."""
    here = [op.remote for op in planned.local if isinstance(op, MakeHere)]
    new = [op.remote for op in planned.fetches if op.expected is None]
    arriving = Counter((node.parent, node.name) for node in [*here, *new])
    arriving.update((op.parent, op.name) for op in planned.local if isinstance(op, MoveHere) and not op.aside)
    assert not [slot for slot, times in arriving.items() if times > 1], planned
    told = Counter(op.base.node for op in planned.tree if isinstance(op, SendMove))
    told.update(node for op in planned.tree if isinstance(op, SendRemove) for node in (op.node, *op.below))
    assert not [node for node, times in told.items() if times > 1], planned
    contents = Counter(op.node or (op.parent, op.name) for op in planned.files)
    contents.update(op.remote.node for op in planned.fetches)
    assert not [node for node, times in contents.items() if times > 1], planned
    done = Counter(op.node for op in planned.local if isinstance(op, RemoveHere))
    done.update(op.node for op in planned.local if isinstance(op, MoveHere) and not op.aside)
    assert not [node for node, times in done.items() if times > 1], planned


@given(seeds, acts(max_size=12))
@settings(max_examples=EXAMPLES)
def test_alone_a_tree_reaches_the_library_as_it_is(seeds: list[Seed], acts: list[Act]) -> None:
    """And nothing on the own disk is touched."""
    world = World(seeds)
    world.perturb("alice", acts)
    disk = dict(world.clients["alice"].disk)
    world.settle("alice")
    assert world.clients["alice"].disk == disk
    assert world.service.files() == world.clients["alice"].files()
    assert world.service.paths() == disk.keys()
    world.agree()


@given(seeds, acts(ARRANGING, max_size=12))
@settings(max_examples=EXAMPLES)
def test_what_is_only_moved_stays_what_it_is(seeds: list[Seed], acts: list[Act]) -> None:
    """However things change places, names among themselves included: all keep their ids, and no content is sent."""
    world = World(seeds, none_empty=True)
    before, sent = world.ids(), len(world.service.contents)
    shape = world.perturb("alice", acts)
    world.settle("alice")
    after = world.ids()
    for path, key in shape.paths().items():
        assert after[path] == before[world.start.path(key)]
    assert len(world.service.contents) == sent
    world.agree()


@given(seeds, acts(), acts())
@settings(max_examples=EXAMPLES)
def test_two_trees_become_one(seeds: list[Seed], alices: list[Act], bobs: list[Act]) -> None:
    """Whoever goes first: all agree in the end, and nothing is lost that nobody gave up."""
    for order in (("alice", "bob", "carol"), ("bob", "alice", "carol")):
        world = World(seeds)
        world.perturb("alice", alices)
        world.perturb("bob", bobs)
        world.agree(order)


@given(seeds, acts(max_size=5), acts(max_size=5), acts(max_size=5))
@settings(max_examples=EXAMPLES)
def test_three_trees_become_one(seeds: list[Seed], alices: list[Act], bobs: list[Act], carols: list[Act]) -> None:
    world = World(seeds)
    for device, script in zip(DEVICES, (alices, bobs, carols), strict=True):
        world.perturb(device, script)
    world.agree()


@given(seeds, acts(), acts(), st.randoms(use_true_random=False))
@settings(max_examples=EXAMPLES)
def test_in_any_order_and_with_any_of_it_left_undone(
    seeds: list[Seed], alices: list[Act], bobs: list[Act], chance: Random
) -> None:
    """Independent operations of a plan are carried out in any order; any of them may fail, and is planned again."""
    world = World(seeds)
    world.perturb("alice", alices)
    world.perturb("bob", bobs)
    world.agree(chance=chance)


@given(seeds, acts(BENIGN), acts(ARRANGING))
@settings(max_examples=EXAMPLES)
def test_what_does_not_touch_has_one_outcome(seeds: list[Seed], alices: list[Act], bobs: list[Act]) -> None:
    """Alice edits and adds, Bob moves about: the outcome is Bob's tree with Alice's content, whoever goes first."""
    alices = [(what, which, where, 8 + named % 8) for what, which, where, named in alices]  # under names of her own
    for order in (("alice", "bob", "carol"), ("bob", "alice", "carol")):
        world = World(seeds, none_empty=True)
        contents = world.perturb("alice", alices)
        places = world.perturb("bob", bobs)
        world.agree(order)
        assert world.service.files() == _both(contents, places)


def _both(contents: Shape, places: Shape) -> dict[str, bytes]:
    merged = Shape("both", places.placed | {k: v for k, v in contents.placed.items() if k not in places.placed}, 0)
    return {path: body for path, key in merged.paths().items() if (body := contents.placed[key].body) is not None}
