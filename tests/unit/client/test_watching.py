"""Watching: what one person does reaches the other without anybody asking; troubles are told and outlived."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from syncline.client.settings import Settings
from syncline.client.summary import Summary
from syncline.client.watching import Watching
from syncline.domain.errors import Refused, SynclineError, Temporary
from syncline.messages.api import Heads
from tests.unit.client.clients import Client
from tests.unit.client.fakes import FakeService, Stack

PATIENCE_S = 60.0


class Waking(FakeService):
    """Holds a heads request until the library moves."""

    async def heads(self, since: str = "", *, wait_s: int = 0) -> Heads:
        for _ in range(wait_s * 50):
            if str(self.stack.tree.seq) != since:
                break
            await asyncio.sleep(0.02)
        return await super().heads(since)


class Watcher:
    def __init__(self, client: Client) -> None:
        self.client = client
        client.service.__class__ = Waking
        self.told: list[Summary | SynclineError] = []
        self.stop = asyncio.Event()

    async def start(self) -> None:
        await self.client.sync()
        links = self.client.engine.links()
        watching = self.client.engine.watch(links, told=lambda _, news: self.told.append(news), stop=self.stop)
        self.task = asyncio.create_task(watching)

    async def end(self) -> None:
        self.stop.set()
        await self.task


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not reached():  # noqa: ASYNC110 - what happens on a disk sets no event
            await asyncio.sleep(0.02)


async def test_changes_travel_by_themselves(tmp_path: Path) -> None:
    stack = Stack()
    alice, bob = (Watcher(Client(stack, tmp_path, device)) for device in ("alice", "bob"))
    await alice.start()
    await bob.start()
    alice.client.write("d/a", "from alice")
    await until(lambda: bob.client.files() == {"d/a": b"from alice"})
    bob.client.write("d/a", "changed by bob")
    await until(lambda: alice.client.files() == {"d/a": b"changed by bob"})
    await until(lambda: any(isinstance(told, Summary) and told.downloaded for told in alice.told))
    (alice.client.folder / "d/a").unlink()
    await until(lambda: bob.client.files() == {})
    await alice.end()
    await bob.end()
    assert all(isinstance(told, Summary) for told in alice.told)


async def test_asked_to_be_in_sync_it_takes_off_the_disk_what_was_just_deselected(tmp_path: Path) -> None:
    client = Client(Stack(), tmp_path, "alice")
    client.service.__class__ = Waking
    client.write("photos/a", "a")
    await client.sync()
    links, stop = client.engine.links(), asyncio.Event()
    watching = Watching(client.engine, links, told=lambda *_: None, settings=Settings())
    running = asyncio.create_task(watching.run(stop))
    await watching.bring(links)
    await client.engine.select(links[0], exclude=["photos"])
    await watching.bring(links)
    assert client.files() == {}
    assert client.stack.files() == {"photos/a": b"a"}
    stop.set()
    await running


async def test_troubles_are_told_and_outlived(tmp_path: Path) -> None:
    stack = Stack()
    alice = Watcher(Client(stack, tmp_path, "alice"))
    await alice.start()
    failures = 3

    def fail(step: str) -> None:
        nonlocal failures
        if step == "commit" and failures:
            failures -= 1
            raise Temporary("away for a moment")

    alice.client.hook = fail
    alice.client.write("a", "a")
    await until(lambda: stack.files() == {"a": b"a"})
    await alice.end()
    assert failures == 0
    assert sum(isinstance(told, Temporary) for told in alice.told) == 1  # the same trouble is told once


async def test_watching_ends_with_the_sign_in(tmp_path: Path) -> None:
    alice = Watcher(Client(Stack(), tmp_path, "alice"))
    await alice.start()

    def revoked(_: str) -> None:
        raise Refused("device-revoked", "Sign in again.", status=401)

    alice.client.hook = revoked
    alice.client.write("a", "a")
    with pytest.raises(Refused, match="Sign in again"):
        await alice.task
