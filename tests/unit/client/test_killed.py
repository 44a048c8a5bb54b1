"""A client killed at any step, started again, and left alone: everything arrives, nothing twice, nothing lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from syncline.client.disk import Disk
from syncline.client.index import Index
from tests import boundaries
from tests.boundaries import DISK_STEPS, INDEX_RECORDS, with_boundaries
from tests.unit.client.clients import Client
from tests.unit.client.fakes import Stack

BOUNDARIES_MIN, BOUNDARIES_MAX = 100, 500


class Killed(BaseException):
    """The process is gone: nothing may catch this and carry on."""


class Boundary:
    """Counts the boundaries a client comes by and kills it at one of them."""

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


async def prepare(base: Path) -> tuple[Stack, Client, Client]:
    """Alice and bob agree on something; then both change much, bob has sent his."""
    stack = Stack()
    alice, bob = Client(stack, base, "alice"), Client(stack, base, "bob")
    boundaries.begin(alice.folder)
    await alice.sync()
    await bob.sync()
    boundaries.change_there(bob.folder)
    await bob.sync()
    boundaries.change_here(alice.folder)
    return stack, alice, bob


async def run_killed_at(base: Path, at: int) -> bool:
    """Whether the boundary was reached."""
    stack, alice, bob = await prepare(base)
    boundary = Boundary(at)
    alice._disk = with_boundaries(Disk, DISK_STEPS, boundary)
    alice.hook = boundary
    alice.restart()
    alice.engine.index.__class__ = with_boundaries(Index, INDEX_RECORDS, boundary)
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
    boundaries.check(stack.files())
    assert alice.files() == bob.files() == stack.files(), at
    assert alice.paths() == bob.paths() == stack.paths(), at
    alice.engine.close()
    bob.engine.close()
    return boundary.dead


@pytest.mark.slow
async def test_killed_at_every_boundary(tmp_path: Path) -> None:
    for at in range(1, BOUNDARIES_MAX):
        base = tmp_path / str(at)
        if not await run_killed_at(base, at):
            assert at > BOUNDARIES_MIN
            print(f"killed at {at - 1} boundaries of {at - 1}")
            return
        shutil.rmtree(base)
    pytest.fail("the pass has no end")
