"""Whole passes: clients on real folders against the service made of the domain."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from syncline.domain.errors import Refused
from tests.unit.client.clients import Client
from tests.unit.client.fakes import Stack

MIB = 1024 * 1024


class Pair:
    """Two devices and what they must agree on."""

    def __init__(self, base: Path) -> None:
        self.stack = Stack()
        self.alice = Client(self.stack, base, "alice")
        self.bob = Client(self.stack, base, "bob")

    async def settle(self, rounds: int = 6) -> None:
        """Passes in turn until neither does anything; then both folders and the library are the same."""
        for _ in range(rounds):
            done = [await client.sync() for client in (self.alice, self.bob)]
            if not any(summary.changes for summary in done):
                break
        assert all(summary.complete for summary in done), done
        assert self.alice.files() == self.bob.files() == self.stack.files()
        assert self.alice.paths() == self.bob.paths() == self.stack.paths()


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


async def test_a_tree_reaches_the_other_side(pair: Pair) -> None:
    pair.alice.write("a.txt", "one")
    pair.alice.write("d/e/f/deep.txt", "deep")
    (pair.alice.write("run.sh", "#!/bin/sh")).chmod(0o755)
    (pair.alice.folder / "empty").mkdir()
    pair.alice.write("zero", b"")
    pair.alice.write("also/zero", b"")
    summary = await pair.alice.sync()
    assert (summary.complete, summary.refused, summary.later) == (True, [], [])
    await pair.settle()
    assert pair.bob.read("d/e/f/deep.txt") == b"deep"
    assert os.access(pair.bob.folder / "run.sh", os.X_OK)
    assert not os.access(pair.bob.folder / "a.txt", os.X_OK)
    assert (pair.bob.folder / "empty").is_dir()
    times = [(c.folder / "a.txt").stat().st_mtime_ns for c in (pair.alice, pair.bob)]
    assert times[0] == times[1]


async def test_updates_removals_and_moves_both_ways(pair: Pair) -> None:
    for n in range(5):
        pair.alice.write(f"d/{n}.txt", f"content {n}")
    await pair.settle()
    nodes = {n.name: n.id for n in pair.stack.tree.live_nodes()}
    pair.bob.write("d/0.txt", "newer")
    (pair.bob.folder / "d/1.txt").unlink()
    (pair.bob.folder / "d/2.txt").rename(pair.bob.folder / "renamed.txt")
    pair.alice.write("d/3.txt", "newer too")
    (pair.alice.folder / "d/4.txt").unlink()
    (pair.alice.folder / "d").rename(pair.alice.folder / "e")
    await pair.settle()
    assert pair.stack.files() == {"e/0.txt": b"newer", "renamed.txt": b"content 2", "e/3.txt": b"newer too"}
    after = {n.name: n.id for n in pair.stack.tree.live_nodes()}
    assert (after["renamed.txt"], after["e"], after["0.txt"]) == (nodes["2.txt"], nodes["d"], nodes["0.txt"])


async def test_a_second_pass_does_nothing(pair: Pair) -> None:
    pair.alice.write("a/b.txt", "x")
    await pair.settle()
    before = pair.stack.tree.seq
    summary = await pair.alice.sync()
    assert (summary.changes, summary.rounds, pair.stack.tree.seq) == (0, 1, before)


async def test_both_edit_one_file(pair: Pair) -> None:
    pair.alice.write("plan.txt", "first")
    await pair.settle()
    pair.alice.write("plan.txt", "alice's")
    pair.bob.write("plan.txt", "bob's, longer")
    await pair.settle()
    files = pair.stack.files()
    assert set(files.values()) == {b"alice's", b"bob's, longer"}
    assert files["plan.txt"] == b"alice's"
    assert any("conflict" in path and "bob" in path for path in files)


async def test_both_add_one_name(pair: Pair) -> None:
    pair.alice.write("same.txt", "same")
    pair.bob.write("same.txt", "same")
    pair.alice.write("other.txt", "alice's")
    pair.bob.write("other.txt", "bob's")
    pair.alice.write("d/in", "a")
    pair.bob.write("d/too", "b")
    pair.alice.write("kind", "a file")
    pair.bob.write("kind/inside", "a folder")
    await pair.settle()
    files = pair.stack.files()
    assert sorted(files.values()) == sorted([b"same", b"alice's", b"bob's", b"a", b"b", b"a file", b"a folder"])
    assert {"d/in", "d/too", "same.txt", "other.txt"} <= files.keys()


async def test_an_edit_wins_over_a_removal(pair: Pair) -> None:
    for name in ("one", "two", "d/e/three", "d/e/four"):
        pair.alice.write(name, name)
    await pair.settle()
    (pair.alice.folder / "one").unlink()
    pair.bob.write("one", "edited by bob")
    (pair.bob.folder / "two").unlink()
    pair.alice.write("two", "edited by alice")
    shutil.rmtree(pair.alice.folder / "d")
    pair.bob.write("d/e/three", "edited in a removed folder")
    pair.bob.write("d/new", "added in a removed folder")
    await pair.settle()
    assert pair.stack.files() == {
        "one": b"edited by bob",
        "two": b"edited by alice",
        "d/e/three": b"edited in a removed folder",
        "d/new": b"added in a removed folder",
    }


async def test_names_are_swapped(pair: Pair) -> None:
    pair.alice.write("a", "was a")
    pair.alice.write("b", "was b")
    pair.alice.write("c/x", "in c")
    pair.alice.write("d/y", "in d")
    await pair.settle()
    for one, other in (("a", "b"), ("c", "d")):
        (pair.alice.folder / one).rename(pair.alice.folder / "t")
        (pair.alice.folder / other).rename(pair.alice.folder / one)
        (pair.alice.folder / "t").rename(pair.alice.folder / other)
    await pair.settle()
    assert pair.stack.files() == {"a": b"was b", "b": b"was a", "d/x": b"in c", "c/y": b"in d"}


async def test_a_folder_is_renamed_in_one_change(pair: Pair) -> None:
    """Whatever is in it. One file edited and one added meanwhile are two more, and their bytes are all that is sent."""
    files = {f"d/{n % 7}/{n}": f"{n}" for n in range(300)}
    for path, content in files.items():
        pair.alice.write(path, content)
    await pair.settle()
    commits = len(pair.stack.commits)
    (pair.alice.folder / "d").rename(pair.alice.folder / "e")
    summary = await pair.alice.sync()
    assert (summary.moved, summary.bytes_up, summary.uploaded + summary.copied) == (1, 0, 0)
    assert [len(commit.changes) for commit in pair.stack.commits[commits:]] == [1]
    (pair.alice.folder / "e").rename(pair.alice.folder / "f")
    pair.alice.write("f/3/3", "edited")
    pair.alice.write("f/3/new", "added")
    summary = await pair.alice.sync()
    assert (summary.moved, summary.uploaded, summary.bytes_up) == (1, 2, len("edited" + "added"))
    followed = await pair.bob.sync()
    assert (followed.moved, followed.downloaded, followed.removed_here) == (1, 2, 0)
    await pair.settle()


async def test_moves_that_would_make_a_ring(pair: Pair) -> None:
    pair.alice.write("a/x", "x")
    pair.alice.write("b/y", "y")
    await pair.settle()
    (pair.alice.folder / "a").rename(pair.alice.folder / "b/a")
    (pair.bob.folder / "b").rename(pair.bob.folder / "a/b")
    await pair.settle(12)
    assert set(pair.stack.files().values()) == {b"x", b"y"}


async def test_large_files_go_in_parts_and_copies_are_not_sent(pair: Pair) -> None:
    content = os.urandom(1000) * (20 * 1000)
    pair.alice.write("large.bin", content)
    first = await pair.alice.sync()
    assert (first.uploaded, first.bytes_up) == (1, len(content))
    shutil.copy(pair.alice.folder / "large.bin", pair.alice.folder / "copy.bin")
    second = await pair.alice.sync()
    assert (second.copied, second.bytes_up) == (1, 0)
    await pair.settle()
    assert pair.bob.read("copy.bin") == content


async def test_large_removals_are_asked_about(pair: Pair) -> None:
    for n in range(60):
        pair.alice.write(f"d{n % 3}/{n}", f"{n}")
    await pair.settle()
    for n in range(3):
        shutil.rmtree(pair.bob.folder / f"d{n}")
    with pytest.raises(Refused) as refused:
        await pair.bob.sync()
    assert refused.value.kind == "large-removal"
    assert len(pair.stack.files()) == 60
    await pair.bob.sync(allow_removals=True)
    assert pair.stack.paths() == set()
    with pytest.raises(Refused) as refused:
        await pair.alice.sync()
    assert (refused.value.kind, refused.value.facts["here"]) == ("large-removal", 60)
    assert len(pair.alice.files()) == 60
    await pair.alice.sync(allow_removals=True)
    await pair.settle()
    assert pair.alice.paths() == set()
    trashed = [p for p in (pair.alice.folder / ".syncline/trash").rglob("*") if p.is_file()]
    assert len(trashed) == 60


@pytest.mark.parametrize("side", ["here", "there"])
async def test_all_else_goes_on_while_a_large_removal_is_held(pair: Pair, side: str) -> None:
    for n in range(60):
        pair.alice.write(f"d/{n}", f"{n}")
    pair.alice.write("kept", "1")
    await pair.settle()
    shutil.rmtree(pair.bob.folder / "d")
    asking = pair.bob
    if side == "there":
        await pair.bob.sync(allow_removals=True)
        asking = pair.alice
    asking.write("new", "new")
    asking.write("kept", "2")
    with pytest.raises(Refused):
        await asking.sync()
    files = pair.stack.files()
    assert (files["new"], files["kept"]) == (b"new", b"2")
    status = await asking.engine.status(asking.engine.links()[0])
    assert sum(removal.files for removal in status.held) == 60
    assert {removal.here for removal in status.held} == {side == "there"}
    assert (status.to_send, status.to_fetch) == ((), ())


async def test_who_brings_back_what_others_removed_is_asked_no_more(pair: Pair) -> None:
    for n in range(60):
        pair.alice.write(f"{n}", f"{n}")
    await pair.settle()
    for n in range(60):
        (pair.bob.folder / f"{n}").unlink()
    await pair.bob.sync(allow_removals=True)
    with pytest.raises(Refused):
        await pair.alice.sync()
    for n in range(60):
        pair.bob.write(f"{n}", f"{n}")
    await pair.bob.sync()
    summary = await pair.alice.sync()
    assert (summary.complete, summary.downloaded) == (True, 0)
    assert len(pair.alice.files()) == 60


def _root_removed(folder: Path) -> None:
    shutil.rmtree(folder)


def _root_unmounted(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def _root_exchanged(folder: Path) -> None:
    _root_unmounted(folder)
    (folder / ".syncline").mkdir()
    (folder / ".syncline/link").write_text("another folder's")


def _root_a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("not a folder")


def _root_leads_nowhere(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.symlink_to(folder.with_name("nowhere"))


def _root_leads_elsewhere(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.with_name("elsewhere").mkdir()
    folder.symlink_to(folder.with_name("elsewhere"))


HARMS = [_root_removed, _root_unmounted, _root_exchanged, _root_a_file, _root_leads_nowhere, _root_leads_elsewhere]


@pytest.mark.parametrize("allow_removals", [False, True])
@pytest.mark.parametrize("harm", HARMS)
async def test_a_missing_or_exchanged_root_removes_nothing(
    pair: Pair, harm: Callable[[Path], None], allow_removals: bool
) -> None:
    """Whatever the flags. And when the folder is back, all goes on."""
    pair.alice.write("a", "a")
    await pair.settle()
    away = pair.alice.folder.with_name("away")
    shutil.copytree(pair.alice.folder, away)
    harm(pair.alice.folder)
    for _ in range(2):
        with pytest.raises(Refused) as refused:
            await pair.alice.sync(allow_removals=allow_removals)
        assert refused.value.kind in ("root-missing", "root-exchanged")
    assert pair.stack.files() == {"a": b"a"}
    if pair.alice.folder.is_dir() and not pair.alice.folder.is_symlink():
        shutil.rmtree(pair.alice.folder)
    else:
        pair.alice.folder.unlink(missing_ok=True)
    away.rename(pair.alice.folder)
    assert (await pair.alice.sync()).complete
    await pair.settle()


@pytest.mark.parametrize("allow_removals", [False, True])
async def test_a_root_unmounted_while_it_is_looked_at_removes_nothing(pair: Pair, allow_removals: bool) -> None:
    for n in range(3):
        pair.alice.write(f"{n}", f"{n}")
    await pair.settle()

    def unmount(step: str) -> None:
        if step == "changes":  # the marker was looked at, the folder was not yet
            shutil.rmtree(pair.alice.folder)
            pair.alice.folder.mkdir()

    pair.alice.hook = unmount
    with pytest.raises(Refused):
        await pair.alice.sync(allow_removals=allow_removals)
    assert len(pair.stack.files()) == 3


async def test_what_cannot_be_synchronised_is_told(pair: Pair) -> None:
    pair.alice.write("good", "x")
    (pair.alice.folder / "link").symlink_to("/etc")
    os.mkfifo(pair.alice.folder / "pipe")
    (pair.alice.folder / "caf\u00e9").write_text("nfc")
    (pair.alice.folder / "cafe\u0301").write_text("nfd")
    Path(os.fsdecode(os.fsencode(pair.alice.folder) + b"/bad\xff")).write_text("not UTF-8")
    summary = await pair.alice.sync()
    assert {s.reason for s in summary.skipped} == {"unsafe-link", "special-file", "same-name", "bad-name"}
    assert pair.stack.paths() == {"good", "caf\u00e9"}
    assert summary.complete


async def test_raw_names_are_kept(pair: Pair) -> None:
    pair.alice.write("cafe\u0301/x", "nfd")
    await pair.alice.sync()
    await pair.bob.sync()
    assert pair.bob.read("caf\u00e9/x") == b"nfd"
    pair.bob.write("caf\u00e9/x", "newer")
    await pair.bob.sync()
    summary = await pair.alice.sync()
    assert summary.complete
    assert pair.alice.files() == {"cafe\u0301/x": b"newer"}


async def test_a_second_client_on_the_same_link_is_refused(pair: Pair) -> None:
    await pair.alice.sync()
    link = pair.alice.engine.links()[0]
    with (
        pair.alice._home.locked(f"link-{link.id}"),
        pytest.raises(Refused, match="Another syncline process") as refused,
    ):
        await pair.alice.sync()
    assert refused.value.kind == "busy"


async def test_a_restored_library_loses_nothing(pair: Pair) -> None:
    pair.alice.write("kept", "kept")
    pair.alice.write("local", "was removed by the restore")
    await pair.settle()
    pair.stack.incarnation = "two"
    await pair.settle()
    assert pair.stack.files().keys() == {"kept", "local"}
