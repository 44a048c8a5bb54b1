"""conflicts list, keep."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
import msgspec

from syncline.client.api import Api
from syncline.client.cli.calling import Answer, Call, command, common_options
from syncline.client.cli.committing import commit
from syncline.client.cli.folders import FOLDER, engine_of, links_meant
from syncline.client.cli.local_paths import FILE, LocalPath, local_path
from syncline.client.cli.output import columns, name_text, size_text, time_text
from syncline.client.disk import Disk
from syncline.client.engine import Engine, Link
from syncline.client.hashing import content_of
from syncline.client.matching import base_paths
from syncline.client.remote_tree import holdable, list_changes
from syncline.client.settling import Conflict, Keep, Settled, conflicts_in, settle
from syncline.client.tasks import together
from syncline.client.trees import Remote, RemoteNode
from syncline.domain.commands import MAX_REQUESTS
from syncline.domain.errors import Refused
from syncline.domain.paths import clean_path
from syncline.messages.api import NodeState

ASKED_AT_ONCE = 16


class ConflictsGroup(click.Group):
    """``conflicts DIR`` is ``conflicts list DIR``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        words = [word for word in args if not word.startswith("-")]
        asks_for_help = any(word in ctx.help_option_names for word in args)
        if not (words and words[0] in self.commands) and not asks_for_help:
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group("conflicts", cls=ConflictsGroup)
def conflicts() -> None:
    """List conflict copies, and settle them.

    When two people change one file without knowing of each other, whoever is first keeps the name, and the other's
    content is kept beside it as a conflict copy: plan (conflict 2026-11-23 bob-laptop).ods. All members see both files.
    Merge by hand what is to be merged, then say which to keep. syncline conflicts [DIR] lists what is to be settled.
    """


conflicts.params += common_options()


@command("list", examples=["syncline conflicts list", "syncline conflicts list ~/Shared/docs"])
@click.argument("folders", metavar="[DIR]...", type=FOLDER, nargs=-1)
async def list_(call: Call, folders: tuple[Path, ...]) -> Answer:
    """List conflict copies, each with the file it lost to.

    In all linked folders, or in those that are named and below them. Says who made which, when, and its size.
    """
    texts, documents = [], []
    async with engine_of(call) as (engine, api):
        wanted = [local_path(engine.index, folder) for folder in folders]
        for link in links_meant(engine, folders):
            below = [one for one in wanted if one.link.id == link.id]
            found = [one for one in conflicts_in(await _tree(engine, api, link)) if not below or _is_below(one, below)]
            people = {member.account: member.name for member in await api.members(link.library)} if found else {}
            sides = await _sides(api, link, found)
            for conflict in found:
                copy, original = sides[conflict.copy.node], sides.get(conflict.copy.conflict_of)
                documents.append(_document(link, conflict, copy, original))
                texts.append(_text(link, conflict, copy, original, people))
    if not documents:
        return Answer({"conflicts": []}, "There are no conflicts.")
    how = [
        "To settle one: syncline conflicts keep mine|theirs|both FILE…",
        "  theirs  the file that kept the name stays as it is; the copy goes to the library's trash",
        "  mine    the copy's content becomes the file's next version; the copy goes",
        "  both    the copy stays, under a name of its own",
    ]
    return Answer({"conflicts": documents}, "\n".join([*texts, "", *how]))


@command(
    "keep",
    examples=[
        "syncline conflicts keep theirs ~/Shared/plan*conflict*",
        "syncline conflicts keep mine '~/Shared/plan (conflict 2026-11-23 bob-laptop).ods'",
        "syncline conflicts keep both ~/Shared/plan.ods",
    ],
)
@click.argument("keep", metavar="mine|theirs|both", type=click.Choice([keep.value for keep in Keep]))
@click.argument("files", metavar="FILE...", type=FILE, nargs=-1, required=True)
async def keep(call: Call, keep: str, files: tuple[Path, ...]) -> Answer:
    """Settle conflicts, for everybody.

    FILE is a conflict copy, or the file that it lost to (then all its copies are meant). All of them must be in one
    linked folder, and are settled in one commit or not at all. Nothing is lost: what is replaced stays in the history
    of its file, what is removed in the library's trash.

    \b
      theirs  the file that kept the name stays as it is; the copy goes to the trash
      mine    the copy's content becomes the file's next version; the copy goes to the trash
      both    the copy stays as a file of its own: "(conflict …)" in its name becomes "(…)"

    A conflict copy that you rename or remove yourself is settled as well.
    """
    async with engine_of(call) as (engine, api):
        named = [local_path(engine.index, file) for file in files]
        link = named[0].link
        if any(one.link.id != link.id for one in named):
            raise click.UsageError("All files must be in one linked folder.", click.get_current_context())
        remote = await _tree(engine, api, link)
        chosen = _chosen(conflicts_in(remote), named)
        await asyncio.to_thread(_require_sent, engine, link, chosen)
        settled = settle(chosen, Keep(keep), remote)
        library = await api.library(link.library)
    requests = [request for one in settled for request in one.requests]
    if len(requests) > MAX_REQUESTS:
        raise click.UsageError(f"At most {MAX_REQUESTS} changes at a time.", click.get_current_context())
    paths = [conflict.path for conflict, one in zip(chosen, settled, strict=True) for _ in one.requests]
    done = [_done(Keep(keep), conflict, one) for conflict, one in zip(chosen, settled, strict=True)]
    done.append("Settled for everybody; the next sync brings it here.")
    async with call.api() as api:
        return await commit(call, api, library, requests, paths=paths, done=done, all_or_nothing=True)


