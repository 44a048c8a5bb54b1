"""The embedded stack killed as a whole, again and again, under load: nothing that it acknowledged is lost.

What it guarantees is said in docs/operations.md, "What survives". One seed makes all choices but the machine's.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from deploy.local.aws import root_key
from deploy.local.place import Place
from deploy.local.programs import stack_environment
from deploy.local.provision import embedded_definition
from tests.e2e.afterwards import check_all, opened, settle
from tests.e2e.embedded import descendants, free_place, start_stack, stop, wait_ready
from tests.e2e.under_load import Load, load_on

KILLS = int(os.environ.get("SYNCLINE_TEST_KILLS", "20"))
ANSWERS = (2, 8)
"""So many changes are answered in each life; the kill comes up to LAST_S after the last of them."""
LAST_S = 1.5
KILLED_STARTING = 0.15
"""So many of the kills come while it starts."""
STARTING_S = (0.2, 3.0)
SEED = 20261123


class Mortal:
    """A stack that is killed and started again on the same data."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.process = start_stack(place)

    async def ready(self) -> None:
        await asyncio.to_thread(wait_ready, self.place, self.process)

    def kill(self) -> None:
        """End every process of it at once, without a word: the supervisor first, so that it mends nothing."""
        everything = descendants(self.process.pid)
        for process in sorted(everything, key=lambda one: one != self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.process.wait()

    def start(self) -> None:
        self.process = start_stack(self.place)


@contextmanager
def mortal_stack(data: Path) -> Iterator[Mortal]:
    stack = Mortal(free_place(data))
    try:
        yield stack
    finally:
        stop(stack.process)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_killed_under_load_it_loses_nothing_that_it_acknowledged(tmp_path: Path):
    chance = random.Random(SEED)
    with mortal_stack(tmp_path / "stack") as stack:
        await stack.ready()
        async with load_on(stack.place.url, tmp_path / "people", SEED) as load:
            load.begin()
            for _ in range(KILLS):
                await kill_once(stack, load, chance)
            await stack.ready()
            await load.end()
            await settle(load)
            await look_at_everything(stack.place, load)


async def kill_once(stack: Mortal, load: Load, chance: random.Random) -> None:
    if chance.random() < KILLED_STARTING:
        await asyncio.sleep(chance.uniform(*STARTING_S))
    else:
        await load.answered(chance.randint(*ANSWERS))
        await asyncio.sleep(chance.uniform(0, LAST_S))
    load.check()
    stack.kill()
    stack.start()


async def look_at_everything(place: Place, load: Load) -> None:
    assert len(load.answers) > KILLS
    async with opened(stack_environment(place, embedded_definition(), root_key(place))) as aws:
        commits = await check_all(aws, load)
    troubles = sum(len(folder.troubles) for folder in load.folders)
    edits = sum(editor.edits for editor in load.editors)
    print(f"{KILLS} kills, {edits} edits, {len(load.answers)} answers, {len(load.uploader.stored)} scripted objects,")
    print(f"{len(commits)} commits, {troubles} times a client had to try again")
