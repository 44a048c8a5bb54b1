"""followers list, invite, remove, links."""

from __future__ import annotations

import click

from syncline.client.cli.calling import Answer, Call, command, common_options
from syncline.client.cli.commands.terms import terms_options
from syncline.client.cli.output import columns, name_text
from syncline.client.cli.remote import LIBRARY_OR_PATH, RemotePath, find_library, find_node
from syncline.domain.errors import Refused

LANGUAGES = ["en", "de"]


@click.group("followers")
def followers() -> None:
    """Let people without an account follow a library."""


followers.params += common_options()


@command(
    "invite",
    examples=[
        "syncline followers invite Shared:public eve@example.net",
        "syncline followers invite Shared:public eve@example.net --window daily --language de",
    ],
)
@click.argument("path", metavar="LIBRARY[:PATH]", type=LIBRARY_OR_PATH)
@click.argument("email")
@terms_options
@click.option("--language", type=click.Choice(LANGUAGES), help="The language of their mail.")
async def invite(
    call: Call,
    path: RemotePath,
    email: str,
    window: str | None,
    hour: int | None,
    zone: str | None,
    kinds: list[str] | None,
    language: str | None,
) -> Answer:
    """Ask someone whether they want mail about a library, a folder or a file.

    They get one mail with a link, and no more unless they agree. Their mail, hourly unless you say otherwise, tells
    names and who did what, only of what they follow; it ends after a year, or with one click.
    """
    import msgspec

    from syncline.messages.api import NewOutsideFollower

    async with call.api() as api:
        library = await find_library(api, path.library)
        node = await find_node(api, library, path)
        said = {"window": window, "hour": hour, "zone": zone, "kinds": kinds, "language": language}
        document = {
            "email": email,
            "node": node.id,
            **{name: value for name, value in said.items() if value is not None},
        }
        follower = await api.invite_follower(library.id, msgspec.convert(document, NewOutsideFollower))
    told = "is asked whether to get mail" if follower.state == "invited" else "gets mail already"
    return Answer(follower, f"{follower.email} {told} about {name_text(str(path)).removesuffix(':')}.", chatty=True)


@command("list", examples=["syncline followers list Shared"])
@click.argument("library")
async def list_(call: Call, library: str) -> Answer:
    """List who outside follows a library, or was asked."""
    async with call.api() as api:
        found = await find_library(api, library)
        listed = await api.outside_followers(found.id)
    rows = [
        (one.state, one.email, "mail comes back" if one.suppressed else "", ", ".join(f"@{node}" for node in one.nodes))
        for one in listed.followers
    ]
    text = columns(rows) or f"Nobody outside follows {name_text(found.name)}."
    if listed.rules.links:
        text += "\nLinks in their mail open files."
    return Answer(listed, text)


@command("remove", examples=["syncline followers remove Shared eve@example.net"])
@click.argument("library")
@click.argument("email")
async def remove(call: Call, library: str, email: str) -> Answer:
    """Send someone outside no more mail; their links stop working."""
    async with call.api() as api:
        found = await find_library(api, library)
        listed = await api.outside_followers(found.id)
        wanted = email.strip().casefold()
        follower = next((one for one in listed.followers if one.email.casefold() == wanted), None)
        if follower is None:
            detail = f"{email} does not follow {name_text(found.name)}. Run: syncline followers list {found.id}"
            raise Refused("no-such-follower", detail, status=404)
        await api.remove_follower(found.id, follower.id)
    return Answer({"library": found.id, "removed": follower}, f"{follower.email} gets no more mail.", chatty=True)


@command("links", examples=["syncline followers links Shared on"])
@click.argument("library")
@click.argument("switch", type=click.Choice(["on", "off"]))
async def links(call: Call, library: str, switch: str) -> Answer:
    """Whether links in mail to people outside open files (owners).

    Off unless switched on; switching off stops the links in mail that was sent already.
    """
    from syncline.messages.api import OutsideRules

    async with call.api() as api:
        found = await find_library(api, library)
        rules = await api.set_outside_rules(found.id, OutsideRules(links=switch == "on"))
    return Answer(
        rules, f"Links in mail to people outside {'open' if rules.links else 'do not open'} files.", chatty=True
    )


for subcommand in (invite, list_, remove, links):
    followers.add_command(subcommand)
