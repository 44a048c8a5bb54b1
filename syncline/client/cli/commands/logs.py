"""log."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import click

from syncline.client.api import Api
from syncline.client.cli.calling import Answer, Call, command
from syncline.client.cli.folders import engine_of
from syncline.client.cli.local_paths import FILE, local_path
from syncline.client.cli.output import columns, name_text, size_text, time_text
from syncline.client.cli.times import PAST, time_ms
from syncline.client.filelog import READ_MAX, Entry
from syncline.domain.errors import SynclineError

LISTED = 50


@command(
    "log",
    examples=[
        "syncline log ~/Shared/notes.txt",
        "syncline log ~/Shared --since '2 days ago'",
        "syncline log ~/Shared/notes.txt --json",
    ],
)
@click.argument("path", metavar="PATH", type=FILE, default=".")
@click.option("--since", metavar="TIME", type=PAST, default="", help="From then on: 2 hours ago, yesterday 14:00, …")
@click.option(
    "--limit", "-n", type=click.IntRange(1, READ_MAX), default=LISTED, show_default=True, help="The last so many."
)
async def log(call: Call, path: Path, since: str, limit: int) -> Answer:
    """Show what was done to a file, when and why.

    PATH is a file or folder in a linked folder, by the name it has now or had before; of a folder, all that was in it
    is told. The log is this client's own: what it sent and fetched, moved and removed, here or there (in the library),
    what was refused, left alone or ended as a conflict, and who made the change that was taken over. It goes back
    180 days. The versions of a file, whoever made them, are in syncline history.
    """
    async with engine_of(call, signed_in=False) as (engine, api):
        found = local_path(engine.index, path)
        entries = await asyncio.to_thread(
            engine.index.log,
            found.link,
            found.path,
            since_ms=time_ms(since) if since else 0,
            limit=limit,
        )
        people = await _people(api, found.link.library) if any(entry.author for entry in entries) else {}
    document = {"library": found.link.library, "folder": found.link.path, "path": found.path, "entries": entries}
    if not entries:
        return Answer(document, f"Nothing is known of {found.shown}.")
    return Answer(
        document, columns([_row(entry, people) for entry in entries], header=("when", "what", "size", "path"))
    )


def _row(entry: Entry, people: dict[str, str]) -> Sequence[str]:
    path = name_text(entry.path) + (f" → {name_text(entry.to)}" if entry.to else "")
    by = f", by {name_text(people.get(entry.author.account, entry.author.account))}" if entry.author else ""
    size = "" if entry.size_bytes is None else size_text(entry.size_bytes)
    return time_text(entry.at_ms / 1000), entry.what.value, size, f"{path}  ({name_text(entry.why)}{by})"


async def _people(api: Api, library: str) -> dict[str, str]:
    """Names by account, if the service can be asked."""
    try:
        return {member.account: member.name for member in await api.members(library)}
    except SynclineError:
        return {}
