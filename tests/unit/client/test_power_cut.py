"""The power goes at any boundary, with the index on one ext4 file system and the folder on another: what was not
durable is gone, from each of them on its own. What the library has is not harmed by what the disk forgot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from syncline.client.disk import FLUSHED_ONE_BY_ONE_MAX, Disk
from syncline.client.index import Index
from tests import boundaries
from tests.boundaries import DISK_STEPS, INDEX_RECORDS, with_boundaries
from tests.unit.client.clients import Client
from tests.unit.client.fakes import Stack
from tests.unit.client.mounts import Ext4, unmount

STRIDE = 12
BOUNDARIES_MAX = 500


class Cut(BaseException):
    """There is no more power."""


class Machine:
    """Alice's: the folder and SYNCLINE_HOME on a file system each."""

    def __init__(self, base: Path) -> None:
        self.disks = [Ext4(base / f"{name}.img", base / name) for name in ("alice", "alice-home")]
        self.cut_at = 0
        self.seen = 0

    def boundary(self, _: str) -> None:
        self.seen += 1
        if self.seen == self.cut_at:
            self.freeze()
        if self.cut_at and self.seen >= self.cut_at:
            raise Cut

    def freeze(self) -> None:
        for disk in self.disks:
            disk.freeze()

    def cut_off(self, client: Client) -> None:
        """After ``freeze``: the machine is started again."""
        client.engine.close()
        for disk in self.disks:
            disk.cut()
        client._start()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    try:
        yield Machine(tmp_path)
    finally:
        for name in ("alice", "alice-home"):
            unmount(tmp_path / name)


async def settle(*clients: Client) -> None:
    for _ in range(8):
        done = [await client.sync() for client in clients]
        if not any(summary.changes for summary in done):
            break
    assert all(summary.complete for summary in done), done


async def test_what_was_sent_survives_its_file(machine: Machine, tmp_path: Path) -> None:
    """Nobody had the new content written to the disk but this client: it is not taken for emptied or removed."""
    stack = Stack()
    alice, bob = Client(stack, tmp_path, "alice"), Client(stack, tmp_path, "bob")
    alice.write("edited", "first")
    await settle(alice, bob)
    machine.disks[0].freeze()
    alice.write("edited", "second")
    alice.write("new", "new")
    alice.write("deep/er/new", "new too")
    (alice.folder / "folder").mkdir()
    many = {f"many/{number}": f"{number}".encode() for number in range(FLUSHED_ONE_BY_ONE_MAX + 8)}
    for path, content in many.items():
        alice.write(path, content)
    await alice.sync()
    alice.write("something", "that makes the index durable")
    await alice.sync()
    machine.freeze()
    machine.cut_off(alice)
    await settle(alice, bob)
    files = {"edited": b"second", "new": b"new", "deep/er/new": b"new too"}
    assert (files | many).items() <= stack.files().items()
    assert "folder" in stack.paths()
    assert alice.files() == bob.files() == stack.files()
    alice.engine.close()


async def prepare(base: Path) -> tuple[Stack, Client, Client]:
    stack = Stack()
    alice, bob = Client(stack, base, "alice"), Client(stack, base, "bob")
    boundaries.begin(alice.folder)
    await alice.sync()
    await bob.sync()
    boundaries.change_there(bob.folder)
    await bob.sync()
    boundaries.change_here(alice.folder)
    Disk(alice.folder).flush(sorted(alice.paths()))  # as if it had lain there for a while
    return stack, alice, bob


@pytest.mark.slow
@pytest.mark.parametrize("at", range(1, 200, STRIDE))
async def test_cut_off_at_any_boundary(machine: Machine, tmp_path: Path, at: int) -> None:
    stack, alice, bob = await prepare(tmp_path)
    machine.cut_at, machine.seen = at, 0
    alice._disk = with_boundaries(Disk, DISK_STEPS, machine.boundary)
    alice.hook = machine.boundary
    alice.restart()
    alice.engine.index.__class__ = with_boundaries(Index, INDEX_RECORDS, machine.boundary)
    try:
        await alice.sync()
    except BaseExceptionGroup as group:
        assert group.subgroup(Cut)  # noqa: PT017
    except Cut:
        pass
    else:
        machine.freeze()
    alice._disk = Disk
    alice.hook = lambda _: None
    machine.cut_off(alice)
    await settle(alice, bob)
    assert set(stack.files().values()) == set(boundaries.ALL)
    assert alice.files() == bob.files() == stack.files()
    assert alice.paths() == bob.paths() == stack.paths()
    alice.engine.close()
