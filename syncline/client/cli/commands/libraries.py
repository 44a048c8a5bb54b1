"""library create, list, share, unshare, members, transfer; retention and webhook are elsewhere."""

from __future__ import annotations

import click

from syncline.client.api import Api
from syncline.client.cli.calling import Answer, Call, command, common_options
from syncline.client.cli.commands.groups import find_group
from syncline.client.cli.commands.keeping import retention
from syncline.client.cli.commands.webhooks import webhook
from syncline.client.cli.output import columns, name_text, time_text
from syncline.client.cli.remote import find_library
from syncline.domain.errors import Refused
from syncline.domain.rights import Role
from syncline.messages.api import GroupRole, Library, NewMember, Transfer

GROUP = "group:"
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
        "syncline library share Shared group:Designers",
    ],
)
@click.argument("library")
@click.argument("who", metavar="EMAIL|group:NAME")
@click.option("--role", "-r", type=click.Choice(ROLES), default=Role.EDITOR.value, show_default=True)
async def share(call: Call, library: str, who: str, role: str) -> Answer:
    """Make someone, or a group, a member of a library, or give another role.

    Owners also share and remove members; editors change content; viewers read and follow. Someone without an account is
    invited by mail, where people may register.
    """
    async with call.api() as api:
        found = await find_library(api, library)
        if who.startswith(GROUP):
            return await _share_with_group(api, found, who.removeprefix(GROUP), Role(role))
        member = await api.set_member(found.id, NewMember(email=who, role=Role(role)))
    if member.invited:
        text = f"{member.email} has no account yet, and is invited to {name_text(found.name)} by mail."
        return Answer({"library": found.id, "member": member}, text, chatty=True)
    text = f"{member.name} <{member.email}> is now {member.role.value} of {name_text(found.name)}."
    return Answer({"library": found.id, "member": member}, text, chatty=True)


@command("unshare", examples=["syncline library unshare Shared bob@example.org"])
@click.argument("library")
@click.argument("email", metavar="EMAIL|group:NAME")
async def unshare(call: Call, library: str, email: str) -> Answer:
    """Take a member, or a group, out of a library.

    They cannot read it any more; what they have fetched already stays with them. To leave a library, name yourself.
    """
    async with call.api() as api:
        found = await find_library(api, library)
        if email.startswith(GROUP):
            return await _unshare_with_group(api, found, email.removeprefix(GROUP))
        members = (await api.sharing(found.id)).members
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
        listed = await api.sharing(found.id)
    rows = [(one.role.value, f"{GROUP}{name_text(one.name)}", "", "") for one in listed.groups]
    rows += [
        (one.role.value, one.email, name_text(one.name), ", ".join(map(name_text, one.groups)))
        for one in listed.members
    ]
    document = {"library": found.id, "members": listed.members, "groups": listed.groups}
    return Answer(document, columns(rows, header=("role", "e-mail", "name", "through")))


@command("transfer", examples=["syncline library transfer Shared bob@example.org --keep viewer"])
@click.argument("library")
@click.argument("email")
@click.option("--keep", type=click.Choice([*ROLES, "none"]), default=Role.EDITOR.value, show_default=True)
async def transfer(call: Call, library: str, email: str, keep: str) -> Answer:
    """Make somebody else an owner of a library, and step back to the role --keep (none: leave it)."""
    async with call.api() as api:
        found = await find_library(api, library)
        kept = None if keep == "none" else Role(keep)
        member = await api.governing.transfer(found.id, Transfer(email=email, keep=kept))
    text = f"{name_text(member.name)} <{member.email}> owns {name_text(found.name)} now."
    return Answer({"library": found.id, "owner": member}, text, chatty=True)


async def _share_with_group(api: Api, library: Library, name: str, role: Role) -> Answer:
    group = await find_group(api, name)
    shared = await api.governing.share_with_group(library.id, group.id, GroupRole(role=role))
    text = f"The group {name_text(group.name)} is now {role.value} of {name_text(library.name)}."
    return Answer({"library": library.id, "group": shared}, text, chatty=True)


async def _unshare_with_group(api: Api, library: Library, name: str) -> Answer:
    # A group that others made is found among those that share the library.
    groups = (await api.sharing(library.id)).groups
    found = [one for one in groups if name in (one.group, one.name)]
    if len(found) != 1:
        detail = f"{len(found)} groups of this name or id share {name_text(library.name)}."
        raise Refused("no-such-group", detail, status=404)
    await api.governing.unshare_with_group(library.id, found[0].group)
    text = f"The group {name_text(found[0].name)} is no member of {name_text(library.name)} any more."
    return Answer({"library": library.id, "removed": found[0]}, text, chatty=True)


for subcommand in (create, list_, share, unshare, members, transfer, retention, webhook):
    library.add_command(subcommand)
