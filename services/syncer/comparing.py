"""``POST /v1/sync/libraries/{library}/compare``: how what a client has differs from what the server has.

Two equal sides cost one small request: the root digest of a library at a seq is remembered in the cache, so that
neither the tree nor the client's list is needed to say so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence

from services.syncer.trees import Trees
from syncline.domain.comparing import Difference, Entry, State, compare, compared_checksum, root_digest
from syncline.domain.errors import Refused
from syncline.domain.nodes import Kind, Node, Version
from syncline.domain.paths import clean_path
from syncline.domain.tree import Tree
from syncline.messages import api
from syncline.ports.cache import Cache
from syncline.serving.states import node_state
from syncline.store.journal import Head
from syncline.store.snapshot import Snapshot
from syncline.store.tree import TreeReader

DIGEST_KEPT_S = 24 * 3600
COMPARISONS_AT_ONCE = 2
"""Each holds a client's whole list and the library's."""
VERSIONS_LOOKED_AT = 100
"""A file's latest versions among which an earlier content is looked for."""
FILES_LOOKED_AT = 2_000
"""Differing files whose versions are read; those beyond are told as "different"."""
READS_AT_ONCE = 8

Content = tuple[int, str]
"""(size in bytes, checksum as it is compared)."""


class Comparing:
    """Compares. Raises ``Refused`` for paths that nothing can have, ``Temporary``."""

    def __init__(self, trees: Trees, reader: TreeReader, cache: Cache) -> None:
        self._trees = trees
        self._reader = reader
        self._cache = cache
        self._at_once = asyncio.Semaphore(COMPARISONS_AT_ONCE)
        self._reading = asyncio.Semaphore(READS_AT_ONCE)

    async def compare(self, library: str, head: Head, asked: api.CompareRequest) -> api.CompareAnswer:
        """As of ``head`` or a little later; the answer says which seq."""
        remembered = await self._cache.get(_digest_key(library, head))
        if remembered is not None and (remembered.decode() == asked.digest or asked.held is None):
            digest = remembered.decode()
            return api.CompareAnswer(seq=head.seq, equal=digest == asked.digest, digest=digest)
        async with self._at_once:
            return await self._compare(library, head, asked)

    async def _compare(self, library: str, head: Head, asked: api.CompareRequest) -> api.CompareAnswer:
        async with self._trees.at(library, head) as tree:
            # In a thread, as it may take seconds; nobody moves the tree meanwhile.
            remote, nodes, digest = await asyncio.to_thread(_listed, tree)
            seq = tree.seq
        at = Head(seq, head.epoch, head.incarnation)
        await self._cache.put(_digest_key(library, at), digest.encode(), ttl_s=DIGEST_KEPT_S)
        equal = digest == asked.digest
        if equal or asked.held is None:
            return api.CompareAnswer(seq=seq, equal=equal, digest=digest)
        held = asked.held
        here = await asyncio.to_thread(_entries, held)
        found = await asyncio.to_thread(compare, here.values(), remote, _never)
        newer = await self._newer(library, found, here)
        return api.CompareAnswer(
            seq=seq,
            equal=not found,
            digest=digest,
            differences=[_difference_state(difference, nodes, newer) for difference in found],
        )

    async def _newer(self, library: str, found: Sequence[Difference], here: Mapping[str, Entry]) -> set[str]:
        """The paths whose content at the client is an earlier version of the server's file."""
        checked = [d for d in found if d.state is State.DIFFERENT and d.node][:FILES_LOOKED_AT]
        if not checked:
            return set()
        snapshot = await self._reader.at_head(library)
        past = await asyncio.gather(*(self._past(snapshot, d.node) for d in checked))
        return {d.path for d, versions in zip(checked, past, strict=True) if here[d.path][2:4] in versions}

    async def _past(self, snapshot: Snapshot, node: str) -> set[Content]:
        async with self._reading:
            records = await snapshot.versions(node, limit=VERSIONS_LOOKED_AT)
        return {_content(r.version) for r in records if r.version is not None}


def _digest_key(library: str, head: Head) -> str:
    return f"digest:{library}:{head.incarnation}:{head.seq}"


def _never(_node: str, _size_bytes: int, _checksum: str) -> bool:
    """Versions are looked at afterwards, those of the differing files only."""
    return False


def _listed(tree: Tree) -> tuple[list[Entry], dict[str, Node], str]:
    """(entries, nodes by id, root digest) of everything live."""
    nodes = {node.id: node for node in tree.live_nodes()}
    entries = list(_paths(tree.library, nodes))
    return entries, nodes, root_digest(entries)


def _paths(library: str, nodes: dict[str, Node]) -> Iterator[Entry]:
    """Folders come before what is in them, so each path is its folder's with one more name."""
    folders = {library: ""}
    for node in nodes.values():
        above = folders[node.parent]
        path = f"{above}/{node.name}" if above else node.name
        if node.kind is Kind.FOLDER:
            folders[node.id] = path
        version = node.version
        size_bytes, checksum = _content(version) if version else (0, "")
        yield Entry(path, node.kind, size_bytes, checksum, node.id)


def _content(version: Version) -> Content:
    return version.size_bytes, compared_checksum(version.checksum, symlink=version.symlink)


def _entries(held: Sequence[api.Held]) -> dict[str, Entry]:
    """What a client holds, by clean path. Raises ``Refused`` (422, ``at`` says which): "bad-name", "bad-path"."""
    entries: dict[str, Entry] = {}
    for position, item in enumerate(held):
        try:
            path = clean_path(item.path)
        except Refused as error:
            raise Refused(error.kind, error.detail, status=422, at=f"$.held[{position}].path") from None
        kind = Kind.FILE if item.checksum else Kind.FOLDER
        entries[path] = Entry(path, kind, item.size_bytes if item.checksum else 0, item.checksum)
    return entries


def _difference_state(difference: Difference, nodes: dict[str, Node], newer: set[str]) -> api.DifferenceState:
    state = State.NEWER if difference.path in newer else difference.state
    node = nodes.get(difference.node)
    shown = None if node is None else node_state(node, path=difference.path)
    return api.DifferenceState(path=difference.path, state=state.value, node=shown)
