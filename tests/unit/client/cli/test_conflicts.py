"""conflicts, conflicts keep, over two clients."""

from pathlib import Path

import pytest

from tests.unit.client.cli.people import Person


@pytest.fixture
def mine(alice: Person, tmp_path: Path) -> Path:
    alice.does("link", "Shared", str(tmp_path / "alice"))
    return tmp_path / "alice"


@pytest.fixture
def his(alice: Person, bob: Person, tmp_path: Path) -> Path:
    alice.does("library", "share", "Shared", bob.email)
    bob.does("link", "Shared", str(tmp_path / "bob"))
    return tmp_path / "bob"


def conflict(alice: Person, bob: Person, mine: Path, his: Path, *names: str) -> None:
    """Alice's content keeps the names, Bob's is kept beside."""
    for name in names:
        (mine / name).write_text("one")
    alice.does("sync")
    bob.does("sync")
    for name in names:
        (mine / name).write_text(f"hers: {name}")
        (his / name).write_text(f"his own: {name}")
    alice.does("sync")
    bob.does("sync")
    alice.does("sync")


def copies(folder: Path) -> list[Path]:
    return sorted(folder.glob("*conflict*"))


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


def both_sync(alice: Person, bob: Person) -> None:
    alice.does("sync")
    bob.does("sync")


def test_conflicts_are_listed_alike_on_both_sides(alice: Person, bob: Person, mine: Path, his: Path) -> None:
    assert alice.does("conflicts") == "There are no conflicts.\n"
    conflict(alice, bob, mine, his, "plan.txt")
    for person, folder in ((alice, mine), (bob, his)):
        said = person.does("conflicts", str(folder)).splitlines()
        assert said[0].startswith(f"{folder}/plan (conflict ")
        assert said[1].split()[:2] == ["theirs", "plan.txt"]
        assert said[1].endswith("by Alice")
        assert said[2].endswith("by Bob")
        [one] = person.asks("conflicts")["conflicts"]
        assert (one["theirs"]["path"], one["mine"]["version"]["size_bytes"]) == ("plan.txt", 17)
        assert "1; to settle: syncline conflicts" in person.does("status")
    (mine / "below").mkdir()
    assert alice.asks("conflicts", str(mine / "below"))["conflicts"] == []


@pytest.mark.parametrize(
    ("keep", "left"),
    [("theirs", {"plan.txt": "hers: plan.txt"}), ("mine", {"plan.txt": "his own: plan.txt"})],
)
def test_one_of_two_is_kept(alice: Person, bob: Person, mine: Path, his: Path, keep: str, left: dict[str, str]) -> None:
    conflict(alice, bob, mine, his, "plan.txt")
    alice.does("conflicts", "keep", keep, str(copies(mine)[0]))
    both_sync(alice, bob)
    assert contents(mine) == contents(his) == left
    assert bob.asks("conflicts")["conflicts"] == alice.asks("conflicts")["conflicts"] == []
    assert len(alice.asks("history", str(mine / "plan.txt"))["versions"]) == 2 + (keep == "mine")
    assert len(alice.asks("trash", "Shared")["removed"]) == 1


def test_both_are_kept_and_no_conflict_any_more(alice: Person, bob: Person, mine: Path, his: Path) -> None:
    conflict(alice, bob, mine, his, "plan.txt", "note.txt")
    bob.does("conflicts", "keep", "both", str(his / "plan.txt"), str(copies(his)[0]))
    both_sync(alice, bob)
    assert contents(mine) == contents(his)
    assert sorted(contents(mine).values()) == [
        "hers: note.txt", "hers: plan.txt", "his own: note.txt", "his own: plan.txt",
    ]  # fmt: skip
    assert alice.asks("conflicts")["conflicts"] == []
    assert copies(mine) == []


def test_a_copy_that_is_renamed_by_hand_is_settled(alice: Person, bob: Person, mine: Path, his: Path) -> None:
    conflict(alice, bob, mine, his, "plan.txt")
    copies(his)[0].rename(his / "other.txt")
    bob.does("sync")
    assert alice.asks("conflicts")["conflicts"] == []


def test_what_was_not_sent_yet_is_not_decided_about(alice: Person, bob: Person, mine: Path, his: Path) -> None:
    conflict(alice, bob, mine, his, "plan.txt")
    copy = copies(mine)[0]
    copy.write_text("merged by hand, but not sent yet")
    alice.is_refused("not-in-sync", "conflicts", "keep", "theirs", str(copy))
    alice.does("sync")
    said = alice.does("conflicts", "keep", "mine", str(copy))
    assert "plan.txt has the content of plan (conflict" in said
    both_sync(alice, bob)
    assert contents(mine) == contents(his) == {"plan.txt": "merged by hand, but not sent yet"}


def test_what_cannot_be_settled_is_refused(alice: Person, mine: Path, tmp_path: Path) -> None:
    (mine / "plan.txt").write_text("one")
    alice.does("sync")
    alice.is_refused("no-conflict", "conflicts", "keep", "mine", str(mine / "plan.txt"))
    alice.is_refused("not-linked", "conflicts", "keep", "mine", str(tmp_path / "elsewhere"))
    alice.is_refused("usage", "conflicts", "keep", "hers", str(mine / "plan.txt"), code=2)
    alice.does("library", "create", "Other")
    alice.does("link", "Other", str(tmp_path / "other"))
    both = (str(mine / "plan.txt"), str(tmp_path / "other/x"))
    alice.is_refused("usage", "conflicts", "keep", "both", *both, code=2)
