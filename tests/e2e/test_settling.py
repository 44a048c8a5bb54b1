"""The commands that help to see and to settle, as two people use them over the whole stack."""

from __future__ import annotations

import os
import secrets
import shlex
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from syncline.client.hashing import stat_of
from syncline.client.index import Index
from tests.e2e.embedded import EmbeddedStack
from tests.unit.client.cli.people import Person

PASSES_MAX = 6


class Member(Person):
    """Someone at a terminal, with a linked folder."""

    def __init__(self, name: str, server: str, base: Path) -> None:
        super().__init__(name, server, base)
        self.email = f"{name}-{secrets.token_hex(4)}@example.com"
        self.folder = base / name
        self.does("register", self.email, "--name", name.title(), "--device-name", f"{name}-laptop")

    def write(self, name: str, content: str) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(content)

    def contents(self) -> dict[str, str]:
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return {str(p.relative_to(self.folder)): p.read_text() for p in files if ".syncline" not in p.parts}

    def copies(self) -> list[str]:
        return [str(path) for path in sorted(self.folder.rglob("*(conflict *"))]

    def decay(self, name: str) -> None:
        """Flip a bit of a file as a failing disk does: by all that its stat tells, nothing was written."""
        path = self.folder / name
        content = bytearray(path.read_bytes())
        content[0] ^= 1
        path.write_bytes(content)
        with closing(Index(self.home / "index.sqlite3")) as index:
            link = index.links()[0]
            node = index.base(link).nodes[index.node_at(link, name)]
            index.agree(link, [msgspec.structs.replace(node, stat=stat_of(os.lstat(path)))])


@pytest.fixture
def people(stack: EmbeddedStack, tmp_path: Path) -> tuple[Member, Member]:
    alice, bob = Member("alice", stack.url, tmp_path), Member("bob", stack.url, tmp_path)
    alice.does("library", "create", "Shared")
    alice.does("library", "share", "Shared", bob.email)
    for person in (alice, bob):
        person.does("link", "Shared", str(person.folder))
    return alice, bob


def settle(*people: Member) -> None:
    """Sync in turn until everybody holds the same and has nothing left to do."""
    for _ in range(PASSES_MAX):
        passes = [person.asks("sync")["folders"][0] for person in people]
        contents = [person.contents() for person in people]
        if all(one["complete"] for one in passes) and all(one == contents[0] for one in contents):
            return
    raise AssertionError(f"not settled after {PASSES_MAX} passes: {passes}")


def test_conflicts_are_settled_for_both(people: tuple[Member, Member]) -> None:
    alice, bob = people
    names = ("both.txt", "mine.txt", "theirs.txt")
    for name in names:
        alice.write(name, "one")
    settle(alice, bob)
    for name in names:
        alice.write(name, f"hers: {name}")
        bob.write(name, f"his own: {name}")
    settle(alice, bob)
    listed = [person.asks("conflicts")["conflicts"] for person in people]
    assert [[one["mine"]["path"] for one in conflicts] for conflicts in listed] == [
        [os.path.relpath(copy, alice.folder) for copy in alice.copies()]
    ] * 2
    both, mine, theirs = alice.copies()
    alice.does("conflicts", "keep", "theirs", theirs)
    alice.does("conflicts", "keep", "mine", mine)
    bob.does("conflicts", "keep", "both", both.replace(str(alice.folder), str(bob.folder)))
    settle(alice, bob)
    found = alice.contents()
    assert (found.pop("theirs.txt"), found.pop("mine.txt")) == ("hers: theirs.txt", "his own: mine.txt")
    assert found.pop("both.txt") == "hers: both.txt"
    [(name, content)] = found.items()
    assert ("(conflict" in name, content) == (False, "his own: both.txt")
    assert [person.asks("conflicts")["conflicts"] for person in people] == [[], []]
    assert [path["path"] for path in alice.asks("trash", "Shared")["removed"]] == [
        os.path.relpath(mine, alice.folder),
        os.path.relpath(theirs, alice.folder),
    ]


def test_going_back_in_time_from_a_linked_folder(people: tuple[Member, Member]) -> None:
    alice, bob = people
    alice.write("docs/plan.txt", "one")
    alice.write("docs/note.txt", "a note")
    settle(alice, bob)
    then = datetime.now(UTC).isoformat()
    alice.write("docs/plan.txt", "two, longer")
    (alice.folder / "docs/note.txt").rename(alice.folder / "docs/moved.txt")
    alice.write("docs/fresh.txt", "fresh")
    settle(alice, bob)
    bob.does("restore", str(bob.folder / "docs/plan.txt"), "--at", then)
    settle(alice, bob)
    assert alice.contents()["docs/plan.txt"] == "one"
    told = bob.asks("rewind", str(bob.folder / "docs"), "--at", then)
    assert (told["dry_run"], told["total"]) == (True, 2)
    bob.does("rewind", str(bob.folder / "docs"), "--at", then, "--yes")
    settle(alice, bob)
    assert alice.contents() == {"docs/plan.txt": "one", "docs/note.txt": "a note"}
    trashed = alice.asks("trash", "--local", str(alice.folder))["trashed"]
    assert [one["path"] for one in trashed] == ["docs/fresh.txt"]
    alice.does("trash", "--local", "restore", str(alice.folder / "docs/fresh.txt"))
    settle(alice, bob)
    assert bob.contents()["docs/fresh.txt"] == "fresh"


def test_damage_is_found_and_mended_and_the_log_tells_it_all(people: tuple[Member, Member]) -> None:
    alice, bob = people
    alice.write("plan.txt", "precious")
    settle(alice, bob)
    for person in people:
        assert person.asks("verify", str(person.folder))["equal"] is True
    bob.decay("plan.txt")
    said = bob.tries("verify", str(bob.folder))
    assert said.code == 1
    assert said.out.split()[:2] == ["damaged", "plan.txt"]
    bob.does("sync")
    alice.does("sync")
    assert alice.contents() == {"plan.txt": "precious"}
    [advice] = [line for line in said.out.splitlines() if line.startswith("  syncline get ")]
    bob.does(*shlex.split(advice)[1:])
    settle(alice, bob)
    assert bob.asks("verify", str(bob.folder))["equal"] is True
    (bob.folder / "plan.txt").rename(bob.folder / "final.txt")
    settle(bob, alice)
    (alice.folder / "final.txt").unlink()
    settle(alice, bob)
    whats = [entry["what"] for entry in bob.asks("log", str(bob.folder / "final.txt"))["entries"]]
    assert whats == ["fetched", "moved there", "removed here"]
    assert "by Alice" in bob.does("log", str(bob.folder / "plan.txt"))
    assert bob.asks("doctor")["well"] is True
