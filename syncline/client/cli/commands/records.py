"""usage, audit: what libraries hold, and who did what."""

from __future__ import annotations

from collections.abc import Sequence

import click

from syncline.client.cli.calling import Answer, Call, command
from syncline.client.cli.output import columns, name_text, size_text, time_text
from syncline.client.cli.remote import find_library
from syncline.messages.records import AuditEntry, LibraryUse

ENTRIES_DEFAULT = 50
ENTRIES_MAX = 100_000


@command("usage", examples=["syncline usage", "syncline usage Papers"])
@click.argument("library", required=False)
async def usage(call: Call, library: str | None) -> Answer:
    """Show how many bytes libraries hold, and may.

    Without LIBRARY all that you own. Old versions count, and uploads from the moment they begin.
    """
    async with call.api() as api:
        if library is not None:
            used = await api.records.usage((await find_library(api, library)).id)
            return Answer(used, _room(used.used_bytes, used.quota_bytes))
        mine, names = await api.records.my_usage(), {one.id: one.name for one in await api.libraries()}
    rows = [(name_text(names.get(one.library, one.library)), *_cells(one)) for one in mine.libraries]
    rows.append(("together", *_cells(LibraryUse("", mine.used_bytes, mine.quota_bytes))))
    return Answer(mine, columns(rows, header=("library", "used", "quota"), right=frozenset({1, 2})))


@command("audit", examples=["syncline audit", "syncline audit Papers --limit 200", "syncline audit Papers --json"])
@click.argument("library", required=False)
@click.option(
    "--limit",
    type=click.IntRange(1, ENTRIES_MAX),
    default=ENTRIES_DEFAULT,
    show_default=True,
    help="Show at most so many entries.",
)
async def audit(call: Call, library: str | None, limit: int) -> Answer:
    """Show who did what in a library, or with your account.

    Newest first; of libraries that you own. Failed sign-ins are among what was done with your account.
    """
    async with call.api() as api:
        found = (await find_library(api, library)).id if library is not None else ""
        entries = await api.records.audit(found, limit)
    return Answer({"entries": entries}, audit_text(entries) or "Nothing was done yet.")


def audit_text(entries: Sequence[AuditEntry]) -> str:
    """A line for each entry."""
    rows = [
        (
            time_text(one.at_ms / 1000),
            one.action,
            one.result,
            one.account,
            one.address,
            name_text(" ".join(f"{name}={value}" for name, value in one.details.items())),
        )
        for one in entries
    ]
    return columns(rows, header=("when", "what", "result", "account", "address", "about")) if rows else ""


def _cells(use: LibraryUse) -> tuple[str, str]:
    return size_text(use.used_bytes), size_text(use.quota_bytes) if use.quota_bytes else "no limit"


def _room(used_bytes: int, quota_bytes: int) -> str:
    return f"{size_text(used_bytes)} of {size_text(quota_bytes)}" if quota_bytes else size_text(used_bytes)
