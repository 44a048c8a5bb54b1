"""mkdir, mv, rm."""

from __future__ import annotations

import click

from syncline.client.api import Api
from syncline.client.cli.calling import Answer, Call, command
from syncline.client.cli.committing import commit, one_library
from syncline.client.cli.new_folders import NewFolders
from syncline.client.cli.output import name_text
from syncline.client.cli.remote import REMOTE_PATH, RemotePath, find_library, find_node, look_up
from syncline.domain.errors import Refused
from syncline.domain.nodes import Kind
from syncline.domain.paths import join_path
from syncline.messages.api import CommitRequest, Library, Move, NodeState, Remove


@command("mkdir", examples=["syncline mkdir Shared:docs", "syncline mkdir -p Shared:2026/november/invoices"])
@click.argument("paths", metavar="LIBRARY:PATH...", type=REMOTE_PATH, nargs=-1, required=True)
@click.option("-p", "--parents", is_flag=True, help="Make the folders on the way too; one that exists is fine.")
async def mkdir(call: Call, paths: tuple[RemotePath, ...], parents: bool) -> Answer:
    """Make folders in a library."""
    wanted = one_library(paths)
    async with call.api() as api:
        library = await find_library(api, wanted)
        plan = NewFolders(api, library, wanted)
        for path in paths:
            await plan.add(path, parents=parents)
        if not plan.requests:
            return Answer({"library": library.id, "seq": library.seq, "results": [], "refused": ""})
        done = [f"Made {name_text(path)}/" for path in plan.paths]
        return await commit(call, api, library, plan.requests, paths=plan.paths, done=done, all_or_nothing=True)


@command(
    "mv", examples=["syncline mv Shared:plan.ods Shared:plan-2025.ods", "syncline mv Shared:a Shared:b Shared:old/"]
)
@click.argument("sources", metavar="LIBRARY:PATH...", type=REMOTE_PATH, nargs=-1, required=True)
@click.argument("target", metavar="LIBRARY:TARGET", type=REMOTE_PATH)
async def mv(call: Call, sources: tuple[RemotePath, ...], target: RemotePath) -> Answer:
    """Move or rename files and folders in a library.

    Into TARGET if that is a folder, else TARGET is the new name. Moving a folder is one change, whatever is in it.
    Nothing is overwritten.
    """
    wanted = one_library([*sources, target])
    async with call.api() as api:
        library = await find_library(api, wanted)
        there = await look_up(api, library, target)
        into = target.into or len(sources) > 1
        requests: list[CommitRequest] = []
        done: list[str] = []
        for source in sources:
            node = await find_node(api, library, source)
            move = await _move(api, library, source, node, target, there, into=into)
            requests.append(move)
            place = target if into or (there is not None and there.id == move.parent) else None
            new = f"{target.library}:{join_path(place.path, move.name) if place else target.path}"
            done.append(f"Moved {name_text(str(source))} to {name_text(new)}")
        return await commit(call, api, library, requests, paths=[str(source) for source in sources], done=done)


@command("rm", examples=["syncline rm Shared:old.txt", "syncline rm -r Shared:drafts"])
@click.argument("paths", metavar="LIBRARY:PATH...", type=REMOTE_PATH, nargs=-1, required=True)
@click.option("-r", "--recursive", is_flag=True, help="Folders too, with everything in them.")
async def rm(call: Call, paths: tuple[RemotePath, ...], recursive: bool) -> Answer:
    """Remove files and folders from a library.

    The server keeps all versions: the answer says how to bring a file back. What others change in a folder while you
    remove it stays.
    """
    wanted = one_library(paths)
    async with call.api() as api:
        library = await find_library(api, wanted)  # its seq, read first, is what we remove: not what comes later
        requests: list[CommitRequest] = []
        done: list[str] = []
        for path in paths:
            node = await find_node(api, library, path)
            _check_removable(path, node, library, recursive=recursive)
            requests.append(_removal(node, library))
            done.append(_removed(path, node))
        return await commit(call, api, library, requests, paths=[str(path) for path in paths], done=done)


async def _move(
    api: Api,
    library: Library,
    source: RemotePath,
    node: NodeState,
    target: RemotePath,
    there: NodeState | None,
    *,
    into: bool,
) -> Move:
    """The request that moves ``node`` to ``target``. Raises ``Refused``: "exists", "no-such-folder", "not-a-folder"."""
    if node.id == library.id:
        raise Refused("is-the-root", f"{name_text(str(source))} is the whole library; it cannot be moved.", status=409)
    shown = name_text(str(target))
    if there is not None and there.kind is Kind.FOLDER and there.id != node.id:
        taken = await look_up(api, library, RemotePath(target.library, join_path(target.path, node.name)))
        if taken is not None and taken.id != node.id:
            raise Refused("exists", f"{name_text(node.name)} exists in {shown} already; nothing moved.", status=409)
        return Move(node=node.id, base_seq=node.seq, parent=there.id, name=node.name)
    if into:
        if there is None:
            detail = f"{shown} is not there. Run: syncline mkdir {shown}"
            raise Refused("no-such-folder", detail, status=404)
        raise Refused("not-a-folder", f"{shown} is no folder to move things into; nothing moved.", status=409)
    if there is not None and there.id != node.id:
        raise Refused("exists", f"{shown} exists already; nothing moved. Remove it or choose another name.", status=409)
    above, _, name = target.path.rpartition("/")
    parent = await find_node(api, library, RemotePath(target.library, above))
    if parent.kind is not Kind.FOLDER:
        raise Refused("not-a-folder", f"{name_text(f'{target.library}:{above}')} is no folder.", status=409)
    return Move(node=node.id, base_seq=node.seq, parent=parent.id, name=name)


def _check_removable(path: RemotePath, node: NodeState, library: Library, *, recursive: bool) -> None:
    shown = name_text(str(path))
    if node.id == library.id:
        raise Refused("is-the-root", f"{shown} is the whole library; remove what is in it instead.", status=409)
    if node.kind is Kind.FOLDER and not recursive:
        detail = f"{shown} is a folder; nothing removed. -r removes it with everything in it."
        raise Refused("is-a-folder", detail, status=409)


def _removal(node: NodeState, library: Library) -> Remove:
    if node.kind is Kind.FOLDER:
        return Remove(node=node.id, base_seq=max(node.seq, library.seq), held_all=True)
    return Remove(node=node.id, base_seq=node.seq)


def _removed(path: RemotePath, node: NodeState) -> str:
    shown = name_text(str(path))
    if node.version is None:
        return f"Removed {shown}/ and everything in it"
    back = f"syncline restore {name_text(path.library)}:@{node.id} --version {node.version.id}"
    return f"Removed {shown}  (to bring it back: {back})"
