"""Every service is replaced by a newer image while people work, one container after the other, and put back again."""

from __future__ import annotations

import asyncio
from pathlib import Path

from deploy.definition import SERVICES
from syncline.aws import Aws
from syncline.ports.tables import Table
from syncline.store.codec import blob, unpack
from syncline.store.journal import commit_key
from tests.containers.composed import ANSWERS, REPLICAS, TREE, ComposedStack
from tests.containers.newer import VALUE, make_newer

STRUCTS_GROWN_MIN = 100


def build_newer(stack: ComposedStack, folder: Path) -> str:
    """Build images of a newer version of the four services; their tag."""
    tag = f"{stack.tag}-newer"
    assert make_newer(TREE, folder) > STRUCTS_GROWN_MIN
    stack.compose("build", *SERVICES, tree=folder, tag=tag)
    return tag


async def test_old_and_new_work_side_by_side_and_there_is_a_way_back(stack: ComposedStack, tmp_path: Path):
    newer = await asyncio.to_thread(build_newer, stack, tmp_path / "newer")
    async with stack.load(tmp_path) as load:
        await asyncio.to_thread(replace_one_of_each, stack, newer)
        replicas = stack.replicas(*SERVICES)
        assert len({(one.service, one.tag) for one in replicas}) == 2 * len(SERVICES)
        await stack.all_work(load, replicas)
        await asyncio.to_thread(replace, stack, newer)
        assert tags(stack) == {newer}
        await load.answered(ANSWERS)
        await asyncio.to_thread(replace, stack, stack.tag)
        assert tags(stack) == {stack.tag}
        await load.answered(ANSWERS)
        commits = await stack.check(load)
        async with stack.opened() as aws:
            assert await shapes(aws, load.library, [commit.seq for commit in commits]) == {True, False}
        assert load.troubles == []


def replace_one_of_each(stack: ComposedStack, tag: str) -> None:
    """Put one replica of each service on another image."""
    leaving = [stack.one(service) for service in SERVICES]
    more = [word for service in SERVICES for word in ("--scale", f"{service}={REPLICAS[service] + 1}")]
    stack.compose("up", "--wait", "--no-deps", "--no-recreate", "--no-build", *more, *SERVICES, tag=tag)
    stack.keep_logs()
    for one in leaving:
        one.container.stop(timeout=60)
        one.container.remove()


def replace(stack: ComposedStack, tag: str) -> None:
    """Put all of them on another image, as docs/operations.md says."""
    stack.keep_logs()
    stack.run("deploy/compose/replace", *SERVICES, tag=tag)


def tags(stack: ComposedStack) -> set[str]:
    return {one.tag for one in stack.replicas(*SERVICES)}


async def shapes(aws: Aws, library: str, seqs: list[int]) -> set[bool]:
    """Whether the commits were written by the newer version: all answers there are."""
    rows = await aws.tables.get_many(Table.JOURNAL, [commit_key(library, seq) for seq in seqs])
    return {unpack(list, blob(row, "body"))[-1] == VALUE for row in rows.values() if "parts" not in row}
