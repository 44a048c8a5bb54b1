"""register, login, logout, whoami."""

from __future__ import annotations

import platform
from contextlib import AbstractContextManager, nullcontext, suppress

import click
import msgspec

from syncline.client.api import Api
from syncline.client.cli.calling import Answer, Call, command, run
from syncline.client.cli.output import columns
from syncline.client.cli.passwords import asked_password
from syncline.client.cli.servers import SERVER_FILE, chosen_server
from syncline.client.home import SavedSession
from syncline.domain.errors import Refused, Temporary
from syncline.messages.api import Session


@command("register", examples=["syncline register alice@example.org --name Alice --server https://files.example.org"])
@click.argument("email")
@click.option("--name", required=True, help="What others see, for example in shared libraries.")
@click.option("--device-name", default="", help="What this device is called; by default the machine's name.")
@click.option("--invitation", metavar="TOKEN", default="", help="What follows token= in the link of an invitation.")
def register(call: Call, email: str, name: str, device_name: str, invitation: str) -> Answer:
    """Create an account and sign in.

    The password is asked for, or taken from SYNCLINE_PASSWORD.
    """
    server = chosen_server(call)
    password = asked_password(confirm=True)
    return run(_register(call, server, email, password, name, device_name, invitation))


@command("login", examples=["syncline login alice@example.org --server https://files.example.org"])
@click.argument("email")
@click.option("--device-name", default="", help="What this device is called; by default the machine's name.")
def login(call: Call, email: str, device_name: str) -> Answer:
    """Sign in on this device.

    The password is asked for, or taken from SYNCLINE_PASSWORD. The server is remembered.
    """
    server = chosen_server(call)
    return run(_login(call, server, email, asked_password(confirm=False), device_name))


@command("logout", examples=["syncline logout"])
async def logout(call: Call) -> Answer:
    """Sign this device out.

    The server forgets the device; linked folders stay as they are and go on after the next login.
    """
    session = call.session()
    text = f"{session.email} is signed out of {session.server}."
    async with call.api() as api:
        try:
            await api.sign_out()
        except Refused as error:
            if error.status != 401:
                raise
            call.sessions.clear()  # the server has forgotten the device already
    return Answer({"signed_out": True, "email": session.email, "server": session.server}, text, chatty=True)


@command("whoami", examples=["syncline whoami"])
async def whoami(call: Call) -> Answer:
    """Show who is signed in, where, on which device."""
    async with call.api() as api:
        me = await api.me()
    rows = [
        ("account", f"{me.account.name} <{me.account.email}>"),
        ("device", me.device_name),
        ("server", api.server),
        ("home", str(call.home.path)),
    ]
    document = {**msgspec.to_builtins(me), "server": api.server, "home": str(call.home.path)}
    return Answer(document, columns(rows))


async def _register(
    call: Call, server: str, email: str, password: str, name: str, device_name: str, invitation: str
) -> Answer:
    _refuse_another(call, email, server)
    async with Api(server, call.sessions) as api:
        await api.sign_up(email, password, name, invitation=invitation)
    return await _login(call, server, email, password, device_name)


async def _login(call: Call, server: str, email: str, password: str, device_name: str) -> Answer:
    replaced = _refuse_another(call, email, server)
    async with Api(server, call.sessions) as api:
        session = await api.sign_in(email, password, device_name or platform.node() or "unnamed device")
    (call.home.path / SERVER_FILE).write_text(server + "\n")
    if replaced is not None:
        await _sign_out(replaced)
    account = session.account
    text = f"{account.name} <{account.email}> is signed in at {server} on {session.device_name}."
    return Answer({**_public(session), "server": server}, text, chatty=True)


def _refuse_another(call: Call, email: str, server: str) -> SavedSession | None:
    """The session this sign-in replaces, if any. A client's linked folders belong to one account.

    Raises ``Refused("signed-in-already")`` when it is another account's.
    """
    session = call.sessions.load()
    if session is None or (session.email.casefold(), session.server) == (email.strip().casefold(), server):
        return session
    detail = f"{session.email} is signed in here, at {session.server}. Run syncline logout first, or "
    raise Refused("signed-in-already", detail + "set SYNCLINE_HOME to another folder for another client.", status=409)


async def _sign_out(session: SavedSession) -> None:
    """Have the server forget a device that was replaced, if it still knows it and can be reached."""
    with suppress(Refused, Temporary):
        async with Api(session.server, ReplacedSession(session)) as api:
            await api.sign_out()


class ReplacedSession:
    """Tokens that are no longer kept on the disk."""

    def __init__(self, session: SavedSession) -> None:
        self._session: SavedSession | None = session

    def load(self) -> SavedSession | None:
        return self._session

    def save(self, session: SavedSession) -> None:
        self._session = session

    def clear(self) -> None:
        self._session = None

    def alone(self) -> AbstractContextManager[None]:
        return nullcontext()


def _public(session: Session) -> dict[str, object]:
    """A session without its tokens."""
    return {
        "account": session.account,
        "device": session.device,
        "device_name": session.device_name,
    }
