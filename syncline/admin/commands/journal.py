"""journal: a library's commits, readable."""

from __future__ import annotations

import click

from syncline.admin.calling import Answer, Call, command
from syncline.admin.ports import Ports
from syncline.admin.recording import existing_library
from syncline.client.cli.output import counted, name_text, time_text
from syncline.domain.commits import Change, Commit, Effect
from syncline.domain.errors import NotFound
from syncline.domain.nodes import Place
from syncline.store.directory import Directory
from syncline.store.journal import Journal
from syncline.store.subtrees import Whereabouts
from syncline.store.tree import TreeReader
from syncline.store.views import Views

COMMITS_DEFAULT = 20
COMMITS_MAX = 10_000


@command(
    "journal",
    examples=[
        "syncline-admin journal 3kq7hd5m2xw4pnbvz6ta",
        "syncline-admin journal 3kq7hd5m2xw4pnbvz6ta --after 4000 --limit 100 --json",
    ],
)
@click.argument("library")
@click.option("--after", type=click.IntRange(0), help="Only commits after this one; without it, the newest ones.")
@click.option("--limit", type=click.IntRange(1, COMMITS_MAX), default=COMMITS_DEFAULT, show_default=True)
async def journal(call: Call, library: str, after: int | None, limit: int) -> Answer:
    """Read a library's commits in order: who did what to which path, and when.

    Names are as they were; of the folders above them, as they are now. A journal that lacks a commit is reported
    broken: read before and behind the gap with --after and --limit.
    """
    async with call.ports() as ports:
        await existing_library(ports, library)
        commits_of = Journal(ports.tables)
        head = await commits_of.head(library)
        if head is None:
            raise NotFound(f"The library {library} has no journal: see rebuild.")
        first = max(0, head.seq - limit) if after is None else min(after, head.seq)
        commits = [one async for one in commits_of.read(library, first, min(first + limit, head.seq))]
        told = await _Telling(ports, library).tell(commits)
    document = {"library": library, "head": head.seq, "commits": told}
    return Answer(document, "\n".join(_text(one) for one in told) or "There are no commits.")


class _Telling:
    """Says who and where; each account, device and folder is read once."""

    def __init__(self, ports: Ports, library: str) -> None:
        self._directory = Directory(ports.tables)
        self._tree = TreeReader(Journal(ports.tables), Views(ports.tables))
        self._library = library

    async def tell(self, commits: list[Commit]) -> list[dict[str, object]]:
        where = Whereabouts(await self._tree.at_head(self._library))
        accounts = await self._directory.accounts(list({one.account for one in commits})) if commits else {}
        devices = {name: await self._directory.device(name) for name in {one.device for one in commits}}
        told: list[dict[str, object]] = []
        for commit in commits:
            who, device = accounts.get(commit.account), devices[commit.device]
            told.append(
                {
                    "seq": commit.seq,
                    "at_ms": commit.at_ms,
                    "command": commit.command,
                    "account": commit.account,
                    "email": who.email if who else "",
                    "device": commit.device,
                    "device_name": device.name if device else "",
                    "changes": [await self._change(where, change) for change in commit.changes],
                    "restored": [one.node for one in commit.restored],
                    "purged": [{"node": one.node, "version": one.version} for one in commit.purged],
                    "withdrawn": list(commit.withdrawn),
                }
            )
        return told

    async def _change(self, where: Whereabouts, change: Change) -> dict[str, object]:
        node = change.node
        version = change.late if change.effect is Effect.LATE else node.version
        told: dict[str, object] = {
            "effect": change.effect.value,
            "kind": node.kind.value,
            "node": node.id,
            "path": await self._path(where, Place(node.parent, node.name)),
        }
        if change.was is not None:
            told["was"] = await self._path(where, change.was)
        if version is not None:
            told |= {"version": version.id, "size_bytes": version.size_bytes}
        return told

    async def _path(self, where: Whereabouts, place: Place) -> str:
        folder = None if place.parent == self._library else await where.node(place.parent)
        return f"{await where.path(folder)}/{place.name}" if folder is not None else place.name


def _text(commit: dict[str, object]) -> str:
    at_ms, changes = commit["at_ms"], commit["changes"]
    assert isinstance(at_ms, int)
    assert isinstance(changes, list)
    who = str(commit["email"] or commit["account"] or "the service")
    device = name_text(str(commit["device_name"] or commit["device"]))
    lines = [f"{commit['seq']}  {time_text(at_ms / 1000)}  {who}{f' ({device})' if device else ''}"]
    for one in changes:
        was = one.get("was")
        moved = f"  (was {name_text(was)})" if was and was != one["path"] else ""
        lines.append(f"  {one['effect']:<8} {name_text(one['path'])}{'/' if one['kind'] == 'folder' else ''}{moved}")
    for kind, noun in (("restored", "node"), ("purged", "version"), ("withdrawn", "permit")):
        listed = commit[kind]
        if isinstance(listed, list) and listed:
            lines.append(f"  {kind:<8} {counted(len(listed), noun)}")
    return "\n".join(lines)
