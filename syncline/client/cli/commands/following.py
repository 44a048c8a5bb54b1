"""follow, unfollow, follows."""

from __future__ import annotations

import asyncio

import click

from syncline.client.cli.calling import Answer, Call, command
from syncline.client.cli.commands.terms import terms_options, terms_text
from syncline.client.cli.output import columns, name_text
from syncline.client.cli.remote import LIBRARY_OR_PATH, RemotePath, find_library, find_node


@command(
    "follow",
    examples=[
        "syncline follow Shared",
        "syncline follow Shared:docs --window daily --hour 8 --zone Europe/Berlin",
        "syncline follow Shared --kinds added,removed",
    ],
)
@click.argument("path", metavar="LIBRARY[:PATH]", type=LIBRARY_OR_PATH)
@terms_options
async def follow(
    call: Call, path: RemotePath, window: str | None, hour: int | None, zone: str | None, kinds: list[str] | None
) -> Answer:
    """Get mail when something changes.

    A library, a folder or a file can be followed. Changes close together come as one mail; your own are not in it.
    What you do not say here is as in syncline mail. Following again changes the terms; the nearest follow decides.
    """
    from syncline.domain.digests import Happened
    from syncline.domain.preferences import Every
    from syncline.messages.api import MailTerms

    terms = MailTerms(
        window=Every(window) if window else None,
        hour=hour,
        zone=zone,
        kinds=[Happened(kind) for kind in kinds] if kinds else None,
    )
    async with call.api() as api:
        library = await find_library(api, path.library)
        node = await find_node(api, library, path)
        followed = await api.follow(library.id, node.id, terms)
    return Answer(followed, f"You follow {_shown(path)}: {terms_text(followed.terms)}.", chatty=True)


@command("unfollow", examples=["syncline unfollow Shared"])
@click.argument("path", metavar="LIBRARY[:PATH]", type=LIBRARY_OR_PATH)
async def unfollow(call: Call, path: RemotePath) -> Answer:
    """Get no more mail about it.

    What no longer exists is named by its id, LIBRARY:@NODE; syncline follows lists it.
    """
    async with call.api() as api:
        library = await find_library(api, path.library)
        node = path.node or (await find_node(api, library, path)).id
        await api.unfollow(library.id, node)
    document = {"library": library.id, "node": node, "followed": False}
    return Answer(document, f"You do not follow {_shown(path)} any more.", chatty=True)


@command("follows", examples=["syncline follows"])
async def follows(call: Call) -> Answer:
    """List what you follow."""
    async with call.api() as api:
        listed, libraries = await asyncio.gather(api.follows(), api.libraries())
    names = {library.id: library.name for library in libraries}
    rows = [
        (f"@{one.node}", terms_text(one.terms), name_text(f"{names.get(one.library, one.library)}:{one.path}"))
        for one in listed
    ]
    return Answer({"follows": listed}, columns(rows) or "You follow nothing. Run: syncline follow LIBRARY")


def _shown(path: RemotePath) -> str:
    return name_text(str(path)).removesuffix(":")
