"""People who edit while their client works, disks that are full: nothing is overwritten, nothing is lost."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from syncline.client.disk import Disk
from syncline.domain.errors import Refused, Temporary
from syncline.domain.rights import Role
from tests.unit.client.clients import Client
from tests.unit.client.fakes import Stack
from tests.unit.client.test_syncing import Pair

EDITS = 100


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def at_step(client: Client, step: str, action) -> None:
    """Do something once, when the client comes to a step."""
    done: list[str] = []

    def hook(seen: str) -> None:
        if seen == step and not done:
            done.append(seen)
            action()

    client.hook = hook


async def test_edited_during_the_download_of_a_newer_version(pair: Pair) -> None:
    pair.alice.write("plan", "first")
    await pair.settle()
    pair.alice.write("plan", "second")
    await pair.alice.sync()
    at_step(pair.bob, "half got", lambda: pair.bob.write("plan", "bob's, meanwhile"))
    await pair.bob.sync()
    await pair.settle()
    assert set(pair.stack.files().values()) == {b"second", b"bob's, meanwhile"}


async def test_added_during_the_download_of_a_new_file(pair: Pair) -> None:
    pair.alice.write("plan", "alice's")
    await pair.alice.sync()
    await pair.bob.engine.link(pair.stack.library, pair.bob.folder)
    at_step(pair.bob, "half got", lambda: pair.bob.write("plan", "bob's, meanwhile"))
    await pair.bob.sync()
    await pair.settle()
    assert set(pair.stack.files().values()) == {b"alice's", b"bob's, meanwhile"}


async def test_edited_between_the_last_look_and_the_exchange(tmp_path: Path) -> None:
    """The narrowest window: an editor saves by renaming right after the file was compared."""

    class Slow(Disk):
        def expecting(self, stats, content):
            check = super().expecting(stats, content)

            def late(path: Path):
                found = check(path)
                saved = path.with_name("saved")
                saved.write_text("bob's, in the last moment")
                saved.replace(path)
                return found

            return late

    pair = Pair(tmp_path)
    pair.alice.write("plan", "first")
    await pair.settle()
    pair.alice.write("plan", "second")
    await pair.alice.sync()
    pair.bob._disk = Slow
    pair.bob.restart()
    await pair.bob.sync()
    pair.bob._disk = Disk
    pair.bob.restart()
    await pair.settle()
    assert set(pair.stack.files().values()) == {b"second", b"bob's, in the last moment"}


async def test_edited_before_a_removal_arrives(pair: Pair) -> None:
    pair.alice.write("a", "a")
    pair.alice.write("b", "b")
    await pair.settle()
    (pair.alice.folder / "a").unlink()
    (pair.alice.folder / "b").unlink()
    await pair.alice.sync()
    at_step(pair.bob, "changes", lambda: pair.bob.write("b", "bob still needs it"))
    await pair.bob.sync()
    await pair.settle()
    assert pair.stack.files() == {"b": b"bob still needs it"}


@pytest.mark.parametrize("size", [10, 9 * 1024 * 1024])
async def test_edited_during_its_upload(pair: Pair, size: int) -> None:
    first, second = os.urandom(size), os.urandom(size)
    target = pair.alice.write("file", first)
    pair.alice.write("other", "beside it")
    at_step(pair.alice, "uploads", lambda: target.write_bytes(second))
    await pair.alice.sync()
    await pair.settle()
    assert pair.stack.files() == {"file": second, "other": b"beside it"}
    assert pair.stack.contents() == {second, b"beside it"}


async def test_two_people_edit_one_file_a_hundred_times(pair: Pair) -> None:
    pair.alice.write("shared", "start")
    await pair.settle()
    for n in range(EDITS):
        pair.alice.write("shared", f"alice {n}")
        pair.bob.write("shared", f"bob {n}")
        first, second = (pair.alice, pair.bob) if n % 3 else (pair.bob, pair.alice)
        await first.sync()
        await second.sync()
        await first.sync()
    await pair.settle()
    wanted = {f"{who} {n}".encode() for n in range(EDITS) for who in ("alice", "bob")}
    assert wanted <= pair.stack.contents()
    # Each pair of edits left one on the file and the other as a copy beside it, or in the file's history.
    assert len(pair.stack.files()) == EDITS + 1


class FullDisk(Disk):
    """Takes no more than so many bytes."""

    room_bytes = 1_000

    def write(self, descriptor: int, data: bytes, offset: int) -> None:
        FullDisk.room_bytes -= len(data)
        if FullDisk.room_bytes < 0:
            raise Refused("disk-full", os.strerror(errno.ENOSPC))
        super().write(descriptor, data, offset)


async def test_a_full_disk_harms_nothing_and_the_rest_arrives_later(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    pair.alice.write("old", b"o" * 400)
    await pair.settle()
    for n in range(10):
        pair.alice.write(f"new/{n}", f"{n}" * 300)
    pair.alice.write("old", b"n" * 400)
    await pair.alice.sync()
    pair.bob._disk = FullDisk
    pair.bob.restart()
    pair.bob.write("bob's", "still goes up")
    summary = await pair.bob.sync()
    assert not summary.complete
    assert {reason for _, reason, _ in summary.refused} == {"disk-full"}
    assert pair.stack.files()["bob's"] == b"still goes up"
    assert len(pair.bob.read("old")) == 400
    assert all(len(content) == 300 for path, content in pair.bob.files().items() if path.startswith("new"))
    assert list((pair.bob.folder / ".syncline/tmp").iterdir()) == []
    FullDisk.room_bytes = 10**9
    await pair.settle()


async def test_a_service_that_fails_again_and_again(pair: Pair) -> None:
    """Each request and each transfer fails now and then, before or after its effect; passes go on where they were."""
    failures = iter(range(10_000))

    def flaky(step: str) -> None:
        if next(failures) % 7 == 3:
            raise Temporary(f"{step} failed")

    for n in range(30):
        pair.alice.write(f"d{n % 4}/{n}", f"content {n}")
    for client in (pair.alice, pair.bob):
        client.hook = flaky
    for _ in range(60):
        for client in (pair.alice, pair.bob):
            try:
                await client.sync()
            except Temporary:
                continue
    pair.alice.hook = pair.bob.hook = lambda _: None
    await pair.settle()
    assert len(pair.stack.files()) == 30


async def test_a_viewer_changes_nothing_there_and_loses_nothing_here(tmp_path: Path) -> None:
    stack = Stack()
    alice = Client(stack, tmp_path, "alice")
    alice.write("a", "a")
    await alice.sync()

    bob = Client(stack, tmp_path, "bob")
    bob.service.role = Role.VIEWER
    await bob.sync()
    bob.write("mine", "bob's")
    summary = await bob.sync()
    assert [(path, reason) for path, reason, _ in summary.refused] == [("mine", "not-allowed")]
    assert bob.files() == {"a": b"a", "mine": b"bob's"}
    assert stack.files() == {"a": b"a"}
