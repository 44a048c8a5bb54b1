"""trash --local: list, restore, empty."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import click

from syncline.client import local_trash
from syncline.client.cli.calling import Answer, Call
from syncline.client.cli.folders import folder_text
from syncline.client.cli.local_paths import FILE, LocalPath, local_path
from syncline.client.cli.output import columns, counted, name_text, size_text, time_text
from syncline.client.disk import TRASH_DAYS, Disk
from syncline.client.index import Index
from syncline.client.local_trash import Trashed
from syncline.domain.errors import Refused

RESTORE, EMPTY = "restore", "empty"


async def local(call: Call, words: Sequence[str], limit: int) -> Answer:
    """``words``: what stood beside --local: [DIR…], restore PATH…, or empty [DIR…]."""
    act = words[0] if words and words[0] in (RESTORE, EMPTY) else ""
    named = [Path(FILE.convert(word, None, None)) for word in words[bool(act) :]]
    if act == RESTORE and not named:
        raise click.UsageError("Say what to restore: syncline trash --local restore PATH…", click.get_current_context())
    with closing(Index(call.home.index_path)) as index:
        paths = [local_path(index, path) for path in named] or [LocalPath(link, "", "") for link in index.links()]
    if not paths:
        raise Refused("not-linked", "No folder is linked yet. Run: syncline link LIBRARY DIR", status=404)
    if act == RESTORE:
        return await asyncio.to_thread(_restore, paths)
    if act == EMPTY:
        return await asyncio.to_thread(_empty, paths)
    return await asyncio.to_thread(_list, paths, limit)


def _list(paths: Sequence[LocalPath], limit: int) -> Answer:
    found = [(path, one) for path in paths for one in local_trash.trashed(_disk(path), path.path)]
    rows = [(time_text(one.at_s), size_text(one.size_bytes), _shown(path, one.path)) for path, one in found[:limit]]
    text = columns(rows, header=("removed", "size", "path"), right=frozenset({1}))
    if len(found) > limit:
        text += f"\n(and {len(found) - limit} more: -n {len(found)})"
    if found:
        text += f"\nKept {TRASH_DAYS} days. To get one back: syncline trash --local restore PATH"
    return Answer({"trashed": [_document(path, one) for path, one in found]}, text or "The local trash is empty.")


def _restore(paths: Sequence[LocalPath]) -> Answer:
    done = [(path, one, at) for path in paths for one, at in local_trash.restore(_disk(path), path.path)]
    lines = [f"{_shown(path, at)} is back." if at == one.path else _beside(path, one, at) for path, one, at in done]
    lines.append("The next sync sends it to the library as a new file.")
    document = {"restored": [_document(path, one) | {"to": at} for path, one, at in done]}
    return Answer(document, "\n".join(lines), chatty=True)


def _beside(path: LocalPath, one: Trashed, at: str) -> str:
    return f"{_shown(path, one.path)} is there again already; what was in the trash is now {_shown(path, at)}."


def _empty(paths: Sequence[LocalPath]) -> Answer:
    if any(path.path for path in paths):
        raise click.UsageError("Only the trash of a whole linked folder can be emptied.")
    gone = [(path, one) for path in paths for one in local_trash.empty(_disk(path))]
    size = size_text(sum(one.size_bytes for _, one in gone))
    text = f"Deleted {counted(len(gone), 'file')} ({size})."
    return Answer({"deleted": [_document(path, one) for path, one in gone]}, text, chatty=True)


def _disk(path: LocalPath) -> Disk:
    return Disk(Path(path.link.path))


def _shown(path: LocalPath, relative: str) -> str:
    return f"{folder_text(path.link)}/{name_text(relative)}"


def _document(path: LocalPath, one: Trashed) -> dict[str, object]:
    return {
        "folder": path.link.path,
        "path": one.path,
        "removed_at_ms": int(one.at_s * 1000),
        "size_bytes": one.size_bytes,
        "lies": str(one.lies),
    }
