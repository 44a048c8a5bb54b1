"""File systems as they are: ext4, one with coarse times, a full one, a read-only one; and, imitated, one that folds
case and one whose inodes do not last."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from syncline.client.summary import Summary
from syncline.domain.errors import Refused
from tests import boundaries
from tests.unit.client.clients import Client
from tests.unit.client.fakes import Stack
from tests.unit.client.mounts import Ext4, tmpfs, unmount
from tests.unit.client.odd_disks import FoldingDisk, with_other_inodes

MIB = 1024 * 1024
PASSES_MAX = 8


@pytest.fixture
def stack() -> Stack:
    return Stack()


async def settle(*clients: Client) -> list[Summary]:
    for _ in range(PASSES_MAX):
        done = [await client.sync() for client in clients]
        if all(summary.complete and not summary.changes for summary in done):
            return done
    raise AssertionError(f"not settled: {done}")


# -- ext4


@pytest.fixture
def ext4(tmp_path: Path) -> Iterator[Path]:
    """A base for a client whose folder and home are on ext4."""
    where = tmp_path / "ext4"
    Ext4(tmp_path / "ext4.img", where, 96 * MIB)
    yield where
    unmount(where)


@pytest.fixture
def coarse(tmp_path: Path) -> Iterator[Path]:
    """Small inodes have no room for parts of seconds."""
    where = tmp_path / "coarse"
    Ext4(tmp_path / "coarse.img", where, 32 * MIB, "-I", "128")
    yield where
    unmount(where)


async def test_the_whole_story_on_ext4(stack: Stack, ext4: Path, tmp_path: Path) -> None:
    alice, bob = Client(stack, ext4, "alice"), Client(stack, tmp_path, "bob")
    boundaries.begin(alice.folder)
    await settle(alice, bob)
    boundaries.change_there(bob.folder)
    await bob.sync()
    boundaries.change_here(alice.folder)
    await settle(alice, bob)
    boundaries.check(stack.files())
    assert alice.files() == bob.files() == stack.files()
    alice.engine.close()


async def test_where_times_are_whole_seconds_no_edit_is_overlooked(stack: Stack, coarse: Path, tmp_path: Path) -> None:
    """Two edits in one second, of one length: nothing but the content tells them apart."""
    alice, bob = Client(stack, coarse, "alice"), Client(stack, tmp_path, "bob")
    alice.write("a", "0000")
    await settle(alice, bob)
    for number in range(1, 4):
        alice.write("a", f"{number:04}")
        edited = (alice.folder / "a").stat()
        await alice.sync()
        (alice.folder / "a").write_bytes(f"{number:04}".encode()[::-1])
        os.utime(alice.folder / "a", ns=(edited.st_atime_ns, (alice.folder / "a").stat().st_mtime_ns))
        await settle(alice, bob)
        assert bob.read("a") == alice.read("a") == f"{number:04}".encode()[::-1]
    assert edited.st_mtime_ns % 1_000_000_000 == 0
    assert (await alice.sync()).changes == 0
    alice.engine.close()


# -- full


async def test_a_full_folder_takes_what_fits_and_the_rest_when_there_is_room(stack: Stack, tmp_path: Path) -> None:
    alice = Client(stack, tmp_path, "alice")
    alice.write("small", "small")
    alice.write("large", os.urandom(3 * MIB))
    alice.write("edited", "one")
    await alice.sync()
    with tmpfs(tmp_path / "bob", 2 * MIB):
        bob = Client(stack, tmp_path, "bob")
        summary = await bob.sync()
        assert not summary.complete
        assert [(path, reason) for path, reason, _ in summary.refused] == [("large", "disk-full")]
        assert "no room" in summary.refused[0][2]
        assert bob.files() == {"small": b"small", "edited": b"one"}
        bob.write("edited", "what is written here still goes out")
        await bob.sync()
        assert stack.files()["edited"] == b"what is written here still goes out"
        assert len(stack.files()) == 3
        subprocess.run(["mount", "-o", f"remount,size={8 * MIB}", str(bob.folder)], check=True)
        await settle(bob, alice)
        assert bob.files() == alice.files() == stack.files()
        bob.engine.close()


async def test_a_full_home_is_told_and_loses_nothing(stack: Stack, tmp_path: Path) -> None:
    """The index cannot be written; once it can, the pass that was cut off is taken up."""
    bob = Client(stack, tmp_path, "bob")
    bob.write("from bob", "one")
    await bob.sync()
    with tmpfs(tmp_path / "alice-home", 16 * MIB):
        alice = Client(stack, tmp_path, "alice")
        await alice.sync()
        stuffing = tmp_path / "alice-home" / "stuffing"
        with suppress(OSError), stuffing.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        for number in range(200):
            alice.write(f"{number:03} {'long name' * 20}", f"{number}")
            bob.write(f"bob's {number:03} {'long name' * 20}", f"bob's {number}")
        await bob.sync()
        for _ in range(2):
            with pytest.raises(Refused, match=r"no room for .*index\.sqlite3") as refused:
                await alice.sync()
            assert refused.value.kind == "disk-full"
        assert set(bob.files()) <= set(stack.files())
        stuffing.unlink()
        alice.restart()
        await settle(alice, bob)
        assert alice.files() == bob.files() == stack.files()
        assert len(stack.files()) == 401
        alice.engine.close()


# -- read-only


async def test_a_read_only_disk_is_sent_from_and_fetches_nothing(stack: Stack, tmp_path: Path) -> None:
    bob = Client(stack, tmp_path, "bob")
    with tmpfs(tmp_path / "alice", 4 * MIB):
        alice = Client(stack, tmp_path, "alice")
        alice.write("a", "one")
        alice.write("folder/b", "two")
        await settle(alice, bob)
        alice.write("sent", "three")
        bob.write("a", "newer")
        (bob.folder / "folder/b").unlink()
        bob.write("new", "four")
        await bob.sync()
        subprocess.run(["mount", "-o", "remount,ro", str(alice.folder)], check=True)
        before = alice.files()
        for _ in range(2):
            summary = await alice.sync()
            assert not summary.complete
            assert {reason for _, reason, _ in summary.refused} == {"disk-denied"}
            assert alice.files() == before
        assert stack.files() == {"a": b"newer", "new": b"four", "sent": b"three"}
        subprocess.run(["mount", "-o", "remount,rw", str(alice.folder)], check=True)
        await settle(alice, bob)
        assert alice.files() == bob.files() == stack.files()
        alice.engine.close()


# -- upper and lower case


@pytest.fixture
def folding(stack: Stack, tmp_path: Path) -> Client:
    return Client(stack, tmp_path, "alice", disk=FoldingDisk)


@pytest.fixture
def bob(stack: Stack, tmp_path: Path) -> Client:
    return Client(stack, tmp_path, "bob")


async def test_of_names_that_differ_in_case_one_is_here_and_the_other_is_told(
    stack: Stack, folding: Client, bob: Client
) -> None:
    bob.write("readme", "one")
    bob.write("Docs/plan", "two")
    await bob.sync()
    await folding.sync()
    bob.write("README", "the other")
    bob.write("docs/plan", "the other plan")
    await bob.sync()
    library = stack.files()
    for _ in range(2):
        (summary,) = await settle(folding)
        assert {(one.path, one.reason) for one in summary.skipped} == {("README", "same-name"), ("docs", "same-name")}
        assert folding.files() == {"readme": b"one", "Docs/plan": b"two"}
        assert stack.files() == library
    folding.write("readme", "edited")
    bob.write("docs/more", "three")
    bob.write("README", "the other, edited")
    await settle(folding, bob)
    assert folding.files() == {"readme": b"edited", "Docs/plan": b"two"}
    assert bob.files() == stack.files()
    assert stack.files()["README"] == b"the other, edited"
    verified = await folding.engine.verify(folding.engine.links()[0])
    assert verified.findings == ()


async def test_a_first_pass_takes_one_of_both(stack: Stack, folding: Client, bob: Client) -> None:
    bob.write("a", "one")
    await bob.sync()
    bob.write("A", "two")
    await bob.sync()
    await settle(folding, bob)
    assert folding.files() == {"a": b"one"}
    assert stack.files() == {"a": b"one", "A": b"two"}


@pytest.mark.parametrize("by", ["bob", "alice"])
async def test_the_other_comes_when_the_name_is_free(stack: Stack, folding: Client, bob: Client, by: str) -> None:
    bob.write("a", "one")
    bob.write("docs/x", "two")
    await settle(bob, folding)
    bob.write("A", "three")
    bob.write("Docs/y", "four")
    await settle(bob, folding)
    who = bob if by == "bob" else folding
    (who.folder / "a").rename(who.folder / "b")
    (who.folder / "docs").rename(who.folder / "papers")
    await settle(who, folding, bob)
    assert folding.files() == {"b": b"one", "papers/x": b"two", "A": b"three", "Docs/y": b"four"}
    assert folding.files() == bob.files() == stack.files()


async def test_both_made_the_same_name_in_another_case(stack: Stack, folding: Client, bob: Client) -> None:
    bob.write("Notes", "bob's")
    bob.write("Docs/x", "bob's x")
    await bob.sync()
    folding.write("notes", "alice's")
    folding.write("docs/y", "alice's y")
    await settle(folding, bob)
    assert stack.files() == {"Notes": b"bob's", "notes": b"alice's", "Docs/x": b"bob's x", "docs/y": b"alice's y"}
    assert folding.files() == {"notes": b"alice's", "docs/y": b"alice's y"}


@pytest.mark.parametrize("by", ["bob", "alice"])
async def test_a_rename_of_case_alone_is_a_rename(stack: Stack, folding: Client, bob: Client, by: str) -> None:
    bob.write("readme", "one")
    bob.write("docs/plan", "two")
    await settle(bob, folding)
    nodes = {node.id for node in stack.tree.live_nodes()}
    who = bob if by == "bob" else folding
    (who.folder / "readme").rename(who.folder / "README")
    (who.folder / "docs").rename(who.folder / "Docs")
    await settle(who, folding, bob)
    assert folding.files() == bob.files() == stack.files() == {"README": b"one", "Docs/plan": b"two"}
    assert {node.id for node in stack.tree.live_nodes()} == nodes


# -- inodes that do not last


async def test_inodes_that_do_not_last_change_nothing(stack: Stack, tmp_path: Path, bob: Client) -> None:
    alice = Client(stack, tmp_path, "alice")
    for name in ("a", "b", "folder/a", "folder/deep/c", "other/a"):
        alice.write(name, f"content of {name}")
    await settle(alice, bob)
    for _ in range(3):
        with_other_inodes(alice.folder)
        before = len(stack.commits)
        summary = await alice.sync()
        assert (summary.changes, summary.complete, len(stack.commits)) == (0, True, before)
    with_other_inodes(alice.folder)
    alice.write("a", "edited")
    (alice.folder / "b").rename(alice.folder / "moved")
    (alice.folder / "other/a").unlink()
    bob.write("folder/a", "by bob")
    await bob.sync()
    await alice.sync()
    with_other_inodes(alice.folder)
    await settle(alice, bob)
    assert alice.files() == bob.files() == stack.files()
    assert stack.files() == {
        "a": b"edited",
        "moved": b"content of b",
        "folder/a": b"by bob",
        "folder/deep/c": b"content of folder/deep/c",
    }
