"""list_changes: bringing the remote tree of a link up to the library's head, from a snapshot where it begins."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import tempfile
from collections.abc import AsyncIterator
from typing import IO, Protocol

from syncline.client.disk import OWN_FOLDER
from syncline.client.index import Index, Link
from syncline.client.matching import ASIDE_PREFIX
from syncline.client.trees import Remote, RemoteNode, Skipped, content_of_version
from syncline.domain.cursors import CURSOR_GONE
from syncline.domain.errors import Broken, Refused, Temporary
from syncline.domain.nodes import Kind, Node
from syncline.domain.paths import clean_name
from syncline.messages.api import Changes, NodeState, Snapshot
from syncline.messages.envelope import Unreadable
from syncline.messages.tree_stream import TreeDecoder

PAGES_MAX = 1_000_000
CATCH_UP_TRIES_MAX = 20
CATCH_UP_PAUSE_S = 0.25
SNAPSHOT_IN_MEMORY_BYTES = 8 * 1024 * 1024
"""A larger snapshot waits on the disk until it is known to be whole."""
SNAPSHOT_PIECE_BYTES = 64 * 1024


class Journal(Protocol):
    """The part of the API that lists changes (``Api``)."""

    async def changes(self, library: str, cursor: str = "") -> Changes: ...

    async def snapshot(self, library: str) -> Snapshot | None: ...

    def snapshot_bytes(self, snapshot: Snapshot) -> AsyncIterator[bytes]: ...


async def list_changes(journal: Journal, index: Index, link: Link, *, at_least: int = 0) -> Link:
    """Read the journal from the link's cursor to its end; answers the link with its new cursor.

    ``at_least`` is a seq the service has told of: it is waited for, within bounds. A cursor the service no longer
    knows starts the tree anew, and what was agreed is reconciled with it (docs/api.md, "Starting anew").
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
    cursor, anew, begun = link.cursor, False, not link.cursor
    if begun:
        cursor, anew = await _begin(journal, index, link)
    for _ in range(PAGES_MAX):
        try:
            page = await journal.changes(link.library, cursor)
        except Refused as refused:
            if refused.kind != CURSOR_GONE or begun:
                raise
            link, begun = await asyncio.to_thread(index.begin_anew, link, _known_to(refused)), True
            cursor, anew = await _begin(journal, index, link)
            continue
        states = [change.node for change in page.changes]
        live = [remote_node(state) for state in states if not state.removed and state.id != link.library]
        gone = [state.id for state in states if state.removed]
        await asyncio.to_thread(index.learn, link, live, gone, cursor=page.cursor, seq=page.seq, anew=anew)
        cursor, anew = page.cursor, False
        if not page.more:
            if link.known_to >= 0:
                await asyncio.to_thread(index.reconcile, link)
            found = index.link(link.id)
            if found is None:
                raise Refused("not-linked", f"{link.path} is no longer linked.")
            return found
    raise Broken(f"The changes of {link.library_name} have no end.")


async def _begin(journal: Journal, index: Index, link: Link) -> tuple[str, bool]:
    """Where the changes begin, and whether the tree known so far is to be forgotten: at the end of a snapshot, which
    is the known tree then, or at the beginning of all."""
    snapshot = await journal.snapshot(link.library)
    if snapshot is not None:
        try:
            await learn_snapshot(journal, index, link, snapshot)
        except Unreadable:
            return "", True  # the journal has it all, it only takes longer
        return snapshot.cursor, False
    return "", True


def _known_to(gone: Refused) -> int:
    """A service that does not say is not sure of anything."""
    known_to = gone.facts.get("known_to", 0)
    return known_to if isinstance(known_to, int) and known_to >= 0 else 0


async def learn_snapshot(journal: Journal, index: Index, link: Link, snapshot: Snapshot) -> None:
    """Make a snapshot the known tree. Raises ``Unreadable`` before anything is learnt of one that is damaged."""
    with tempfile.SpooledTemporaryFile(SNAPSHOT_IN_MEMORY_BYTES) as file:
        digest = hashlib.sha256()
        async for piece in journal.snapshot_bytes(snapshot):
            digest.update(piece)
            await asyncio.to_thread(file.write, piece)
        if base64.b64encode(digest.digest()).decode() != snapshot.checksum:
            raise Unreadable("The snapshot is not the one that was offered.")
        await asyncio.to_thread(_learn_file, file, index, link, snapshot)


def _learn_file(file: IO[bytes], index: Index, link: Link, snapshot: Snapshot) -> None:
    file.seek(0)
    decoder, anew = TreeDecoder(), True
    while piece := file.read(SNAPSHOT_PIECE_BYTES):
        nodes = [tree_node(node) for node in decoder.feed(piece)]
        # The cursor is kept at the very end: whoever is interrupted begins again.
        index.learn(link, nodes, (), cursor="", seq=0, anew=anew)
        anew = False
    decoder.finish()
    index.learn(link, (), (), cursor=snapshot.cursor, seq=snapshot.seq)


def tree_node(node: Node) -> RemoteNode:
    version = node.version
    if version is None:
        return RemoteNode(node.id, node.parent, node.name, node.kind, node.seq, conflict_of=node.conflict_of)
    return RemoteNode(
        node=node.id,
        parent=node.parent,
        name=node.name,
        kind=node.kind,
        seq=node.seq,
        version=version.id,
        content=content_of_version(version),
        mtime_ns=version.mtime_ns,
        key=version.location.key,
        s3_version=version.location.s3_version,
        offset=version.location.offset,
        length=version.location.length,
        conflict_of=node.conflict_of,
    )


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
        content=content_of_version(version),
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
