"""The ways in which editors save, as real system calls on a real folder, with passes in the middle.

However it is saved and whenever a pass looks: the file is the same node, with one new version.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncline.client.renaming import exchange
from syncline.domain.commits import Effect
from tests.unit.client.clients import Client
from tests.unit.client.fakes import Stack

OLD, NEW = b"what was there before", b"what was saved, at some length"


def write(path: Path, content: bytes = NEW) -> None:
    with open(path, "wb") as file:
        file.write(content)


def opened(path: Path, flags: int = 0) -> Iterator[None]:
    """Written to in three steps, and open all the time."""
    descriptor = os.open(path, os.O_WRONLY | flags, 0o644)
    yield
    os.write(descriptor, NEW[:9])
    yield
    os.write(descriptor, NEW[9:])
    yield
    os.close(descriptor)


def rename_over(x: Path) -> Iterator[None]:
    """Emacs without backups, VS Code's atomic saving, git, rsync."""
    write(x.with_name(".x.tmp"))
    yield
    x.with_name(".x.tmp").replace(x)
    yield


def glib(x: Path) -> Iterator[None]:
    """gedit and all that use g_file_replace: a stream beside it, renamed over."""
    stream = x.with_name(".goutputstream-ABCDEF")
    yield from opened(stream, os.O_CREAT | os.O_EXCL)
    stream.replace(x)
    yield


def glib_with_backup(x: Path) -> Iterator[None]:
    stream = x.with_name(".goutputstream-ABCDEF")
    write(stream)
    yield
    x.rename(x.with_name("x~"))
    yield
    stream.replace(x)
    yield


def vim(x: Path) -> Iterator[None]:
    """backupcopy=no: the original becomes the backup, a new file is written, the backup goes."""
    x.with_name("4913").touch()
    yield
    x.with_name("4913").unlink()
    yield
    x.rename(x.with_name("x~"))
    yield
    yield from opened(x, os.O_CREAT | os.O_EXCL)
    x.with_name("x~").unlink()
    yield


def vim_in_place(x: Path) -> Iterator[None]:
    """backupcopy=yes: a copy as backup, then the original is truncated and written."""
    write(x.with_name("x~"), OLD)
    yield
    yield from opened(x, os.O_TRUNC)
    x.with_name("x~").unlink()
    yield


def emacs(x: Path) -> Iterator[None]:
    """A link as lock, the original renamed to a backup that stays."""
    os.symlink("me@here.4711:1700000000", x.with_name(".#x"))
    yield
    x.rename(x.with_name("x~"))
    yield
    yield from opened(x, os.O_CREAT | os.O_EXCL)
    x.with_name(".#x").unlink()
    yield


def libreoffice(x: Path) -> Iterator[None]:
    """A lock file; the document is made beside it and renamed over."""
    write(x.with_name(".~lock.x#"), b",me,here,,;")
    yield
    write(x.with_name("lu4711.tmp"))
    yield
    x.with_name("lu4711.tmp").replace(x)
    yield
    x.with_name(".~lock.x#").unlink()
    yield


def remove_and_write(x: Path) -> Iterator[None]:
    x.unlink()
    yield
    write(x)
    yield


def remove_and_rename(x: Path) -> Iterator[None]:
    """Where a system's rename does not replace."""
    write(x.with_name("x.new"))
    yield
    x.unlink()
    yield
    x.with_name("x.new").rename(x)
    yield


def word(x: Path) -> Iterator[None]:
    """The new one under a name of its own, the old one aside, the new one in its place, the old one away."""
    write(x.with_name("D0C5.tmp"))
    yield
    x.rename(x.with_name("A1B2.tmp"))
    yield
    x.with_name("D0C5.tmp").rename(x)
    yield
    x.with_name("A1B2.tmp").unlink()
    yield


def safe_save(x: Path) -> Iterator[None]:
    """macOS: a folder of its own beside it, the two exchanged in one step, the old one removed with the folder."""
    folder = x.with_name("x.sb-1234")
    folder.mkdir()
    yield
    write(folder / "x")
    yield
    exchange(folder / "x", x)
    yield
    (folder / "x").unlink()
    yield
    folder.rmdir()
    yield


def truncate_and_write(x: Path) -> Iterator[None]:
    yield from opened(x, os.O_TRUNC)


def append_slowly(x: Path) -> Iterator[None]:
    os.truncate(x, 0)
    x.write_bytes(b"")
    yield from opened(x, os.O_APPEND)


WAYS = [
    rename_over,
    glib,
    glib_with_backup,
    vim,
    vim_in_place,
    emacs,
    libreoffice,
    remove_and_write,
    remove_and_rename,
    word,
    safe_save,
    truncate_and_write,
]
LEAVES_BACKUP = {emacs, glib_with_backup}


async def saved(base: Path, way, passes) -> tuple[Stack, str]:
    """Save in this way with a pass after each step of which ``passes`` says so; (what came of it, the file's node)."""
    stack = Stack()
    alice = Client(stack, base, "alice")
    x = alice.write("d/x", OLD)
    os.utime(x, (1, 1))
    assert (await alice.sync()).complete
    alice.restart()  # it is a while ago that she made it
    await alice.sync()
    alice.scanner.at_rest_s = 3600.0
    (node,) = (n.id for n in stack.tree.live_nodes() if n.version)
    for step, _ in enumerate(way(x)):
        if passes(step):
            await alice.sync()
    summary = await alice.sync()
    assert summary.complete
    return stack, node


def steps_of(way, base: Path) -> int:
    x = base / "count" / "x"
    x.parent.mkdir()
    write(x, OLD)
    return sum(1 for _ in way(x))


def check(stack: Stack, node: str, way) -> None:
    assert stack.files() == {"d/x": NEW} | ({"d/x~": OLD} if way in LEAVES_BACKUP else {})
    (now,) = (n.id for n in stack.tree.live_nodes() if n.name == "x")
    assert now == node
    changes = [change for commit in stack.commits for change in commit.changes if change.node.id == node]
    versions = {change.node.version.id for change in changes if change.node.version}
    assert len(versions) == 2, [(change.effect, change.node.name) for change in changes]
    assert changes[0].effect is Effect.ADDED


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_a_pass_after_every_step(tmp_path: Path, way) -> None:
    stack, node = await saved(tmp_path, way, lambda _: True)
    check(stack, node, way)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_a_pass_after_any_one_step_or_none(tmp_path: Path, way) -> None:
    steps = steps_of(way, tmp_path)
    for only in range(steps + 1):
        (base := tmp_path / str(only)).mkdir()
        stack, node = await saved(base, way, lambda step, only=only: step == only)
        check(stack, node, way)
