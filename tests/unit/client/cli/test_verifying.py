"""verify, on a terminal."""

import os
import shlex
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from syncline.client.hashing import stat_of
from syncline.client.index import Index
from tests.unit.client.cli.people import Person


@pytest.fixture
def mine(alice: Person, tmp_path: Path) -> Path:
    alice.does("link", "Shared", str(tmp_path / "mine"))
    (tmp_path / "mine/plan's.txt").write_text("precious")
    (tmp_path / "mine/note.txt").write_text("note")
    alice.does("sync")
    return tmp_path / "mine"


def believe(person: Person, path: Path) -> None:
    """Make the client believe that the file as it is was never written to."""
    with closing(Index(person.home / "index.sqlite3")) as index:
        link = index.links()[0]
        node = index.base(link).nodes[index.node_at(link, path.name)]
        index.agree(link, [msgspec.structs.replace(node, stat=stat_of(os.lstat(path)))])


def test_a_damaged_file_is_told_and_can_be_had_back(alice: Person, mine: Path) -> None:
    assert "2 files read: " in alice.does("verify", str(mine))
    assert alice.asks("verify", str(mine))["equal"] is True
    plan = mine / "plan's.txt"
    plan.write_text("preciouT")
    believe(alice, plan)
    (mine / "note.txt").write_text("another note")
    said = alice.tries("verify", str(mine))
    assert (said.code, said.err) == (1, "")
    lines = said.out.splitlines()
    assert [line.split() for line in lines[:2]] == [["changed", "here", "note.txt"], ["damaged", "plan's.txt"]]
    alice.does("sync")
    document = alice.tries("verify", str(mine), "--json")
    assert document.code == 1
    assert [(one["state"], one["path"]) for one in document.json["findings"]] == [("damaged", "plan's.txt")]
    [advice] = [line for line in lines if line.startswith("  syncline get")]
    alice.does(*shlex.split(advice)[1:])
    assert plan.read_text() == "precious"
    alice.does("sync")
    assert alice.asks("verify", str(mine))["equal"] is True
    alice.is_refused("not-linked", "verify", str(mine.parent))
