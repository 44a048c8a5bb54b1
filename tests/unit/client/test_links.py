"""Symbolic links travel as links; none that leads out is followed, made, or read as a removal."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from syncline.client.disk import Changed, Disk
from syncline.client.summary import Summary
from tests.unit.client.clients import Client
from tests.unit.client.test_syncing import Pair


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def link(client: Client, path: str, target: str) -> Path:
    place = client.folder / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    os.symlink(target, place)
    return place


def node_of(pair: Pair, path: str) -> str:
    (node,) = (n.id for n in pair.stack.tree.live_nodes() if pair.stack.tree.path(n) == path)
    return node


def unsafe(summary: Summary) -> list[str]:
    return [skipped.path for skipped in summary.skipped if skipped.reason == "unsafe-link"]


async def test_links_of_every_kind_arrive_as_links(pair: Pair) -> None:
    pair.alice.write("folder/file", "x")
    wanted = {
        "to-file": "folder/file",
        "to-folder": "folder",
        "folder/up": "../to-file",
        "to-nothing": "not there",
        "ring": "ring",
        "ü/ä": "../folder/ü",
    }
    for path, target in wanted.items():
        os.utime(link(pair.alice, path, target), ns=(5, 1_700_000_000_123_456_789), follow_symlinks=False)
    await pair.settle()
    assert {path: os.readlink(pair.bob.folder / path) for path in wanted} == wanted
    assert os.lstat(pair.bob.folder / "ring").st_mtime_ns == 1_700_000_000_123_456_789
    assert "to-folder/file" not in pair.stack.paths()


async def test_a_link_is_turned_moved_removed_and_comes_back(pair: Pair) -> None:
    pair.alice.write("a", "a")
    pair.alice.write("b", "b")
    link(pair.alice, "way", "a")
    await pair.settle()
    node = node_of(pair, "way")
    link(pair.bob, "way", "b")
    await pair.settle()
    assert os.readlink(pair.alice.folder / "way") == "b"
    (pair.alice.folder / "d").mkdir()
    (pair.alice.folder / "way").rename(pair.alice.folder / "d/there")
    await pair.settle()
    assert node_of(pair, "d/there") == node
    (pair.bob.folder / "d/there").unlink()
    await pair.settle()
    assert not os.path.lexists(pair.alice.folder / "d/there")
    trashed = [day / "d/there" for day in (pair.alice.folder / ".syncline/trash").iterdir()]
    assert [os.readlink(p) for p in trashed] == ["b"]


async def test_a_file_becomes_a_link_and_a_link_a_file(pair: Pair) -> None:
    pair.alice.write("one", "two")
    pair.alice.write("two", "content")
    await pair.settle()
    node = node_of(pair, "one")
    link(pair.alice, "one", "two")  # the bytes are the same
    await pair.settle()
    assert os.readlink(pair.bob.folder / "one") == "two"
    (pair.bob.folder / "one").unlink()
    pair.bob.write("one", "two")
    await pair.settle()
    assert not (pair.alice.folder / "one").is_symlink()
    assert (pair.alice.read("one"), node_of(pair, "one")) == (b"two", node)


async def test_a_folder_becomes_a_link_and_a_link_a_folder(pair: Pair) -> None:
    pair.alice.write("d/e/file", "x")
    link(pair.alice, "way", "d")
    await pair.settle()
    (pair.alice.folder / "d/e").rename(pair.alice.folder / "e")
    link(pair.alice, "d/e", "../e")
    (pair.alice.folder / "way").unlink()
    pair.alice.write("way/file", "y")
    await pair.settle()
    assert os.readlink(pair.bob.folder / "d/e") == "../e"
    assert (pair.bob.read("e/file"), pair.bob.read("way/file")) == (b"x", b"y")


async def test_two_turn_a_link_differently_and_both_are_kept(pair: Pair) -> None:
    link(pair.alice, "way", "a")
    await pair.settle()
    link(pair.alice, "way", "b")
    link(pair.bob, "way", "c")
    await pair.settle()
    assert sorted(pair.stack.files().values()) == [b"b", b"c"]


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "x/../../outside", "\udcff"])
async def test_an_unsafe_link_is_left_alone_and_named(pair: Pair, target: str) -> None:
    place = link(pair.alice, "way", target)
    summary = await pair.alice.sync()
    assert summary.complete
    assert unsafe(summary) == ["way"]
    assert os.readlink(place) == target
    assert pair.stack.paths() == set()
    status = await pair.alice.engine.status(pair.alice.engine.links()[0])
    (named,) = status.skipped
    assert (named.path, named.reason) == ("way", "unsafe-link")
    assert target.encode("utf-8", "surrogateescape").decode(errors="replace") in named.detail


async def test_what_an_unsafe_link_took_the_place_of_is_not_removed(pair: Pair, tmp_path: Path) -> None:
    pair.alice.write("photos/2026/one", "1")
    pair.alice.write("notes", "n")
    await pair.settle()
    (pair.alice.folder / "photos").rename(tmp_path / "elsewhere")
    link(pair.alice, "photos", str(tmp_path / "elsewhere"))
    (pair.alice.folder / "notes").unlink()
    link(pair.alice, "notes", "/dev/null")
    for _ in range(2):
        summary = await pair.alice.sync()
        assert (summary.complete, sorted(unsafe(summary))) == (True, ["notes", "photos"])
    assert pair.stack.files() == {"photos/2026/one": b"1", "notes": b"n"}
    pair.bob.write("photos/2026/two", "2")
    await pair.bob.sync()
    await pair.alice.sync()
    assert not (tmp_path / "elsewhere/2026/two").exists()


async def test_an_unsafe_link_from_the_library_is_not_made(pair: Pair) -> None:
    link(pair.alice, "d/e/way", "../../top")
    pair.alice.write("d/e/file", "x")
    await pair.settle()
    (pair.alice.folder / "d/e").rename(pair.alice.folder / "e")  # now it leads out
    summary = await pair.alice.sync()
    assert unsafe(summary) == ["e/way"]
    node = node_of(pair, "e/way")
    summary = await pair.bob.sync()
    assert unsafe(summary) == ["e/way"]
    assert pair.bob.paths() == {"d", "e", "e/file"}
    for client in (pair.bob, pair.alice):
        summary = await client.sync()
        assert (summary.complete, summary.changes) == (True, 0)
    assert node_of(pair, "e/way") == node

    carol = Client(pair.stack, pair.bob.folder.parent, "carol")
    assert unsafe(await carol.sync()) == ["e/way"]
    assert carol.paths() == pair.bob.paths()

    (pair.bob.folder / "e").rename(pair.bob.folder / "d/e")  # and now it does not
    for client in (pair.bob, pair.alice, carol, pair.bob):
        await client.sync()
    assert os.readlink(pair.bob.folder / "d/e/way") == os.readlink(carol.folder / "d/e/way") == "../../top"
    await pair.settle()


async def test_a_folder_with_an_unsafe_link_is_not_removed_with_it(pair: Pair) -> None:
    link(pair.alice, "d/e/way", "../../top")
    pair.alice.write("d/e/file", "x")
    await pair.settle()
    (pair.alice.folder / "d/e").rename(pair.alice.folder / "e")
    await pair.alice.sync()
    await pair.bob.sync()
    (pair.bob.folder / "e/file").unlink()
    (pair.bob.folder / "e").rmdir()
    await pair.bob.sync()
    assert pair.stack.files() == {"e/way": b"../../top"}


@pytest.mark.parametrize("kind", ["socket", "pipe"])
async def test_a_file_replaced_by_something_special_is_not_removed(pair: Pair, kind: str, tmp_path: Path) -> None:
    place = pair.alice.write("d/file", "x")
    await pair.settle()
    place.unlink()
    if kind == "pipe":
        os.mkfifo(place)
    else:
        os.chdir(place.parent)  # a socket's path has 108 bytes at most
        server = socket.socket(socket.AF_UNIX)
        server.bind("file")
        server.close()
        os.chdir(tmp_path)
    (pair.alice.folder / "d").rename(pair.alice.folder / "moved")
    summary = await pair.alice.sync()
    assert summary.complete
    assert [(s.path, s.reason) for s in summary.skipped] == [("moved/file", "special-file")]
    assert pair.stack.files() == {"moved/file": b"x"}


# -- never through a link


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    disk = Disk(tmp_path / "root")
    disk.mark("m")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/f").write_text("theirs")
    os.symlink(tmp_path / "outside", tmp_path / "root/d")
    return disk


def anything(path: Path):
    return Disk(path.parent).stat(path.name)


@pytest.mark.parametrize(
    "act",
    [
        lambda disk: disk.read("d/f", 0, 10),
        lambda disk: disk.stat("d/f"),
        lambda disk: disk.make_folder("d/new"),
        lambda disk: disk.move("d/f", "f"),
        lambda disk: disk.move("mine", "d/mine"),
        lambda disk: disk.merge_folder("folder", "d"),
        lambda disk: disk.trash_file("d/f", anything),
        lambda disk: disk.discard_file("d/f", anything),
        lambda disk: disk.remove_folder("d/empty"),
        lambda disk: disk.set_executable("d/f", True, anything),
        lambda disk: disk.install_link(disk.temporary("t"), "x", "d/new", mtime_ns=0, is_expected=None),
    ],
)
def test_nothing_is_done_through_a_link(disk: Disk, tmp_path: Path, act) -> None:
    (disk.root / "mine").write_text("mine")
    (disk.root / "folder").mkdir()
    (disk.root / "folder/x").write_text("x")
    (tmp_path / "outside/empty").mkdir()
    with pytest.raises(Changed):
        act(disk)
    assert sorted(os.listdir(tmp_path / "outside")) == ["empty", "f"]
    assert (tmp_path / "outside/f").read_text() == "theirs"
    assert not os.access(tmp_path / "outside/f", os.X_OK)
    assert list((disk.own / "tmp").iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="this system has no names for open folders")
def test_a_link_that_takes_a_folders_place_in_the_last_moment(tmp_path: Path) -> None:
    """Between the last look at the file that is replaced and its replacing."""
    disk = Disk(tmp_path / "root")
    disk.mark("m")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/f").write_text("theirs")
    (disk.root / "d").mkdir()
    (disk.root / "d/f").write_text("ours")

    def look_and_be_tricked(path: Path):
        found = disk.expecting((disk.stat("d/f"),), None)(path)
        (disk.root / "d").rename(disk.root / "real")
        os.symlink(tmp_path / "outside", disk.root / "d")
        return found

    with disk.writing("t", 3) as (temporary, descriptor):
        disk.write(descriptor, b"new", 0)
        disk.install(temporary, descriptor, "d/f", executable=False, mtime_ns=0, is_expected=look_and_be_tricked)
    assert (tmp_path / "outside/f").read_text() == "theirs"
    assert (disk.root / "real/f").read_text() == "new"
