"""What must be true of a library after anything under it was killed: answers, journal, views, bytes, folders agree."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from unittest import mock

from syncline.aws import Aws, Settings, connect
from syncline.domain.checksums import checksum_of
from syncline.domain.commits import Commit, Status
from syncline.domain.nodes import Kind, Node, Version
from syncline.domain.tree import Tree
from syncline.ports.objects import ObjectStore
from syncline.store.journal import Journal
from syncline.store.views import Views
from tests.e2e.under_load import Load, SyncedFolder

SETTLE_S_MAX = 120
PASSES_MAX = 10
READS_AT_ONCE = 8


@asynccontextmanager
async def opened(variables: Mapping[str, str]) -> AsyncIterator[Aws]:
    """The ports of a stack that these variables of the environment describe."""
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, variables))
        async with connect(Settings.from_environ(variables)) as aws:
            stack.close()
            yield aws


async def settle(load: Load) -> None:
    """Sync in turn until nobody has anything left to do."""
    for _ in range(PASSES_MAX):
        summaries = [await folder.engine.sync_once(folder.link) for folder in load.folders]
        if all(summary.changes == 0 and summary.complete for summary in summaries):
            return
    raise AssertionError(f"not settled after {PASSES_MAX} passes: {summaries}")


async def check_all(aws: Aws, load: Load) -> list[Commit]:
    """Look at everything; the whole journal."""
    # One more change, so that the views are brought to the head if they were left behind.
    [permit] = [await load.uploader.who.add(load.library, "the last one", b"end")]
    assert permit.status is Status.APPLIED
    await settle(load)
    journal, views = Journal(aws.tables), Views(aws.tables)
    commits = [commit async for commit in journal.read(load.library, 0)]
    tree = Tree(load.library)
    tree.apply_all(commits)
    await check_answers(journal, commits, load)
    await check_views(views, tree)
    await check_bytes(aws.objects, commits, load)
    check_folders(tree, load)
    return commits


async def check_answers(journal: Journal, commits: list[Commit], load: Load) -> None:
    """Every answer that anyone got is what the journal says."""
    by_seq = {commit.seq: commit for commit in commits}
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


async def check_bytes(objects: ObjectStore, commits: list[Commit], load: Load) -> None:
    """Everything that S3 or the journal said is there can be read, and is what it was."""
    versions = {version.id: version for commit in commits for version in versions_in(commit)}
    assert set(load.uploader.stored) <= {version.location.key for version in versions.values()}
    turns = asyncio.Semaphore(READS_AT_ONCE)

    async def check_version(version: Version) -> None:
        async with turns:
            at = version.location
            content = await objects.get(at.key, at.s3_version, offset=at.offset, length=at.length)
            assert (len(content), checksum_of(content)) == (version.size_bytes, version.checksum)

    async def check_object(key: str, stored: bytes) -> None:
        async with turns:
            assert await objects.get(key) == stored

    await asyncio.gather(
        *(check_version(version) for version in versions.values()),
        *(check_object(key, stored) for key, stored in load.uploader.stored.items()),
    )


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
