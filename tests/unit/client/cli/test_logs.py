"""log, on a terminal."""

import re
from pathlib import Path

import pytest

from tests.unit.client.cli.people import Person
from tests.unit.client.cli.service import Service


@pytest.fixture
def mine(alice: Person, tmp_path: Path) -> Path:
    alice.does("link", "Shared", str(tmp_path / "mine"))
    return tmp_path / "mine"


def test_a_file_tells_its_story(alice: Person, mine: Path, service: Service) -> None:
    (mine / "docs").mkdir()
    (mine / "plan.txt").write_text("one")
    alice.does("sync")
    service.put(alice.email, alice.asks("library", "list")["libraries"][0]["id"], "plan.txt", b"two, longer")
    alice.does("sync")
    (mine / "plan.txt").rename(mine / "docs/final.txt")
    alice.does("sync")
    rows = [re.split(" {2,}", line) for line in alice.does("log", str(mine / "docs/final.txt")).splitlines()]
    assert [row[1:] for row in rows] == [
        ["what", "size", "path"],
        ["sent", "3 B", "plan.txt", "(new here)"],
        ["fetched", "11 B", "plan.txt", "(changed in the library, by Alice)"],
        ["moved there", "plan.txt → docs/final.txt", "(moved or renamed here)"],
    ]
    assert "final.txt" in alice.does("log", str(mine), "-n", "1")
    assert len(alice.asks("log", str(mine))["entries"]) == 4
    entries = alice.asks("log", str(mine / "docs/final.txt"), "--since", "1 hour ago")["entries"]
    assert [entry["what"] for entry in entries] == ["sent", "fetched", "moved there"]
    assert entries[1]["author"]["account"]
    assert entries[1]["node"] == entries[0]["node"] != ""
    alice.does("logout")
    assert "(changed in the library, by " in alice.does("log", str(mine / "docs/final.txt"))


def test_what_is_not_known_is_said(alice: Person, mine: Path) -> None:
    assert "Nothing is known of" in alice.does("log", str(mine / "never"))
    alice.is_refused("not-linked", "log", str(mine.parent))
    alice.is_refused("usage", "log", str(mine), "--since", "tomorrow", code=2)
