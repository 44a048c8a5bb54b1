"""password reset, password change."""

from __future__ import annotations

import click

from syncline.client.api import Api
from syncline.client.cli.calling import Answer, Call, command, common_options, run
from syncline.client.cli.passwords import asked_new_password, asked_password
from syncline.client.cli.servers import chosen_server


@click.group("password")
def password() -> None:
    """Set another password."""


password.params += common_options()


@command(
    "reset",
    examples=["syncline password reset alice@example.org", "syncline password reset --token TOKEN"],
)
@click.argument("email", required=False, default="")
@click.option("--token", default="", help="What follows token= in the link that came by mail.")
@click.option("--keep-this-device", is_flag=True, help="Stay signed in here; every other device is signed out.")
def reset(call: Call, email: str, token: str, keep_this_device: bool) -> Answer:
    """Set a new password by mail, when the old one is lost.

    First with your address: a link comes by mail, if there is such an account. Open it, or give its token here. The new
    password is asked for, or taken from SYNCLINE_NEW_PASSWORD.
    """
    if bool(email) == bool(token):
        raise click.UsageError("Name your address, or the --token that came by mail.", click.get_current_context())
    server = chosen_server(call)
    if email:
        return run(_ask(call, server, email))
    return run(_use(call, server, token, asked_new_password(), keep_this_device))


@command("change", examples=["syncline password change"])
@click.option("--everywhere", is_flag=True, help="Sign this device out as well.")
def change(call: Call, everywhere: bool) -> Answer:
    """Set a new password by the old one; all other devices are signed out.

    Both are asked for, or taken from SYNCLINE_PASSWORD and SYNCLINE_NEW_PASSWORD.
    """
    call.session()
    return run(_change(call, asked_password(confirm=False), asked_new_password(), everywhere))


async def _ask(call: Call, server: str, email: str) -> Answer:
    async with Api(server, call.sessions) as api:
        await api.governing.ask_reset(email)
    text = f"If there is an account with the address {email}, a link to set a new password is on its way there."
    return Answer({"asked": True, "email": email}, text, chatty=True)


async def _use(call: Call, server: str, token: str, new_password: str, keep: bool) -> Answer:
    async with Api(server, call.sessions) as api:
        await api.governing.use_reset(token, new_password, keep_this_device=keep)
    text = "The new password is set; every other device is signed out." if keep else "The new password is set; sign in."
    return Answer({"changed": True}, text, chatty=True)


async def _change(call: Call, old: str, new: str, everywhere: bool) -> Answer:
    async with call.api() as api:
        await api.governing.change_password(old, new, keep_this_device=not everywhere)
    if everywhere:
        call.sessions.clear()
    return Answer({"changed": True}, "The new password is set; every other device is signed out.", chatty=True)


for subcommand in (reset, change):
    password.add_command(subcommand)
