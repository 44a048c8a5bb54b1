"""account address, account remove."""

from __future__ import annotations

import click

from syncline.client.api import Api
from syncline.client.cli.calling import Answer, Call, command, common_options, run
from syncline.client.cli.passwords import asked_password
from syncline.client.cli.servers import chosen_server
from syncline.domain.errors import Refused


@click.group("account")
def account() -> None:
    """Change the address of your account, or remove it."""


account.params += common_options()


@command(
    "address",
    examples=["syncline account address alice@example.com", "syncline account address --token TOKEN"],
)
@click.argument("email", required=False, default="")
@click.option("--token", default="", help="What follows token= in one of the links that came by mail.")
def address(call: Call, email: str, token: str) -> Answer:
    """Give your account another e-mail address.

    The old and the new address both get a link by mail; once both are opened (or their tokens given here) the new
    address holds.
    """
    if bool(email) == bool(token):
        raise click.UsageError("Name the new address, or a --token that came by mail.", click.get_current_context())
    if token:
        return run(_confirm(call, chosen_server(call), token))
    call.session()
    return run(_ask(call, email, asked_password(confirm=False)))


@command(
    "remove",
    examples=["syncline account remove --yes", "syncline account remove --hand-to bob@example.org --yes"],
)
@click.option("--hand-to", metavar="EMAIL", default="", help="Who gets the libraries and groups that are yours alone.")
@click.option("--yes", is_flag=True, help="Yes, remove it.")
def remove(call: Call, hand_to: str, yes: bool) -> Answer:
    """Remove your account.

    Every device is signed out, and you leave all libraries and groups. What you wrote stays with those who share it;
    what is yours alone goes to whom --hand-to names. Linked folders stay as they are.
    """
    session = call.session()
    if not yes:
        detail = f"This removes the account {session.email} for good. If it is meant, say --yes."
        raise Refused("not-confirmed", detail)
    return run(_remove(call, session.email, asked_password(confirm=False), hand_to))


async def _ask(call: Call, email: str, password: str) -> Answer:
    async with call.api() as api:
        await api.governing.ask_address(email, password)
    text = f"Links to confirm the change are on their way to {call.session().email} and {email}."
    return Answer({"asked": True, "email": email}, text, chatty=True)


async def _confirm(call: Call, server: str, token: str) -> Answer:
    async with Api(server, call.sessions) as api:
        confirmed = await api.governing.confirm_address(token)
    text = "The new address holds." if confirmed.done else "Confirmed; the other address has to confirm as well."
    return Answer(confirmed, text, chatty=True)


async def _remove(call: Call, email: str, password: str, hand_to: str) -> Answer:
    async with call.api() as api:
        await api.governing.remove_account(password, hand_to)
    call.sessions.clear()
    return Answer({"removed": email}, f"The account {email} is removed.", chatty=True)


for subcommand in (address, remove):
    account.add_command(subcommand)
