"""Two and three clients on a real stack as black boxes: what anyone reads is what the model explains.

The model is in tests/black_box.py. ``SYNCLINE_TEST_SEED=n`` plays one game again; passes that run at once are not
replayed to the instant, but nothing that they may come to is a failure.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from syncline.client.engine import Engine
from syncline.domain.rights import Role
from tests.black_box import Game, random_acts, replayed
from tests.e2e.embedded import EmbeddedStack
from tests.e2e.folders import Folder
from tests.e2e.people import person

SEED_VARIABLE = "SYNCLINE_TEST_SEED"
GAMES = [(2, 40), (3, 40)]
NAMES = ("alice", "bob", "carol")
MEANWHILE_S_MAX = 0.3


class Device:
    """A client in which a person may write while it synchronises."""

    def __init__(self, name: str, linked: Folder, chance: random.Random) -> None:
        self.name = name
        self.folder = linked.path
        self._linked = linked
        self._chance = chance

    async def sync(self, meanwhile: Callable[[], None] | None = None) -> bool:
        running = asyncio.create_task(self._linked.engine.sync_once(self._linked.link, allow_removals=True))
        if meanwhile is not None:
            await asyncio.wait([running], timeout=self._chance.uniform(0, MEANWHILE_S_MAX))
            if not running.done():
                meanwhile()
        summary = await running
        assert summary.complete, summary
        return summary.changes > 0


@asynccontextmanager
async def devices_on(
    stack: EmbeddedStack, base: Path, count: int, chance: random.Random
) -> AsyncIterator[list[Device]]:
    """The owner of a library and editors, each with an account, a SYNCLINE_HOME and a linked folder."""
    async with AsyncExitStack() as opened:
        people = [await opened.enter_async_context(person(stack.url, base, name)) for name in NAMES[:count]]
        library = await people[0].library(*((who, Role.EDITOR) for who in people[1:]))
        devices = []
        for who, name in zip(people, NAMES, strict=False):
            engine = Engine(who.home, who.api)
            opened.callback(engine.close)
            linked = Folder(who, engine, await engine.link(library, base / name))
            devices.append(Device(name, linked, chance))
        yield devices


@pytest.mark.parametrize(("devices", "length"), GAMES)
async def test_what_is_read_is_explained(stack: EmbeddedStack, tmp_path: Path, devices: int, length: int) -> None:
    async def play(chance: random.Random) -> None:
        async with devices_on(stack, tmp_path, devices, chance) as people:
            await Game(people).play(random_acts(chance, devices, length))

    seed = int(os.environ.get(SEED_VARIABLE) or random.randrange(2**32))
    await replayed(seed, play, SEED_VARIABLE)
