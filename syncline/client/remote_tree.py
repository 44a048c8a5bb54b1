"""list_changes: bringing the remote tree of a link up to the library's head."""

from __future__ import annotations

import asyncio
from typing import Protocol

from syncline.client.disk import OWN_FOLDER
from syncline.client.index import Index, Link
from syncline.client.matching import ASIDE_PREFIX
from syncline.client.trees import Content, Remote, RemoteNode, Skipped
from syncline.domain.errors import Broken, Refused, Temporary
from syncline.domain.nodes import Kind
from syncline.domain.paths import clean_name
from syncline.messages.api import Changes, NodeState

PAGES_MAX = 1_000_000
CATCH_UP_TRIES_MAX = 20
CATCH_UP_PAUSE_S = 0.25


class Journal(Protocol):
    """The part of the API that lists changes (``Api``)."""

    async def changes(self, library: str, cursor: str = "") -> Changes: ...


async def list_changes(journal: Journal, index: Index, link: Link, *, at_least: int = 0) -> Link:
    """Read the journal from the link's cursor to its end; answers the link with its new cursor.

    ``at_least`` is a seq the service has told of: it is waited for, within bounds. A cursor the service no longer
    knows starts the tree anew; the base stays, so nothing is read as removed that was not.
    """
    for tries in range(1, CATCH_UP_TRIES_MAX + 1):
        link = await _read_on(journal, index, link)
        if link.seq >= at_least:
            return link
        await asyncio.sleep(CATCH_UP_PAUSE_S * tries / 2)
    raise Temporary(
        f"The library {link.library_name} is at {at_least}, but its changes are only told up to {link.seq}."
    )


async def _read_on(journal: Journal, index: Index, link: Link) -> Link:
    cursor, anew = link.cursor, not link.cursor
    for _ in range(PAGES_MAX):
        try:
            page = await journal.changes(link.library, cursor)
        except Refused as refused:
            if refused.kind != "cursor-gone" or anew:
                raise
            cursor, anew = "", True
            continue
        states = [change.node for change in page.changes]
        live = [remote_node(state) for state in states if not state.removed and state.id != link.library]
        gone = [state.id for state in states if state.removed]
        await asyncio.to_thread(index.learn, link, live, gone, cursor=page.cursor, seq=page.seq, anew=anew)
        cursor, anew = page.cursor, False
        if not page.more:
            found = index.link(link.id)
            if found is None:
                raise Refused("not-linked", f"{link.path} is no longer linked.")
            return found
    raise Broken(f"The changes of {link.library_name} have no end.")


def remote_node(state: NodeState) -> RemoteNode:
    version = state.version
    if version is None:
        return RemoteNode(state.id, state.parent, state.name, state.kind, state.seq, conflict_of=state.conflict_of)
    return RemoteNode(
        node=state.id,
        parent=state.parent,
        name=state.name,
        kind=state.kind,
        seq=state.seq,
        version=version.id,
        content=Content(version.size_bytes, version.checksum, version.executable),
        mtime_ns=version.mtime_ns,
        key=version.key,
        s3_version=version.s3_version,
        offset=version.offset,
        length=version.length,
        conflict_of=state.conflict_of,
    )


def holdable(remote: Remote) -> tuple[Remote, list[Skipped]]:
    """The part of the tree that can lie on this disk: what is live (all folders above are) and has a name that does
    not lead out of its folder or into what is ours."""
    children: dict[str, list[RemoteNode]] = {}
    for node in remote.nodes.values():
        children.setdefault(node.parent, []).append(node)
    kept: dict[str, RemoteNode] = {}
    skipped: list[Skipped] = []
    todo = list(children.get(remote.root, ()))
    while todo:
        node = todo.pop()
        if _is_ours(node, remote.root) or not _is_clean(node.name):
            skipped.append(Skipped(node.name, "name-unfit", "a file cannot have this name here"))
            continue
        if node.node in kept:
            raise Broken(f"The library holds {node.name} twice.")
        kept[node.node] = node
        if node.kind is Kind.FOLDER:
            todo += children.get(node.node, ())
    return Remote(remote.root, kept, remote.seq), skipped


def _is_ours(node: RemoteNode, root: str) -> bool:
    return (node.parent == root and node.name == OWN_FOLDER) or node.name.startswith(ASIDE_PREFIX)


def _is_clean(name: str) -> bool:
    try:
        return clean_name(name) == name
    except Refused:
        return False
