"""verify."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

import click

from syncline.client.cli.bars import progress
from syncline.client.cli.calling import Answer, Call, command
from syncline.client.cli.exits import Exit
from syncline.client.cli.folders import FOLDER, engine_of, folder_text
from syncline.client.cli.output import columns, counted, name_text
from syncline.client.engine import Link, Verified
from syncline.client.verifying import Finding, State

UNREADABLE = "unreadable"


@command("verify", examples=["syncline verify ~/Shared", "syncline verify ~/Shared --json"])
@click.argument("folder", metavar="[DIR]", type=FOLDER, default=".")
async def verify(call: Call, folder: Path) -> Answer:
    """Read every file of a linked folder and check it against the library.

    Trusts no size or time: each file is read and its checksum compared with that of the version which was last agreed
    on, and with the one the library has now. Exit code 0: all alike. 1: something differs, and is named; what was
    changed here or there, or moved, the next sync settles. 5: files could not be read.

    A file is damaged when its bytes are others though nothing has written to it since it was last in sync: a failing
    disk, or memory. It is never sent by itself; the library still has the good content, and the answer says how to
    get it.

    syncline compare has the server compare the paths instead, without regard to what this client believes.
    """
    with progress(call) as bars:
        async with engine_of(call, progress=bars) as (engine, _):
            link = engine.link_at(folder)
            verified = await engine.verify(link)
    unread = [one for one in verified.skipped if one.reason == UNREADABLE]
    document = {
        "library": link.library,
        "path": link.path,
        "seq": verified.seq,
        "files": verified.files,
        "equal": not verified.findings,
        "findings": verified.findings,
        "skipped": verified.skipped,
    }
    code = Exit.REFUSED if verified.findings else Exit.PARTLY if unread else Exit.OK
    return Answer(document, "\n".join(_lines(link, verified)), code)


def _lines(link: Link, verified: Verified) -> list[str]:
    shown, there = folder_text(link), name_text(link.library_name)
    notes = [f"left alone: {name_text(one.path)} ({one.detail or one.reason})" for one in verified.skipped]
    if not verified.findings:
        return [f"{counted(verified.files, 'file')} read: {shown} and {there} hold the same.", *notes]
    damaged = [one for one in verified.findings if one.state is State.DAMAGED]
    lines = [columns([(one.state.value, name_text(one.path)) for one in verified.findings])]
    lines.append(f"{counted(verified.files, 'file')} read, {counted(len(verified.findings), 'difference')} to {there}.")
    if len(damaged) < len(verified.findings):
        lines.append(f"What is not damaged is settled by: syncline sync {shown}")
    if damaged:
        lines += [
            "Damaged files were changed by no program: check this disk, and keep a copy of what you may still need.",
            "The library has the good content. To get it back:",
            *(f"  {_mending(link, one)}" for one in damaged),
        ]
    return [*lines, *notes]


def _mending(link: Link, damaged: Finding) -> str:
    here = str(Path(link.path) / damaged.path)
    return f"syncline get --force {link.library}:@{damaged.node} {quote(name_text(here))}"
