"""link, unlink, sync, watch, status, compare."""

import json
import os
import re
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.unit.client.cli.people import Person
from tests.unit.client.cli.service import Service

WAIT_S_MAX = 60


@pytest.fixture
def mine(alice: Person, tmp_path: Path) -> Path:
    """Alice's folder, linked with Shared."""
    alice.does("link", "Shared", str(tmp_path / "alice"))
    return tmp_path / "alice"


@pytest.fixture
def his(alice: Person, bob: Person, tmp_path: Path) -> Path:
    """Bob's folder, linked with the same library."""
    alice.does("library", "share", "Shared", bob.email)
    bob.does("link", "Shared", str(tmp_path / "bob"))
    return tmp_path / "bob"


def until(condition: Callable[[], bool]) -> None:
    for _ in range(WAIT_S_MAX * 20):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it never came")


def ended_with(signal_number: int, life: Callable[[], None]) -> None:
    """Live beside a command, then end it with a signal."""
    try:
        life()
    finally:
        os.kill(os.getpid(), signal_number)


# -- link, unlink


def test_linking_and_unlinking(alice: Person, tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    assert "syncline sync" in alice.does("link", "Shared", str(folder))
    assert folder.is_dir()
    again = alice.asks("link", "Shared", str(folder))
    assert (again["path"], again["library_name"]) == (str(folder), "Shared")
    alice.does("library", "create", "Other")
    alice.is_refused("linked-already", "link", "Other", str(folder))
    alice.is_refused("linked-already", "link", "Shared", str(folder / "below"))
    alice.is_refused("no-such-library", "link", "Nowhere", str(tmp_path / "x"))
    (folder / "note.txt").write_text("note")
    assert "all files stay" in alice.does("unlink", str(folder))
    assert (folder / "note.txt").read_text() == "note"
    told = alice.is_refused("not-linked", "unlink", str(folder))
    assert "syncline link" in told
    alice.is_refused("not-linked", "sync", str(folder))
    alice.is_refused("not-linked", "sync")
    alice.is_refused("not-linked", "watch")


def test_unlinking_needs_nobody_signed_in(alice: Person, mine: Path) -> None:
    alice.does("logout")
    alice.is_refused("not-signed-in", "sync", code=3)
    assert alice.asks("unlink", str(mine))["unlinked"]["path"] == str(mine)


# -- sync


def test_two_folders_become_the_same(alice: Person, bob: Person, mine: Path, his: Path) -> None:
    (mine / "docs").mkdir()
    (mine / "docs/plan.txt").write_text("a plan")
    assert alice.does("sync", str(mine)).endswith(": sent 1 file (6 B), made 1 folder; in sync\n")
    assert bob.does("sync").endswith(": fetched 1 file (6 B), made 1 folder; in sync\n")
    assert (his / "docs/plan.txt").read_text() == "a plan"
    assert bob.does("sync").endswith(": nothing to do; in sync\n")
    (his / "docs/plan.txt").unlink()
    summary = bob.asks("sync", str(his / "docs"))["folders"][0]
    assert (summary["removed_there"], summary["complete"]) == (1, True)
    assert "removed 1 thing here (to the trash)" in alice.does("sync")
    assert alice.does("sync", "-q") == ""


def test_a_conflict_is_told(alice: Person, bob: Person, mine: Path, his: Path) -> None:
    (mine / "plan.txt").write_text("one")
    alice.does("sync")
    bob.does("sync")
    (mine / "plan.txt").write_text("hers")
    (his / "plan.txt").write_text("his own")
    alice.does("sync")
    said = bob.does("sync")
    assert "conflict copy: plan (conflict " in said
    alice.does("sync")
    assert sorted(path.read_text() for path in mine.glob("plan*")) == ["hers", "his own"]
    status = alice.asks("status")["folders"][0]
    assert len(status["conflicts"]) == 1
    assert status["conflicts"][0].startswith("plan (conflict ")
    assert "conflict copy: plan (conflict " in alice.does("status")


def test_what_is_left_alone_is_told(alice: Person, mine: Path) -> None:
    (mine / "link").symlink_to("/elsewhere")
    said = alice.does("sync")
    assert "left alone: link (this symbolic link leads out of the folder: /elsewhere)" in said
    assert alice.asks("status")["folders"][0]["skipped"][0]["reason"] == "unsafe-link"
    assert "left alone: link" in alice.does("status")
    assert "left alone: link" in alice.does("compare", str(mine))


def test_a_folder_that_is_gone_changes_nothing(alice: Person, mine: Path) -> None:
    (mine / "plan.txt").write_text("a plan")
    alice.does("sync")
    mine.rename(mine.with_name("elsewhere"))
    assert str(mine) in alice.is_refused("root-missing", "sync")
    assert [child["name"] for child in alice.asks("ls", "Shared:")["children"]] == ["plan.txt"]


def test_one_folder_of_several_in_trouble(alice: Person, mine: Path, tmp_path: Path) -> None:
    alice.does("library", "create", "Other")
    other = tmp_path / "other"
    alice.does("link", "Other", str(other))
    (mine / "plan.txt").write_text("a plan")
    other.rename(tmp_path / "moved")
    said = alice.tries("sync")
    assert said.code == 5
    assert "sent 1 file" in said.out
    assert str(other) in said.err
    document = alice.tries("sync", "--json")
    assert document.code == 5
    kinds = [folder.get("problem", {}).get("kind", "") for folder in document.json["folders"]]
    assert sorted(kinds) == ["", "root-missing"]
    shown = alice.tries("status")
    assert shown.code == 1
    assert "not known" in shown.out


# -- status


def test_status_says_what_is_to_be_done(alice: Person, bob: Person, mine: Path, his: Path) -> None:
    said = alice.does("status")
    assert alice.email in said
    assert "last in sync  never" in said
    assert "to send       nothing" in said
    (mine / "plan.txt").write_text("a plan")
    assert "↑ send plan.txt" in alice.does("status")
    alice.does("sync")
    now = time.time_ns() // 1_000_000
    status = bob.asks("status", str(his))
    assert status["folders"][0]["to_fetch"] == [{"verb": "Fetch", "path": "plan.txt"}]
    assert status["folders"][0]["to_send"] == []
    assert status["folders"][0]["last_in_sync_ms"] is None
    assert "↓ fetch plan.txt" in bob.does("status")
    assert abs(alice.asks("status")["folders"][0]["last_in_sync_ms"] - now) < 60_000
    assert not (his / "plan.txt").exists()


def test_status_without_links(alice: Person) -> None:
    assert "syncline link" in alice.does("status")
    assert alice.asks("status")["folders"] == []


# -- compare


def test_comparing(alice: Person, bob: Person, mine: Path, his: Path) -> None:
    for name in ("same", "older", "other", "gone"):
        (mine / name).write_text(f"{name} 1")
    alice.does("sync")
    bob.does("sync")
    assert bob.does("compare", str(his)).endswith("hold the same 4 files.\n")
    assert bob.asks("compare", str(his))["equal"] is True
    (mine / "older").write_text("older 2")
    alice.does("sync")
    (his / "other").write_text("not in the library")
    (his / "gone").unlink()
    (his / "mine").write_text("mine")
    said = bob.tries("compare", str(his))
    assert said.code == 1
    assert said.err == ""
    assert [re.split(" {2,}", line) for line in said.out.splitlines()[:4]] == [
        ["missing here", "gone"],
        ["only here", "mine"],
        ["newer there", "older"],
        ["different", "other"],
    ]
    assert "syncline sync" in said.out
    document = bob.tries("compare", str(his / "sub"), "--json")
    assert document.code == 1
    assert [one["state"] for one in document.json["differences"]] == ["missing", "extra", "newer", "different"]
    bob.does("sync")
    assert bob.asks("compare", str(his))["equal"] is True


# -- watch


def test_watching_sends_fetches_and_ends_on_ctrl_c(
    alice: Person, bob: Person, mine: Path, his: Path, service: Service
) -> None:
    library = alice.asks("library", "list")["libraries"][0]["id"]
    service.put(bob.email, library, "first", b"before it began")

    def life() -> None:
        until(lambda: (mine / "first").exists())
        service.put(bob.email, library, "theirs", b"from afar")
        until(lambda: (mine / "theirs").exists())
        (mine / "hers").write_text("from here")
        until(lambda: service.world.decider.trees[library].find("hers") is not None)

    with ThreadPoolExecutor(1) as beside:
        lived = beside.submit(ended_with, signal.SIGINT, life)
        said = alice.tries("watch", "--json")
        lived.result()
    assert (said.code, said.err) == (130, "")
    events = [json.loads(line) for line in said.out.splitlines()]
    assert (events[0]["event"], events[0]["path"]) == ("watching", str(mine))
    passes = [event for event in events if event["event"] == "pass"]
    assert sum(event["downloaded"] for event in passes) == 2
    assert (mine / "theirs").read_bytes() == b"from afar"


def test_watching_tells_people_too(alice: Person, mine: Path) -> None:
    (mine / "plan.txt").write_text("a plan")

    with ThreadPoolExecutor(1) as beside:
        told = alice.home / "synced"
        lived = beside.submit(ended_with, signal.SIGTERM, lambda: until(lambda: any(told.glob("*"))))
        said = alice.tries("watch", str(mine))
        lived.result()
    assert (said.code, said.err) == (143, "")
    lines = said.out.splitlines()
    assert lines[0].startswith("Watching ")
    assert lines[1].endswith(": sent 1 file (6 B); in sync")
