"""library retention."""

from __future__ import annotations

import click
import msgspec

from syncline.client.cli.calling import Answer, Call, command
from syncline.client.cli.output import counted, name_text
from syncline.client.cli.remote import find_library
from syncline.messages.history import Retention


@command(
    "retention",
    examples=[
        "syncline library retention Shared",
        "syncline library retention Shared --versions-days 365 --trash-days 90",
        "syncline library retention Shared --hold",
    ],
)
@click.argument("library")
@click.option("--versions-days", type=click.IntRange(0, 36_500), help="Keep superseded versions so long; 0: for ever.")
@click.option("--versions-max", type=click.IntRange(0, 1_000_000), help="Versions kept of each file; 0: all.")
@click.option("--trash-days", type=click.IntRange(0, 36_500), help="Keep what was removed so long; 0: for ever.")
@click.option("--hold/--no-hold", default=None, help="A legal hold: nothing is given up, whatever else is said.")
async def retention(
    call: Call,
    library: str,
    versions_days: int | None,
    versions_max: int | None,
    trash_days: int | None,
    hold: bool | None,
) -> Answer:
    """Show or say how long a library keeps old versions and its trash.

    Owners say it. Everything is kept for ever until they do. What is given up can be had no more; its bytes are
    deleted 30 days later.
    """
    said = {"versions_days": versions_days, "versions_max": versions_max, "trash_days": trash_days, "hold": hold}
    changes = {name: value for name, value in said.items() if value is not None}
    async with call.api() as api:
        found = await find_library(api, library)
        rules = await api.retention(found.id)
        if changes:
            rules = await api.set_retention(found.id, msgspec.structs.replace(rules, **changes))
    return Answer({"library": found.id, **msgspec.to_builtins(rules)}, _text(found.name, rules))


def _text(library: str, rules: Retention) -> str:
    lines = [
        f"superseded versions  {_days(rules.versions_days)}",
        f"versions of a file   {rules.versions_max or 'all'}",
        f"trash                {_days(rules.trash_days)}",
    ]
    if rules.hold:
        lines.append(f"{name_text(library)} is on hold: nothing is given up.")
    return "\n".join(lines)


def _days(days: int) -> str:
    return counted(days, "day") if days else "for ever"
