"""A library loses its rows; the operator rebuilds it from the bucket; people's folders come together again, whole."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from deploy.local import aws
from syncline.client.engine import Engine
from syncline.domain.errors import Refused
from syncline.domain.rights import Role
from syncline.store.segments import SegmentKey, parse_key
from tests.e2e.embedded import EmbeddedStack, running_stack
from tests.e2e.folders import Folder, settle
from tests.e2e.people import eventually, person

pytestmark = pytest.mark.e2e

TABLES = ("journal", "views", "directory", "outcomes")
LATE_COMMITS = 3


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Any:
    options = ("--set", "SYNCLINE_ARCHIVE_SECONDS=1", "--set", "SYNCLINE_SNAPSHOT_CHANGES=20")
    with running_stack(tmp_path_factory.mktemp("rebuild"), *options) as running:
        yield running


def admin(stack: EmbeddedStack, *words: str) -> tuple[int, Any]:
    """Run ``syncline-admin --json`` in the environment that the stack has written for it: (exit code, answer)."""
    text = stack.place.operator_environment.read_text()
    variables = dict(re.findall(r"^export (\w+)=(.*)$", text, re.MULTILINE))
    environment = {name: shlex.split(value)[0] if value else "" for name, value in variables.items()}
    done = subprocess.run(
        [sys.executable, "-m", "syncline.admin", "--json", *words],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, json.loads(done.stdout or done.stderr)


@asynccontextmanager
async def root(stack: EmbeddedStack, api: str) -> AsyncIterator[Any]:
    """Whoever breaks things needs more rights than any identity of ours has."""
    async with stack.aws(api, aws.root_key(stack.place)) as client:
        yield client


async def archived(stack: EmbeddedStack, library: str) -> list[SegmentKey]:
    async with root(stack, "s3") as s3:
        answer = await s3.list_objects_v2(Bucket=stack.definition.bucket.name, Prefix=f"journal/{library}/")
    keys = [parse_key(entry["Key"]) for entry in answer.get("Contents", [])]
    return sorted(key for key in keys if isinstance(key, SegmentKey))


async def lose_rows(stack: EmbeddedStack, library: str) -> int:
    """Delete every row of a library; how many."""
    count = 0
    async with root(stack, "dynamodb") as dynamodb:
        for table in TABLES:
            name = stack.definition.names.table(table)
            pages = dynamodb.get_paginator("scan").paginate(TableName=name)
            keys = [
                {"pk": item["pk"], "sk": item["sk"]}
                async for page in pages
                for item in page["Items"]
                if library in item["pk"]["S"] or library in item["sk"]["S"]
            ]
            for key in keys:
                await dynamodb.delete_item(TableName=name, Key=key)
            count += len(keys)
    return count


async def lose_last_commits(stack: EmbeddedStack, library: str, after: int) -> None:
    """Let the archive be behind: what it has after this seq never got there."""
    late = [key for key in await archived(stack, library) if key.last > after]
    async with root(stack, "s3") as s3:
        for key in late:
            await s3.delete_object(Bucket=stack.definition.bucket.name, Key=key.key)


@asynccontextmanager
async def folders(stack: EmbeddedStack, tmp_path: Path) -> AsyncIterator[tuple[Folder, Folder]]:
    async with AsyncExitStack() as opened:
        alice = await opened.enter_async_context(person(stack.url, tmp_path, "alice"))
        bob = await opened.enter_async_context(person(stack.url, tmp_path, "bob"))
        library = await alice.library((bob, Role.EDITOR))
        made = []
        for who, name in ((alice, "alice"), (bob, "bob")):
            engine = Engine(who.home, who.api)
            opened.callback(engine.close)
            made.append(Folder(who, engine, await engine.link(library, tmp_path / name)))
        yield made[0], made[1]


async def head_of(folder: Folder) -> int:
    return (await folder.who.api.library(folder.link.library)).seq


async def archived_to(stack: EmbeddedStack, library: str, seq: int) -> None:
    async def furthest() -> int:
        return max((key.last for key in await archived(stack, library)), default=0)

    await eventually(furthest, until=lambda last: last >= seq)


async def test_a_lost_library_comes_back_and_nobody_loses_anything(stack: EmbeddedStack, tmp_path: Path):
    async with folders(stack, tmp_path) as (alice, bob):
        library = alice.link.library
        for number in range(30):
            alice.path.joinpath(f"file {number}").write_bytes(f"content {number}".encode())
        (alice.path / "papers").mkdir()
        (alice.path / "papers" / "large").write_bytes(os.urandom(9_000_000))
        await settle(alice, bob)
        known = await head_of(alice)
        await archived_to(stack, library, known)
        # What comes now never reaches the archive.
        (alice.path / "late").write_bytes(b"late")
        (alice.path / "file 1").write_bytes(b"edited late")
        (alice.path / "late folder").mkdir()
        (alice.path / "late folder" / "in it").write_bytes(b"in the late folder")
        (bob.path / "file 2").rename(bob.path / "moved late")
        await settle(alice, bob)
        expected = alice.contents()
        await archived_to(stack, library, await head_of(alice))
        await lose_last_commits(stack, library, known)
        assert await lose_rows(stack, library) > 100
        with pytest.raises(Refused, match="no such library"):
            await alice.who.api.library(library)
        (bob.path / "written meanwhile").write_bytes(b"by bob")

        code, rebuilt = await asyncio.to_thread(admin, stack, "rebuild", library)
        assert code == 0, rebuilt
        assert rebuilt["kept"] == known
        assert rebuilt["recovered"] >= LATE_COMMITS
        assert rebuilt["unrecovered"] == []
        await settle(alice, bob)
        assert alice.contents() == bob.contents() == expected | {"written meanwhile": b"by bob"}

        code, checked = await asyncio.to_thread(admin, stack, "check", library, "--bytes")
        assert (code, checked["libraries"][0]["counts"]) == (0, {})
        code, refused = await asyncio.to_thread(admin, stack, "rebuild", library)
        assert (code, refused["kind"]) == (3, "needs-yes")

        # A new client begins at a snapshot of the new incarnation.
        snapshot = await eventually(
            lambda: alice.who.api.snapshot(library), until=lambda found: found is not None, within_s=90
        )
        assert snapshot is not None
        assert snapshot.nodes >= 30
        engine = Engine(bob.who.home, bob.who.api)
        try:
            third = Folder(bob.who, engine, await engine.link(library, tmp_path / "third"))
            await third.sync()
            assert third.contents() == alice.contents()
        finally:
            engine.close()


async def test_a_library_that_is_there_is_made_again_without_a_loss(stack: EmbeddedStack, tmp_path: Path):
    async with folders(stack, tmp_path) as (alice, bob):
        (alice.path / "a").write_bytes(b"one")
        await settle(alice, bob)
        await archived_to(stack, alice.link.library, await head_of(alice))
        (bob.path / "b").write_bytes(b"two")
        await settle(alice, bob)
        (alice.path / "a").unlink()
        await settle(alice, bob)
        code, rebuilt = await asyncio.to_thread(admin, stack, "rebuild", alice.link.library, "--yes")
        assert code == 0, rebuilt
        assert rebuilt["recovered"] == 0
        (alice.path / "c").write_bytes(b"three")
        await settle(alice, bob)
        assert alice.contents() == bob.contents() == {"b": b"two", "c": b"three"}
