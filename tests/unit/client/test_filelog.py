"""What the log says of files: each operation with where, why and by whom; bounded; also after a rename or removal."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncline.client import filelog
from syncline.client.filelog import Author, Entry, What
from syncline.client.index import Index
from syncline.domain.commits import Effect
from syncline.domain.nodes import Kind
from syncline.messages import api as m
from tests.unit.client.clients import Client
from tests.unit.client.fakes import Stack
from tests.unit.client.planned import base_node
from tests.unit.client.test_index import LINK

DAY_MS = 86_400_000


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Client, Client]:
    stack = Stack()
    return Client(stack, tmp_path, "alice"), Client(stack, tmp_path, "bob")


@pytest.fixture
def index(tmp_path: Path) -> Index:
    index = Index(tmp_path / "index.sqlite3")
    index.add_link(LINK)
    return index


def log(client: Client, path: str) -> list[Entry]:
    return client.engine.index.log(client.engine.links()[0], path, limit=100)


def told(client: Client, path: str) -> list[tuple[What, str]]:
    return [(entry.what, entry.path) for entry in log(client, path)]


def entry(path: str, *, at_ms: int = 0, what: What = What.SENT, why: str = "new here") -> Entry:
    return Entry(at_ms=at_ms, what=what, path=path, why=why, node=path.upper())


async def test_a_files_life_is_told_on_both_sides(pair: tuple[Client, Client]) -> None:
    alice, bob = pair
    alice.write("docs/plan.txt", "one")
    await alice.sync()
    await bob.sync()
    bob.write("docs/plan.txt", "two, and longer")
    await bob.sync()
    await alice.sync()
    (alice.folder / "docs/plan.txt").rename(alice.folder / "docs/final.txt")
    await alice.sync()
    await bob.sync()
    (bob.folder / "docs/final.txt").unlink()
    await bob.sync()
    await alice.sync()
    hers = [
        (What.SENT, "docs/plan.txt"),
        (What.FETCHED, "docs/plan.txt"),
        (What.MOVED_THERE, "docs/plan.txt"),
        (What.REMOVED_HERE, "docs/final.txt"),
    ]
    assert told(alice, "docs/plan.txt") == told(alice, "docs/final.txt") == hers
    his = [
        (What.FETCHED, "docs/plan.txt"),
        (What.SENT, "docs/plan.txt"),
        (What.MOVED_HERE, "docs/plan.txt"),
        (What.REMOVED_THERE, "docs/final.txt"),
    ]
    assert told(bob, "docs/final.txt") == his
    sent, fetched, moved, removed = log(alice, "docs/final.txt")
    assert (sent.why, sent.size_bytes, fetched.size_bytes) == ("new here", 3, 15)
    assert (fetched.why, fetched.author and fetched.author.device) == ("changed in the library", "bob")
    assert (moved.to, removed.author and removed.author.account) == ("docs/final.txt", "bob's")
    assert fetched.version != sent.version != ""
    assert told(alice, "docs")[0] == (What.MADE_THERE, "docs")
    assert len(log(alice, "")) == 5
    assert log(alice, "doc") == []


async def test_a_conflict_names_the_copy(pair: tuple[Client, Client]) -> None:
    alice, bob = pair
    alice.write("plan.txt", "one")
    await alice.sync()
    await bob.sync()
    alice.write("plan.txt", "hers, longer")
    bob.write("plan.txt", "his own, longer still")
    await alice.sync()
    await bob.sync()
    conflict = next(entry for entry in log(bob, "") if entry.what is What.CONFLICT)
    assert (conflict.path, conflict.why) == ("plan.txt", "changed here and by someone else")
    assert conflict.to.startswith("plan (conflict ")
    await alice.sync()
    assert log(alice, conflict.to)[-1].why == "a conflict copy in the library"


async def test_what_is_left_alone_and_what_is_held_is_told_once(pair: tuple[Client, Client]) -> None:
    alice, _ = pair
    for n in range(60):
        alice.write(f"f{n}", str(n))
    os.mkfifo(alice.folder / "pipe")
    await alice.sync()
    await alice.sync()
    assert told(alice, "pipe") == [(What.LEFT_ALONE, "pipe")]
    for n in range(60):
        (alice.folder / f"f{n}").unlink()
    for _ in range(2):
        with pytest.raises(Exception, match="more than half"):
            await alice.sync()
    assert told(alice, "f1") == [(What.SENT, "f1"), (What.HELD, "f1")]


async def test_what_was_here_already_is_told_as_agreed(pair: tuple[Client, Client]) -> None:
    alice, bob = pair
    alice.write("same.txt", "the same")
    await alice.sync()
    bob.write("same.txt", "the same")
    await bob.sync()
    assert told(bob, "same.txt") == [(What.AGREED, "same.txt")]


def test_an_entry_is_written_with_what_it_tells_of_or_not_at_all(index: Index) -> None:
    def broken() -> Iterator[Entry]:
        yield entry("a")
        raise KeyError("while writing")

    with pytest.raises(KeyError):
        index.agree(LINK, [base_node("f")], log=broken())
    assert not index.base(LINK).nodes
    assert index.log(LINK, "", limit=9) == []
    index.agree(LINK, [base_node("f")], log=[entry("a")])
    assert [e.path for e in index.log(LINK, "", limit=9)] == ["a"]


def test_the_oldest_go_first() -> None:
    db = sqlite3.connect(":memory:")
    db.executescript(filelog.TABLE)

    def left() -> list[str]:
        return [e.path for e in filelog.read(db, "link", "", [], since_ms=0, limit=9)]

    now = (filelog.LOG_DAYS_MAX + 1) * DAY_MS
    filelog.write(db, "link", [entry(f"old{n}", at_ms=5) for n in range(2_500)])
    filelog.write(db, "link", [entry(f"n{n}", at_ms=now) for n in range(5)])
    filelog.prune(db, now)
    assert left() == ["n0", "n1", "n2", "n3", "n4"]
    filelog.prune(db, now, rows_max=3)
    assert left() == ["n2", "n3", "n4"]


def test_since_and_the_last_so_many(index: Index) -> None:
    index.agree(LINK, [], log=[entry("a", at_ms=n) for n in range(9)])
    assert [e.at_ms for e in index.log(LINK, "a", since_ms=5, limit=99)] == [5, 6, 7, 8]
    assert [e.at_ms for e in index.log(LINK, "a", limit=2)] == [7, 8]


def test_the_journal_tells_who_and_forgets_in_the_end() -> None:
    def page(*nodes: str) -> m.Changes:
        states = [m.NodeState(id=node, parent="", name=node, kind=Kind.FILE, seq=1) for node in nodes]
        changes = [
            m.ChangeState(effect=Effect.ADDED, node=s, account="a", device=f"of {s.id}", at_ms=7) for s in states
        ]
        return m.Changes(changes=changes, cursor="", seq=1, more=False)

    heard = filelog.Heard(2)
    heard.hear(page("x", "y"))
    heard.hear(page("x", "z"))
    assert heard.of("x") == Author("a", "of x", 7)
    assert heard.of("y") is None


@pytest.mark.parametrize("trace", ["", "rubbish", "\x1b[2J", "x" * 10_000])
def test_of_what_the_journal_says_of_traces_only_contexts_are_heard(trace: str) -> None:
    good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    heard = filelog.Heard()
    for node, told in (("x", trace), ("y", good)):
        state = m.NodeState(id=node, parent="", name=node, kind=Kind.FILE, seq=1)
        change = m.ChangeState(effect=Effect.ADDED, node=state, account="a", device="d", at_ms=7, trace=told)
        heard.hear(m.Changes(changes=[change], cursor="", seq=1, more=False))
    assert (heard.trace_of("x"), heard.trace_of("y"), heard.trace_of("z")) == ("", good, "")
