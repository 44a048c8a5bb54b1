"""Planning over the reduced trees gives what planning over the whole ones would, wherever a history has led to."""

from __future__ import annotations

import asyncio
import os
import random
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from syncline.client.disk import Disk
from syncline.client.link_targets import leading_out
from syncline.client.operations import Plan, SendFile
from syncline.client.planner import plan
from syncline.client.reduced import Trees, reduced_trees
from syncline.client.remote_tree import holdable, list_changes
from syncline.client.scanner import Scanner
from syncline.client.trees import Base, Local, Remote
from tests.unit.client.clients import Client
from tests.unit.client.fakes import Stack
from tests.unit.client.test_random_syncing import Person

DEVICES = ("alice", "bob")
NAMES = ("a", "b", "c")


class Killed(BaseException):
    """The process is gone."""


async def look(client: Client) -> tuple[Trees, Base, Local, Remote]:
    """The reduced trees, and the whole ones of the same moment."""
    engine = client.engine
    link = await list_changes(client.service, engine.index, engine.links()[0])
    reduced = await reduced_trees(engine.index.holdings(link), Scanner(Disk(client.folder)), link.marker)
    local = await Scanner(Disk(client.folder)).scan()
    remote, _ = holdable(engine.index.remote(link))
    return reduced, engine.index.base(link), local, remote


def planned(base: Base, local: Local, remote: Remote) -> dict[str, list[str]]:
    """What a plan does, whatever the order of what may be done in any order."""
    ids: Iterator[str] = (f"new{n}" for n in range(10_000))
    outward, unsafe = leading_out(remote, local)
    found = plan(base, local, remote, new_id=lambda: next(ids), apart=outward)
    plans = {name: _shown(found, name, sort=name != "local") for name in Plan.__dataclass_fields__}
    return plans | {"unsafe": sorted(map(repr, unsafe)), "skipped": sorted(map(repr, local.skipped))}


def _shown(found: Plan, name: str, *, sort: bool) -> list[str]:
    # Any of several versions with the same bytes will do.
    operations = [
        msgspec.structs.replace(op, source="known" if op.source else "") if isinstance(op, SendFile) else op
        for op in getattr(found, name)
    ]
    shown = [repr(op) for op in operations]
    return sorted(shown) if sort else shown


async def check(client: Client) -> None:
    reduced, base, local, remote = await look(client)
    assert planned(reduced.base, reduced.local, reduced.remote) == planned(base, local, remote)


def act(person: Person, chance: random.Random) -> None:
    def path() -> str:
        return "/".join(chance.choice(NAMES) for _ in range(chance.randint(1, 3)))

    name = chance.choice(["write", "write", "write", "remove", "move", "move", "move", "folder", "link", "socket"])
    target = person.client.folder / path()
    try:
        match name:
            case "link":
                os.symlink(chance.choice(["a", "../b", "../../c"]), target)
            case "socket":
                os.mknod(target, stat.S_IFSOCK | 0o600)
            case _:
                person.act(name, path(), path())
    except OSError:
        return  # not to be done to what is there


async def play(folder: Path, seed: int) -> None:
    chance = random.Random(seed)
    stack = Stack()
    clients = [Client(stack, folder, device) for device in DEVICES]
    people = [Person(client, set(), set()) for client in clients]
    for client in clients:
        await client.sync()
    for _ in range(chance.randint(5, 25)):
        turn = chance.randrange(len(clients))
        client = clients[turn]
        for _ in range(chance.randint(1, 4)):
            act(people[turn], chance)
        await check(client)
        match chance.choice(["nothing", "sync", "sync", "killed"]):
            case "sync":
                await client.sync(allow_removals=chance.random() < 0.9)
            case "killed":
                await _killed(client, chance.randint(1, 12))
        await check(client)
    for client in clients:
        client.engine.close()


async def _killed(client: Client, after: int) -> None:
    steps = iter(range(after))

    def kill(_: str) -> None:
        if next(steps, None) is None:
            raise Killed

    client.hook = kill
    try:
        await client.sync(allow_removals=True)
    except BaseExceptionGroup as group:
        if group.split(Killed)[1] is not None:
            raise
    except Killed:
        pass
    client.hook = lambda _: None
    client.restart()


@given(seed=st.integers(0, 2**32))
@settings(max_examples=60)
def test_the_same_plan_as_over_the_whole_trees(seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder), seed))
