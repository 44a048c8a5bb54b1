"""audit, quota, usage: the audit log, and what libraries and accounts may hold."""

from __future__ import annotations

import click

from syncline.admin.calling import Answer, Call, Exit, command
from syncline.admin.recording import existing_account, existing_library, record
from syncline.client.cli.commands.records import audit_text
from syncline.client.cli.output import size_text
from syncline.client.cli.spans import size_of
from syncline.messages.records import AuditEntry
from syncline.store.audit import STACK, Audit, account_subject, email_subject, library_subject, now_place
from syncline.store.directory import normal_email
from syncline.store.recounting import Recounting
from syncline.store.usage import Usage

ENTRIES_DEFAULT = 50
ENTRIES_MAX = 1_000_000


@command(
    "audit",
    examples=[
        "syncline-admin audit --library 3kq7hd5m2xw4pnbvz6ta",
        "syncline-admin audit --email alice@example.org --json",
    ],
)
@click.option("--library", help="What was done in and to this library.")
@click.option("--account", help="What this account did, and what was done to it.")
@click.option("--email", help="What was asked for this address by people not signed in: failed sign-ins.")
@click.option("--limit", type=click.IntRange(1, ENTRIES_MAX), default=ENTRIES_DEFAULT, show_default=True)
async def audit(call: Call, library: str | None, account: str | None, email: str | None, limit: int) -> Answer:
    """Show the audit log, newest first: of a library, an account, an address, or acts about none of these.

    What changed the content of a library is in its journal.
    """
    subject = STACK
    if library:
        subject = library_subject(library)
    elif account:
        subject = account_subject(account)
    elif email:
        subject = email_subject(normal_email(email))
    entries: list[AuditEntry] = []
    async with call.ports() as ports:
        async for entry in Audit(ports.tables).read(subject, before=now_place(ports.clock.now_ms())):
            entries.append(entry)
            if len(entries) == limit:
                break
    return Answer({"entries": entries}, audit_text(entries) or "Nothing was done.")


@command(
    "quota",
    examples=[
        "syncline-admin quota --library 3kq7hd5m2xw4pnbvz6ta 50G",
        "syncline-admin quota --account 5zt2… 0",
    ],
)
@click.option("--library", help="The library that gets a quota of its own.")
@click.option("--account", help="The account that gets a quota of its own.")
@click.argument("size")
async def quota(call: Call, library: str | None, account: str | None, size: str) -> Answer:
    """Set how many bytes a library, or the libraries of an account, may hold, whatever the setting says. 0: no limit.

    SIZE is in bytes, or with a unit of 1,024: 500M, 5G, 1.5T. What is there stays there; uploads that have no room are
    refused.
    """
    quota_bytes = size_of(size)
    if bool(library) == bool(account):
        raise click.UsageError("Name a library or an account.", click.get_current_context())
    async with call.ports() as ports:
        usage = Usage(ports.tables)
        if library:
            await existing_library(ports, library)
        elif account:
            account = (await existing_account(ports, account)).id
        # Written down first: an operator's act is never without its record.
        details: dict[str, str | int] = {"quota_bytes": quota_bytes}
        await record(ports, "quota.set", library=library or "", account=account or "", details=details)
        if library:
            await usage.set_library_quota(library, quota_bytes)
        elif account:
            await usage.set_account_quota(account, quota_bytes)
    told = size_text(quota_bytes) if quota_bytes else "no limit"
    return Answer({"library": library, "account": account, "quota_bytes": quota_bytes}, f"The quota is {told} now.")


@command("usage", examples=["syncline-admin usage 3kq7hd5m2xw4pnbvz6ta", "syncline-admin usage 3kq7… --recount"])
@click.argument("library")
@click.option("--recount", is_flag=True, help="Set the count to what the bucket holds.")
async def usage(call: Call, library: str, recount: bool) -> Answer:
    """Say how many bytes a library holds, as it is counted; with --recount, as the bucket has it."""
    async with call.ports() as ports:
        counting = Usage(ports.tables)
        await existing_library(ports, library)
        counted = (await counting.of_library(library)).bytes
        found = counted
        if recount:
            await record(ports, "usage.recount", library=library, details={"counted_bytes": counted})
            now_s = ports.clock.now_ms() // 1000
            found = await Recounting(ports.tables, ports.objects).recount(library, now_s=now_s)
    text = size_text(found) + (f" (counted before: {size_text(counted)})" if found != counted else "")
    document = {"library": library, "used_bytes": found, "counted_before_bytes": counted}
    return Answer(document, text, Exit.OK)
