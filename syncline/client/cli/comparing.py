"""What ``compare`` does: hash a linked folder and have the server say what differs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from syncline.client.api import Api
from syncline.client.disk import Disk
from syncline.client.engine import Link
from syncline.client.ignoring import read_ignores
from syncline.client.scanner import hashed
from syncline.client.trees import Content, Local, Skipped
from syncline.domain.comparing import Entry, compared_checksum, root_digest
from syncline.domain.errors import Refused
from syncline.domain.nodes import Kind
from syncline.messages.api import MAX_COMPARED_PATHS, CompareRequest, DifferenceState, Held


@dataclass(frozen=True)
class Compared:
    """``files`` is how many were hashed here; ``skipped`` what is left alone here."""

    seq: int
    files: int
    differences: Sequence[DifferenceState]
    skipped: Sequence[Skipped]


async def compare_folder(api: Api, link: Link) -> Compared:
    """Raises ``Temporary`` when files keep changing, ``Refused`` when the folder is not the one that was linked."""
    disk = Disk(Path(link.path))
    await asyncio.to_thread(disk.check_marker, link.marker)
    local = await hashed(disk, await asyncio.to_thread(read_ignores, disk.root))
    entries = list(_entries(local))
    if len(entries) > MAX_COMPARED_PATHS:
        detail = f"{link.path} holds more than {MAX_COMPARED_PATHS} files and folders, too many for one comparison."
        raise Refused("too-many-paths", detail)
    digest = await asyncio.to_thread(root_digest, entries)
    answer = await api.compare(link.library, CompareRequest(digest=digest))
    if not answer.equal:
        held = [Held(path=entry.path, checksum=entry.checksum, size_bytes=entry.size_bytes) for entry in entries]
        answer = await api.compare(link.library, CompareRequest(digest=digest, held=held))
    files = sum(entry.kind is Kind.FILE for entry in entries)
    return Compared(answer.seq, files, answer.differences or [], local.skipped)


def _entries(local: Local) -> list[Entry]:
    """The local tree by the library's names (NFC), as the server compares it."""
    paths = {"": ""}
    entries = []
    for path in sorted(local.entries, key=lambda path: path.count("/")):
        entry = local.entries[path]
        if entry.kind is Kind.FILE and entry.content is None:
            continue
        above = paths[entry.parent]
        paths[path] = f"{above}/{entry.name}" if above else entry.name
        size, checksum = _compared(entry.content) if entry.content else (0, "")
        entries.append(Entry(paths[path], entry.kind, size, checksum))
    return entries


def _compared(content: Content) -> tuple[int, str]:
    return content.size_bytes, compared_checksum(content.checksum, symlink=content.symlink)
