"""libraries: which there are, what they are like, who shares them."""

from __future__ import annotations

import click
import msgspec

from syncline.admin.calling import Answer, Call, command, group
from syncline.admin.membership import sharers
from syncline.admin.ports import Ports
from syncline.admin.recording import existing_account, existing_library
from syncline.client.cli.output import columns, name_text, size_text, time_text
from syncline.domain.rights import Role
from syncline.store.archive import Archive
from syncline.store.directory import Directory
from syncline.store.journal import Journal
from syncline.store.retentions import Retentions
from syncline.store.usage import Usage

LISTED_DEFAULT = 100
LISTED_MAX = 100_000


@command("list", examples=["syncline-admin libraries list", "syncline-admin libraries list alice@example.org"])
@click.argument("account", required=False)
@click.option("--limit", type=click.IntRange(1, LISTED_MAX), default=LISTED_DEFAULT, show_default=True)
@click.option("--after", default="", help="Go on behind this library's id.")
async def list_(call: Call, account: str | None, limit: int, after: str) -> Answer:
    """List libraries by id: those of an account (its id or e-mail address), or all that have been archived.

    The tables have no list of all libraries. The bucket has: a library is in it a minute after its making.
    """
    async with call.ports() as ports:
        if account:
            mine = await Directory(ports.tables).libraries_of((await existing_account(ports, account)).id)
            found = [(library.id, library.name, role.value) for library, role in mine if library.id > after][:limit]
        else:
            found = [(library, name, "") for library, name in await _archived(ports, limit, after)]
    document = [{"id": one, "name": name} | ({"role": role} if role else {}) for one, name, role in found]
    rows = [(one, role, name_text(name)) if account else (one, name_text(name)) for one, name, role in found]
    return Answer({"libraries": document}, columns(rows) or "There are no libraries.")


@command("show", examples=["syncline-admin libraries show 3kq7hd5m2xw4pnbvz6ta"])
@click.argument("library")
async def show(call: Call, library: str) -> Answer:
    """Say what a library is like: its journal's end, its members, its bytes, and how long it keeps what is old."""
    async with call.ports() as ports:
        record = await existing_library(ports, library)
        head = await Journal(ports.tables).head(library)
        usage = await Usage(ports.tables).of_library(library)
        rules = await Retentions(ports.tables).rules(library)
        people = await sharers(ports, library)
    owners = [one.email for one in people if one.role is Role.OWNER]
    document = {
        "id": record.id,
        "name": record.name,
        "created_at_ms": record.created_at_ms,
        "head": head,
        "members": len(people),
        "owners": owners,
        "used_bytes": usage.bytes,
        "quota_bytes": usage.quota_bytes,
        "retention": rules,
    }
    # Without a head there is no journal: lost, or being rebuilt.
    journal = f"at {head.seq}, epoch {head.epoch}, incarnation {head.incarnation}" if head else "none: see rebuild"
    quota = "as the setting says" if usage.quota_bytes is None else size_text(usage.quota_bytes)
    said = " ".join(f"{name}={value}" for name, value in msgspec.to_builtins(rules).items())
    rows = [
        ("name", name_text(record.name)),
        ("created", time_text(record.created_at_ms / 1000)),
        ("journal", journal),
        ("members", f"{len(people)}, owned by {', '.join(owners) or 'nobody'}"),
        ("holds", size_text(usage.bytes)),
        ("quota", "no limit" if usage.quota_bytes == 0 else quota),
        ("retention", said),
    ]
    return Answer(document, columns(rows))


@command("members", examples=["syncline-admin libraries members 3kq7hd5m2xw4pnbvz6ta"])
@click.argument("library")
async def members(call: Call, library: str) -> Answer:
    """List who shares a library, with the highest of their roles and the groups they are in it through."""
    async with call.ports() as ports:
        await existing_library(ports, library)
        people = await sharers(ports, library)
    rows = [(one.account, one.role.value, one.email, name_text(" ".join(one.groups))) for one in people]
    text = columns(rows, header=("account", "role", "address", "through"))
    return Answer({"members": people}, text or "Nobody shares it.")


async def _archived(ports: Ports, limit: int, after: str) -> list[tuple[str, str]]:
    """Ids and names ("" where the tables have lost it)."""
    ids = []
    async for library in Archive(ports.objects).libraries():
        if library > after:
            ids.append(library)
        if len(ids) == limit:
            break
    directory = Directory(ports.tables)
    records = [(library, await directory.library(library)) for library in ids]
    return [(library, record.name if record else "") for library, record in records]


libraries = group("libraries", "List and show libraries and their members.", [list_, show, members])
