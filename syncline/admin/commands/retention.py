"""retention: how long a library keeps old versions and its trash."""

from __future__ import annotations

import click
import msgspec

from syncline.admin.answers import require_yes
from syncline.admin.calling import Answer, Call, command
from syncline.admin.recording import record
from syncline.domain.errors import Refused
from syncline.store.directory import Directory
from syncline.store.retentions import Retentions, Rules

DAYS = click.IntRange(0, 36_500)


@command(
    "retention",
    examples=[
        "syncline-admin retention 3kq7hd5m2xw4pnbvz6ta",
        "syncline-admin retention 3kq7hd5m2xw4pnbvz6ta --hold",
        "syncline-admin retention 3kq7hd5m2xw4pnbvz6ta --trash-days 90 --yes",
    ],
)
@click.argument("library")
@click.option("--versions-days", type=DAYS, help="Keep superseded versions so long; 0: for ever.")
@click.option("--versions-max", type=click.IntRange(0, 1_000_000), help="Versions kept of each file; 0: all.")
@click.option("--trash-days", type=DAYS, help="Keep what was removed so long; 0: for ever.")
@click.option("--hold/--no-hold", default=None, help="A legal hold: nothing is given up, whatever else is said.")
@click.option("--yes", is_flag=True, help="Do it, although versions may be given up by it.")
async def retention(
    call: Call,
    library: str,
    versions_days: int | None,
    versions_max: int | None,
    trash_days: int | None,
    hold: bool | None,
    yes: bool,
) -> Answer:
    """Show or say how long a library keeps old versions and its trash, or put it on hold.

    LIBRARY is a library's id. What is given up can be had no more; its bytes are deleted 30 days later.
    """
    said = {"versions_days": versions_days, "versions_max": versions_max, "trash_days": trash_days, "hold": hold}
    changes = {name: value for name, value in said.items() if value is not None}
    async with call.ports() as ports:
        if await Directory(ports.tables).library(library) is None:
            raise Refused("no-such-library", f"There is no library {library}.", status=404)
        retentions = Retentions(ports.tables)
        rules = await retentions.rules(library)
        wanted = msgspec.structs.replace(rules, **changes)
        if wanted != rules and _may_lose(wanted):
            require_yes(yes, "By this, versions may be given up for ever.")
        if changes:
            details: dict[str, str | int] = {name: int(value) for name, value in changes.items()}
            await record(ports, "retention.set", library=library, details=details)
            await retentions.set_rules(library, wanted)
    text = "\n".join(f"{name:<14} {value}" for name, value in msgspec.to_builtins(wanted).items())
    return Answer({"library": library, **msgspec.to_builtins(wanted)}, text)


def _may_lose(rules: Rules) -> bool:
    return not rules.hold and bool(rules.versions_days or rules.versions_max or rules.trash_days)
