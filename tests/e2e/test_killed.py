"""The embedded stack killed as a whole, again and again, under load: nothing that it acknowledged is lost.

What it guarantees is said in docs/operations.md, "What survives". One seed makes all choices but the machine's.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from unittest import mock

import pytest

from deploy.local import aws
from deploy.local.place import Place
from deploy.local.programs import service_environment
from deploy.local.provision import embedded_definition
from syncline.aws import Aws, Settings, connect
from syncline.domain.checksums import checksum_of
from syncline.domain.commits import Commit, Status
from syncline.domain.nodes import Kind, Node, Version
from syncline.domain.tree import Tree
from syncline.store.journal import Journal
from syncline.store.views import Views
from tests.e2e.embedded import aws_client, descendants, free_place, service_key, start_stack, stop, wait_ready
from tests.e2e.under_load import Load, SyncedFolder, load_on

KILLS = int(os.environ.get("SYNCLINE_TEST_KILLS", "20"))
ANSWERS = (2, 8)
"""So many changes are answered in each life; the kill comes up to LAST_S after the last of them."""
LAST_S = 1.5
LIFE_S_MAX = 120
KILLED_STARTING = 0.15
"""So many of the kills come while it starts."""
STARTING_S = (0.2, 3.0)
SEED = 20261123
SETTLE_S_MAX = 120
PASSES_MAX = 10


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
            await check_all(stack.place, load)


async def kill_once(stack: Mortal, load: Load, chance: random.Random) -> None:
    if chance.random() < KILLED_STARTING:
        await asyncio.sleep(chance.uniform(*STARTING_S))
    else:
        await answered(load, chance.randint(*ANSWERS))
        await asyncio.sleep(chance.uniform(0, LAST_S))
    load.check()
    stack.kill()
    stack.start()


async def answered(load: Load, count: int) -> None:
    """Until so many more changes were answered: then everyone is at work again."""
    enough = len(load.answers) + count
    async with asyncio.timeout(LIFE_S_MAX):
        while len(load.answers) < enough:
            load.check()
            await asyncio.sleep(0.02)


async def settle(load: Load) -> None:
    """Sync in turn until nobody has anything left to do."""
    for _ in range(PASSES_MAX):
        summaries = [await folder.engine.sync_once(folder.link) for folder in load.folders]
        if all(summary.changes == 0 and summary.complete for summary in summaries):
            return
    raise AssertionError(f"not settled after {PASSES_MAX} passes: {summaries}")


# -- what must be true afterwards


async def check_all(place: Place, load: Load) -> None:
    # One more change, so that the views are brought to the head if they were left behind.
    [permit] = [await load.uploader.who.add(load.library, "the last one", b"end")]
    assert permit.status is Status.APPLIED
    await settle(load)
    async with ports(place) as aws_ports:
        journal, views = Journal(aws_ports.tables), Views(aws_ports.tables)
        commits = [commit async for commit in journal.read(load.library, 0)]
        tree = Tree(load.library)
        tree.apply_all(commits)
        await check_answers(journal, commits, load)
        await check_views(views, tree)
        await check_bytes(place, commits, load)
        check_folders(tree, load)
    troubles = sum(len(folder.troubles) for folder in load.folders)
    edits = sum(editor.edits for editor in load.editors)
    print(f"{KILLS} kills, {edits} edits, {len(load.answers)} answers, {len(load.uploader.stored)} scripted objects,")
    print(f"{len(commits)} commits, {troubles} times a client had to try again")


async def check_answers(journal: Journal, commits: list[Commit], load: Load) -> None:
    """Every answer that anyone got is what the journal says."""
    by_seq = {commit.seq: commit for commit in commits}
    assert len(load.answers) > KILLS
    outcomes = await journal.outcomes(list({answer.command for answer in load.answers}))
    for answer in load.answers:
        outcome = outcomes[answer.command]
        assert outcome.seq == answer.seq
        told = [(result.status, result.node, result.seq, result.version) for result in answer.results]
        assert told == [(result.status, result.node, result.seq, result.version) for result in outcome.results]
        for result in answer.results:
            if result.status in (Status.APPLIED, Status.CONFLICT):
                assert result.node in {change.node.id for change in by_seq[result.seq].changes}


async def check_views(views: Views, tree: Tree) -> None:
    """The views say what folding the journal says: every folder, every node, every version."""
    deadline = time.monotonic() + SETTLE_S_MAX
    while await views.applied(tree.library) != tree.seq:
        assert time.monotonic() < deadline, "the views stay behind the journal"
        await asyncio.sleep(0.2)
    nodes = tree.changed_since(0)
    for folder in [tree.library, *(node.id for node in nodes if node.kind is Kind.FOLDER)]:
        assert await views.children(tree.library, folder, tree.seq, limit=100_000) == tree.children(folder)
    for node in nodes:
        assert await views.node(tree.library, node.id, tree.seq) == node
    versions = [node.version.id for node in nodes if node.version is not None]
    records = await views.version_records(tree.library, versions)
    assert records == {version: tree.version(version) for version in versions}


async def check_bytes(place: Place, commits: list[Commit], load: Load) -> None:
    """Everything that S3 or the journal said is there can be read, and is what it was."""
    versions = {version.id: version for commit in commits for version in versions_in(commit)}
    bucket = embedded_definition().bucket.name
    async with aws_client(place, "s3", aws.root_key(place)) as s3:
        for version in versions.values():
            at = version.location
            body = await (await s3.get_object(Bucket=bucket, Key=at.key, VersionId=at.s3_version))["Body"].read()
            content = body[at.offset : at.offset + at.length]
            assert (len(content), checksum_of(content)) == (version.size_bytes, version.checksum)
        for key, stored in load.uploader.stored.items():
            body = await (await s3.get_object(Bucket=bucket, Key=key))["Body"].read()
            assert hashlib.sha256(body).digest() == hashlib.sha256(stored).digest()
    committed = {version.location.key for version in versions.values()}
    assert set(load.uploader.stored) <= committed


def versions_in(commit: Commit) -> list[Version]:
    found = [change.node.version for change in commit.changes] + [change.late for change in commit.changes]
    return [version for version in found if version is not None]


def check_folders(tree: Tree, load: Load) -> None:
    """Both people's folders are what the journal says, and hold what each of them left in their own area."""
    files = {tree.path(node): node for node in tree.live_nodes() if node.kind is Kind.FILE}
    for folder in load.folders:
        check_folder(folder, files, load.expected)


def check_folder(folder: SyncedFolder, files: dict[str, Node], expected: dict[str, bytes]) -> None:
    found = folder.files()
    assert set(found) == set(files)
    for path, content in found.items():
        version = files[path].version
        assert version is not None
        assert checksum_of(content) == version.checksum
    own = {path for path in found if path.startswith("area ")}
    assert own == set(expected)
    assert {path for path in own if found[path] != expected[path]} == set()


@asynccontextmanager
async def ports(place: Place) -> AsyncIterator[Aws]:
    """The tables as the metadata service has them."""
    key = service_key(place, "metadata")
    variables = service_environment(place, embedded_definition(), "metadata", key)
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, key.environment()))
        async with connect(Settings.from_environ(variables)) as opened:
            stack.close()
            yield opened