def _done(keep: Keep, conflict: Conflict, settled: Settled) -> str:
    kept, path = name_text(settled.path), name_text(conflict.path)
    if keep is Keep.BOTH or conflict.original is None:
        return f"{path} is now {kept}."
    if keep is Keep.THEIRS:
        return f"{kept} stays; {path} is in the trash."
    return f"{kept} has the content of {path}, which is in the trash."


async def _tree(engine: Engine, api: Api, link: Link) -> Remote:
    """The library as it is now."""
    await list_changes(api, engine.index, link)
    return holdable(await asyncio.to_thread(engine.index.remote, link))[0]


def _chosen(found: Sequence[Conflict], named: Sequence[LocalPath]) -> list[Conflict]:
    """The conflicts that are named. Raises ``Refused("no-conflict")``."""
    chosen: dict[str, Conflict] = {}
    for one in named:
        path = clean_path(one.path)
        meant = [c for c in found if one.node == c.copy.node or path == c.path]
        meant = meant or [c for c in found if one.node == c.copy.conflict_of or path == c.original_path]
        if not meant:
            raise Refused("no-conflict", f"{one.shown} is in no conflict. Run: syncline conflicts", status=404)
        chosen |= {conflict.copy.node: conflict for conflict in meant}
    return list(chosen.values())


def _require_sent(engine: Engine, link: Link, chosen: Sequence[Conflict]) -> None:
    """What a person looks at is what they decide about: their own changes must be in the library by then."""
    base = engine.index.base(link)
    paths = base_paths(base)
    disk = Disk(Path(link.path))
    for node in (node for conflict in chosen for node in (conflict.copy, conflict.original)):
        known = base.nodes.get(node.node) if node else None
        if node is None or node.content is None or known is None or not known.materialised:
            continue
        path = paths.get(node.node, "")
        if not path or not _holds(disk.root / path, node):
            detail = f"{name_text(path or node.name)} is not here as it is in the library. Run: syncline sync"
            raise Refused("not-in-sync", detail, status=409, path=path)


def _holds(path: Path, node: RemoteNode) -> bool:
    try:
        found = content_of(path)
    except OSError:
        return False
    return found is not None and found[1] == node.content


async def _sides(api: Api, link: Link, found: Sequence[Conflict]) -> dict[str, NodeState]:
    """The present state of all copies and of what they lost to, with who made it."""
    nodes = [node.node for conflict in found for node in (conflict.copy, conflict.original) if node]
    states: dict[str, NodeState] = {}
    for start in range(0, len(nodes), ASKED_AT_ONCE):
        asked = nodes[start : start + ASKED_AT_ONCE]
        states |= zip(asked, await together([partial(api.node, link.library, node) for node in asked]), strict=True)
    return states


def _is_below(conflict: Conflict, folders: Sequence[LocalPath]) -> bool:
    paths = [clean_path(folder.path) for folder in folders]
    return any(not path or f"{conflict.path}/".startswith(f"{path}/") for path in paths)


def _document(link: Link, conflict: Conflict, copy: NodeState, original: NodeState | None) -> dict[str, Any]:
    return {
        "library": link.library,
        "folder": link.path,
        "mine": {"path": conflict.path, **msgspec.to_builtins(copy)},
        "theirs": {"path": conflict.original_path, **msgspec.to_builtins(original)} if original else None,
    }


def _text(link: Link, conflict: Conflict, copy: NodeState, original: NodeState | None, people: dict[str, str]) -> str:
    rows = [
        _row("theirs", conflict.original_path, original, people) if original else ("theirs", "(removed)", "", "", "")
    ]
    rows.append(_row("mine", conflict.path, copy, people))
    title = click.style(name_text(str(Path(link.path) / conflict.path)), bold=True)
    return f"{title}\n{columns([(' ' + row[0], *row[1:]) for row in rows], right=frozenset({2}))}"


def _row(side: str, path: str, state: NodeState, people: dict[str, str]) -> tuple[str, ...]:
    version = state.version
    if version is None:
        return side, name_text(path), "folder", "", ""
    by = people.get(version.account, version.account)
    return side, name_text(path), size_text(version.size_bytes), time_text(version.at_ms / 1000), f"by {name_text(by)}"


for subcommand in (list_, keep):
    conflicts.add_command(subcommand)
