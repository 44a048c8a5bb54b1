"""Rows of views that an earlier life of a journal left behind, found without a scan: what is known leads to the rest.

Every node was placed in some folder, so the folders' rows name all nodes; their rows name the versions.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TypeVar

from syncline.domain.nodes import Kind
from syncline.ports.tables import Delete, Key, Row, Table, Tables
from syncline.store.codec import number
from syncline.store.rows import (
    FOLDER_BUCKETS,
    copy_key,
    folder_partition,
    name_and_seq,
    node_in,
    node_partition,
    purged_key,
    record_in,
    removal_seqs,
    seq_in,
    trash_partition,
    version_key,
    versions_in,
)
from syncline.store.together import together

T = TypeVar("T")

NODES_AT_ONCE = 16
DELETES_AT_ONCE = 16


class Leftovers:
    """Of one library: rows that speak of seqs after ``upto``."""

    def __init__(self, tables: Tables, library: str, upto: int) -> None:
        self._tables = tables
        self._library = library
        self._upto = upto
        self._found: set[str] = set()
        self._folders: set[str] = {library}
        self._versions: set[str] = set()
        self._version_rows = 0

    async def remove(self, folders: Iterable[str], nodes: Iterable[str], versions: Iterable[str]) -> int:
        """Remove what is found from these on; how many rows. Only while nobody writes to the library."""
        self._versions.update(versions)
        self._folders.update(folders)
        count, todo, seen = 0, {*self._folders, *nodes}, set[str]()
        while todo:
            count += sum(await together(list(todo), self._remove_of, at_once=NODES_AT_ONCE))
            seen |= todo
            todo = self._found - seen
        return count + await self._remove_removals() + await self._remove_versions()

    async def _remove_of(self, node: str) -> int:
        late = [row async for row in self._late_rows(node)]
        for row in late:
            await self._delete(row)
        return len(late)

    async def _late_rows(self, node: str) -> AsyncIterator[Row]:
        async for row in self._tables.query(Table.VIEWS, node_partition(self._library, node)):
            state = node_in(row)
            if state is None:
                continue
            if state.kind is Kind.FOLDER:
                self._folders.add(node)
            if (seq_in(row) or state.seq) <= self._upto:
                continue
            if (record := versions_in(row)) is not None and record.version is not None:
                self._versions.add(record.version.id)
            yield row
        if node not in self._folders:
            return
        for bucket in range(FOLDER_BUCKETS):
            async for row in self._tables.query(Table.VIEWS, folder_partition(self._library, node, bucket)):
                if name_and_seq(row)[1] <= self._upto:
                    continue
                placed = node_in(row)
                self._found.add(placed.id if placed is not None else str(row["left"]))
                yield row

    async def _remove_removals(self) -> int:
        rows = self._tables.query(Table.VIEWS, trash_partition(self._library))
        late = [row async for row in rows if max(removal_seqs(row)) > self._upto]
        await together(late, self._delete, at_once=DELETES_AT_ONCE)
        return len(late)

    async def _remove_versions(self) -> int:
        self._versions |= {copy for some in await self._together(self._copies) for copy in some}
        late = {version for version in await self._together(self._remove_version) if version}
        stray = [
            copy_key(self._library, permit, copy)
            for permit, copies in zip(sorted(self._versions), await self._together(self._copies), strict=True)
            for copy in copies
            if copy in late
        ]
        for key in stray:
            await self._tables.write(Delete(Table.VIEWS, key))
        return self._version_rows + len(stray)

    async def _together(self, do: Callable[[str], Awaitable[T]]) -> list[T]:
        """For every version, in order of id."""
        return await together(sorted(self._versions), do, at_once=NODES_AT_ONCE)

    async def _copies(self, permit: str) -> list[str]:
        """The versions that have their bytes by this permit."""
        pk = copy_key(self._library, permit, "").pk
        return [str(row["sk"]) async for row in self._tables.query(Table.VIEWS, pk)]

    async def _remove_version(self, version: str) -> str:
        """The version if nothing is known of it any more, else ""."""
        keys = (version_key(self._library, version), purged_key(self._library, version))
        rows = await self._tables.get_many(Table.VIEWS, keys)
        made, purged = rows.get(keys[0]), rows.get(keys[1])
        late = [row for row in (made,) if row is not None and record_in(row).seq > self._upto]
        late += [row for row in (purged,) if row is not None and number(row, "seq") > self._upto]
        for row in late:
            await self._delete(row)
        self._version_rows += len(late)
        return version if made is None or made in late else ""

    async def _delete(self, row: Row) -> None:
        await self._tables.write(Delete(Table.VIEWS, Key(str(row["pk"]), str(row["sk"]))))
