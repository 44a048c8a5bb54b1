"""select."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from syncline.client.cli.calling import Answer, Call, command
from syncline.client.cli.folders import FOLDER, engine_of, folder_text
from syncline.client.cli.output import columns, counted, name_text, size_text
from syncline.client.cli.quick import through_daemon
from syncline.client.selecting import Choice


@command(
    "select",
    examples=[
        "syncline select ~/Shared",
        "syncline select ~/Shared --exclude Photos/2019",
        "syncline select --include Photos",
    ],
)
@click.argument("folder", metavar="[DIR]", type=FOLDER, default=".")
@click.option("--exclude", metavar="FOLDER", multiple=True, help="Keep this folder of the library off this disk.")
@click.option("--include", metavar="FOLDER", multiple=True, help="Have it here again.")
async def select(call: Call, folder: Path, exclude: tuple[str, ...], include: tuple[str, ...]) -> Answer:
    """Choose which folders of a library are on this disk.

    Without options: the library's folders, their sizes, and which of them are here. What is excluded leaves this disk
    once the library has all that was changed in it; it stays in the library and on all other devices. FOLDER is a
    path in the library. What no device shall have is named in .synclineignore instead.
    """
    async with engine_of(call) as (engine, _):
        link = engine.link_at(folder)
        found = await engine.select(link, exclude=exclude, include=include)
        if exclude or include:
            asked = through_daemon("sync", [link.path], as_json=False, quiet=True, server=call.wanted_server)
            if asked is None:
                await engine.sync_once(link)
    document = {"path": link.path, "library": link.library, "folders": msgspec.to_builtins(found)}
    return Answer(document, f"{folder_text(link)}\n{_table(found)}")


def _table(found: list[Choice]) -> str:
    if not found:
        return "The library has no folders yet."
    rows = [
        ("here" if one.here else "not here", size_text(one.size_bytes), counted(one.files, "file"), name_text(one.path))
        for one in found
    ]
    return columns(rows, right=frozenset({1, 2}))
