"""rebuild: a library made again from the bucket."""

from __future__ import annotations

import click

from syncline.admin.calling import Answer, Call, command, yes_option
from syncline.admin.rebuilding import Rebuilding, Rebuilt
from syncline.admin.recording import record
from syncline.client.cli.output import counted, name_text


@command("rebuild", examples=["syncline-admin rebuild 3kq7hd5m2xw4pnbvz6ta"])
@click.argument("library")
@yes_option
async def rebuild(call: Call, library: str, yes: bool) -> Answer:
    """Make a library's journal and views again from the bucket alone.

    LIBRARY is its id. Archived commits are taken as they are; what landed after them becomes versions again by its
    permits; moves, removals and new folders after them come back from the clients, which start anew. A library that
    the tables still have is only made again with --yes, and is not there meanwhile. Doing it again does no harm.
    """
    async with call.ports() as ports:
        rebuilt = await Rebuilding(ports).rebuild(library, yes=yes)
        # Afterwards: only then is it known that it was not refused. Repeating a rebuild writes it again.
        details: dict[str, str | int] = {"seq": rebuilt.seq, "recovered": rebuilt.recovered}
        await record(ports, "library.rebuild", library=library, details=details)
    return Answer(rebuilt, _told(rebuilt))


def _told(rebuilt: Rebuilt) -> str:
    lines = [
        f"{name_text(rebuilt.name)} ({rebuilt.library}) is there again, at {rebuilt.seq}: "
        f"{counted(rebuilt.kept, 'commit')} known, {rebuilt.recovered} recovered from permits."
    ]
    if rebuilt.accounts_restored:
        lines.append(f"  {counted(rebuilt.accounts_restored, 'account')} restored, without a password")
    lines += [f"  not recovered ({one.reason})  {one.key}" for one in rebuilt.unrecovered]
    lines += [f"  damaged  {key}" for key in rebuilt.damaged]
    return "\n".join(lines)
