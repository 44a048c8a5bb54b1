"""The index: what is written stays, in one piece, and what is newer or damaged is not touched."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import msgspec
import pytest

from syncline.client.home import Home
from syncline.client.index import Index, Link, Pending, PendingUpload
from syncline.client.operations import SendFile, SendFolder, SendMove, SendRemove
from syncline.client.schema import MIGRATIONS, SCHEMA_VERSION
from syncline.domain.errors import Broken, Refused
from tests.unit.client.planned import base_node, content, remote_node, stat

LINK = Link("link", "library", "Shared", "/folder", 1, 2, "marker")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.sqlite3"


def opened(path: Path) -> Index:
    return Index(path)


def test_everything_is_there_after_closing_and_opening(path: Path) -> None:
    index = opened(path)
    index.add_link(LINK)
    index.agree(LINK, [base_node("f"), base_node("d", folder=True)])
    index.learn(LINK, [remote_node("f"), remote_node("g")], [], cursor="c1", seq=1)
    index.learn(LINK, [remote_node("h")], ["g"], cursor="c2", seq=5)
    sent = (
        SendFolder("d", "library", "d", "d", "d", stat(1)),
        SendMove(base_node("f"), 5, "f"),
        SendRemove("g", 5, True, "g", 2, ("x", "y")),
        SendFile("f", "library", "f", "f", content("text"), stat(1, "text"), source="v1"),
    )
    index.expect(LINK, Pending("command", b"the very body", sent))
    upload = PendingUpload("grant", "key", "permit", "node", "version", "upload")
    index.keep_upload("library", "ident", upload, 1_000)
    index.close()
    index = opened(path)
    assert index.links() == [Link("link", "library", "Shared", "/folder", 1, 2, "marker", "c2", 5)]
    assert index.base(LINK).nodes == {"f": base_node("f"), "d": base_node("d", folder=True)}
    assert index.remote(LINK).nodes.keys() == {"f", "h"}
    assert index.remote(LINK).seq == 5
    assert index.pending(LINK) == [Pending("command", b"the very body", sent)]
    assert index.upload("library", "ident") == upload
    assert index.upload("library", "another") is None
    index.settle(LINK, "command", [base_node("k")], ["f"])
    assert index.pending(LINK) == []
    assert index.base(LINK).nodes.keys() == {"d", "k"}
    index.drop_uploads_before(1_001)
    assert index.upload("library", "ident") is None
    index.close()


def test_a_tree_that_begins_anew_forgets_the_old_one(path: Path) -> None:
    index = opened(path)
    index.add_link(LINK)
    index.learn(LINK, [remote_node("f")], [], cursor="c1", seq=1)
    index.learn(LINK, [remote_node("g")], [], cursor="c2", seq=2, anew=True)
    assert index.remote(LINK).nodes.keys() == {"g"}


def test_a_failure_in_between_changes_nothing(path: Path) -> None:
    index = opened(path)
    index.add_link(LINK)

    def nodes():
        yield base_node("f")
        raise ValueError

    with pytest.raises(ValueError):
        index.agree(LINK, nodes())
    index.agree(LINK, [base_node("g")])
    assert index.base(LINK).nodes.keys() == {"g"}


def test_dropping_a_link_forgets_all_of_it(path: Path) -> None:
    index = opened(path)
    index.add_link(LINK)
    index.agree(LINK, [base_node("f")])
    index.learn(LINK, [remote_node("f")], [], cursor="c", seq=1)
    index.drop_link("link")
    assert (index.links(), index.base(LINK).nodes, index.remote(LINK).nodes) == ([], {}, {})


def test_the_counter_only_grows(path: Path) -> None:
    index = opened(path)
    given = [index.next_counter(now) for now in (100, 100, 50, 200, 1)]
    assert given == [100, 101, 102, 200, 201]


def test_a_newer_or_damaged_index_is_told(path: Path) -> None:
    opened(path).close()
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    db.close()
    with pytest.raises(Broken, match="newer version"):
        opened(path)
    path.write_bytes(b"no database at all, but quite long enough to look like a file" * 100)
    with pytest.raises(Broken, match="damaged"):
        opened(path)


def test_one_lock_at_a_time(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with home.locked("link"), pytest.raises(Refused) as refused, home.locked("link", busy="in use"):
        pass
    assert (refused.value.kind, str(refused.value)) == ("busy", "in use")
    with home.locked("link"), home.locked("other"):
        pass


def test_an_index_of_the_version_before_keeps_its_nodes(path: Path) -> None:
    """Until schema 3 a node was one msgpack map."""
    nodes = [base_node("f"), base_node("d", folder=True), base_node("g", parent="d", materialised=False)]
    there = [remote_node("f", version="v2"), remote_node("d", folder=True), remote_node("n", parent="d")]
    with sqlite3.connect(path, isolation_level=None) as db:
        for step in (1, 2, 3):
            MIGRATIONS[step](db)
        db.execute("PRAGMA user_version = 3")
        db.execute("INSERT INTO links VALUES (?,?,?,?,?,?,?,?,?,?)", msgspec.structs.astuple(LINK)[:10])
        db.executemany("INSERT INTO base VALUES ('link', ?, ?)", [(n.node, msgspec.msgpack.encode(n)) for n in nodes])
        db.executemany("INSERT INTO remote VALUES ('link', ?, ?)", [(n.node, msgspec.msgpack.encode(n)) for n in there])
    db.close()
    index = opened(path)
    assert index.links() == [LINK]
    assert index.base(LINK).nodes == {node.node: node for node in nodes}
    assert index.remote(LINK).nodes == {node.node: node for node in there}
    assert set(index.holdings(LINK).differing()) == {"f", "g", "n"}


def test_inodes_of_64_bits_are_kept(path: Path) -> None:
    index = opened(path)
    index.add_link(LINK)
    index.agree(LINK, [base_node("d", folder=True, inode=2**64 - 3)])
    assert index.base(LINK).nodes["d"].stat == stat(2**64 - 3)
    assert [place.inode for place in index.holdings(LINK).places("library")] == [2**64 - 3]
    assert index.holdings(LINK).folder_of_inode(2**64 - 3) == "d"


def test_what_differs_is_found_without_reading_all(path: Path) -> None:
    index = opened(path)
    index.add_link(LINK)
    held = index.holdings(LINK)
    index.agree(LINK, [base_node("d", folder=True), base_node("f", parent="d"), base_node("g", parent="d")])
    index.learn(LINK, [remote_node("d", folder=True), remote_node("f", parent="d")], [], cursor="c", seq=1)
    assert held.differing() == ["g"]
    index.learn(LINK, [remote_node("g", parent="d")], [], cursor="c", seq=2)
    assert held.differing() == []
    index.learn(LINK, [remote_node("f", parent="d", version="v2")], [], cursor="c", seq=3)
    assert held.differing() == ["f"]
    index.agree(LINK, [base_node("g", parent="d")], forget=["d"])
    assert set(held.differing()) == {"d", "f", "g"}, "nodes whose folder the base has lost differ too"


def test_what_was_put_off_comes_back_with_its_folder(path: Path) -> None:
    index = opened(path)
    index.add_link(LINK)
    held = index.holdings(LINK)
    index.learn(LINK, [remote_node("e", parent="d", folder=True), remote_node("f", parent="e")], [], cursor="c", seq=1)
    held.put_off(["e", "f"], 0)
    assert set(held.differing()) == {"e", "f"}, "more was learnt since"
    held.put_off(["e", "f"], 1)
    assert held.differing() == []
    index.learn(LINK, [remote_node("d", folder=True)], [], cursor="c", seq=2)
    assert set(held.differing()) == {"d", "e", "f"}
