"""library create, list, share, unshare, members."""

from __future__ import annotations

import click

from syncline.client.cli.calling import Answer, Call, command, common_options
from syncline.client.cli.output import columns, name_text, time_text
from syncline.client.cli.remote import find_library
from syncline.domain.errors import Refused
from syncline.domain.rights import Role
from syncline.messages.api import NewMember

ROLES = [role.value for role in Role]


@click.group("library")
def library() -> None:
    """Create, list and share libraries."""


library.params += common_options()


@command("create", examples=["syncline library create Shared"])
@click.argument("name")
async def create(call: Call, name: str) -> Answer:
    """Create a library; you become its owner."""
    async with call.api() as api:
        created = await api.create_library(name)
    return Answer(created, f"Created the library {name_text(created.name)} ({created.id}).", chatty=True)


@command("list", examples=["syncline library list"])
async def list_(call: Call) -> Answer:
    """List the libraries you are a member of."""
    async with call.api() as api:
        libraries = await api.libraries()
    libraries.sort(key=lambda library: (library.name.casefold(), library.id))
    rows = [(one.id, one.role.value, time_text(one.created_at_ms / 1000), name_text(one.name)) for one in libraries]
    text = columns(rows, header=("id", "role", "created", "name"))
    return Answer({"libraries": libraries}, text or "You have no library yet. Run: syncline library create NAME")


@command(
    "share",
    examples=[
        "syncline library share Shared bob@example.org",
        "syncline library share Shared eve@example.org -r viewer",
    ],
)
@click.argument("library")
@click.argument("email")
@click.option("--role", "-r", type=click.Choice(ROLES), default=Role.EDITOR.value, show_default=True)
async def share(call: Call, library: str, email: str, role: str) -> Answer:
    """Make someone a member of a library, or give a member another role.

    Owners also share and remove members; editors change content; viewers read and follow.
    """
    async with call.api() as api:
        found = await find_library(api, library)
        member = await api.set_member(found.id, NewMember(email=email, role=Role(role)))
    text = f"{member.name} <{member.email}> is now {member.role.value} of {name_text(found.name)}."
    return Answer({"library": found.id, "member": member}, text, chatty=True)


@command("unshare", examples=["syncline library unshare Shared bob@example.org"])
@click.argument("library")
@click.argument("email")
async def unshare(call: Call, library: str, email: str) -> Answer:
    """Take a member out of a library.

    They cannot read it any more; what they have fetched already stays with them. To leave a library, name yourself.
    """
    async with call.api() as api:
        found = await find_library(api, library)
        members = await api.members(found.id)
        member = next((m for m in members if m.email.casefold() == email.strip().casefold()), None)
        if member is None:
            detail = f"{email} is not a member of {name_text(found.name)}. Run: syncline library members {found.id}"
            raise Refused("no-such-member", detail, status=404)
        await api.remove_member(found.id, member.account)
    text = f"{member.name} <{member.email}> is no member of {name_text(found.name)} any more."
    return Answer({"library": found.id, "removed": member}, text, chatty=True)


@command("members", examples=["syncline library members Shared"])
@click.argument("library")
async def members(call: Call, library: str) -> Answer:
    """List the members of a library."""
    async with call.api() as api:
        found = await find_library(api, library)
        listed = await api.members(found.id)
    rows = [(one.role.value, one.email, name_text(one.name)) for one in listed]
    return Answer({"library": found.id, "members": listed}, columns(rows, header=("role", "e-mail", "name")))


for subcommand in (create, list_, share, unshare, members):
    library.add_command(subcommand)
