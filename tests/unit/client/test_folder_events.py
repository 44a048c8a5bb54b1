"""What the system tells of a folder: all that happens in it, nothing of what links lead to, and when it lost some."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from syncline.client.folder_events import (
    FOLDERS_TOLD_MAX,
    Cookies,
    FolderEvents,
    Folders,
    Notified,
    Unwatchable,
    folder_events,
)
from syncline.client.inotify import NO_ROOM, Inotify

pytestmark = pytest.mark.skipif(os.uname().sysname != "Linux", reason="inotify is Linux's")


class Ear:
    """Hears of a folder until it is let go."""

    def __init__(self, root: Path, made: type[Inotify] | type[Notified] = Inotify) -> None:
        (root / ".syncline").mkdir(parents=True, exist_ok=True)
        self.cookies = Cookies(root)
        self.events: FolderEvents = made(root, self.cookies)
        self.heard: list[Folders] = []

    async def listen(self) -> None:
        async for folders in self.events.events():
            self.heard.append(folders)

    async def all_heard(self) -> set[str]:
        """Every folder told of since this was asked last; all of it has been told."""
        assert await self.cookies.caught_up()
        told, self.heard = self.heard, []
        assert None not in told
        return {folder for folders in told for folder in folders or ()}


async def until(reached: Callable[[], bool]) -> None:
    while not reached():  # noqa: ASYNC110 - bounded by the caller
        await asyncio.sleep(0.01)


@asynccontextmanager
async def listening(root: Path, made: type[Inotify] | type[Notified] = Inotify) -> AsyncIterator[Ear]:
    ear = Ear(root, made)
    task = asyncio.create_task(ear.listen())
    try:
        async with asyncio.timeout(60):
            await until(lambda: bool(ear.heard) or task.done())
            assert ear.heard.pop(0) is None
            yield ear
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("made", [Inotify, Notified])
async def test_what_is_written_is_told_before_a_cookie_is(tmp_path: Path, made: type[Inotify] | type[Notified]) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    async with listening(tmp_path, made) as ear:
        for number in range(20):
            (tmp_path / "a/b" / str(number)).write_text("x")
            assert await ear.all_heard() == {"a/b"}
        (tmp_path / "top").write_text("x")
        assert await ear.all_heard() == {""}
        (tmp_path / ".syncline/tmp").mkdir()
        (tmp_path / ".syncline/tmp/ours").write_text("x")
        assert await ear.all_heard() == set()


async def test_links_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(outside)
    async with listening(root) as ear:
        (root / "another").symlink_to(outside)
        await ear.all_heard()
        (outside / "file").write_text("x")
        assert await ear.all_heard() == set()


async def test_folders_that_come_and_go_are_followed(tmp_path: Path) -> None:
    """At random, against a plain account of where files were written."""
    rng = random.Random(7)
    folders = [""]
    async with listening(tmp_path) as ear:
        for number in range(300):
            folder = rng.choice(folders)
            act = rng.choice(["make", "write", "write", "move", "remove"])
            if act == "make":
                new = f"{folder}/{number}/below".lstrip("/")
                (tmp_path / new).mkdir(parents=True)
                folders += [new, new.rpartition("/")[0]]
            elif act == "move" and folder:
                moved = f"moved {number}"
                (tmp_path / folder).rename(tmp_path / moved)
                folders = [moved + f[len(folder) :] if f"{f}/".startswith(f"{folder}/") else f for f in folders]
            elif act == "remove" and folder and len(folders) > 10:
                shutil.rmtree(tmp_path / folder)
                folders = [f for f in folders if not f"{f}/".startswith(f"{folder}/")]
            await ear.all_heard()
            written = rng.choice(folders)
            (tmp_path / written / f"file {number}").write_text("x")
            assert written in await ear.all_heard()


async def test_a_flood_is_told_as_anything(tmp_path: Path) -> None:
    """More folders than are told one by one; what overflows the system's queue is told in the same way."""
    async with listening(tmp_path) as ear:
        for number in range(FOLDERS_TOLD_MAX + 10):
            (tmp_path / str(number)).mkdir()
        assert await ear.cookies.caught_up()
        assert None in ear.heard or len({f for told in ear.heard for f in told or ()}) > FOLDERS_TOLD_MAX


async def test_a_queue_that_overflowed_is_noticed(tmp_path: Path) -> None:
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 50_000:
        pytest.skip("the queue is too long here to fill it")
    async with listening(tmp_path) as ear:
        # The loop does not run meanwhile, so nobody empties the queue.
        for number in range(limit // 2 + 10):
            path = tmp_path / f"file {number}"
            path.touch()
            path.unlink()
        (tmp_path / "new").mkdir()
        await until(lambda: None in ear.heard)
        ear.heard.clear()
        (tmp_path / "new/file").write_text("x")
        assert "new" in await ear.all_heard()


@pytest.mark.parametrize("harm", ["moved", "removed"])
async def test_a_root_that_goes_away_is_told(tmp_path: Path, harm: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    ear = Ear(root)
    task = asyncio.create_task(ear.listen())
    async with asyncio.timeout(60):
        await until(lambda: bool(ear.heard))
        if harm == "moved":
            root.rename(tmp_path / "elsewhere")
        else:
            shutil.rmtree(root)
        with pytest.raises(Unwatchable, match="moved, removed or unmounted"):
            await task


async def test_what_is_not_there_cannot_be_watched(tmp_path: Path) -> None:
    with pytest.raises(Unwatchable):
        await anext(aiter(folder_events(tmp_path / "nothing", Cookies(tmp_path / "nothing")).events()))
    assert not await Cookies(tmp_path / "nothing").caught_up()


class Full(Inotify):
    """A system that watches as many folders as it can already."""

    def _watch_below(self, queue: object, start: str) -> set[str]:
        raise OSError(errno.ENOSPC, "No space left on device")


async def test_a_full_table_says_what_to_do(tmp_path: Path) -> None:
    ear = Ear(tmp_path, Full)
    with pytest.raises(Unwatchable) as caught:
        await ear.listen()
    assert NO_ROOM in str(caught.value)
