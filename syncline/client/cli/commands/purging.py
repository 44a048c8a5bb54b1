"""purge: giving up for ever."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click
from msgspec.structs import replace

from syncline.client.api import Api
from syncline.client.cli.calling import Answer, Call, command
from syncline.client.cli.commands.past import removed_node
from syncline.client.cli.commands.versions import find_file
from syncline.client.cli.exits import Exit
from syncline.client.cli.local_paths import EITHER_PATH, meant
from syncline.client.cli.output import counted, name_text, size_text
from syncline.client.cli.remote import RemotePath
from syncline.client.cli.times import PAST_OR_SEQ
from syncline.domain.errors import Broken
from syncline.messages.api import Library
from syncline.messages.history import Purge, PurgeAnswer

ROUNDS_MAX = 10_000
"""Of some hundred files each."""


@command(
    "purge",
    examples=[
        "syncline purge Shared:docs/plan.ods",
        "syncline purge Shared: --yes",
        "syncline purge ~/Shared/report.odt --versions-before '30 days ago'",
    ],
)
@click.argument("path", metavar="PATH", type=EITHER_PATH)
@click.option("--versions-before", "before", metavar="TIME", type=PAST_OR_SEQ, default="", help="Old versions of PATH.")
@click.option("--yes", is_flag=True, help="Do it without asking.")
async def purge(call: Call, path: RemotePath | Path, before: str, yes: bool) -> Answer:
    """Give up for ever what is in the trash, or old versions.

    PATH is a removed file or folder (LIBRARY:PATH, or a path in a linked folder), or with LIBRARY: the whole trash of
    the library. With --versions-before, PATH is a file, and what was superseded by then is given up; the content that
    it has now stays. Tells what would go and asks; where nobody can answer, it only tells.

    Owners only, and never under a legal hold. Nobody gets it back; the bytes leave the service some time later (30 days
    if the operator has not said otherwise), but not those that another file or version still has.

    TIME is said like: 2 hours ago, yesterday 14:00, monday, 9:30, 2026-11-23, 2026-11-23T09:00+01:00.
    """
    async with call.api() as api:
        library, path = await meant(call, api, path)
        asked = await _asked(api, library, path, before)
        told = await api.purge(library.id, replace(asked, dry_run=True))
        asked = replace(asked, upto=told.upto)
        if not yes and not call.json and told.files + told.folders and sys.stdin.isatty():
            yes = await asyncio.to_thread(click.confirm, f"Give up {_what(told)} of {_shown(path, before)} for ever?")
            if not yes:
                return Answer(told, "Nothing was given up.", chatty=True)
        if yes:
            told = await _all(api, library, asked)
    return _answer(path, before, told)


async def _asked(api: Api, library: Library, path: RemotePath, before: str) -> Purge:
    if before:
        return Purge(node=(await find_file(api, library, path)).id, versions_before=before)
    if _is_whole_trash(path):
        return Purge()
    return Purge(node=path.node or await removed_node(api, library, path))


async def _all(api: Api, library: Library, asked: Purge) -> PurgeAnswer:
    """Commit after commit; what they gave up together."""
    counts = dict.fromkeys(("files", "folders", "versions", "size_bytes"), 0)
    for _ in range(ROUNDS_MAX):
        answer = await api.purge(library.id, asked)
        counts = {name: count + getattr(answer, name) for name, count in counts.items()}
        if not answer.more:
            return replace(answer, **counts)
    raise Broken(f"The service gives up {library.id} without end.")


def _answer(path: RemotePath, before: str, told: PurgeAnswer) -> Answer:
    complaints = [
        f"{name_text(one.path)}: {one.reason.replace('-', ' ')}; give it up part by part" for one in told.left
    ]
    code = Exit.PARTLY if complaints else Exit.OK
    shown = _shown(path, before)
    if not (told.files or told.folders or complaints):
        return Answer(told, f"There is nothing to give up of {shown}.", chatty=True)
    if told.dry_run:
        text = f"{_what(told)} of {shown} would be given up for ever; --yes does it."
        return Answer(told, text, code, complaints=complaints)
    return Answer(told, f"{_what(told)} of {shown} given up.", code, chatty=True, complaints=complaints)


def _what(told: PurgeAnswer) -> str:
    more = "more than " if told.dry_run and told.more else ""
    folders = f", {counted(told.folders, 'folder')}" if told.folders else ""
    versions, files = counted(told.versions, "version"), counted(told.files, "file")
    return f"{more}{versions} of {files}{folders} ({size_text(told.size_bytes)})"


def _shown(path: RemotePath, before: str) -> str:
    whole = not before and _is_whole_trash(path)
    return f"the trash of {name_text(path.library)}" if whole else name_text(str(path))


def _is_whole_trash(path: RemotePath) -> bool:
    return not (path.path or path.node or path.local)
