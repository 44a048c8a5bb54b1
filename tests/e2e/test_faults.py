"""Services are killed and Redis is cut while two clients work: slower, and still right."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncline.domain.errors import SynclineError
from tests.e2e.embedded import EmbeddedStack, process_of, running_stack
from tests.e2e.folders import Folder, settle, two_folders

PROGRAMS = ("-m services.metadata", "-m services.gateway", "-m services.syncer", "-m services.notifier", "valkey")
ROUNDS = 2
FILES = 12


@pytest.fixture(scope="module")
def own_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    """Not the one that the other tests share: here things are killed."""
    with running_stack(tmp_path_factory.mktemp("faults")) as running:
        yield running


async def test_each_program_killed_while_two_clients_work(own_stack: EmbeddedStack, tmp_path: Path):
    chance = random.Random(20261123)
    async with two_folders(own_stack.url, tmp_path) as (alice, bob):
        written: dict[str, bytes] = {}
        for round_ in range(ROUNDS):
            for program in PROGRAMS:
                for folder in (alice, bob):
                    written |= write(folder, f"{round_} {program.split('.')[-1]}", chance)
                passes = asyncio.gather(keep_syncing(alice), keep_syncing(bob))
                await asyncio.sleep(chance.uniform(0, 0.5))
                os.kill(process_of(own_stack, program), signal.SIGKILL)
                await passes
        own_stack.wait_ready()
        await settle(alice, bob)
        assert alice.contents() == bob.contents()
        assert {path: alice.contents().get(path) for path in written} == written


async def test_without_redis_everything_goes_on(own_stack: EmbeddedStack, tmp_path: Path):
    """Valkey is stopped, not killed: connections hang instead of failing, which is the worse of the two."""
    valkey = process_of(own_stack, "valkey")
    async with two_folders(own_stack.url, tmp_path) as (alice, bob):
        await settle(alice, bob)
        os.kill(valkey, signal.SIGSTOP)
        try:
            written = write(alice, "without redis", random.Random(1))
            token = (await bob.who.api.heads()).token
            held = asyncio.create_task(bob.who.api.heads(since=token, wait_s=50))
            await alice.sync()
            moved = await asyncio.wait_for(held, 60)
            assert moved.token != token
            await settle(bob, alice)
            assert {path: bob.contents().get(path) for path in written} == written
        finally:
            os.kill(valkey, signal.SIGCONT)


def write(folder: Folder, label: str, chance: random.Random) -> dict[str, bytes]:
    name = f"{label} by {folder.path.name}"
    (folder.path / name).mkdir()
    made = {f"{name}/{number}": chance.randbytes(chance.randrange(2_000)) for number in range(FILES)}
    for path, content in made.items():
        (folder.path / path).write_bytes(content)
    return made


async def keep_syncing(folder: Folder, within_s: float = 90) -> None:
    """Sync until a pass ends well, as ``syncline watch`` does."""
    async with asyncio.timeout(within_s):
        while True:
            try:
                if (await folder.sync()).complete:
                    return
            except SynclineError:
                await asyncio.sleep(0.5)
