"""The trees: gaps and strangers are refused, and what was not loaded is never made up."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from syncline.domain.commands import AddVersion, Command, MakeFolder, Move, Remove, Request
from syncline.domain.commits import Commit
from syncline.domain.errors import Broken, Refused
from syncline.domain.facts import ChangesSinceFact, ChildFact, ChildrenFact, Fact, MissingFacts, NodeFact, VersionFact
from syncline.domain.partial_tree import PartialTree, needed_facts
from syncline.domain.tree import Tree
from tests.unit.domain.world import LIBRARY, Hand, World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def alice(world: World) -> Hand:
    return Hand(world, "alice-laptop")


EMPTY = Commit(LIBRARY, 1, "c", "a", "d", 0, ())


@pytest.mark.parametrize("tree", [Tree(LIBRARY), PartialTree(LIBRARY, 0)], ids=["whole", "partial"])
def test_commits_follow_on_each_other(tree):
    with pytest.raises(Broken, match="follow"):
        tree.apply(replace(EMPTY, seq=2))
    with pytest.raises(Broken, match="library"):
        tree.apply(replace(EMPTY, library="other"))
    tree.apply(EMPTY)
    tree.apply(EMPTY)
    assert tree.seq == 1


def test_what_was_not_loaded_is_missing():
    known = PartialTree(LIBRARY, 5)
    questions: list[tuple[Callable[[], object], Fact]] = [
        (lambda: known.node("n"), NodeFact("n")),
        (lambda: known.child("n", "a"), ChildFact("n", "a")),
        (lambda: known.children("n"), ChildrenFact("n")),
        (lambda: known.version("v"), VersionFact("v")),
        (lambda: known.changed_since(3), ChangesSinceFact(3)),
    ]
    for ask, fact in questions:
        assert not known.knows(fact)
        with pytest.raises(MissingFacts) as missing:
            ask()
        assert missing.value.facts == {fact}


def test_what_was_loaded_is_known_and_counts():
    known = PartialTree(LIBRARY, 5)
    before = known.size
    facts: list[Fact] = [NodeFact("n"), ChildFact("n", "a"), VersionFact("v"), ChangesSinceFact(3)]
    for fact in facts:
        known.learn(fact, None)
        assert known.knows(fact)
    known.learn(ChildrenFact("n"), [])
    assert (known.node("n"), known.child("n", "z"), known.version("v"), known.changed_since(3)) == (None,) * 4
    assert known.size > before


def test_nothing_has_changed_since_now():
    assert PartialTree(LIBRARY, 5).changed_since(5) == []


def test_commits_that_do_not_lead_to_now_are_refused(world, alice):
    alice.write("a", "one")
    known = PartialTree(LIBRARY, 2)
    with pytest.raises(Broken):
        known.learn(ChangesSinceFact(0), world.commits)


def test_an_empty_library_and_a_new_folder_are_known_to_be_empty(world, alice):
    known = PartialTree(LIBRARY, 0)
    assert known.children(LIBRARY) == []
    made = alice.one(MakeFolder("docs", LIBRARY, "docs"))
    known.apply(world.commits[-1])
    assert known.children(made.node) == []
    assert known.child(made.node, "a") is None


def test_it_is_carried_along_by_commits(world, alice):
    a, b = alice.write("a", "one"), alice.write("b", "two")
    known = PartialTree(LIBRARY, 2)
    world.teach(known, [NodeFact(a.node), ChildFact(LIBRARY, "c"), ChangesSinceFact(1)])
    alice.ask(Move(a.node, 2, LIBRARY, "b"), Move(b.node, 2, LIBRARY, "a"))
    known.apply(world.commits[-1])
    assert [known.child(LIBRARY, name) for name in "ab"] == [world.at("a"), world.at("b")]
    assert world.at("a").id == b.node
    assert {node.id for node in known.changed_since(1) or ()} == {a.node, b.node}
    alice.one(Remove(b.node, 3, False))
    known.apply(world.commits[-1])
    assert known.child(LIBRARY, "a") is None
    assert known.child(LIBRARY, "c") is None


def test_most_commands_need_no_fact_twice_asked(world, alice):
    """What deciding needs is loaded in a few rounds, however deep the folder and however many the requests."""
    folder = LIBRARY
    for depth in range(5):
        folder = alice.one(MakeFolder(f"folder {depth}", folder, "f")).node
    files = [alice.write(f"{n}", f"{n}", folder) for n in range(20)]
    requests: list[Request] = [
        Move(file.node, world.tree.seq, folder, f"moved {n}") for n, file in enumerate(files[:10])
    ]
    requests += [Remove(file.node, world.tree.seq, False) for file in files[10:]]
    requests += [AddVersion(alice.permit(f"new {n}", parent=folder, name=f"new {n}")) for n in range(10)]
    command = Command("c", LIBRARY, "a", "d", 99, 0, tuple(requests))
    known, rounds = PartialTree(LIBRARY, world.tree.seq), 0
    while needed := needed_facts(command, known):
        world.teach(known, needed)
        rounds += 1
    assert rounds <= 8
    world.kept = known
    before = known.size
    world.decide(command)
    assert known.size == before, "deciding asked for more"


def test_paths_and_finding(world, alice):
    docs = alice.one(MakeFolder("docs", LIBRARY, "docs")).node
    alice.write("plan", "one", docs)
    tree = world.tree
    plan = tree.find("/docs/plan")
    assert plan is not None
    assert tree.path(plan) == "docs/plan"
    assert tree.find("") == tree.node(LIBRARY)
    assert tree.find("docs/plan/x") is None
    assert tree.find("docs/nothing") is None
    with pytest.raises(Refused):
        tree.find("docs/../docs")
    alice.one(Remove(docs, 2, True))
    assert tree.find("docs/plan") is None
    assert not tree.is_live(plan)
    assert tree.path(plan) == "docs/plan"
