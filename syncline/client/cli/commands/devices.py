"""devices, devices revoke."""

from __future__ import annotations

import click

from syncline.client.cli.calling import Answer, Call, command, common_options, run
from syncline.client.cli.output import columns, name_text, show, time_text
from syncline.domain.errors import Refused
from syncline.messages.api import Device


@click.group("devices", invoke_without_command=True)
@click.pass_context
def devices(context: click.Context) -> None:
    """List the devices you are signed in on, and sign them out."""
    if context.invoked_subcommand is None:
        call = context.ensure_object(Call)
        show(run(_list(call)), json=call.json, quiet=call.quiet)


devices.params += common_options()


@command("list", examples=["syncline devices list", "syncline devices list --json"])
async def list_(call: Call) -> Answer:
    """List the devices you are signed in on."""
    return await _list(call)


@command("revoke", examples=["syncline devices revoke 3kq7…", "syncline devices revoke --others"])
@click.argument("device", required=False, default="")
@click.option("--others", is_flag=True, help="All devices but this one.")
async def revoke(call: Call, device: str, others: bool) -> Answer:
    """Sign a device out, by its id or name.

    Whatever it asks next is refused. Folders it keeps in sync stay as they are there.
    """
    if bool(device) == others:
        raise click.UsageError("Name a device, or say --others.", click.get_current_context())
    async with call.api() as api:
        listed = await api.governing.devices()
        revoked = [one for one in listed if not one.this] if others else [_find(listed, device)]
        for one in revoked:
            await api.governing.revoke_device(one.id)
    if any(one.this for one in revoked):
        call.sessions.clear()
    named = ", ".join(name_text(one.name) for one in revoked) or "No other device"
    return Answer({"revoked": revoked}, f"{named}: signed out.", chatty=True)


async def _list(call: Call) -> Answer:
    async with call.api() as api:
        listed = await api.governing.devices()
    rows = [
        (
            one.id,
            time_text(one.signed_in_at_ms / 1000),
            time_text(one.refreshed_at_ms / 1000),
            name_text(one.name) + (" (this one)" if one.this else ""),
        )
        for one in listed
    ]
    return Answer({"devices": listed}, columns(rows, header=("id", "signed in", "last seen", "name")))


def _find(listed: list[Device], wanted: str) -> Device:
    found = [one for one in listed if one.id == wanted] or [one for one in listed if one.name == wanted]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(one.id for one in found)
        raise Refused("ambiguous-device", f"{len(found)} devices are called {wanted}; name one by its id: {ids}.")
    raise Refused("no-such-device", f"You have no device {wanted}. Run: syncline devices", status=404)


for subcommand in (list_, revoke):
    devices.add_command(subcommand)
