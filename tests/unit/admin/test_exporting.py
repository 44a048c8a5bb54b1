"""A library as a ZIP archive: what is in it, what cannot be in it, and what stops it."""

from __future__ import annotations

import asyncio
import io
import json
import os
import stat
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from syncline.admin.answers import Exit
from syncline.admin.app import run
from syncline.admin.exporting import PIECE_BYTES, READS_AHEAD, Exporting, entry_name
from syncline.admin.zipping import Entry, ZipStream
from syncline.domain.checksums import Hasher
from syncline.domain.commands import AddVersion, MakeFolder
from syncline.domain.errors import NotFound, Refused
from syncline.domain.nodes import Author, Kind, Node
from syncline.domain.paths import clean_name
from syncline.ports.tables import Put, Table
from syncline.store.codec import pack, unpack
from syncline.store.rows import purged_key
from tests.unit.admin.world import Operated, a_life
from tests.unit.metadata.world import LIBRARY, altered

CHILDREN = 1_100
"""More than a page of a folder."""


async def exported(world: Operated, at: str = "") -> tuple[zipfile.ZipFile, list[dict[str, Any]]]:
    out = io.BytesIO()
    exporting = Exporting(world.ports(), LIBRARY)
    head, snapshot = await exporting.open(at)
    await exporting.write(head, snapshot, out, lambda files, size_bytes: None)
    archive = zipfile.ZipFile(out)
    assert archive.testzip() is None
    return archive, [json.loads(line) for line in archive.read("manifest.jsonl").splitlines()]


async def add(world: Operated, name: str, content: bytes, *, parent: str = LIBRARY, **changes: object) -> str:
    """A file whose permit says more than usual; its node."""
    permit = altered(await world.permit(content, name=name, parent=parent), **changes)
    await world.put(permit, content)
    await world.ask(AddVersion(permit))
    await world.worker().drain()
    return permit.node


def mode_of(archive: zipfile.ZipFile, name: str) -> int:
    return archive.getinfo(name).external_attr >> 16


async def test_the_tree_as_it_is_and_as_it_was(world: Operated):
    await a_life(world)
    now, lines = await exported(world)
    assert now.namelist() == ["files/a.txt", "files/moved.txt", "files/plans/", "manifest.jsonl"]
    assert now.read("files/a.txt") == b"three"
    assert [line["path"] for line in lines[:-1]] == ["a.txt", "moved.txt", "plans"]
    assert lines[-1] == {
        "library": LIBRARY,
        "incarnation": "inc",
        "seq": 7,
        "files": 2,
        "folders": 1,
        "size_bytes": 8,
        "given_up": 0,
        "links_out": 0,
        "zip_bytes": 0,
    }
    before, _ = await exported(world, "3")
    assert sorted(before.namelist()) == ["files/a.txt", "files/plans/", "files/plans/b.txt", "manifest.jsonl"]
    assert before.read("files/a.txt") == b"one"


async def test_times_bits_links_and_names_that_differ_in_case_only(world: Operated):
    when_ns = 1_700_000_001_500_000_000
    await add(world, "run.sh", b"#!/bin/sh", executable=True, mtime_ns=when_ns)
    await add(world, "link", b"run.sh", symlink=True)
    await add(world, "empty", b"")
    await add(world, "README", b"1")
    await add(world, "readme", b"2")
    await add(world, "old", b"x", mtime_ns=-(10**18))
    archive, _ = await exported(world)
    info = archive.getinfo("files/run.sh")
    assert mode_of(archive, "files/run.sh") == stat.S_IFREG | 0o755
    assert info.date_time == (2023, 11, 14, 22, 13, 21 // 2 * 2)
    assert int.from_bytes(info.extra[-4:], "little", signed=True) == when_ns // 10**9
    assert mode_of(archive, "files/link") == stat.S_IFLNK | 0o777
    assert archive.read("files/link") == b"run.sh"
    assert archive.read("files/empty") == b""
    assert (archive.read("files/README"), archive.read("files/readme")) == (b"1", b"2")
    assert archive.getinfo("files/old").date_time[0] == 1980


@pytest.mark.parametrize("target", [b"/etc/passwd", b"../x", b"a/../../x", b"", b"\xff", b"x" * 5_000])
async def test_a_link_that_leads_out_is_no_link_in_the_archive(world: Operated, target: bytes):
    await add(world, "link", target, symlink=True)
    archive, lines = await exported(world)
    assert mode_of(archive, "files/link") == stat.S_IFREG | 0o644
    assert archive.read("files/link") == target
    assert lines[0]["leads_out"]
    assert lines[-1]["links_out"] == 1


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=60).map(lambda text: text.replace("/", "\\")))
def test_no_name_is_an_escape_whatever_a_reader_takes_for_a_separator(name: str):
    try:
        name = clean_name(name)
    except Refused:
        return
    nobody = Author("", "", 0, 0)
    node = Node("n" * 20, LIBRARY, name, Kind.FILE, None, 1, 1, 1, False, nobody)
    entry = f"files/{entry_name(node)}"
    assert ".." not in entry.replace("\\", "/").split("/")
    assert "\\" not in entry
    assert entry.count("/") == 1


