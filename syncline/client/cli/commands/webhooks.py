"""library webhook add, list, enable, remove."""

from __future__ import annotations

import click

from syncline.client.cli.calling import Answer, Call, command, common_options
from syncline.client.cli.output import columns, name_text, time_text
from syncline.client.cli.remote import find_library
from syncline.messages.api import Webhook


@click.group("webhook")
def webhook() -> None:
    """Have addresses told over HTTPS what changes in a library (owners)."""


webhook.params += common_options()


@command("add", examples=["syncline library webhook add Shared https://hooks.example.org/syncline"])
@click.argument("library")
@click.argument("url")
async def add(call: Call, library: str, url: str) -> Answer:
    """Have an address told what changes from now on, by a signed POST.

    The secret to check the signatures with is shown this once.
    """
    async with call.api() as api:
        found = await find_library(api, library)
        made = await api.governing.add_webhook(found.id, url)
    text = f"{made.webhook.id} is told of {name_text(found.name)}. Its secret, shown this once:\n{made.secret}"
    return Answer(made, text)


@command("list", examples=["syncline library webhook list Shared"])
@click.argument("library")
async def list_(call: Call, library: str) -> Answer:
    """List the webhooks of a library, and how they fare."""
    async with call.api() as api:
        found = await find_library(api, library)
        listed = await api.governing.webhooks(found.id)
    rows = [(one.id, _state(one), name_text(one.url)) for one in listed]
    text = columns(rows, header=("id", "state", "address"))
    return Answer({"webhooks": listed}, text if rows else f"{name_text(found.name)} has no webhook.")


@command("enable", examples=["syncline library webhook enable Shared abcdefghijklmnopqrst"])
@click.argument("library")
@click.argument("id")
async def enable(call: Call, library: str, id: str) -> Answer:
    """Tell a webhook that was disabled again, first of what it missed."""
    async with call.api() as api:
        found = await find_library(api, library)
        enabled = await api.governing.enable_webhook(found.id, id)
    return Answer(enabled, f"The webhook {id} is told again of {name_text(found.name)}.", chatty=True)


@command("remove", examples=["syncline library webhook remove Shared abcdefghijklmnopqrst"])
@click.argument("library")
@click.argument("id")
async def remove(call: Call, library: str, id: str) -> Answer:
    """Tell a webhook nothing more."""
    async with call.api() as api:
        found = await find_library(api, library)
        await api.governing.remove_webhook(found.id, id)
    return Answer({"library": found.id, "removed": id}, f"The webhook {id} is told nothing more.", chatty=True)


def _state(one: Webhook) -> str:
    if one.disabled_at_ms:
        return f"disabled {time_text(one.disabled_at_ms / 1000)}: {name_text(one.problem)}"
    if one.failing_since_ms:
        return f"failing since {time_text(one.failing_since_ms / 1000)}: {name_text(one.problem)}"
    return f"told up to {one.delivered_seq}"


for subcommand in (add, list_, enable, remove):
    webhook.add_command(subcommand)
