"""Which server a command speaks to when nobody is signed in."""

from __future__ import annotations

import click

from syncline.client.cli.calling import SERVER_VARIABLE, Call

SERVER_FILE = "server"


def chosen_server(call: Call) -> str:
    """The server asked for, else the one of the last login."""
    if call.wanted_server:
        return call.wanted_server
    remembered = call.home.path / SERVER_FILE
    if remembered.exists() and (server := remembered.read_text().strip()):
        return server
    raise click.UsageError(f"Which server? Say --server URL, or set {SERVER_VARIABLE}.", click.get_current_context())