async def test_a_folder_of_more_than_a_page_comes_whole(world: Operated):
    folder = world.new_id()
    await world.ask(MakeFolder(folder, LIBRARY, "many"))
    for start in range(0, CHILDREN, 550):
        permits = [await world.upload(f"{n:04}", b"%d" % n, parent=folder) for n in range(start, start + 550)]
        await world.add(*permits)
        await world.worker().drain()
    archive, lines = await exported(world)
    assert len(archive.namelist()) == CHILDREN + 2
    assert archive.read("files/many/1042") == b"1042"
    assert lines[-1]["files"] == CHILDREN


async def test_content_that_retention_gave_up_since_is_named_and_left_out(world: Operated):
    await a_life(world)
    tree = await world.tree()
    node = next(node for node in tree.live_nodes() if node.name == "a.txt")
    assert node.version is not None
    purged = purged_key(LIBRARY, node.version.id)
    await world.tables.write(Put(Table.VIEWS, {"pk": purged.pk, "sk": purged.sk, "seq": 99}))
    archive, lines = await exported(world)
    assert "files/a.txt" not in archive.namelist()
    assert lines[0]["given_up"]
    assert lines[-1]["given_up"] == 1


# -- failures


async def damaged(world: Operated, how: str) -> None:
    await a_life(world)
    await add(world, "lost.txt", b"precious")
    [(key, kept)] = [(key, kept) for key, kept in world.objects._versions.items() if kept[0][1] == b"precious"]
    if how == "bytes-missing":
        del world.objects._versions[key]
    else:
        kept[0] = (kept[0][0], {"bytes-differ": b"worthles", "short": b"prec"}[how])


