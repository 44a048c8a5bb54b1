"""Two clients at once, over the whole stack: nothing that anyone wrote is ever missing afterwards."""

from __future__ import annotations

import asyncio
import random
import shutil
import sysconfig
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from syncline.client.engine import Engine
from syncline.client.index import Link
from syncline.client.summary import Summary
from syncline.domain.rights import Role
from syncline.messages import api as m
from tests.e2e.embedded import EmbeddedStack
from tests.e2e.people import Person, person

ROUNDS = 100
PASSES_MAX = 6


class Folder:
    """One person's linked folder."""

    def __init__(self, who: Person, engine: Engine, link: Link) -> None:
        self.who = who
        self.engine = engine
        self.link = link
        self.path = Path(link.path)

    async def sync(self) -> Summary:
        return await self.engine.sync_once(self.link)

    def contents(self) -> dict[str, bytes | None]:
        """What is in the folder by path; None for a folder."""
        return {
            str(path.relative_to(self.path)): None if path.is_dir() else path.read_bytes()
            for path in self.path.rglob("*")
            if path.relative_to(self.path).parts[0] != ".syncline"
        }


@asynccontextmanager
async def two_folders(stack: EmbeddedStack, tmp_path: Path) -> AsyncIterator[tuple[Folder, Folder]]:
    async with AsyncExitStack() as opened:
        alice = await opened.enter_async_context(person(stack.url, tmp_path, "alice"))
        bob = await opened.enter_async_context(person(stack.url, tmp_path, "bob"))
        library = await alice.library((bob, Role.EDITOR))
        folders = []
        for who, name in ((alice, "alice"), (bob, "bob")):
            engine = Engine(who.home, who.api)
            opened.callback(engine.close)
            folders.append(Folder(who, engine, await engine.link(library, tmp_path / name)))
        yield folders[0], folders[1]


async def settle(*folders: Folder) -> None:
    """Sync in turn until nobody has anything left to do."""
    for _ in range(PASSES_MAX):
        summaries = [await folder.sync() for folder in folders]
        if all(summary.changes == 0 and summary.complete for summary in summaries):
            return
    raise AssertionError(f"not settled after {PASSES_MAX} passes: {summaries}")


async def test_a_real_tree_comes_across_whole(stack: EmbeddedStack, tmp_path: Path):
    async with two_folders(stack, tmp_path) as (alice, bob):
        ignored = shutil.ignore_patterns("site-packages", "__pycache__", "test", "tests", "config-*")
        shutil.copytree(sysconfig.get_path("stdlib"), alice.path, ignore=ignored, dirs_exist_ok=True)
        (alice.path / "empty folder").mkdir()
        (alice.path / "naïve – ünïcode \n name").write_bytes(b"")
        (alice.path / "run.sh").write_bytes(b"#!/bin/sh\n")
        (alice.path / "run.sh").chmod(0o755)
        (alice.path / "large").write_bytes(random.Random(1).randbytes(20_000_001))
        sent = await alice.sync()
        got = await bob.sync()
        assert sent.complete
        assert got.complete
        assert sent.uploaded + sent.copied == got.downloaded > 500
        assert bob.contents() == alice.contents()
        assert (bob.path / "run.sh").stat().st_mode & 0o111
        assert (bob.path / "large").stat().st_mtime_ns == (alice.path / "large").stat().st_mtime_ns
        shutil.rmtree(bob.path / "json")
        (bob.path / "os.py").rename(bob.path / "renamed.py")
        await settle(bob, alice)
        assert alice.contents() == bob.contents()
        assert "renamed.py" in alice.contents()
        assert "json" not in alice.contents()


async def test_two_clients_edit_the_same_file_a_hundred_times(stack: EmbeddedStack, tmp_path: Path):
    async with two_folders(stack, tmp_path) as (alice, bob):
        (alice.path / "shared.txt").write_bytes(b"begin")
        await settle(alice, bob)
        written: list[bytes] = []
        for number in range(ROUNDS):
            for folder in (alice, bob):
                content = f"{folder.who.email} {number}".encode()
                (folder.path / "shared.txt").write_bytes(content)
                written.append(content)
            await asyncio.gather(alice.sync(), bob.sync())
        await settle(alice, bob)
        assert alice.contents() == bob.contents()
        there = set(alice.contents().values())
        versions = await _all_versions(alice)
        missing = [content for content in written if content not in there and content not in versions]
        assert missing == []


async def _all_versions(folder: Folder) -> set[bytes]:
    """The content of every version of every file in the library, read from S3."""
    who, library = folder.who, folder.link.library
    versions: list[m.VersionState] = []
    for child in (await who.api.children(library, library)).children:
        page = await who.api.versions(library, child.id)
        versions += page.versions
        while page.before:
            page = await who.api.versions(library, child.id, before=page.before)
            versions += page.versions
    return set(await who.contents(library, versions))
