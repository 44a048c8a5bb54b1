"""Two clients at once, over the whole stack: nothing that anyone wrote is ever missing afterwards."""

from __future__ import annotations

import asyncio
import random
import shutil
import sysconfig
from pathlib import Path

from syncline.messages import api as m
from tests.e2e.embedded import EmbeddedStack
from tests.e2e.folders import Folder, settle, two_folders

ROUNDS = 100


async def test_a_real_tree_comes_across_whole(stack: EmbeddedStack, tmp_path: Path):
    async with two_folders(stack.url, tmp_path) as (alice, bob):
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
    async with two_folders(stack.url, tmp_path) as (alice, bob):
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