@pytest.mark.parametrize("how", ["bytes-missing", "bytes-differ", "short"])
def test_bytes_that_are_gone_or_wrong_fail_the_export_and_leave_no_archive(
    how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    async def begin() -> Operated:
        world = await Operated().begin()
        await damaged(world, how)
        return world

    world, target = asyncio.run(begin()), tmp_path / "out.zip"
    assert run(world.open_ports, ["export", LIBRARY, "-o", str(target), "--json"]) == Exit.REFUSED
    problem = json.loads(capsys.readouterr().err)
    assert problem["kind"] == {"short": "bytes-differ"}.get(how, how)
    assert problem["path"] == "lost.txt"
    assert list(tmp_path.iterdir()) == []


async def test_an_archive_that_was_broken_off_is_taken_for_whole_by_nobody(world: Operated):
    await damaged(world, "bytes-differ")
    out, exporting = io.BytesIO(), Exporting(world.ports(), LIBRARY)
    with pytest.raises(Refused):
        await exporting.write(*await exporting.open(""), out, lambda files, size_bytes: None)
    assert out.getvalue()
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(out)


async def test_whoever_read_it_has_gone(world: Operated):
    await a_life(world)
    reading, writing = os.pipe()
    os.close(reading)
    exporting = Exporting(world.ports(), LIBRARY)
    with open(writing, "wb", buffering=0) as out, pytest.raises(BrokenPipeError):
        await exporting.write(*await exporting.open(""), out, lambda files, size_bytes: None)
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


async def test_no_such_library_and_no_such_seq(world: Operated):
    with pytest.raises(NotFound):
        await Exporting(world.ports(), "nowhere").open("")
    with pytest.raises(Refused, match="has not come to 99"):
        await Exporting(world.ports(), LIBRARY).open("99")


# -- the command


def test_the_command_writes_a_file_that_another_tool_reads_and_keeps_what_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    async def begin() -> Operated:
        world = await Operated().begin()
        await a_life(world)
        return world

    world, target = asyncio.run(begin()), tmp_path / "out.zip"
    capsys.readouterr()
    assert run(world.open_ports, ["export", LIBRARY, "-o", str(target), "--json"]) == Exit.OK
    assert json.loads(capsys.readouterr().out)["zip_bytes"] == target.stat().st_size
    assert subprocess.run([sys.executable, "-m", "zipfile", "-t", target], capture_output=True).returncode == 0
    assert run(world.open_ports, ["export", LIBRARY, "-o", str(target)]) == Exit.NEEDS_YES
    assert run(world.open_ports, ["export", LIBRARY, "-o", str(target), "--at", "1", "--yes"]) == Exit.OK
    assert zipfile.ZipFile(target).namelist() == ["files/plans/", "manifest.jsonl"]
    assert [path.name for path in tmp_path.iterdir()] == ["out.zip"]
    capsys.readouterr()
    assert run(world.open_ports, ["audit", "--library", LIBRARY, "--json"]) == Exit.OK
    entries = json.loads(capsys.readouterr().out)["entries"]
    assert [(one["action"], one["details"]["seq"]) for one in entries] == [("library.export", 1), ("library.export", 7)]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    world = asyncio.run(Operated().begin())
    assert run(world.open_ports, ["export", LIBRARY, "-o", str(tmp_path / "no" / "x.zip")]) == Exit.REFUSED
    assert "cannot be written: No such file" in capsys.readouterr().err


# -- size


class Zeros(io.RawIOBase):
    """Counts what it is given and keeps nothing."""

    def __init__(self) -> None:
        self.size_bytes = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.size_bytes += len(data)
        return len(data)


async def test_memory_does_not_grow_with_a_file(world: Operated):
    """A file of three times what may be in memory, made up as it is read."""
    size_bytes = 3 * READS_AHEAD * PIECE_BYTES
    hasher, zeros = Hasher(size_bytes), bytes(PIECE_BYTES)
    for _ in range(size_bytes // PIECE_BYTES):
        hasher.update(zeros)
    node = await add(world, "large", b"", size_bytes=0)
    tree = await world.tree()
    version = tree.node(node).version  # type: ignore[union-attr]
    assert version is not None

    class Generated:
        async def get(self, key: str, s3_version: str = "", *, offset: int = 0, length: int | None = None) -> bytes:
            await asyncio.sleep(0)
            return bytes(length or 0)

    exporting = Exporting(world.ports(), LIBRARY)
    exporting._objects = Generated()  # type: ignore[assignment]
    head, snapshot = await exporting.open("")
    large = altered(version, size_bytes=size_bytes, checksum=hasher.checksum())  # type: ignore[arg-type]
    row = next(row for row in world.rows_in_place(f"folder#{LIBRARY}") if "body" in row)
    row["body"] = pack(altered(unpack(Node, row["body"]), version=large))  # type: ignore[arg-type]
    del zeros
    tracemalloc.start()
    written = await exporting.write(head, snapshot, Zeros(), lambda files, size_bytes: None)  # type: ignore[arg-type]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert written.size_bytes == size_bytes
    assert peak < (READS_AHEAD + 2) * PIECE_BYTES


def test_memory_does_not_grow_with_the_number_of_entries():
    def peak(entries: int) -> int:
        tracemalloc.start()
        archive = ZipStream(Zeros())  # type: ignore[arg-type]
        for n in range(entries):
            archive.begin(Entry(f"files/{n}", stat.S_IFREG | 0o644, 0))
            archive.end()
        archive.finish()
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(100)
    assert peak(6_000) < peak(1_000) + 200_000
    # What the standard library keeps of each entry is some 500 bytes.


def test_more_entries_than_the_old_format_counts():
    out = io.BytesIO()
    archive = ZipStream(out)
    for n in range(66_000):
        archive.folder(Entry(f"files/{n}", stat.S_IFDIR | 0o755, 0))
    archive.finish()
    assert len(zipfile.ZipFile(out).namelist()) == 66_000
