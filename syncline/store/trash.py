"""The trash: what was removed and not restored, newest first, read from the rows that removals leave (``rows``)."""

from __future__ import annotations

from dataclasses import dataclass

from syncline.ports.tables import Row, Table, Tables
from syncline.store.codec import unpack
from syncline.store.rows import Removal, digits, removal_key, rows_of, trash_partition
from syncline.store.snapshot import Snapshot

ROWS_PER_ENTRY_MAX = 8
"""A page reads at most so many rows for each entry asked for: what was restored leaves rows too. It may be short."""


@dataclass(frozen=True)
class TrashPage:
    """``after`` is where the next page begins, "" when this is the last."""

    removals: list[Removal]
    after: str


class Trash:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def page(self, snapshot: Snapshot, after: str, limit: int) -> TrashPage:
        """Up to ``limit`` removals that still count at the snapshot's seq, those before ``after``."""
        found: list[Removal] = []
        back: set[str] = set()
        newer = self._newer(snapshot)
        rows_max = limit * ROWS_PER_ENTRY_MAX
        read, last = 0, ""
        for row in newer:
            _mark_back(row, back)
        for row in newer:
            last = str(row["sk"])
            if not after or last < after:
                _take(row, back, found)
            if len(found) == limit:
                return TrashPage(found, last)
        upto = f"{digits(snapshot.overlay.base)}~"
        rows = self._tables.query(
            Table.VIEWS,
            trash_partition(snapshot.library),
            last=min(upto, after) if after else upto,
            descending=True,
            limit=rows_max,
        )
        async for row in rows:
            read, last = read + 1, str(row["sk"])
            if _back_seq(last) > snapshot.overlay.base:
                continue
            _mark_back(row, back)
            if last != after:
                _take(row, back, found)
            if len(found) == limit:
                return TrashPage(found, last)
        return TrashPage(found, last if read == rows_max else "")

    async def counts(self, snapshot: Snapshot, node: str, seq: int) -> bool:
        """Whether the removal of a node at ``seq`` still counts."""
        first, last = (
            removal_key(snapshot.library, seq, node, 1),
            removal_key(snapshot.library, seq, node, snapshot.seq),
        )
        if any(first.sk <= str(row["sk"]) <= last.sk for row in self._newer(snapshot)):
            return False
        rows = self._tables.query(Table.VIEWS, first.pk, first=first.sk, last=last.sk, limit=1)
        return not [row async for row in rows]

    def _newer(self, snapshot: Snapshot) -> list[Row]:
        """The rows that the views lack so far, in the order of reading."""
        pk = trash_partition(snapshot.library)
        rows = [row for commit in snapshot.overlay.commits for row in rows_of(commit) if row["pk"] == pk]
        return sorted(rows, key=lambda row: str(row["sk"]), reverse=True)


def _back_seq(sk: str) -> int:
    """Since when the removal counts no more, for a row that says so; else 0."""
    parts = sk.split("#")
    return int(parts[2]) if len(parts) > 2 else 0


def _mark_back(row: Row, back: set[str]) -> None:
    sk = str(row["sk"])
    if _back_seq(sk):
        back.add(sk.rpartition("#")[0])


def _take(row: Row, back: set[str], found: list[Removal]) -> None:
    sk = str(row["sk"])
    if not _back_seq(sk) and sk not in back:
        found.append(unpack(Removal, row["body"]))
