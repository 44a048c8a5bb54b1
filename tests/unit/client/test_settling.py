"""Which conflicts there are, and what settles them."""

from collections.abc import Sequence

import msgspec
import pytest

from syncline.client.settling import Conflict, Keep, conflicts_in, settle
from syncline.client.trees import Remote, RemoteNode
from syncline.domain.errors import Refused
from syncline.messages.api import CommitRequest, CopyVersion, Move, Remove
from tests.unit.client.planned import remote_node

MARK = " (conflict 2026-11-23 bob)"


def node(name: str, parent: str = "root", *, of: str = "", folder: bool = False, id: str = "") -> RemoteNode:
    made = remote_node(id or name, name=name, parent=parent, folder=folder)
    return msgspec.structs.replace(made, conflict_of=of)


def tree(*nodes: RemoteNode) -> Remote:
    return Remote("root", {node.node: node for node in nodes}, 7)


def settled(keep: Keep, remote: Remote, *copies: str) -> tuple[list[str], list[CommitRequest]]:
    chosen: Sequence[Conflict] = [c for c in conflicts_in(remote) if not copies or c.copy.node in copies]
    found = settle(chosen, keep, remote)
    return [one.path for one in found], [request for one in found for request in one.requests]


PLAN = tree(node("docs", folder=True), node("plan", "docs"), node(f"plan{MARK}", "docs", of="plan", id="copy"))


def test_conflicts_are_found_with_both_paths() -> None:
    [found] = conflicts_in(PLAN)
    assert (found.path, found.original_path) == (f"docs/plan{MARK}", "docs/plan")
    [alone] = conflicts_in(tree(node(f"plan{MARK}", of="gone", id="copy")))
    assert (alone.path, alone.original, alone.original_path) == (f"plan{MARK}", None, "")


def test_theirs_removes_the_copy() -> None:
    assert settled(Keep.THEIRS, PLAN) == (["docs/plan"], [Remove(node="copy", base_seq=7)])


def test_mine_becomes_the_next_version_and_the_copy_goes() -> None:
    paths, [copy, gone] = settled(Keep.MINE, PLAN)
    assert isinstance(copy, CopyVersion)
    assert (copy.source, copy.node, copy.base_version) == (
        PLAN.nodes["copy"].version,
        "plan",
        PLAN.nodes["plan"].version,
    )
    assert (paths, gone) == (["docs/plan"], Remove(node="copy", base_seq=7))


def test_both_gives_the_copy_a_name_that_is_free() -> None:
    paths, requests = settled(Keep.BOTH, PLAN)
    assert paths == ["docs/plan (2026-11-23 bob)"]
    assert requests == [Move(node="copy", base_seq=7, parent="docs", name="plan (2026-11-23 bob)")]
    taken = tree(*PLAN.nodes.values(), node("plan (2026-11-23 bob)", "docs"))
    assert settled(Keep.BOTH, taken)[0] == ["docs/plan (2026-11-23 bob) 2"]


def test_where_the_original_is_gone_mine_takes_its_name_and_theirs_is_refused() -> None:
    alone = tree(node(f"plan{MARK}.ods", of="gone", id="copy"))
    assert settled(Keep.MINE, alone) == (["plan.ods"], [Move(node="copy", base_seq=7, parent="root", name="plan.ods")])
    with pytest.raises(Refused, match="removed since"):
        settled(Keep.THEIRS, alone)
    used = tree(*alone.nodes.values(), node("plan.ods"))
    assert settled(Keep.MINE, used)[0] == ["plan (2026-11-23 bob).ods"]


def test_only_one_of_several_copies_can_be_mine() -> None:
    several = tree(*PLAN.nodes.values(), node(f"plan{MARK} 2", "docs", of="plan", id="second"))
    with pytest.raises(Refused, match="several conflict copies"):
        settled(Keep.MINE, several)
    assert settled(Keep.MINE, several, "second")[0] == ["docs/plan"]
    assert len(settled(Keep.THEIRS, several)[1]) == 2
    chain = tree(*PLAN.nodes.values(), node(f"plan{MARK}{MARK}", "docs", of="copy", id="third"))
    with pytest.raises(Refused, match="several conflict copies"):
        settled(Keep.MINE, chain)


def test_a_file_does_not_take_a_folders_place() -> None:
    of_folder = tree(node("docs", folder=True), node(f"docs{MARK}", of="docs", id="copy"))
    with pytest.raises(Refused, match="is a folder"):
        settled(Keep.MINE, of_folder)
    assert settled(Keep.THEIRS, of_folder)[1] == [Remove(node="copy", base_seq=7)]
