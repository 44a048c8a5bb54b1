"""group create, list, members, add, remove, delete."""

from __future__ import annotations

import click

from syncline.client.api import Api
from syncline.client.cli.calling import Answer, Call, command, common_options
from syncline.client.cli.output import columns, name_text
from syncline.domain.errors import Refused
from syncline.messages.api import Group


@click.group("group")
def group() -> None:
    """Make groups of people, to share libraries with all of them."""


group.params += common_options()


@command("create", examples=["syncline group create Designers"])
@click.argument("name")
async def create(call: Call, name: str) -> Answer:
    """Make a group; you own it. You are not in it unless you add yourself."""
    async with call.api() as api:
        created = await api.governing.create_group(name)
    return Answer(created, f"Created the group {name_text(created.name)} ({created.id}).", chatty=True)


@command("list", examples=["syncline group list"])
async def list_(call: Call) -> Answer:
    """List the groups you own or are in."""
    async with call.api() as api:
        listed = await api.governing.groups()
    rows = [(one.id, "yours" if one.owned else "", str(one.members), name_text(one.name)) for one in listed]
    text = columns(rows, header=("id", "", "members", "name"))
    return Answer({"groups": listed}, text or "You are in no group. Run: syncline group create NAME")


@command("members", examples=["syncline group members Designers"])
@click.argument("group")
async def members(call: Call, group: str) -> Answer:
    """List who is in a group."""
    async with call.api() as api:
        detail = await api.governing.group((await find_group(api, group)).id)
    rows = [(one.email, name_text(one.name)) for one in detail.members]
    return Answer(detail, columns(rows, header=("e-mail", "name")) or "Nobody is in it.")


@command("add", examples=["syncline group add Designers bob@example.org"])
@click.argument("group")
@click.argument("email")
async def add(call: Call, group: str, email: str) -> Answer:
    """Take someone into a group, and so into its libraries."""
    async with call.api() as api:
        found = await find_group(api, group)
        member = await api.governing.add_to_group(found.id, email)
    text = f"{name_text(member.name)} <{member.email}> is in {name_text(found.name)} now."
    return Answer({"group": found.id, "member": member}, text, chatty=True)


@command("remove", examples=["syncline group remove Designers bob@example.org"])
@click.argument("group")
@click.argument("email")
async def remove(call: Call, group: str, email: str) -> Answer:
    """Take someone out of a group, and so out of its libraries. To leave a group, name yourself."""
    async with call.api() as api:
        found = await find_group(api, group)
        detail = await api.governing.group(found.id)
        member = next((one for one in detail.members if one.email == email.strip().casefold()), None)
        if member is None:
            told = f"{email} is not in {name_text(found.name)}. Run: syncline group members {found.id}"
            raise Refused("no-such-member", told, status=404)
        await api.governing.remove_from_group(found.id, member.account)
    text = f"{name_text(member.name)} <{member.email}> is not in {name_text(found.name)} any more."
    return Answer({"group": found.id, "removed": member}, text, chatty=True)


@command("delete", examples=["syncline group delete Designers"])
@click.argument("group")
async def delete(call: Call, group: str) -> Answer:
    """Delete a group; its members lose what they had through it."""
    async with call.api() as api:
        found = await find_group(api, group)
        await api.governing.delete_group(found.id)
    return Answer({"deleted": found}, f"The group {name_text(found.name)} is deleted.", chatty=True)


async def find_group(api: Api, wanted: str) -> Group:
    """The group of this id or name. Raises ``Refused``: "no-such-group", "ambiguous-group"."""
    listed = await api.governing.groups()
    found = [one for one in listed if one.id == wanted] or [one for one in listed if one.name == wanted]
    if len(found) == 1:
        return found[0]
    if found:
        ids = [one.id for one in found]
        detail = f"{len(found)} groups are called {wanted}; name one by its id instead: {', '.join(ids)}."
        raise Refused("ambiguous-group", detail, ids=ids)
    raise Refused("no-such-group", f"You have no group called {wanted}. Run: syncline group list", status=404)


for subcommand in (create, list_, members, add, remove, delete):
    group.add_command(subcommand)
