"""One folder's children, in order of name, merged from its buckets as far as a caller reads."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator

from syncline.domain.nodes import Node
from syncline.ports.tables import Row, Table, Tables
from syncline.store.rows import FOLDER_BUCKETS, folder_partition, name_and_seq, node_in

ROWS_AT_ONCE_MIN = 16
ROWS_AT_ONCE_MAX = 1_000


class FolderReader:
    """Reads one folder as of one seq. ``rows_read`` counts what it cost so far."""

    def __init__(self, tables: Tables, library: str, parent: str, at: int) -> None:
        self._tables = tables
        self._library = library
        self._parent = parent
        self._at = at
        self.rows_read = 0

    async def children(self, *, after: str = "", expected: int = ROWS_AT_ONCE_MAX) -> AsyncIterator[Node]:
        """The nodes placed here, names after ``after``; ``expected`` is how many the caller means to take."""
        rows_at_once = min(max(ROWS_AT_ONCE_MIN, 2 * expected // FOLDER_BUCKETS), ROWS_AT_ONCE_MAX)
        buckets = [self._bucket(bucket, after, rows_at_once) for bucket in range(FOLDER_BUCKETS)]
        firsts = await asyncio.gather(*(anext(nodes, None) for nodes in buckets))
        heap = [(node.name, index, node) for index, node in enumerate(firsts) if node is not None]
        heapq.heapify(heap)
        while heap:
            _, index, node = heap[0]
            yield node
            following = await anext(buckets[index], None)
            if following is None:
                heapq.heappop(heap)
            else:
                heapq.heapreplace(heap, (following.name, index, following))

    async def _bucket(self, bucket: int, after: str, rows_at_once: int) -> AsyncIterator[Node]:
        """The nodes of one bucket: of the rows of one name the last one up to the seq counts."""
        newest: Row | None = None
        async for row in self._rows(bucket, after, rows_at_once):
            if newest is not None and name_and_seq(newest)[0] != name_and_seq(row)[0]:
                if (node := node_in(newest)) is not None:
                    yield node
                newest = None
            if name_and_seq(row)[1] <= self._at:
                newest = row
        if newest is not None and (node := node_in(newest)) is not None:
            yield node

    async def _rows(self, bucket: int, after: str, rows_at_once: int) -> AsyncIterator[Row]:
        pk = folder_partition(self._library, self._parent, bucket)
        # U+0001 follows the NUL that ends a name: everything of the name `after` lies before it.
        first = f"{after}\x01" if after else ""
        while True:
            last_key = ""
            count = 0
            async for row in self._tables.query(Table.VIEWS, pk, first=first, limit=rows_at_once):
                last_key, count = str(row["sk"]), count + 1
                self.rows_read += 1
                yield row
            if count < rows_at_once:
                return
            first = f"{last_key}\0"
