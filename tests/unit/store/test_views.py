"""Views, overlays and snapshots against the whole tree that the same commits make."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from syncline.domain.commands import AddVersion, MakeFolder, Move, Remove
from syncline.domain.commits import Commit
from syncline.domain.errors import Broken, ConditionFailed
from syncline.domain.facts import ChangesSinceFact, ChildFact, ChildrenFact, Fact, NodeFact, VersionFact
from syncline.domain.nodes import Node, Version
from syncline.domain.partial_tree import PartialTree
from syncline.domain.tree import Tree
from syncline.memory.tables import MemoryTables
from syncline.ports.tables import Table, Value
from syncline.store.journal import Head, Journal
from syncline.store.overlay import Overlay
from syncline.store.rows import FOLDER_BUCKETS, folder_partition, node_partition, rows_of
from syncline.store.snapshot import Snapshot
from syncline.store.tree import TreeReader
from syncline.store.views import Views
from tests.unit.store.histories import LIBRARY, NAMES, History

RANDOMS = st.integers(0, 2**32 - 1).map(Random)
"""Printed with its seed when an example fails."""


async def journal_of(history: History, tables: MemoryTables) -> Journal:
    journal = Journal(tables)
    await journal.create(history.library, "inc")
    outcomes = {outcome.command: outcome for outcome in history.outcomes}
    for commit in history.commits:
        head = Head(commit.seq - 1, 1, "inc")
        await journal.append(commit, outcomes[commit.command], expected=head, now_ms=commit.at_ms)
    return journal


async def same_as(tree: Tree, snapshot: Snapshot, history: History) -> None:
    """Every question to the snapshot is answered as by the tree."""
    assert snapshot.seq == tree.seq
    for node_id in history.tree._nodes:
        assert await snapshot.node(node_id) == tree.node(node_id)
    folders = [node.id for node in tree._nodes.values() if node.version is None]
    for folder in folders:
        children = tree.children(folder)
        assert await snapshot.children(folder) == children
        assert await snapshot.all_children(folder) == children
        assert await pages(snapshot, folder) == children
        for name in NAMES:
            assert await snapshot.child(folder, name) == tree.child(folder, name)
    ids = [*(permit.id for permit in history.permits), *history.tree._versions]
    records = await snapshot.version_records(ids)
    assert {version: records.get(version) for version in ids} == {version: tree.version(version) for version in ids}
    for node in tree.live_nodes():
        assert await snapshot.path(node) == tree.path(node)
        assert await snapshot.find(tree.path(node)) == node
        assert await snapshot.is_live(node)


async def pages(snapshot: Snapshot, folder: str) -> list[Node]:
    found: list[Node] = []
    while page := await snapshot.children(folder, after=found[-1].name if found else "", limit=2):
        assert len(page) <= 2
        found += page
    return found


@settings(max_examples=40)
@given(RANDOMS, st.integers(0, 100), st.integers(0, 100))
async def test_a_snapshot_is_the_tree_at_every_seq_whatever_is_applied(random: Random, at: int, base: int):
    history = History(random).go_on(12)
    tables = MemoryTables()
    views = Views(tables)
    await views.write(*history.commits)
    at = at % (len(history.commits) + 1)
    base = base % (at + 1)
    snapshot = Snapshot(views, LIBRARY, Overlay(base, history.commits[base:at]))
    await same_as(history.tree_at(at), snapshot, history)


@settings(max_examples=40)
@given(RANDOMS)
async def test_every_version_is_in_its_files_history_once_newest_first(random: Random):
    history = History(random).go_on(15)
    tables = MemoryTables()
    views = Views(tables)
    await views.write(*history.commits)
    base = random.randint(0, len(history.commits))
    snapshot = Snapshot(views, LIBRARY, Overlay(base, history.commits[base:]))
    expected: dict[str, set[str]] = {}
    for version, record in history.tree._versions.items():
        if record.version is not None:
            expected.setdefault(record.node, set()).add(version)
    for node, ids in expected.items():
        versions = await snapshot.versions(node)
        assert [record.seq for record in versions] == sorted((record.seq for record in versions), reverse=True)
        assert sorted(id_of(record.version) for record in versions) == sorted(ids)
        newest = await snapshot.versions(node, limit=1)
        assert newest == versions[:1]
        before = await snapshot.versions(node, before=newest[0].seq)
        assert before == [record for record in versions if record.seq < newest[0].seq]


def id_of(version: Version | None) -> str:
    assert version is not None
    return version.id


@settings(max_examples=40)
@given(RANDOMS)
async def test_loaded_facts_are_what_the_tree_says(random: Random):
    history = History(random).go_on(12)
    tables = MemoryTables()
    journal, views = await journal_of(history, tables), Views(tables)
    at = random.randint(0, len(history.commits))
    applied = random.randint(0, len(history.commits))
    await views.write(*history.commits[:applied])
    await views.advance(LIBRARY, after=0, to=applied)
    tree, known = history.tree_at(at), PartialTree(LIBRARY, at)
    nodes = [*history.tree._nodes, "x" * 20]
    since = random.randint(0, at)
    facts: list[Fact] = [
        *(NodeFact(node) for node in nodes),
        *(ChildFact(parent, name) for parent in nodes for name in NAMES),
        *(ChildrenFact(parent) for parent in random.sample(nodes, min(2, len(nodes)))),
        *(VersionFact(permit.id) for permit in history.permits),
        ChangesSinceFact(since),
    ]
    await TreeReader(journal, views).load(LIBRARY, facts, known)
    for node in nodes:
        assert known.node(node) == tree.node(node)
        for name in NAMES:
            assert known.child(node, name) == tree.child(node, name)
    for permit in history.permits:
        assert known.version(permit.id) == tree.version(permit.id)
    changed = known.changed_since(since)
    assert {node.id: node for node in changed or ()} == {node.id: node for node in tree.changed_since(since)}


@settings(max_examples=40)
@given(RANDOMS)
async def test_rows_never_change_meaning(random: Random):
    """Any commits written again, in any order and however late, leave every row byte for byte as it was."""
    history = History(random).go_on(15)
    tables = MemoryTables()
    views = Views(tables)
    for commit in history.commits:
        before = all_rows(tables)
        await views.write(commit)
        after = all_rows(tables)
        assert {key: after[key] for key in before} == before, "a later commit overwrote an earlier row"
    once = all_rows(tables)
    for commit in random.sample(history.commits, len(history.commits)):
        await views.write(commit)
    assert all_rows(tables) == once


def all_rows(tables: MemoryTables) -> dict[tuple[str, str], dict[str, Value]]:
    rows = {}
    for (table, pk), partition in tables._partitions.items():
        if table is Table.VIEWS:
            rows.update({(pk, sk): dict(row) for sk, row in partition.rows.items()})
    return rows


def a_library(files: int) -> History:
    history = History(Random(1))
    history.ask(*(AddVersion(history.permit(parent=LIBRARY, name=f"file {n:04}")) for n in range(files)))
    return history


async def test_a_large_folder_is_spread_and_read_in_pages():
    history = a_library(300)
    tables = MemoryTables()
    views = Views(tables)
    await views.write(*history.commits)
    sizes = [
        len([row async for row in tables.query(Table.VIEWS, folder_partition(LIBRARY, LIBRARY, bucket))])
        for bucket in range(FOLDER_BUCKETS)
    ]
    assert sum(sizes) == 300
    assert max(sizes) < 300 / FOLDER_BUCKETS * 2
    first = await views.children(LIBRARY, LIBRARY, 1, limit=50)
    assert [node.name for node in first] == [f"file {n:04}" for n in range(50)]
    following = await views.children(LIBRARY, LIBRARY, 1, after="file 0049", limit=1000)
    assert [node.name for node in following] == [f"file {n:04}" for n in range(50, 300)]
    assert await views.all_children(LIBRARY, LIBRARY, 1, rows_max=100) is None


async def test_a_name_that_begins_like_another_is_told_apart():
    history = History(Random(1))
    names = ["a", "a ", "a\x01", "a.b", "ab", "a\x01b"]
    history.ask(*(MakeFolder(history.new_id(), LIBRARY, name) for name in names))
    views = Views(MemoryTables())
    await views.write(*history.commits)
    for name in names:
        found = await views.child(LIBRARY, LIBRARY, name, 1)
        assert found is not None
        assert found.name == name
    page = await views.children(LIBRARY, LIBRARY, 1, after="a", limit=10)
    assert [node.name for node in page] == sorted(names)[1:]
    assert await views.child(LIBRARY, LIBRARY, "a\x01bc", 1) is None


async def test_a_revived_file_keeps_its_first_row():
    history = History(Random(1))
    permit = history.permit(parent=LIBRARY, name="plan")
    history.ask(AddVersion(permit))
    history.ask(Remove(permit.node, 1, False))
    later = history.permit(node=permit.node, base=permit.id)
    history.ask(AddVersion(later))
    revived = history.tree.node(permit.node)
    assert revived is not None
    assert not revived.removed
    views = Views(MemoryTables())
    await views.write(*history.commits)
    assert [node.seq for node in [await views.node(LIBRARY, permit.node, at) for at in (1, 2, 3)] if node] == [1, 2, 3]
    versions = await views.versions(LIBRARY, permit.node)
    assert [id_of(record.version) for record in versions] == [later.id, permit.id]


async def test_a_node_moved_and_removed_by_one_command_takes_nobodys_place():
    history = History(Random(1))
    one, other = history.permit(parent=LIBRARY, name="one"), history.permit(parent=LIBRARY, name="other")
    history.ask(AddVersion(one), AddVersion(other))
    history.ask(Move(other.node, 1, LIBRARY, "one"), Remove(other.node, 1, False))
    views = Views(MemoryTables())
    await views.write(*history.commits)
    seq = history.tree.seq
    assert await views.children(LIBRARY, LIBRARY, seq) == history.tree.children(LIBRARY)
    assert await views.child(LIBRARY, LIBRARY, "one", seq) == history.tree.node(one.node)


class TestAdvance:
    async def test_goes_forward_without_gaps_and_never_back(self):
        views = Views(MemoryTables())
        assert await views.applied(LIBRARY) == 0
        await views.advance(LIBRARY, after=0, to=3)
        await views.advance(LIBRARY, after=3, to=7)
        assert await views.applied(LIBRARY) == 7
        await views.advance(LIBRARY, after=0, to=3)
        await views.advance(LIBRARY, after=3, to=7)
        assert await views.applied(LIBRARY) == 7

    async def test_a_worker_that_overlaps_another_goes_on_from_where_that_one_got(self):
        views = Views(MemoryTables())
        await views.advance(LIBRARY, after=0, to=5)
        await views.advance(LIBRARY, after=2, to=9)
        assert await views.applied(LIBRARY) == 9

    async def test_refuses_a_gap(self):
        views = Views(MemoryTables())
        await views.advance(LIBRARY, after=0, to=3)
        with pytest.raises(Broken, match="gap"):
            await views.advance(LIBRARY, after=5, to=6)
        with pytest.raises(Broken, match="gap"):
            await Views(MemoryTables()).advance(LIBRARY, after=1, to=2)
        assert await views.applied(LIBRARY) == 3


async def test_at_head_reads_what_was_just_committed():
    tables = MemoryTables()
    history = a_library(3)
    journal = await journal_of(history, tables)
    snapshot = await TreeReader(journal, Views(tables)).at_head(LIBRARY)
    assert [node.name for node in await snapshot.children(LIBRARY)] == ["file 0000", "file 0001", "file 0002"]
    with pytest.raises(ConditionFailed):
        await journal.create(LIBRARY, "other")


def test_rows_of_a_new_file_are_three():
    """The price of a file in the views: one row each for the node, its place and its version."""
    commit: Commit = a_library(1).commits[0]
    rows = rows_of(commit)
    kinds = sorted(str(row["pk"]).split("#")[0] for row in rows)
    assert kinds == ["folder", "node", "version"]
    node = commit.changes[0].node
    assert node_partition(LIBRARY, node.id) in {row["pk"] for row in rows}
