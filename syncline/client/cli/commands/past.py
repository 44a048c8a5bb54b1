"""trash, restore, rewind."""

from __future__ import annotations

import click

from syncline.client.api import Api
from syncline.client.cli.calling import Answer, Call, command
from syncline.client.cli.commands.versions import find_file
from syncline.client.cli.exits import Exit
from syncline.client.cli.outcomes import told
from syncline.client.cli.output import columns, counted, name_text, size_text, time_text
from syncline.client.cli.remote import LIBRARY_OR_PATH, REMOTE_PATH, RemotePath, find_library, find_node, look_up
from syncline.domain.errors import Broken, Refused
from syncline.domain.nodes import Kind
from syncline.messages.api import Library
from syncline.messages.history import NotRestored, RemovedNode, RestoreAnswer, RestoreNode, Rewind, RewindChange

LISTED = 50
TRASH_PAGES_MAX = 1_000
RESTORE_ROUNDS_MAX = 10_000
"""Of some hundred files each."""


@command("trash", examples=["syncline trash Shared", "syncline trash Shared -n 500"])
@click.argument("library", metavar="LIBRARY", type=LIBRARY_OR_PATH)
@click.option("--limit", "-n", type=click.IntRange(min=1), default=LISTED, show_default=True, help="At most so many.")
async def trash(call: Call, library: RemotePath, limit: int) -> Answer:
    """List what was removed from a library.

    The newest comes first. A folder stands for all that was in it. syncline restore brings it back.
    """
    async with call.api() as api:
        found = await find_library(api, library.library)
        removed, more = await _trash(api, found, limit)
        people = {member.account: member.name for member in await api.members(found.id)}
    rows = [
        (
            time_text(one.at_ms / 1000),
            name_text(people.get(one.account, one.account)),
            size_text(one.size_bytes) if one.kind is Kind.FILE else "",
            name_text(one.path) + ("/" if one.kind is Kind.FOLDER else ""),
        )
        for one in removed
    ]
    text = columns(rows, header=("removed", "by", "size", "path"), right=frozenset({2}))
    if more:
        text += f"\n(and earlier ones: syncline trash -n {limit * 10} …)"
    return Answer({"library": found.id, "removed": removed, "more": more}, text or "The trash is empty.")


@command(
    "restore",
    examples=[
        "syncline restore Shared:docs",
        "syncline restore Shared:docs/plan.ods --to Shared:rescued/",
        "syncline restore Shared:notes.txt --version k3ktrpw6ysaqn2vbh7ce",
    ],
)
@click.argument("path", metavar="LIBRARY:PATH", type=REMOTE_PATH)
@click.option("--version", "version", metavar="ID", default="", help="Which version; syncline history lists them.")
@click.option("--to", "to", metavar="LIBRARY:PATH", type=REMOTE_PATH, help="Where to, instead of where it was.")
async def restore(call: Call, path: RemotePath, version: str, to: RemotePath | None) -> Answer:
    """Bring back what was removed, or an older version.

    A folder comes back with all that was in it when it was removed. With --version, a version is added to the file;
    the ones in between stay in the history, and a removed file comes back with it.
    """
    if version and to is not None:
        raise click.UsageError("--version makes a file what it was, where it is; --to is for what was removed.")
    async with call.api() as api:
        library = await find_library(api, path.library)
        if version:
            node = await find_file(api, library, path)
            answer = await api.restore(library.id, node.id, version)
            done = f"{name_text(str(path))} is again as it was in version {version}."
            return told(library, answer, [done], [str(path)])
        return await _restore(api, library, path, await _place(api, library, path, to))


@command(
    "rewind",
    examples=[
        "syncline rewind Shared:docs --at 2026-11-23T09:00:00+01:00",
        "syncline rewind Shared:docs --at 2026-11-23T09:00:00+01:00 --yes",
    ],
)
@click.argument("path", metavar="LIBRARY:PATH", type=REMOTE_PATH)
@click.option("--at", required=True, metavar="TIME", help="As of when: RFC 3339 with its offset, or a seq.")
@click.option("--yes", is_flag=True, help="Do it; without, only what would change is told.")
async def rewind(call: Call, path: RemotePath, at: str, yes: bool) -> Answer:
    """Make a folder of a library as it was at a time.

    Without --yes it only tells what would change. What has come since goes to the trash; all versions stay.
    """
    async with call.api() as api:
        library = await find_library(api, path.library)
        node = await find_node(api, library, path)
        answer = await api.rewind(library.id, node.id, Rewind(at=at, dry_run=not yes))
    lines = [_change_text(change) for change in answer.changes]
    if answer.total > len(answer.changes):
        lines.append(f"… and {answer.total - len(answer.changes)} more")
    shown = name_text(str(path))
    if not answer.total:
        return Answer(answer, f"{shown} is as it was then; nothing to do.", chatty=True)
    if not yes:
        return Answer(answer, "\n".join([*lines, f"{counted(answer.total, 'change')}; --yes makes them."]))
    complaints = _complaints(answer.failed)
    lines.append(f"{shown} is as it was at {at}.")
    return Answer(answer, "\n".join(lines), Exit.PARTLY if complaints else Exit.OK, chatty=True, complaints=complaints)


