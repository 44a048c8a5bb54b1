"""A flood: 100,000 changes in one window, 1,000 followers. Memory is bounded, each gets one mail, SES's rate holds."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections import Counter

import pytest

from services.notifier.app import Notifier
from services.notifier.digesting import CHANGES_READ_MAX
from syncline.domain.rights import Role
from syncline.memory.mail import MemoryMailer
from syncline.ports.mail import SendRate
from syncline.store.views import Views
from tests.unit.notifier.world import WINDOW_S, World, body_of, rows
from tests.unit.writing import Writer

CHANGES = 100_000
PER_COMMIT = 1_000
FOLLOWERS = 1_000
PER_SECOND = 50.0
MEMORY_MAX = 80 * 1024 * 1024
"""Of the notifier's own doing: one window's changes, and the mails under way."""


class Counting(MemoryMailer):
    """Keeps of each mail only who got it, what it said in short, and when."""

    def __init__(self, world: World) -> None:
        super().__init__(allowed=SendRate(PER_SECOND, 10**6))
        self._world = world
        self.to: Counter[str] = Counter()
        self.subjects: set[str] = set()
        self.longest = 0
        self.seconds: Counter[int] = Counter()

    async def send(self, message: object, *, to: str) -> str:
        answer = await super().send(message, to=to)  # type: ignore[arg-type]
        sent = self.sent.pop()
        self.to[sent.to] += 1
        self.subjects.add(sent.message["Subject"])
        self.longest = max(self.longest, len(body_of(sent.message, "html")))
        self.seconds[self._world.clock.now_ms() // 1000] += 1
        return answer


@pytest.mark.slow
async def test_a_flood_is_one_mail_each() -> None:
    world = World()
    mailer = world.mailer = Counting(world)
    alice = await world.account("Alice")
    library = await _followed(world, alice)
    notifier, views = world.notifier(), Views(world.tables)
    for start in range(0, CHANGES, PER_COMMIT):
        commit = await library.add_all(alice, [f"{n}.jpg" for n in range(start, start + PER_COMMIT)])
        await views.write(commit)
        await views.advance(library.id, after=commit.seq - 1, to=commit.seq)
        library.commits.clear()
        library.nodes.clear()
    tracemalloc.start()
    tables_before = tracemalloc.get_traced_memory()[0]
    try:
        await world.told(notifier, library)
        assert mailer.to == {}
        await _send_all(world, notifier, mailer)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - tables_before < MEMORY_MAX, f"{(peak - tables_before) >> 20} MiB"
    assert len(mailer.to) == FOLLOWERS
    assert set(mailer.to.values()) == {1}
    assert mailer.subjects == {f"Photos: more than {CHANGES_READ_MAX:,} changes by Alice Example"}
    assert mailer.longest < 100_000  # mail programs cut what is longer
    assert max(mailer.seconds.values()) <= PER_SECOND + 1
    assert rows(world.tables, "due#") == []


async def _followed(world: World, owner: str) -> Writer:
    library = await world.library("Photos", owner)
    for n in range(FOLLOWERS):
        follower = await world.account(f"F{n}")
        await world.directory.set_member(library.id, follower, Role.VIEWER)
        await world.follows.follow(library.id, library.id, follower)
    return library


async def _send_all(world: World, notifier: Notifier, mailer: Counting) -> None:
    world.clock.advance(WINDOW_S)
    for _ in range(20):
        sending = asyncio.create_task(notifier.sender.round())
        while not sending.done():
            await world.clock.run_for(0.02)
        await sending
        if len(mailer.to) == FOLLOWERS:
            return
