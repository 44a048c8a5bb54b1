"""trash, restore, rewind, library retention, over a library that things were removed from."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.unit.client.cli.people import Person
from tests.unit.client.cli.service import Service


@pytest.fixture
def shared(alice: Person, service: Service) -> str:
    """Shared holds plan.txt and docs/ with deep/ in it."""
    library = str(alice.asks("library", "list")["libraries"][0]["id"])
    service.put(alice.email, library, "plan.txt", b"one")
    alice.does("mkdir", "-p", "Shared:docs/deep")
    alice.does("mv", "Shared:plan.txt", "Shared:docs/deep")
    return library


def test_what_was_removed_is_listed_and_comes_back(alice: Person, shared: str) -> None:
    assert alice.does("trash", "Shared") == "The trash is empty.\n"
    alice.does("rm", "-r", "Shared:docs")
    table = alice.does("trash", "Shared:").splitlines()
    assert len(table) == 2
    assert table[1].endswith("docs/")
    assert [one["path"] for one in alice.asks("trash", "Shared")["removed"]] == ["docs"]
    assert alice.does("restore", "Shared:docs") == "Shared:docs is back (1 file).\n"
    assert alice.does("ls", "Shared:docs/deep") == "plan.txt\n"
    assert alice.asks("trash", "Shared")["removed"] == []


def test_a_file_comes_back_out_of_a_removed_folder_and_elsewhere(alice: Person, shared: str) -> None:
    alice.does("rm", "-r", "Shared:docs")
    alice.does("mkdir", "Shared:rescued")
    alice.does("restore", "Shared:docs/deep/plan.txt", "--to", "Shared:rescued/")
    assert alice.does("ls", "Shared:rescued") == "plan.txt\n"
    alice.does("rm", "Shared:rescued/plan.txt")
    alice.does("restore", "Shared:rescued/plan.txt", "--to", "Shared:rescued/other.txt")
    assert alice.does("ls", "Shared:rescued") == "other.txt\n"
    alice.is_refused("no-such-node", "restore", "Shared:never")
    alice.is_refused("no-such-folder", "restore", "Shared:docs", "--to", "Shared:nowhere/else")


def test_going_back_is_told_first_and_then_done(alice: Person, shared: str) -> None:
    seq = str(alice.asks("library", "list")["libraries"][0]["seq"])
    alice.does("mv", "Shared:docs/deep/plan.txt", "Shared:docs/plan.txt")
    alice.does("mkdir", "Shared:docs/fresh")
    told = alice.does("rewind", "Shared:docs", "--at", seq)
    assert told.splitlines() == [
        "moved     docs/deep/plan.txt  (is now docs/plan.txt)",
        "removed   docs/fresh/",
        "2 changes; --yes makes them.",
    ]
    assert alice.does("ls", "Shared:docs") == "deep/\nfresh/\nplan.txt\n"
    assert "is as it was at" in alice.does("rewind", "Shared:docs", "--at", seq, "--yes")
    assert alice.does("ls", "Shared:docs") == "deep/\n"
    assert alice.asks("rewind", "Shared:docs", "--at", seq)["total"] == 0
    alice.is_refused("no-such-node", "rewind", "Shared:docs", "--at", "yesterday")
    alice.is_refused("usage", "rewind", "Shared:docs", "--at", "soon", code=2)


def test_what_is_in_the_trash_is_given_up_when_that_is_said(alice: Person, shared: str, service: Service) -> None:
    service.put(alice.email, shared, "two.txt", b"two")
    service.put(alice.email, shared, "one.txt", b"one")
    alice.does("rm", "-r", "Shared:docs", "Shared:two.txt", "Shared:one.txt")
    told = alice.does("purge", "Shared:docs")
    assert told == "1 version of 1 file, 1 folder (3 B) of Shared:docs would be given up for ever; --yes does it.\n"
    assert alice.asks("purge", "Shared:")["files"] == 3
    assert len(alice.asks("trash", "Shared")["removed"]) == 3
    assert (
        alice.does("purge", "Shared:docs", "--yes") == "1 version of 1 file, 1 folder (3 B) of Shared:docs given up.\n"
    )
    alice.is_refused("no-such-node", "restore", "Shared:docs")
    assert "of the trash of Shared given up" in alice.does("purge", "Shared:", "--yes")
    assert alice.asks("trash", "Shared")["removed"] == []
    assert alice.does("purge", "Shared:", "--yes") == "There is nothing to give up of the trash of Shared.\n"


def test_old_versions_of_a_file_are_given_up_and_its_content_stays(alice: Person, mine: Path) -> None:
    plan = mine / "docs/deep/plan.txt"
    for content in ("two, longer", "three, longer still"):
        plan.write_text(content)
        alice.does("sync")
    first, second = (one["id"] for one in alice.asks("history", str(plan))["versions"][:0:-1])
    alice.is_refused("not-removed", "purge", str(mine))
    alice.is_refused("not-removed", "purge", str(plan))
    assert alice.asks("purge", str(plan), "--versions-before", "now")["versions"] == 2
    assert alice.asks("purge", str(plan), "--versions-before", "now", "--yes")["versions"] == 2
    for version in (first, second):
        assert "version-purged" in alice.tries("restore", str(plan), "--version", version, "--json").out
    alice.does("get", "Shared:docs/deep/plan.txt", str(mine.parent / "got"))
    assert (mine.parent / "got").read_text() == "three, longer still"


def test_nothing_is_given_up_under_a_hold(alice: Person, shared: str) -> None:
    alice.does("rm", "-r", "Shared:docs")
    alice.does("library", "retention", "Shared", "--hold")
    alice.is_refused("under-hold", "purge", "Shared:", "--yes")
    assert len(alice.asks("trash", "Shared")["removed"]) == 1


# -- on paths of a linked folder


@pytest.fixture
def mine(alice: Person, shared: str, tmp_path: Path) -> Path:
    alice.does("link", "Shared", str(tmp_path / "mine"))
    alice.does("sync")
    return tmp_path / "mine"


def test_a_local_file_has_its_history_and_goes_back_to_a_time(alice: Person, mine: Path) -> None:
    plan = mine / "docs/deep/plan.txt"
    then = datetime.now(UTC).isoformat()
    for content in ("two, longer", "three, longer still"):
        plan.write_text(content)
        alice.does("sync")
    history = alice.asks("history", str(plan))
    assert [one["size_bytes"] for one in history["versions"]] == [19, 11, 3]
    said = alice.does("restore", str(plan), "--at", then)
    assert "is again as it was in version" in said
    assert "The next sync brings it here." in said
    alice.does("sync")
    assert plan.read_text() == "one"
    alice.does("restore", str(plan), "--version", history["versions"][1]["id"])
    alice.does("sync")
    assert plan.read_text() == "two, longer"
    alice.is_refused("no-such-node", "restore", str(plan), "--at", "3 days ago")
    alice.is_refused("not-a-file", "history", str(mine / "docs"))
    alice.is_refused("not-linked", "history", str(mine.parent / "x"))
    assert alice.tries("restore", str(plan), "--at", "now", "--version", "x").code == 2


def test_a_local_file_is_known_by_its_old_name_and_after_its_removal(alice: Person, mine: Path) -> None:
    plan = mine / "docs/deep/plan.txt"
    moved = plan.rename(mine / "final.txt")
    alice.does("sync")
    node = alice.asks("history", str(moved))["node"]["id"]
    assert alice.asks("history", str(plan))["node"]["id"] == node
    moved.unlink()
    alice.does("sync")
    assert alice.asks("history", str(moved))["node"]["id"] == node
    assert "is back (1 file)" in alice.does("restore", str(moved))
    alice.does("sync")
    assert moved.read_text() == "one"
    moved.unlink()
    alice.does("sync")
    seq = str(alice.asks("library", "list")["libraries"][0]["seq"] - 1)
    alice.does("restore", str(moved), "--at", seq)
    alice.does("sync")
    assert moved.read_text() == "one"


def test_a_linked_folder_goes_back_to_a_time(alice: Person, mine: Path) -> None:
    then = datetime.now(UTC).isoformat()
    (mine / "docs/deep/plan.txt").write_text("two, longer")
    (mine / "docs/new.txt").write_text("new")
    alice.does("sync")
    assert "2 changes; --yes makes them." in alice.does("rewind", str(mine / "docs"), "--at", then)
    assert "The next sync brings it here." in alice.does("rewind", str(mine), "--at", then, "--yes")
    alice.does("sync")
    assert {path.name for path in (mine / "docs").rglob("*")} == {"deep", "plan.txt"}
    assert (mine / "docs/deep/plan.txt").read_text() == "one"


def test_owners_say_how_long_history_is_kept(alice: Person, shared: str) -> None:
    assert "for ever" in alice.does("library", "retention", "Shared")
    said = alice.asks("library", "retention", "Shared", "--trash-days", "90", "--hold")
    assert (said["trash_days"], said["versions_days"], said["hold"]) == (90, 0, True)
    said = alice.asks("library", "retention", "Shared", "--no-hold")
    assert (said["trash_days"], said["hold"]) == (90, False)


# -- the local trash


def test_what_sync_removed_here_comes_back(alice: Person, mine: Path, shared: str) -> None:
    assert alice.does("trash", "--local") == "The local trash is empty.\n"
    alice.does("rm", "Shared:docs/deep/plan.txt")
    alice.does("sync")
    plan = mine / "docs/deep/plan.txt"
    assert not plan.exists()
    table = alice.does("trash", "--local", str(mine)).splitlines()
    assert table[1].endswith("/docs/deep/plan.txt")
    [one] = alice.asks("trash", "--local", str(mine / "docs"))["trashed"]
    assert (one["path"], one["size_bytes"], one["folder"]) == ("docs/deep/plan.txt", 3, str(mine))
    assert "is back." in alice.does("trash", "--local", "restore", str(plan))
    assert plan.read_text() == "one"
    alice.is_refused("not-in-trash", "trash", "--local", "restore", str(plan))
    alice.does("sync")
    assert alice.does("ls", "Shared:docs/deep") == "plan.txt\n"
    alice.does("rm", "Shared:docs/deep/plan.txt")
    alice.does("sync")
    assert alice.does("trash", "--local", "empty", str(mine)) == "Deleted 1 file (3 B).\n"
    assert alice.asks("trash", "--local")["trashed"] == []
    alice.is_refused("usage", "trash", "--local", "restore", code=2)
    alice.is_refused("usage", "trash", code=2)
    alice.is_refused("not-linked", "trash", "--local", str(mine.parent))
