"""link, unlink."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import click
import msgspec

from syncline.client.cli.calling import Answer, Call, command
from syncline.client.cli.folders import FOLDER, engine_of, folder_text, forget_synced
from syncline.client.cli.output import name_text
from syncline.client.cli.remote import find_library
from syncline.client.daemon.life import tell_daemon


@command("link", examples=["syncline link Shared ~/Shared"])
@click.argument("library")
@click.argument("folder", metavar="DIR", type=FOLDER)
async def link(call: Call, library: str, folder: Path) -> Answer:
    """Keep a library in a folder of this machine.

    The folder is made if need be. What is in it already and what is in the library are brought together by the next
    syncline sync or syncline watch; nothing is lost on either side.
    """
    async with engine_of(call) as (engine, api):
        found = await find_library(api, library)
        made = next((one for one in engine.links() if (one.library, one.path) == (found.id, _real(folder))), None)
        if made is None:
            made = await engine.link(found.id, folder)
            await asyncio.to_thread(tell_daemon, call.home)
    shown = folder_text(made)
    text = f"{shown} is linked with {name_text(found.name)}. Now run: syncline sync {shown}, or syncline watch"
    return Answer(msgspec.to_builtins(made), text, chatty=True)


@command("unlink", examples=["syncline unlink ~/Shared"])
@click.argument("folder", metavar="DIR", type=FOLDER)
async def unlink(call: Call, folder: Path) -> Answer:
    """Stop keeping a folder in sync; all files stay.

    What was changed in the folder since the last sync is not sent.
    """
    async with engine_of(call, signed_in=False) as (engine, _):
        found = engine.link_at(folder)
        engine.unlink(found)
        await asyncio.to_thread(tell_daemon, call.home)
        forget_synced(call.home, found)
    text = f"{folder_text(found)} is not linked with {name_text(found.library_name)} any more; all files stay."
    return Answer({"unlinked": msgspec.to_builtins(found)}, text, chatty=True)


def _real(folder: Path) -> str:
    return os.path.realpath(folder)
