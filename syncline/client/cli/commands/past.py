"""trash, restore, rewind."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

from syncline.client.api import Api
from syncline.client.cli.calling import Answer, Call, command
from syncline.client.cli.commands.local_trash import local
from syncline.client.cli.commands.versions import find_file, only_file
from syncline.client.cli.exits import Exit
from syncline.client.cli.local_paths import EITHER_PATH, meant
from syncline.client.cli.outcomes import told
from syncline.client.cli.output import columns, counted, name_text, size_text, time_text
from syncline.client.cli.remote import (
    LIBRARY_OR_PATH,
    NOT_THERE,
    REMOTE_PATH,
    RemotePath,
    find_library,
    find_node,
    look_up,
)
from syncline.client.cli.times import PAST_OR_SEQ
from syncline.domain.errors import Broken, Refused
from syncline.domain.nodes import Kind
from syncline.messages.api import Library, NodeState
from syncline.messages.history import (
    NotRestored,
    RemovedNode,
    RestoreAnswer,
    RestoreNode,
    Rewind,
    RewindAnswer,
    RewindChange,
)

LISTED = 50
TRASH_PAGES_MAX = 1_000
RESTORE_ROUNDS_MAX = 10_000
"""Of some hundred files each."""


@command(
    "trash",
    examples=[
        "syncline trash Shared",
        "syncline trash Shared -n 500",
        "syncline trash --local ~/Shared",
        "syncline trash --local restore ~/Shared/docs/plan.ods",
        "syncline trash --local empty ~/Shared",
    ],
)
@click.argument("words", metavar="LIBRARY|[restore|empty] [PATH]...", nargs=-1)
@click.option("--local", "is_local", is_flag=True, help="What sync removed from this disk.")
@click.option("--limit", "-n", type=click.IntRange(min=1), default=LISTED, show_default=True, help="At most so many.")
async def trash(call: Call, words: tuple[str, ...], is_local: bool, limit: int) -> Answer:
    """List what was removed from a library, or from this disk.

    The newest comes first. Of a library, a folder stands for all that was in it; syncline restore brings it back.

    With --local: what synchronising removed from this disk, since it was removed from the library. It is kept for 30
    days in the linked folder (.syncline/trash). "restore PATH" puts back what was last there, beside what has come in
    its place, which is never replaced; "empty" deletes it all.
    """
    if is_local:
        return await local(call, words, limit)
    if len(words) != 1:
        raise click.UsageError("Name one library, or say --local.", click.get_current_context())
    library = LIBRARY_OR_PATH.convert(words[0], None, click.get_current_context())
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
        "syncline restore ~/Shared/docs/plan.ods --at 'yesterday 14:00'",
        "syncline restore Shared:docs/plan.ods --to Shared:rescued/",
        "syncline restore Shared:notes.txt --version k3ktrpw6ysaqn2vbh7ce",
    ],
)
@click.argument("path", metavar="PATH", type=EITHER_PATH)
@click.option("--version", "version", metavar="ID", default="", help="Which version; syncline history lists them.")
@click.option("--at", "at", metavar="TIME", type=PAST_OR_SEQ, default="", help="The version that was current then.")
@click.option("--to", "to", metavar="LIBRARY:PATH", type=REMOTE_PATH, help="Where to, instead of where it was.")
async def restore(call: Call, path: RemotePath | Path, version: str, at: str, to: RemotePath | None) -> Answer:
    """Bring back what was removed, or an older version.

    PATH is LIBRARY:PATH, or a path in a linked folder, which the next sync brings it to. A folder comes back with all
    that was in it when it was removed. With --version or --at, a version is added to the file; the ones in between stay
    in the history, and a removed file comes back with it. A whole folder goes back in time with syncline rewind.

    TIME is said like: 2 hours ago, yesterday 14:00, monday, 9:30, 2026-11-23, 2026-11-23T09:00+01:00.
    """
    if bool(version) + bool(at) + (to is not None) > 1:
        raise click.UsageError("--version or --at makes a file what it was, where it is; --to is for what was removed.")
    async with call.api() as api:
        library, path = await meant(call, api, path)
        if version or at:
            node = await _file_then(api, library, path, at) if at else await find_file(api, library, path)
            version = version or (node.version.id if node.version else "")
            answer = await api.restore(library.id, node.id, version)
            done = f"{name_text(str(path))} is again as it was in version {version}."
            return told(library, answer, [done + _comes_here(path)], [str(path)])
        return await _restore(api, library, path, await _place(api, library, path, to))


@command(
    "rewind",
    examples=[
        "syncline rewind ~/Shared/docs --at '2 hours ago'",
        "syncline rewind Shared:docs --at 2026-11-23T09:00+01:00 --yes",
    ],
)
@click.argument("path", metavar="DIR", type=EITHER_PATH)
@click.option("--at", required=True, metavar="TIME", type=PAST_OR_SEQ, help="As of when: a time, or a library's seq.")
@click.option("--yes", is_flag=True, help="Do it without asking.")
async def rewind(call: Call, path: RemotePath | Path, at: str, yes: bool) -> Answer:
    """Make a folder as it was at a time.

    DIR is a linked folder or one in it, or LIBRARY:PATH. Tells what would change and asks; where nobody can answer, it
    only tells. It is one commit, or none. What has come since goes to the trash; all versions stay, so that a rewind
    can be rewound. Every linked folder gets it with its next sync; what was changed here and not sent yet is kept.

    TIME is said like: 2 hours ago, yesterday 14:00, monday, 9:30, 2026-11-23, 2026-11-23T09:00+01:00.
    """
    async with call.api() as api:
        library, path = await meant(call, api, path)
        node = await find_node(api, library, path)
        answer = await api.rewind(library.id, node.id, Rewind(at=at, dry_run=not yes))
        if answer.dry_run and answer.total and not call.json and sys.stdin.isatty():
            click.echo("\n".join(_change_lines(answer)))
            if not await asyncio.to_thread(click.confirm, f"Make {counted(answer.total, 'change')}?"):
                return Answer(answer, "Nothing was changed.", chatty=True)
            answer = await api.rewind(library.id, node.id, Rewind(at=str(answer.at_seq)))
    return _rewound(path, at, answer)


def _rewound(path: RemotePath, at: str, answer: RewindAnswer) -> Answer:
    shown = name_text(str(path))
    if not answer.total:
        return Answer(answer, f"{shown} is as it was then; nothing to do.", chatty=True)
    if answer.dry_run:
        lines = [*_change_lines(answer), f"{counted(answer.total, 'change')}; --yes makes them."]
        return Answer(answer, "\n".join(lines))
    complaints = _complaints(answer.failed)
    lines = [*_change_lines(answer), f"{shown} is as it was at {at}.{_comes_here(path)}"]
    return Answer(answer, "\n".join(lines), Exit.PARTLY if complaints else Exit.OK, chatty=True, complaints=complaints)


def _change_lines(answer: RewindAnswer) -> list[str]:
    lines = [_change_text(change) for change in answer.changes]
    if answer.total > len(answer.changes):
        lines.append(f"… and {answer.total - len(answer.changes)} more")
    return lines


def _comes_here(path: RemotePath) -> str:
    return " The next sync brings it here." if path.local else ""


async def _file_then(api: Api, library: Library, path: RemotePath, at: str) -> NodeState:
    """The file as it was at a time. Raises ``Refused("no-such-node")`` when it was not there then, "not-a-file"."""
    try:
        then = (
            await api.node(library.id, path.node, at=at) if path.node else await api.find(library.id, path.path, at=at)
        )
        if not then.removed:
            return only_file(path, then)
    except Refused as refused:
        if refused.kind not in NOT_THERE:
            raise
    raise Refused("no-such-node", f"{name_text(str(path))} was not there at {at}.", status=404)


async def _restore(api: Api, library: Library, path: RemotePath, body: RestoreNode) -> Answer:
    """All of it, commit after commit."""
    node = path.node or await removed_node(api, library, path)
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
    text = f"{name_text(str(path))} is back ({counted(restored, 'file')}).{_comes_here(path)}"
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
    if to.library not in (path.library, library.id, library.name):
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


async def removed_node(api: Api, library: Library, path: RemotePath) -> str:
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
