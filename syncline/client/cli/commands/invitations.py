"""invitations, invitations revoke, invitations accept."""

from __future__ import annotations

import click

from syncline.client.cli.calling import Answer, Call, command, common_options, run
from syncline.client.cli.output import columns, name_text, show, time_text
from syncline.client.cli.remote import find_library
from syncline.domain.errors import Refused
from syncline.domain.rights import Role


@click.group("invitations", invoke_without_command=True)
@click.pass_context
def invitations(context: click.Context) -> None:
    """List, revoke and accept invitations to libraries."""
    if context.invoked_subcommand is None:
        call = context.ensure_object(Call)
        show(run(_list(call, "")), json=call.json, quiet=call.quiet)


invitations.params += common_options()


@command("list", examples=["syncline invitations list", "syncline invitations list Shared"])
@click.argument("library", required=False, default="")
async def list_(call: Call, library: str) -> Answer:
    """List who is invited to your libraries, or to one, and has not come yet."""
    return await _list(call, library)


@command("revoke", examples=["syncline invitations revoke Shared eve@example.org"])
@click.argument("library")
@click.argument("email")
async def revoke(call: Call, library: str, email: str) -> Answer:
    """Revoke an invitation: its link works no more."""
    async with call.api() as api:
        found = await find_library(api, library)
        open_ = await api.governing.invitations(found.id)
        invitation = next((one for one in open_ if one.email == email.strip().casefold()), None)
        if invitation is None:
            detail = f"{email} is not invited to {name_text(found.name)}. Run: syncline invitations list {found.id}"
            raise Refused("no-such-invitation", detail, status=404)
        await api.governing.revoke_invitation(found.id, invitation.id)
    text = f"The invitation of {invitation.email} to {name_text(found.name)} is revoked."
    return Answer({"library": found.id, "revoked": invitation}, text, chatty=True)


@command("accept", examples=["syncline invitations accept TOKEN"])
@click.argument("token")
async def accept(call: Call, token: str) -> Answer:
    """Accept an invitation with the account that is signed in.

    TOKEN is what follows token= in the link that came by mail. Who has no account yet opens the link, or registers with
    it: syncline register EMAIL --name NAME --invitation TOKEN.
    """
    async with call.api() as api:
        joined = await api.governing.accept_invitation(token)
        names = {library.id: library.name for library in await api.libraries()}
    named = ", ".join(name_text(names.get(one, one)) for one in joined)
    text = f"You are a member of {named} now." if joined else "You were a member already."
    return Answer({"joined": joined}, text, chatty=True)


async def _list(call: Call, library: str) -> Answer:
    async with call.api() as api:
        if library:
            libraries = [await find_library(api, library)]
        else:
            libraries = [one for one in await api.libraries() if one.role is Role.OWNER]
        listed = [(one, invitation) for one in libraries for invitation in await api.governing.invitations(one.id)]
    rows = [
        (invitation.email, invitation.role.value, time_text(invitation.ends_at), name_text(one.name))
        for one, invitation in listed
    ]
    document = [{"library": one.id, "invitation": invitation} for one, invitation in listed]
    text = columns(rows, header=("e-mail", "role", "until", "library"))
    return Answer({"invitations": document}, text or "Nobody is invited.")


for subcommand in (list_, revoke, accept):
    invitations.add_command(subcommand)
