"""Two and three clients as black boxes, on the service in fakes.py: what anyone reads is what the model explains."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from tests.black_box import PATHS, Act, Game, Here, State, Unexplained, random_acts, synced, while_writing, write
from tests.unit.client.clients import Client
from tests.unit.client.fakes import Stack

NAMES = ("alice", "bob", "carol")
LENGTH = 30
INTERRUPTED_STEP_MAX = 12
"""A person writes during a pass after so many of its steps."""


class Device:
    """A client whose passes can be written into at one of their steps."""

    def __init__(self, stack: Stack, base: Path, name: str, chance: random.Random) -> None:
        self.name = name
        self.client = Client(stack, base, name)
        self.folder = self.client.folder
        self._chance = chance

    async def sync(self, meanwhile: Callable[[], None] | None = None) -> bool:
        left = [self._chance.randrange(INTERRUPTED_STEP_MAX)] if meanwhile else []

        def step(_: str) -> None:
            if left:
                left[0] -= 1
            if left and left[0] < 0:
                left.clear()
                assert meanwhile is not None
                meanwhile()

        self.client.hook = step
        summary = await self.client.sync(allow_removals=True)
        self.client.hook = lambda _: None
        assert summary.complete, summary
        return summary.changes > 0


async def play(seed: int, devices: int, length: int = LENGTH) -> None:
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as base:
        stack = Stack()
        people = [Device(stack, Path(base), name, chance) for name in NAMES[:devices]]
        try:
            for device in people:
                await device.sync()
            await Game(people).play(random_acts(chance, devices, length))
        finally:
            for device in people:
                device.client.engine.close()


@given(seed=st.integers(0, 2**32), devices=st.sampled_from([2, 2, 3]), length=st.integers(1, LENGTH))
@settings(max_examples=30)
def test_what_is_read_is_explained(seed: int, devices: int, length: int) -> None:
    """A failing example is printed with its seed, the length being the least that fails."""
    asyncio.run(play(seed, devices, length))


class Deaf(Device):
    """A client that loses what it is told: it overwrites what came down with what it had."""

    async def sync(self, meanwhile: Callable[[], None] | None = None) -> bool:
        before = {path: (self.folder / path).read_bytes() for path in PATHS if (self.folder / path).is_file()}
        busy = await super().sync(meanwhile)
        for path, value in before.items():
            (self.folder / path).write_bytes(value)
        return busy


async def test_a_client_that_does_wrong_is_found_out(tmp_path: Path) -> None:
    stack, chance = Stack(), random.Random(1)
    people = [Device(stack, tmp_path, "alice", chance), Deaf(stack, tmp_path, "bob", chance)]
    acts = [Act("write", 0, "a"), Act("sync", 0), Act("sync", 1), Act("write", 0, "a"), Act("sync", 0), Act("sync", 1)]
    for device in people:
        await device.sync()
    with pytest.raises(Unexplained, match="reads b'value 0 of alice' in a"):
        await Game(people).play([*acts, Act("read", 1, "a")])


# -- the model itself


def start(*values: bytes | None) -> State:
    return State(values[0], tuple(Here(value) for value in values))


def test_the_model_keeps_both_values_of_a_conflict() -> None:
    state = write(write(start(b"0", b"0"), 0, b"1"), 1, b"2")
    state = synced(synced(state, 0), 1)
    assert (state.library, state.here[1].value) == (b"1", b"1")
    assert state.copies == {b"2"}


def test_the_model_lets_an_edit_win_over_a_removal() -> None:
    state = write(write(start(b"0", b"0"), 0, None), 1, b"2")
    assert {synced(synced(state, 0), 1).library, synced(synced(state, 1), 0).library} == {b"2"}
    assert synced(synced(state, 1), 0).here[0].value == b"2"


def test_the_model_knows_that_a_removal_is_heard_of() -> None:
    state = synced(synced(write(start(b"0", b"0"), 0, None), 0), 1)
    assert (state.library, state.here[1].value, state.copies) == (None, None, frozenset())


def test_what_is_written_during_a_pass_is_never_dropped() -> None:
    for state in while_writing({start(b"0", b"0")}, 0, b"1"):
        assert b"1" in {state.library, state.here[0].value, *state.copies}
