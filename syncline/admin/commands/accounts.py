"""accounts: who there is; made, locked and removed by the operator."""

from __future__ import annotations

import click

from syncline.admin.calling import Answer, Call, command, group, require_yes, yes_option
from syncline.admin.membership import sharers
from syncline.admin.ports import Ports
from syncline.admin.rebuilding import NO_PASSWORD
from syncline.admin.recording import existing_account, existing_library, record
from syncline.client.cli.output import columns, counted, name_text, size_text, time_text
from syncline.domain.errors import ConditionFailed, Refused, Temporary
from syncline.messages.accounts_touched import CHANNEL, AccountsTouched, encode
from syncline.store.archive import Archive
from syncline.store.directory import AccountRecord, Directory
from syncline.store.groups import Groups
from syncline.store.leaving import Leaving
from syncline.store.titles import clean_email, clean_title
from syncline.store.usage import Usage

LISTED_DEFAULT = 100
LISTED_MAX = 100_000
NAMED_MAX = 20
"""So many libraries and groups are named when a removal is refused for them."""


@command(
    "list", examples=["syncline-admin accounts list", "syncline-admin accounts list --library 3kq7hd5m2xw4pnbvz6ta"]
)
@click.option("--library", help="Only who shares this library.")
@click.option("--limit", type=click.IntRange(1, LISTED_MAX), default=LISTED_DEFAULT, show_default=True)
async def list_(call: Call, library: str | None, limit: int) -> Answer:
    """List accounts: who shares a library, or any library that has been archived, up to --limit.

    The tables have no list of all accounts, and are not scanned for one: who shares no library is only found with
    show, by address or id.
    """
    found: dict[str, dict[str, str]] = {}
    async with call.ports() as ports:
        if library:
            await existing_library(ports, library)
            await _add(ports, found, library, limit)
        else:
            async for one in Archive(ports.objects).libraries():
                await _add(ports, found, one, limit)
                if len(found) >= limit:
                    break
    rows = [(one["id"], one["email"], name_text(one["name"])) for one in found.values()]
    return Answer({"accounts": list(found.values())}, columns(rows) or "Nobody shares a library.")


@command("show", examples=["syncline-admin accounts show alice@example.org"])
@click.argument("account")
async def show(call: Call, account: str) -> Answer:
    """Show an account (its id or e-mail address): its devices, libraries, groups and quota."""
    async with call.ports() as ports:
        found, directory = await existing_account(ports, account), Directory(ports.tables)
        devices = await directory.devices_of(found)
        libraries = await directory.libraries_of(found.id)
        groups = await Groups(ports.tables).of(found.id)
        quota = await Usage(ports.tables).account_quota(found.id)
    document = {
        **_public(found),
        "created_at_ms": found.created_at_ms,
        "confirmed_at_ms": found.confirmed_at_ms,
        "has_password": found.password_hash != NO_PASSWORD,
        "quota_bytes": quota,
        "devices": [{"id": one.id, "name": one.name, "created_at_ms": one.created_at_ms} for one in devices],
        "libraries": [{"id": one.id, "name": one.name, "role": role} for one, role in libraries],
        "groups": [{"id": one.id, "name": one.name, "owner": one.owner} for one in groups],
    }
    limit = "as the setting says" if quota is None else size_text(quota) if quota else "no limit"
    rows = [
        ("account", found.id),
        ("address", found.email + ("" if found.confirmed_at_ms else " (not confirmed)")),
        ("name", name_text(found.name)),
        ("created", time_text(found.created_at_ms / 1000)),
        ("password", "none: asks for a new one by mail" if found.password_hash == NO_PASSWORD else "set"),
        ("quota", limit),
        *(("device", f"{one.id}  {name_text(one.name)}") for one in devices),
        *(("library", f"{one.id}  {role.value}  {name_text(one.name)}") for one, role in libraries),
        *(("group", f"{one.id}  {name_text(one.name)}") for one in groups),
    ]
    return Answer(document, columns(rows))


