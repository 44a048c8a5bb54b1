"""Making snapshots: the newest one, with the changes since laid over it, becomes the next one.

Memory: the changes since the last snapshot, and the compressed result; never the whole tree.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

from syncline.domain.errors import ConditionFailed, NotFound
from syncline.domain.nodes import Node
from syncline.messages.envelope import Unreadable
from syncline.messages.tree_stream import NODES_PER_BLOCK, Begin, TreeDecoder, TreeEncoder
from syncline.ports.clock import Clock
from syncline.ports.objects import ObjectInfo, ObjectStore
from syncline.store.archiving import ArchiveStore, SnapshotRecord
from syncline.store.journal import Journal
from syncline.store.rows import final_states

SNAPSHOT_CHANGES = 10_000
"""After so many changes a library gets a snapshot, and again when as many, or a fifth of its nodes, have changed."""
SHARE_OF_NODES = 5
READ_BYTES = 8 * 1024 * 1024


def snapshot_key(library: str, incarnation: str, seq: int) -> str:
    return f"{snapshots_prefix(library, incarnation)}{seq:012d}"


def snapshots_prefix(library: str, incarnation: str) -> str:
    return f"snapshots/{library}/{incarnation}/"


def is_due(newest: SnapshotRecord | None, changes: int, threshold: int) -> bool:
    """Whether a journal of so many changes wants another snapshot. A large library waits for more: the cost of all its
    snapshots stays in proportion to its changes."""
    if newest is None:
        return changes >= threshold
    return changes - newest.changes >= max(threshold, newest.nodes // SHARE_OF_NODES)


class TreeSnapshots:
    def __init__(self, objects: ObjectStore, journal: Journal, store: ArchiveStore, clock: Clock) -> None:
        self._objects = objects
        self._journal = journal
        self._store = store
        self._clock = clock

    async def make(self, library: str, incarnation: str, seq: int, *, changes: int) -> SnapshotRecord:
        """Write the snapshot at ``seq``, by which the journal has ``changes`` changes. Repeating is harmless."""
        newest = await self._store.snapshot(library, incarnation)
        if newest is not None and newest.seq >= seq:
            return newest
        try:
            return await self._make_from(newest, library, incarnation, seq, changes)
        except (Unreadable, NotFound):
            # Damaged or gone: the journal has it all, if at a price.
            return await self._make_from(None, library, incarnation, seq, changes)

    async def _make_from(
        self, newest: SnapshotRecord | None, library: str, incarnation: str, seq: int, changes: int
    ) -> SnapshotRecord:
        changed: dict[str, Node] = {}
        async for commit in self._journal.read(library, newest.seq if newest else 0, seq):
            changed.update(final_states(commit))
        encoder = TreeEncoder()
        body = bytearray(encoder.begin(Begin(library, incarnation, seq)))
        block: list[Node] = []
        async for node in _merged(self._nodes(newest), changed):
            block.append(node)
            if len(block) == NODES_PER_BLOCK:
                body += encoder.nodes(block)
                block.clear()
                await asyncio.sleep(0)  # a large tree takes seconds; others have their turns
        if block:
            body += encoder.nodes(block)
        body += encoder.end()
        stored = await self._put(snapshot_key(library, incarnation, seq), bytes(body))
        record = SnapshotRecord(
            library,
            incarnation,
            seq,
            stored.key,
            stored.s3_version,
            stored.size_bytes,
            stored.checksum,
            encoder.nodes_written,
            changes,
            self._clock.now_ms(),
        )
        await self._store.keep_snapshot(record)
        return record

    async def _nodes(self, record: SnapshotRecord | None) -> AsyncIterator[Node]:
        """The nodes of a snapshot in order of id. Raises ``Unreadable``, ``NotFound``."""
        if record is None:
            return
        decoder = TreeDecoder()
        for offset in range(0, record.size_bytes, READ_BYTES):
            length = min(READ_BYTES, record.size_bytes - offset)
            piece = await self._objects.get(record.key, record.s3_version, offset=offset, length=length)
            for node in decoder.feed(piece):
                yield node
        decoder.finish()

    async def _put(self, key: str, body: bytes) -> ObjectInfo:
        try:
            return await self._objects.put(key, body, only_if_absent=True)
        except ConditionFailed:
            return await self._objects.head(key)  # made before, or by somebody else, of the same journal


async def _merged(before: AsyncIterator[Node], changed: Mapping[str, Node]) -> AsyncIterator[Node]:
    """Those that are there afterwards, in order of id: what did not change, and what changed but was not removed."""
    waiting = iter(sorted(changed))
    following = next(waiting, None)
    async for node in before:
        while following is not None and following < node.id:
            if not changed[following].removed:
                yield changed[following]
            following = next(waiting, None)
        if node.id not in changed:
            yield node
    while following is not None:
        if not changed[following].removed:
            yield changed[following]
        following = next(waiting, None)
