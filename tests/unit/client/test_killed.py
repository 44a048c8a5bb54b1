"""A client killed at any step, started again, and left alone: everything arrives, nothing twice, nothing lost."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from syncline.client.disk import Disk
from syncline.client.index import Index
from tests.unit.client.clients import Client
from tests.unit.client.fakes import Stack

LARGE = os.urandom(8 * 1024 * 1024 + 1)  # two parts
STEPS_MAX = 500


class Killed(BaseException):
    """The process is gone: nothing may catch this and carry on."""


class Boundary:
    """Counts the steps a client takes (talking, changing the disk, recording) and kills it at one of them."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.seen = 0
        self.dead = False

    def __call__(self, step: str) -> None:
        if self.dead:
            raise Killed(step)
        self.seen += 1
        if self.seen == self.at:
            self.dead = True
            raise Killed(step)


def killable(boundary: Boundary) -> type[Disk]:
    """A disk on which each change is preceded and followed by a chance to be killed."""

    class KillableDisk(Disk):
        def make_folder(self, path):
            boundary("make")
            made = super().make_folder(path)
            boundary("made")
            return made

        def move(self, source, target):
            boundary("move")
            moved = super().move(source, target)
            boundary("moved")
            return moved

        def install(self, *args, **kwargs):
            boundary("install")
            installed = super().install(*args, **kwargs)
            boundary("installed")
            return installed

        def trash_file(self, *args):
            boundary("trash")
            super().trash_file(*args)
            boundary("trashed")

        def remove_folder(self, path):
            boundary("remove folder")
            gone = super().remove_folder(path)
            boundary("removed folder")
            return gone

    return KillableDisk


class KillableIndex(Index):
    """An index on which each record is preceded and followed by a chance to be killed."""

    boundary: Boundary

    def agree(self, *args, **kwargs):
        self.boundary("agree")
        super().agree(*args, **kwargs)
        self.boundary("agreed")

    def settle(self, *args, **kwargs):
        self.boundary("settle")
        super().settle(*args, **kwargs)
        self.boundary("settled")

    def expect(self, *args, **kwargs):
        self.boundary("expect")
        super().expect(*args, **kwargs)
        self.boundary("expected")

    def learn(self, *args, **kwargs):
        self.boundary("learn")
        super().learn(*args, **kwargs)
        self.boundary("learned")

    def keep_upload(self, *args, **kwargs):
        self.boundary("keep upload")
        super().keep_upload(*args, **kwargs)
        self.boundary("kept upload")


async def prepare(base: Path) -> tuple[Stack, Client, Client]:
    """Alice and bob agree on something; then both change much, bob has sent his."""
    stack = Stack()
    alice, bob = Client(stack, base, "alice"), Client(stack, base, "bob")
    for name in ("a", "b", "edited/here", "edited/there", "edited/both", "gone/here/x", "gone/there/y", "m/o/ved"):
        alice.write(name, f"first {name}")
    await alice.sync()
    await bob.sync()
    bob.write("edited/there", "bob's")
    bob.write("edited/both", "bob's of both")
    bob.write("new/of/bob", "bob's new")
    shutil.rmtree(bob.folder / "gone/there")
    (bob.folder / "a").rename(bob.folder / "t")
    (bob.folder / "b").rename(bob.folder / "a")
    (bob.folder / "t").rename(bob.folder / "b")
    await bob.sync()
    alice.write("edited/here", "alice's")
    alice.write("edited/both", "alice's of both")
    alice.write("new/of/alice", "alice's new")
    alice.write("large", LARGE)
    shutil.rmtree(alice.folder / "gone/here")
    (alice.folder / "m/o").rename(alice.folder / "moved")
    return stack, alice, bob


WANTED = Counter(
    [
        b"first a",
        b"first b",
        b"alice's",
        b"bob's",
        b"alice's of both",
        b"bob's of both",
        b"bob's new",
        b"alice's new",
        b"first m/o/ved",
        LARGE,
    ]
)


async def run_killed_at(base: Path, at: int) -> bool:
    """Whether the step was reached."""
    stack, alice, bob = await prepare(base)
    boundary = Boundary(at)
    alice._disk = killable(boundary)
    alice.hook = boundary
    alice.restart()
    alice.engine.index.__class__ = KillableIndex
    alice.engine.index.boundary = boundary  # type: ignore[attr-defined]
    try:
        await alice.sync()
    except BaseExceptionGroup as group:
        assert group.subgroup(Killed)  # noqa: PT017
    except Killed:
        pass
    alice._disk = Disk
    alice.hook = lambda _: None
    alice.restart()
    for _ in range(6):
        done = [await alice.sync(), await bob.sync()]
        if not any(summary.changes for summary in done):
            break
    assert all(summary.complete for summary in done), (at, done)
    assert Counter(stack.files().values()) == WANTED, at
    assert alice.files() == bob.files() == stack.files(), at
    assert alice.paths() == bob.paths() == stack.paths(), at
    assert stack.files()["moved/ved"] == b"first m/o/ved"
    alice.engine.close()
    bob.engine.close()
    return boundary.dead


@pytest.mark.slow
async def test_killed_at_every_step(tmp_path: Path) -> None:
    for at in range(1, STEPS_MAX):
        base = tmp_path / str(at)
        if not await run_killed_at(base, at):
            assert at > 60
            return
        shutil.rmtree(base)
    pytest.fail("the pass has no end")
