"""Times, the executable bit, hard links, holes, files in use, and what may not be read or written."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncline.client.disk import Disk
from tests.unit.client.clients import Client
from tests.unit.client.test_syncing import Pair

NOBODY = 65_534
NS = 1_700_000_000_123_456_789


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def executable(client: Client, path: str) -> bool:
    return os.access(client.folder / path, os.X_OK)


# -- times, holes, hard links


async def test_the_time_arrives_to_the_nanosecond(pair: Pair) -> None:
    os.utime(pair.alice.write("a", "a"), ns=(NS, NS))
    await pair.settle()
    assert (pair.bob.folder / "a").stat().st_mtime_ns == NS
    os.utime(pair.bob.write("a", "b"), ns=(NS + 1, NS + 1))
    await pair.settle()
    assert (pair.alice.folder / "a").stat().st_mtime_ns == NS + 1


async def test_holes_are_zeros(pair: Pair) -> None:
    with open(pair.alice.write("sparse", b""), "wb") as file:
        file.truncate(10_000_000)
        file.seek(5_000_000)
        file.write(b"in the middle")
    await pair.settle()
    assert pair.bob.read("sparse") == pair.alice.read("sparse")


async def test_hard_links_are_files(pair: Pair) -> None:
    os.link(pair.alice.write("a", "one"), pair.alice.folder / "b")
    await pair.settle()
    nodes = {n.name: n.id for n in pair.stack.tree.live_nodes()}
    os.link(pair.alice.folder / "a", pair.alice.folder / "c")
    await pair.settle()
    # What the other changes is changed for one name only …
    pair.bob.write("a", "two")
    (pair.bob.folder / "b").chmod(0o755)
    await pair.settle()
    assert [pair.alice.read(name) for name in "abc"] == [b"two", b"one", b"one"]
    assert [executable(pair.alice, name) for name in "abc"] == [False, True, False]
    # … and what is written through one name here is written for all that are left.
    os.link(pair.alice.folder / "c", pair.alice.folder / "d")
    await pair.settle()
    pair.alice.write("d", "three")
    await pair.settle()
    assert [pair.bob.read(name) for name in "abcd"] == [b"two", b"one", b"three", b"three"]
    assert {n.name: n.id for n in pair.stack.tree.live_nodes() if n.name in nodes} == nodes


async def test_one_of_two_hard_links_goes_or_is_renamed(pair: Pair) -> None:
    for name in ("a/1", "b/1"):
        pair.alice.write(name, name)
        os.link(pair.alice.folder / name, pair.alice.folder / name.replace("1", "2"))
    await pair.settle()
    nodes = {pair.stack.tree.path(n): n.id for n in pair.stack.tree.live_nodes()}
    (pair.alice.folder / "a/1").unlink()
    (pair.alice.folder / "b/1").rename(pair.alice.folder / "b/3")
    await pair.settle()
    after = {pair.stack.tree.path(n): n.id for n in pair.stack.tree.live_nodes()}
    assert after == {"a": nodes["a"], "b": nodes["b"], "a/2": nodes["a/2"], "b/2": nodes["b/2"], "b/3": nodes["b/1"]}


# -- a disk without the executable bit


class Fat(Disk):
    """All files look executable, and saying otherwise fails, as on FAT."""

    @property
    def keeps_executable(self) -> bool:
        return False


async def test_a_disk_without_executable_bit_does_not_flap(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    pair.bob._disk = Fat
    pair.bob.restart()
    pair.alice.write("run", "1").chmod(0o755)
    pair.alice.write("text", "1")
    await pair.settle()
    for path in ("run", "text"):
        (pair.bob.folder / path).chmod(0o777)
    pair.bob.write("run", "2")
    (pair.bob.folder / "text").rename(pair.bob.folder / "renamed")
    pair.bob.write("new", "n").chmod(0o777)
    await pair.settle()
    (pair.bob.folder / "run").rename(pair.bob.folder / "runs")
    await pair.settle()
    assert [executable(pair.alice, name) for name in ("runs", "renamed", "new")] == [True, False, False]
    assert pair.alice.read("runs") == b"2"
    (pair.alice.folder / "runs").chmod(0o644)
    (pair.alice.folder / "new").chmod(0o755)
    commits = len(pair.stack.commits)
    await pair.settle()
    assert [executable(pair.alice, name) for name in ("runs", "new")] == [False, True]
    assert len(pair.stack.commits) == commits + 1


def test_whether_a_disk_keeps_the_bit_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(tmp_path / "root")
    disk.mark("m")
    assert disk.keeps_executable
    for chmod in (lambda *_: None, _denied):
        monkeypatch.setattr(os, "fchmod", chmod)
        assert not Disk(tmp_path / "root").keeps_executable
    assert list((disk.own / "tmp").iterdir()) == []


def _denied(*_: object) -> None:
    raise PermissionError


# -- in use


@pytest.mark.skipif(not hasattr(os, "O_PATH"), reason="only Linux tells who writes to a file")
async def test_a_file_that_grows_is_left_until_it_rests(pair: Pair) -> None:
    await pair.alice.sync()
    pair.alice.write("other", "o")
    pair.alice.scanner.at_rest_s = 3600.0
    with open(pair.alice.folder / "growing", "wb", buffering=0) as file:
        for _ in range(2):
            file.write(b"more")
            summary = await pair.alice.sync()
            assert (summary.complete, summary.later) == (False, ["growing"])
        assert pair.stack.files() == {"other": b"o"}
        pair.alice.scanner.at_rest_s = 0.0  # open, but nothing has been written for long
        assert (await pair.alice.sync()).complete
        assert pair.stack.files()["growing"] == b"moremore"


@pytest.mark.parametrize("size", [10, 17 * 1024 * 1024])
async def test_changed_in_the_middle_of_its_upload(pair: Pair, size: int) -> None:
    """In place, with the same size and, in the end, the same time: never half of one and half of the other."""
    first, second = os.urandom(size), os.urandom(size)
    target = pair.alice.write("file", first)
    times = (target.stat().st_atime_ns, target.stat().st_mtime_ns)
    seen: list[str] = []

    def hook(step: str) -> None:
        seen.append(step)
        if step in ("put", "put part") and seen.count(step) == 1:
            target.write_bytes(second)
            os.utime(target, ns=times)

    pair.alice.hook = hook
    await pair.alice.sync()
    await pair.settle()
    assert pair.stack.files() == {"file": second}
    assert pair.stack.contents() <= {first, second}


# -- what may not be read or written


@pytest.fixture
def base() -> Iterator[Path]:
    """A folder of somebody for whom permissions hold."""
    folder = Path(tempfile.mkdtemp(prefix="syncline-test-"))
    was = os.geteuid()
    if was == 0:
        os.chown(folder, NOBODY, NOBODY)
        os.seteuid(NOBODY)
    try:
        yield folder
    finally:
        os.seteuid(was)
        for path in [folder, *folder.rglob("*")] if was else []:
            if path.is_dir():
                path.chmod(0o700)
        shutil.rmtree(folder)


async def test_what_may_not_be_read_is_told_and_the_rest_goes_on(base: Path) -> None:
    pair = Pair(base)
    for path in ("secret", "shut/a", "open"):
        pair.alice.write(path, "1")
    await pair.settle()
    pair.alice.write("secret", "2").chmod(0)
    pair.alice.write("open", "2")
    pair.alice.write("new", "n").chmod(0)
    (pair.alice.folder / "shut").chmod(0)
    for _ in range(2):
        summary = await pair.alice.sync()
        assert summary.complete
        assert {s.path for s in summary.skipped} == {"secret", "new", "shut"}
        assert {s.reason for s in summary.skipped} == {"unreadable"}
        assert pair.stack.files() == {"secret": b"1", "shut/a": b"1", "open": b"2"}
    (pair.alice.folder / "shut").chmod(0o755)
    for path in ("secret", "new"):
        (pair.alice.folder / path).chmod(0o644)
    await pair.settle()


async def test_what_may_not_be_written_is_told_and_the_rest_goes_on(base: Path) -> None:
    pair = Pair(base)
    for path in ("shut/edited", "shut/removed", "shut/moved", "shut/d/removed", "open"):
        pair.alice.write(path, "1")
    await pair.settle()
    (pair.bob.folder / "shut").chmod(0o555)
    (pair.alice.folder / "shut/removed").unlink()
    (pair.alice.folder / "shut/moved").rename(pair.alice.folder / "moved")
    shutil.rmtree(pair.alice.folder / "shut/d")
    for path in ("shut/edited", "shut/added", "open"):
        pair.alice.write(path, "2")
    (pair.alice.folder / "shut/made").mkdir()
    await pair.alice.sync()
    pair.bob.write("bob's", "b")
    summary = await pair.bob.sync()
    assert not summary.complete
    assert {reason for _, reason, _ in summary.refused} == {"disk-denied"}
    assert {path for path, _, _ in summary.refused} >= {"shut/edited", "shut/removed", "shut/moved", "shut/made"}
    assert pair.bob.read("open") == b"2"
    assert "bob's" in pair.stack.files()
    (pair.bob.folder / "shut").chmod(0o755)
    await pair.settle()
