"""put."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from syncline.client.cli.bars import progress
from syncline.client.cli.calling import Answer, Call, command
from syncline.client.cli.gathering import gather
from syncline.client.cli.outbox import Outbox
from syncline.client.cli.remote import REMOTE_PATH, RemotePath, find_library
from syncline.client.cli.sender import Sender
from syncline.client.engine import over_http, throttle_of
from syncline.client.index import Index

LOCAL = click.Path(exists=True, path_type=Path)


@command(
    "put",
    examples=[
        "syncline put plan.ods Shared:docs/plan.ods",
        "syncline put *.jpg Shared:pictures/",
        "syncline put -r ~/Pictures Shared:pictures",
    ],
)
@click.argument("sources", metavar="LOCAL...", type=LOCAL, nargs=-1, required=True)
@click.argument("target", metavar="LIBRARY:PATH", type=REMOTE_PATH)
@click.option("-r", "--recursive", is_flag=True, help="Folders too, with everything in them.")
async def put(call: Call, sources: tuple[Path, ...], target: RemotePath, recursive: bool) -> Answer:
    """Send files and folders to a library.

    A file goes into PATH if that is a folder, else PATH is its name there. With -r the content of a folder becomes
    the content of PATH. With a "/" at the end of PATH, and with several LOCAL, each goes into PATH under its own name.
    Folders on the way are made.

    A file that is there already gets a new version; the same content is not sent again. Large files go in parts, and
    an interrupted put goes on where it stopped when it is run again.
    """
    async with call.api() as api:
        library = await find_library(api, target.library)
        gathered = await gather(api, library, sources, target, recursive=recursive)
        with progress(call) as bars, closing(Index(call.home.index_path)) as index:
            sender = Sender(api, library.id, index, over_http(api, bars, throttle_of(call.home)), bars)
            return await Outbox(call, api, sender, library, target.library).send(gathered)