@command("create", examples=["syncline-admin accounts create alice@example.org --name Alice"])
@click.argument("email")
@click.option("--name", required=True, help="How others see its owner.")
async def create(call: Call, email: str, name: str) -> Answer:
    """Make an account without a password, whoever may register: its owner asks for a password by mail.

    `syncline password reset ADDRESS` does that.
    """
    address, title = clean_email(email), clean_title(name, "--name")
    async with call.ports() as ports:
        made = AccountRecord(ports.new_id(), address, title, NO_PASSWORD, ports.clock.now_ms())
        directory = Directory(ports.tables)
        if await directory.account_by_email(address) is not None:
            raise Refused("email-taken", f"There is an account with the address {address}.", status=409)
        await record(ports, "account.create", account=made.id, details={"email": address})
        made = await directory.create_account(made)
    return Answer(
        _public(made), f"{made.id}  {made.email}: without a password, which comes by mail when it is asked for."
    )


@command("lock", examples=["syncline-admin accounts lock alice@example.org"])
@click.argument("account")
async def lock(call: Call, account: str) -> Answer:
    """Take an account's password away and sign all its devices out, at once.

    Its owner comes back with a new password, asked for by mail: whoever reads that mail can too. Nothing is lost.
    """
    async with call.ports() as ports:
        found, directory = await existing_account(ports, account), Directory(ports.tables)
        devices = await directory.devices_of(found)
        await record(ports, "account.lock", account=found.id, details={"devices": len(devices)})
        try:
            await directory.change_password(found, NO_PASSWORD)
        except ConditionFailed:
            raise Temporary(f"The account {found.id} has just changed.") from None
        await directory.forget_devices(found.id, at_ms=ports.clock.now_ms())
        await _touch(ports, found.id)
    document = {**_public(found), "devices_signed_out": len(devices)}
    return Answer(document, f"{found.email} is locked; {counted(len(devices), 'device')} signed out.")


@command(
    "remove",
    examples=[
        "syncline-admin accounts remove alice@example.org --yes",
        "syncline-admin accounts remove alice@example.org --hand-to bob@example.org --yes",
    ],
)
@click.argument("account")
@click.option("--hand-to", help="Who gets the libraries and groups that it owns alone: an id or e-mail address.")
@yes_option
async def remove(call: Call, account: str, hand_to: str | None, yes: bool) -> Answer:
    """Remove an account. What it wrote into libraries stays; what it owns alone goes to somebody else first."""
    async with call.ports() as ports:
        found = await existing_account(ports, account)
        heir = (await existing_account(ports, hand_to)).id if hand_to else ""
        if heir == found.id:
            raise Refused("no-such-account", "Hand it to somebody else than the account itself.", status=409)
        leaving = Leaving(ports.tables)
        if not heir:
            await _refuse_to_orphan(leaving, found)
        require_yes(yes, f"The account {found.email} would be gone for ever.")
        details: dict[str, str | int] = {"email": found.email, **({"hand_to": heir} if heir else {})}
        await record(ports, "account.remove", account=found.id, details=details)
        try:
            await leaving.remove(found, heir=heir, at_ms=ports.clock.now_ms())
        except ConditionFailed:
            raise Temporary(f"The account {found.id} has just changed.") from None
        await _touch(ports, *([found.id, heir] if heir else [found.id]))
    return Answer({**_public(found), "hand_to": heir}, f"The account {found.email} is removed.")


async def _refuse_to_orphan(leaving: Leaving, account: AccountRecord) -> None:
    libraries, groups = await leaving.alone(account.id)
    if not libraries and not groups:
        return
    detail = (
        f"It owns {counted(len(libraries), 'library', 'libraries')} and {counted(len(groups), 'group')} alone: "
        "say with --hand-to who gets them."
    )
    named = [{"id": one.id, "name": one.name} for one in groups[:NAMED_MAX]]
    raise Refused("still-owns", detail, status=409, libraries=libraries[:NAMED_MAX], groups=named)


async def _add(ports: Ports, found: dict[str, dict[str, str]], library: str, limit: int) -> None:
    for one in await sharers(ports, library):
        if len(found) < limit:
            found[one.account] = {"id": one.account, "email": one.email, "name": one.name}


async def _touch(ports: Ports, *accounts: str) -> None:
    """Their held requests look again at once."""
    await ports.cache.publish(CHANNEL, encode(AccountsTouched(tuple(accounts))))


def _public(account: AccountRecord) -> dict[str, object]:
    return {"id": account.id, "email": account.email, "name": account.name}


accounts = group("accounts", "List, show, create, lock and remove accounts.", [list_, show, create, lock, remove])
