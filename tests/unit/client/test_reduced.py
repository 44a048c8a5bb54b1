"""Planning over the reduced trees gives what planning over the whole ones would, wherever a history has led to."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import stat
import tempfile
from collections.abc import Iterator, Set
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from syncline.client.apart import apart
from syncline.client.disk import Disk
from syncline.client.ignoring import IGNORE_FILE
from syncline.client.link_targets import leading_out
from syncline.client.operations import Plan, SendFile
from syncline.client.planner import plan
from syncline.client.reduced import Trees, reduced_trees
from syncline.client.remote_tree import holdable, list_changes
from syncline.client.scanner import Scanner, Seen
from syncline.client.trees import Base, Local, Remote
from syncline.client.walking import Agreement, Interest
from syncline.domain.errors import Temporary
from syncline.domain.nodes import Kind
from tests.unit.client.clients import Client
from tests.unit.client.fakes import Stack
from tests.unit.client.planned import remote_node
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
    local = await Scanner(Disk(client.folder), ignores=reduced.rules.ignores).scan()
    remote, _ = holdable(engine.index.remote(link))
    return reduced, engine.index.base(link), local, remote


def planned(base: Base, local: Local, remote: Remote, away: Set[str]) -> dict[str, list[str]]:
    """What a plan does, whatever the order of what may be done in any order."""
    ids: Iterator[str] = (f"new{n}" for n in range(10_000))
    outward, unsafe = leading_out(remote, local)
    found = plan(base, local, remote, new_id=lambda: next(ids), apart=outward | away)
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
    whole = planned(base, local, remote, apart(remote, reduced.rules))
    assert planned(reduced.base, reduced.local, reduced.remote, reduced.apart) == whole


def act(person: Person, chance: random.Random) -> None:
    def path() -> str:
        return "/".join(chance.choice(NAMES) for _ in range(chance.randint(1, 3)))

    often = ["write", "write", "write", "remove", "move", "move", "move", "folder"]
    name = chance.choice([*often, "link", "socket", "ignore", "select"])
    target = person.client.folder / path()
    try:
        match name:
            case "link":
                os.symlink(chance.choice(["a", "../b", "../../c"]), target)
            case "socket":
                os.mknod(target, stat.S_IFSOCK | 0o600)
            case "ignore":
                lines = chance.sample(["a", "/b/a", "c/", "!a"], chance.randint(0, 2))
                (person.client.folder / IGNORE_FILE).write_text("\n".join(lines))
            case "select":
                select(person.client, chance)
            case _:
                person.act(name, path(), path())
    except OSError:
        return  # not to be done to what is there


def select(client: Client, chance: random.Random) -> None:
    index = client.engine.index
    (link,) = client.engine.links()
    folders = sorted(node.node for node in index.remote(link).nodes.values() if node.kind is Kind.FOLDER)
    index.deselect(link, chance.sample(folders, min(len(folders), chance.randint(0, 2))))


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
@settings(max_examples=25)
def test_the_same_plan_as_over_the_whole_trees(seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder), seed))


# -- how little is looked at


async def in_sync(tmp_path: Path) -> Client:
    client = Client(Stack(), tmp_path, "alice")
    client.folder.mkdir()
    for name in ("a/1", "a/2", "a/deep/3", "b/4", "b/5", "6"):
        client.write(name, name)
    await client.sync()
    return client


async def shown(client: Client) -> tuple[set[str], set[str], set[str]]:
    reduced = (await look(client))[0]
    names = {node.local_name for node in reduced.base.nodes.values()}
    return names, set(reduced.local.entries), {node.name for node in reduced.remote.nodes.values()}


async def test_where_nothing_changed_nothing_is_read(tmp_path: Path) -> None:
    assert await shown(await in_sync(tmp_path)) == (set(), set(), set())


async def test_of_a_change_its_folder_is_read_and_those_above(tmp_path: Path) -> None:
    client = await in_sync(tmp_path)
    client.write("a/1", "changed")
    assert await shown(client) == ({"a", "1", "2", "deep"}, {"a", "a/1", "a/2", "a/deep"}, {"a", "1", "2", "deep"})


async def test_a_missing_folder_is_read_to_the_bottom(tmp_path: Path) -> None:
    client = await in_sync(tmp_path)
    shutil.rmtree(client.folder / "a")
    names, paths, remote = await shown(client)
    assert names == remote == {"a", "1", "2", "deep", "3", "b", "6"}
    assert paths == {"b", "6"}


async def test_what_is_left_alone_does_not_open_its_folder(tmp_path: Path) -> None:
    client = await in_sync(tmp_path)
    os.mknod(client.folder / "a/socket", stat.S_IFSOCK | 0o600)
    os.symlink("../../out", client.folder / "b/link")
    reduced = (await look(client))[0]
    assert not reduced.base.nodes
    assert {(one.path, one.reason) for one in reduced.local.skipped} == {
        ("a/socket", "special-file"),
        ("b/link", "unsafe-link"),
    }


async def test_bytes_that_lie_elsewhere_in_the_library_are_not_sent_again(tmp_path: Path) -> None:
    client = await in_sync(tmp_path)
    client.write("b/copy", "a/1")
    summary = await client.sync()
    assert (summary.copied, summary.uploaded) == (1, 0)


async def test_a_saved_file_keeps_its_node_though_the_one_before_lies_in_another_folder(tmp_path: Path) -> None:
    client = await in_sync(tmp_path)
    tree = client.stack.tree
    node = next(node.id for node in tree.live_nodes() if tree.path(node) == "a/1")
    (client.folder / "a/1").rename(client.folder / "b/1~")
    await client.sync()
    client.write("a/1", "saved")
    await client.sync()
    assert next(one.id for one in tree.live_nodes() if tree.path(one) == "a/1") == node
    assert client.files().items() >= {"a/1": b"saved", "b/1~": b"a/1"}.items()


# -- when the index moves on while one looks


class Overtaken(Scanner):
    """While it looks, another process reads on in the journal; ``times`` times."""

    def __init__(self, client: Client, times: int) -> None:
        super().__init__(Disk(client.folder))
        self.client = client
        self.times = times

    async def look(self, agreement: Agreement, interest: Interest) -> Seen:
        seen = await super().look(agreement, interest)
        if self.times:
            self.times -= 1
            index = self.client.engine.index
            link = index.links()[0]
            index.learn(
                link, [remote_node(f"new{self.times}", parent=link.library)], [], cursor=link.cursor, seq=link.seq + 1
            )
        return seen


async def test_what_is_learnt_meanwhile_is_looked_at_too(tmp_path: Path) -> None:
    client = await in_sync(tmp_path)
    engine = client.engine
    link = engine.links()[0]
    trees = await reduced_trees(engine.index.holdings(link), Overtaken(client, 2), link.marker)
    assert {"new0", "new1"} <= trees.remote.nodes.keys()
    with pytest.raises(Temporary, match="changes all the time"):
        await reduced_trees(engine.index.holdings(link), Overtaken(client, 100), link.marker)