async def _restore(api: Api, library: Library, path: RemotePath, body: RestoreNode) -> Answer:
    """All of it, commit after commit."""
    node = path.node or await _removed_node(api, library, path)
    restored, failed = 0, list[NotRestored]()
    for _ in range(RESTORE_ROUNDS_MAX):
        answer = await _one_round(api, library, node, body, begun=restored > 0)
        if answer is None:
            break
        restored, failed = restored + answer.restored, [*failed, *answer.failed]
        if answer.done and not answer.more:
            break
    complaints = _complaints(failed)
    code = Exit.OK if not complaints else Exit.PARTLY if restored else Exit.REFUSED
    text = f"{name_text(str(path))} is back ({counted(restored, 'file')})."
    document = {"library": library.id, "node": node, "restored": restored, "failed": failed}
    return Answer(document, "" if complaints else text, code, chatty=True, complaints=complaints)


async def _one_round(api: Api, library: Library, node: str, body: RestoreNode, *, begun: bool) -> RestoreAnswer | None:
    """None when there is nothing left, after a round whose outcome came late."""
    try:
        return await api.restore_node(library.id, node, body)
    except Refused as refused:
        if begun and refused.kind == "not-removed":
            return None
        raise


async def _place(api: Api, library: Library, path: RemotePath, to: RemotePath | None) -> RestoreNode:
    """Into the folder ``to``, or under that name in the folder above it. Raises ``Refused("no-such-folder")``."""
    if to is None:
        return RestoreNode()
    if to.library not in (path.library, library.id):
        raise click.UsageError("Things come back within their library.")
    there = await look_up(api, library, to)
    if there is not None and there.kind is Kind.FOLDER:
        return RestoreNode(to=there.id)
    above, _, name = to.path.rpartition("/")
    parent = await look_up(api, library, RemotePath(to.library, above))
    if to.into or parent is None or parent.kind is not Kind.FOLDER:
        shown = name_text(f"{to.library}:{to.path if to.into else above}")
        raise Refused("no-such-folder", f"{shown} is no folder. Run: syncline mkdir {shown}", status=404)
    return RestoreNode(to=parent.id, name=name)


async def _removed_node(api: Api, library: Library, path: RemotePath) -> str:
    """What was last removed at a path, by itself or with a folder above it. Raises ``Refused("no-such-node")``."""
    after = ""
    for _ in range(TRASH_PAGES_MAX):
        page = await api.trash(library.id, after=after)
        for one in page.removed:
            if one.path == path.path:
                return one.node
            if one.kind is Kind.FOLDER and path.path.startswith(f"{one.path}/"):
                return (await api.find(library.id, path.path, at=str(one.seq - 1))).id
        after = page.after
        if not after:
            break
    shown = name_text(str(path))
    detail = f"{shown} is not in the trash. Run: syncline trash {name_text(path.library)}"
    raise Refused("no-such-node", detail, status=404)


async def _trash(api: Api, library: Library, limit: int) -> tuple[list[RemovedNode], bool]:
    """At most ``limit`` removals, and whether there are more."""
    found: list[RemovedNode] = []
    after = ""
    while True:
        page = await api.trash(library.id, after=after, limit=min(200, limit - len(found) + 1))
        found += page.removed
        if len(found) > limit or not page.after:
            return found[:limit], len(found) > limit
        if page.after == after:
            raise Broken(f"The service lists the trash of {library.id} without end.")
        after = page.after


def _change_text(change: RewindChange) -> str:
    path = name_text(change.path) + ("/" if change.kind is Kind.FOLDER else "")
    was = f"  (is now {name_text(change.was)})" if change.was else ""
    return f"{change.effect:<9} {path}{was}"


def _complaints(failed: list[NotRestored]) -> list[str]:
    return [f"{name_text(one.name) or one.node}: {one.reason.replace('-', ' ')}" for one in failed]
