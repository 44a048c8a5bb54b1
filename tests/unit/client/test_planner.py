"""The planner over random histories: it always comes to an end, everybody agrees, and no content is lost."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from syncline.client.operations import (
    Agree,
    Fetch,
    Forget,
    MakeHere,
    MoveHere,
    Plan,
    RemoveHere,
    SendFile,
    SendFolder,
    SendMove,
    SendRemove,
)
from syncline.client.planner import plan
from syncline.client.trees import Base, Local, Remote
from syncline.domain.nodes import Kind
from tests.unit.client.model import LIBRARY, ModelClient, Service
from tests.unit.client.planned import base_node, entry, remote_node

ROUNDS_MAX = 16
PATHS = ("a", "b", "c", "a/a", "a/b", "b/a", "b/b", "a/b/a", "b/a/a", "c/a")
paths = st.sampled_from(PATHS)
acts = st.one_of(
    st.tuples(st.just("write"), paths),
    st.tuples(st.just("write"), paths),
    st.tuples(st.just("remove"), paths),
    st.tuples(st.just("move"), paths, paths),
    st.tuples(st.just("move"), paths, paths),
    st.tuples(st.just("make"), paths),
    st.tuples(st.just("step")),
)
scripts = st.lists(st.tuples(st.integers(0, 2), acts), min_size=4, max_size=30)
starts = st.lists(paths, max_size=6)


def act(client: ModelClient, name: str, where: list[str], written: list[bytes]) -> None:
    match name:
        case "write":
            body = f"{len(written)} by {client.device}".encode()
            client.write(where[0], body)
            if client.files().get(where[0]) == body:
                written.append(body)
        case "remove":
            client.remove(where[0])
        case "move":
            client.move(*where)
        case "make":
            client.make(where[0])
        case "step":
            client.step()


def settle(client: ModelClient) -> None:
    """Rounds until the client has nothing left to do."""
    for _ in range(ROUNDS_MAX):
        if client.step().empty:
            return
    pytest.fail(f"{client.device} goes on and on")


@given(start=starts, script=scripts)
@settings(max_examples=600)
def test_everybody_agrees_and_nothing_is_lost(start: list[str], script: list[tuple[int, tuple[str, ...]]]) -> None:
    """From any tree they agree on, through anything three people do, with rounds in between or none."""
    service = Service()
    clients = [ModelClient(service, device) for device in ("alice", "bob", "carol")]
    written: list[bytes] = []
    for path in start:
        act(clients[0], "write", [path], written)
    for client in clients:
        settle(client)
    for who, (name, *where) in script:
        act(clients[who], name, where, written)
    agree_in_the_end(service, clients, written)


TANGLES = (60, 317, 590, 895, 1079, 1168, 1314, 1377, 1872, 2520, 2800, 2826, 3120, 5846, 6063, 12254)
"""Seeds of histories that once went on for ever or ended apart: rings of moves, folders that met, twins."""


@pytest.mark.parametrize("seed", TANGLES)
def test_tangles_of_old(seed: int) -> None:
    chance = Random(seed)
    people = chance.choice([2, 3])
    names = PATHS if chance.random() < 0.7 else ("a", "b", "a/a", "a/b", "b/a", "b/b", "c")
    service = Service()
    clients = [ModelClient(service, device) for device in ("alice", "bob", "carol")[:people]]
    written: list[bytes] = []
    for _ in range(chance.randint(0, 6)):
        act(clients[0], "write", [chance.choice(names)], written)
    for client in clients:
        settle(client)
    for _ in range(chance.randint(3, 40)):
        client = chance.choice(clients)
        steps = ["step"] * chance.choice([0, 1, 3])
        name = chance.choice(["write"] * 3 + ["remove"] * 2 + ["move"] * 4 + ["make"] + steps)
        act(client, name, [chance.choice(names), chance.choice(names)], written)
    agree_in_the_end(service, clients, written)


def agree_in_the_end(service: Service, clients: list[ModelClient], written: list[bytes]) -> None:
    for _ in range(3):
        for client in clients:
            settle(client)
    for client in clients:
        assert client.step().empty
        assert client.files() == service.files()
        assert client.disk.keys() == service.paths()
        assert client.removed_unseen == []
        assert client.base.keys() == service.remote().nodes.keys()
    destroyed = set().union(*(client.destroyed for client in clients))
    assert not set(written) - destroyed - set(service.files().values())


def planned(base: list, local: list, remote: list, *, allow_removals: bool = False) -> Plan:
    ids = iter(f"new{n}" for n in range(100))
    return plan(
        Base(LIBRARY, {node.node: node for node in base}),
        Local({e.path: e for e in local}),
        Remote(LIBRARY, {node.node: node for node in remote}, 9),
        new_id=lambda: next(ids),
        allow_removals=allow_removals,
    )


def shown(found: Plan) -> list[str]:
    """A plan in short: the kind of each operation and what it is about."""
    lines = []
    for op in (*found.noted, *found.tree, *found.local, *found.fetches, *found.files):
        match op:
            case Agree():
                about = op.base.node
            case Forget() | RemoveHere() | SendRemove() | MoveHere():
                about = op.node
            case SendMove():
                about = f"{op.base.node} {op.base.parent}/{op.base.name}"
            case SendFolder():
                about = f"{op.node} {op.parent}/{op.name}"
            case SendFile():
                about = f"{op.node or op.parent + '/' + op.name} on {op.base_version}"
            case Fetch() | MakeHere():
                about = op.remote.node
        lines.append(f"{type(op).__name__} {about}")
    return lines


FILE = Kind.FILE
CASES = {
    "nothing changed": ([base_node("f")], [entry("f")], [remote_node("f")], []),
    "nothing anywhere": ([], [], [], []),
    "new here": ([], [entry("f")], [], ["SendFile library/f on "]),
    "new there": ([], [], [remote_node("f")], ["Fetch f"]),
    "new on both sides, the same": ([], [entry("f")], [remote_node("f")], ["Agree f"]),
    "new on both sides, different": ([], [entry("f", text="other")], [remote_node("f")], ["SendFile library/f on "]),
    "changed here": ([base_node("f")], [entry("f", text="newer")], [remote_node("f")], ["SendFile f on v1"]),
    "changed there": ([base_node("f")], [entry("f")], [remote_node("f", version="v2", text="newer")], ["Fetch f"]),
    "changed on both sides": (
        [base_node("f")],
        [entry("f", text="mine")],
        [remote_node("f", version="v2", text="theirs")],
        ["SendFile f on v1"],
    ),
    "changed on both sides to the same": (
        [base_node("f")],
        [entry("f", text="newer")],
        [remote_node("f", version="v2", text="newer")],
        ["Agree f"],
    ),
    "removed here": ([base_node("f")], [], [remote_node("f")], ["SendRemove f"]),
    "removed there": ([base_node("f")], [entry("f")], [], ["RemoveHere f"]),
    "removed there, and made again alike": (
        [base_node("f")],
        [entry("f")],
        [remote_node("g", name="f")],
        ["Agree g", "Forget f"],
    ),
    "removed there, and made again otherwise": (
        [base_node("f")],
        [entry("f")],
        [remote_node("g", name="f", text="other")],
        ["RemoveHere f", "Fetch g"],
    ),
    "removed on both sides": ([base_node("f")], [], [], ["Forget f"]),
    "removed here, changed there": ([base_node("f")], [], [remote_node("f", version="v2", text="newer")], ["Fetch f"]),
    "changed here, removed there": ([base_node("f")], [entry("f", text="newer")], [], ["SendFile f on v1"]),
    "moved here": ([base_node("f")], [entry("g", inode=1)], [remote_node("f")], ["SendMove f library/g"]),
    "moved here, another inode": (
        [base_node("f")],
        [entry("g", inode=7)],
        [remote_node("f")],
        ["SendMove f library/g"],
    ),
    "moved here, with others of its bytes missing and new": (
        [base_node("f"), base_node("g", inode=2)],
        [entry("x", inode=2), entry("y", inode=7)],
        [remote_node("f"), remote_node("g")],
        ["SendMove f library/y", "SendMove g library/x"],
    ),
    "which of two moved cannot be told": (
        [base_node("f"), base_node("g", inode=2)],
        [entry("x", inode=7), entry("y", inode=8)],
        [remote_node("f"), remote_node("g")],
        ["SendRemove f", "SendRemove g", "SendFile library/x on ", "SendFile library/y on "],
    ),
    "an empty file is not known by its bytes": (
        [base_node("f", text="")],
        [entry("x", text="", inode=7)],
        [remote_node("f", text="")],
        ["SendRemove f", "SendFile library/x on "],
    ),
    "an inode used again by a new file": (
        [base_node("f", inode=5)],
        [entry("g", text="other", inode=5)],
        [remote_node("f")],
        ["SendRemove f", "SendFile library/g on "],
    ),
    "an inode used again by a file of its bytes, with the old one in place": (
        [base_node("f", inode=5)],
        [entry("f", inode=6), entry("g", inode=5)],
        [remote_node("f")],
        ["Agree f", "SendFile library/g on "],
    ),
    "an inode used again by a new folder": (
        [base_node("d", folder=True, inode=5), base_node("f", parent="d", inode=6)],
        [entry("e", folder=True, inode=5), entry("e/g", text="other", inode=6)],
        [remote_node("d", folder=True), remote_node("f", parent="d")],
        ["SendFolder new0 library/e", "SendRemove d", "SendFile new0/g on "],
    ),
    "an inode used again by a folder in place of a file": (
        [base_node("f", inode=5)],
        [entry("f", folder=True, inode=5)],
        [remote_node("f")],
        ["SendFolder new0 library/f", "SendRemove f"],
    ),
    "restored, and all inodes are others'": (
        [
            base_node("d", folder=True, inode=1),
            base_node("e", folder=True, inode=2),
            base_node("f", parent="d", inode=3),
            base_node("g", parent="e", inode=4),
        ],
        [
            entry("d", folder=True, inode=2),
            entry("e", folder=True, inode=1),
            entry("d/f", inode=4),
            entry("e/g", inode=3),
        ],
        [
            remote_node("d", folder=True),
            remote_node("e", folder=True),
            remote_node("f", parent="d"),
            remote_node("g", parent="e"),
        ],
        ["Agree d", "Agree e", "Agree f", "Agree g"],
    ),
    "two folders swapped": (
        [
            base_node("d", folder=True, inode=1),
            base_node("e", folder=True, inode=2),
            base_node("f", parent="d", inode=3),
            base_node("g", parent="e", inode=4),
        ],
        [
            entry("d", folder=True, inode=2),
            entry("e", folder=True, inode=1),
            entry("d/g", inode=4),
            entry("e/f", inode=3),
        ],
        [
            remote_node("d", folder=True),
            remote_node("e", folder=True),
            remote_node("f", parent="d"),
            remote_node("g", parent="e"),
        ],
        ["SendMove d library/e", "SendMove e library/d"],
    ),
    "a file that took the last content's name": (
        [base_node("f", inode=5)],
        [entry("f~", inode=5), entry("f", text="newer", inode=6)],
        [remote_node("f")],
        ["SendFile f on v1", "SendFile library/f~ on "],
    ),
    "moved there": ([base_node("f")], [entry("f")], [remote_node("f", name="g")], ["MoveHere f"]),
    "moved to two places": (
        [base_node("f")],
        [entry("g", inode=1)],
        [remote_node("f", name="h")],
        ["Agree f", "MoveHere f"],
    ),
    "moved to the same place": ([base_node("f")], [entry("g", inode=1)], [remote_node("f", name="g")], ["Agree f"]),
    "not held here, and now to be": (
        [base_node("f", materialised=False)],
        [],
        [remote_node("f")],
        ["Forget f", "Fetch f"],
    ),
    "not held here, and removed there": ([base_node("f", materialised=False)], [], [], ["Forget f"]),
    "a new folder with a file": (
        [],
        [entry("d", folder=True), entry("d/f", inode=2)],
        [],
        ["SendFolder new0 library/d", "SendFile new0/f on "],
    ),
    "a folder removed here with all in it": (
        [base_node("d", folder=True), base_node("f", parent="d", inode=2)],
        [],
        [remote_node("d", folder=True), remote_node("f", parent="d")],
        ["SendRemove d"],
    ),
    "a folder removed here that has news": (
        [base_node("d", folder=True), base_node("f", parent="d", inode=2)],
        [],
        [remote_node("d", folder=True), remote_node("f", parent="d"), remote_node("g", parent="d")],
        ["SendRemove f", "MakeHere d", "Fetch g"],
    ),
    "a folder removed there with all in it": (
        [base_node("d", folder=True), base_node("f", parent="d", inode=2)],
        [entry("d", folder=True), entry("d/f", inode=2)],
        [],
        ["RemoveHere f", "RemoveHere d"],
    ),
    "a folder removed there that was added to": (
        [base_node("d", folder=True)],
        [entry("d", folder=True), entry("d/f", inode=2)],
        [],
        ["SendFile d/f on "],
    ),
    "a folder given back": (
        [base_node("d", folder=True), base_node("f", parent="d", inode=2)],
        [entry("d", folder=True), entry("d/f", inode=2)],
        [remote_node("e", name="d", folder=True), remote_node("f", parent="e")],
        ["Agree f", "Agree e", "Forget d"],
    ),
    "names swapped there": (
        [base_node("f"), base_node("g", inode=2, text="other")],
        [entry("f"), entry("g", inode=2, text="other")],
        [remote_node("f", name="g"), remote_node("g", name="f", text="other")],
        ["MoveHere g", "MoveHere f", "MoveHere g"],
    ),
    "a file in place of a folder, there": (
        [base_node("d", folder=True)],
        [entry("d", folder=True)],
        [remote_node("f", name="d")],
        ["RemoveHere d", "Fetch f"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_by_example(case: str) -> None:
    base, local, remote, wanted = CASES[case]
    assert shown(planned(base, local, remote)) == wanted


def test_what_is_unsure_is_left_alone() -> None:
    base = [base_node("f"), base_node("d", folder=True), base_node("g", parent="d", inode=3)]
    remote = [remote_node("f", version="v2", text="newer"), remote_node("d", folder=True), remote_node("g", parent="d")]
    found = plan(
        Base(LIBRARY, {node.node: node for node in base}),
        Local({}, (), frozenset({"f", "d"})),
        Remote(LIBRARY, {node.node: node for node in remote}, 9),
        new_id=lambda: "new",
    )
    assert found.empty


def test_a_missing_root_listing_never_reads_as_removed_beyond_the_bound() -> None:
    base = [base_node(f"f{n}", inode=n) for n in range(60)]
    remote = [remote_node(f"f{n}") for n in range(60)]
    found = planned(base, [], remote)
    assert found.empty
    assert len(found.held) == 60
    assert len(planned(base, [], remote, allow_removals=True).tree) == 60
    assert {(removal.files, removal.here) for removal in found.held} == {(1, False)}
    half = [entry(f"f{n}", inode=n) for n in range(30)]
    assert len(planned(base, half, remote).tree) == 30


def test_an_empty_library_never_empties_the_disk_beyond_the_bound() -> None:
    base = [base_node("d", folder=True), *(base_node(f"f{n}", parent="d", inode=n + 2) for n in range(60))]
    local = [entry("d", folder=True), *(entry(f"d/f{n}", inode=n + 2) for n in range(60))]
    found = planned(base, local, [])
    assert found.empty
    assert {(removal.files, removal.here) for removal in found.held} == {(1, True)}
    assert len(found.held) == 60
    assert len(planned(base, local, [], allow_removals=True).local) == 61
    there = [remote_node("d", folder=True), *(remote_node(f"f{n}", parent="d") for n in range(30))]
    assert len(planned(base, local, there).local) == 30


def test_half_is_not_more_than_half() -> None:
    base = [base_node(f"f{n}", inode=n) for n in range(51)]
    others = [base_node(f"g{n}", inode=100 + n) for n in range(51)]
    local = [entry(f"g{n}", inode=100 + n) for n in range(51)]
    found = planned([*base, *others], local, [remote_node(f"f{n}") for n in range(51)])
    assert not found.held  # half, and not more
    found = planned([*base, *others][:101], local[:50], [remote_node(f"f{n}") for n in range(51)])
    assert [removal.here for removal in found.held] == [False] * 51


def test_content_the_library_holds_is_named_not_sent() -> None:
    (file,) = planned([base_node("f")], [entry("f"), entry("copy", inode=2)], [remote_node("f")]).files
    assert (file.name, file.source) == ("copy", "v1")
