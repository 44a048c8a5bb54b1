"""Follows: who wants mail about which library, folder or file.

Rows in the table ``directory``, the same follow found from both sides::

    pk = follows#{library}    sk = {account}#{node}   at_ms
    pk = follower#{account}   sk = {library}#{node}   at_ms
"""

from __future__ import annotations

import msgspec

from syncline.ports.tables import Delete, Key, Put, Row, Table, Tables
from syncline.store.codec import number

FOLLOWS_MAX = 10_000
"""Of one account, and of one library, so many are read at once."""
_PER_TRANSACTION = 48


class FollowRecord(msgspec.Struct, frozen=True):
    """``node`` is what is followed; the library's id is its root. ``at_ms``: since when."""

    library: str
    node: str
    account: str
    at_ms: int = 0


class Follows:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def follow(self, library: str, node: str, account: str, *, at_ms: int = 0) -> FollowRecord:
        """Begin to follow. Repeating is harmless."""
        record = FollowRecord(library, node, account, at_ms)
        await self._tables.transact(
            [
                Put(Table.DIRECTORY, {"pk": key.pk, "sk": key.sk, "at_ms": at_ms})
                for key in _keys(library, node, account)
            ]
        )
        return record

    async def unfollow(self, library: str, node: str, account: str) -> None:
        """End a follow; harmless when there is none."""
        await self._drop([FollowRecord(library, node, account)])

    async def of_account(self, account: str) -> list[FollowRecord]:
        rows = self._tables.query(Table.DIRECTORY, f"follower#{account}", limit=FOLLOWS_MAX)
        return [_record(row, account=account) async for row in rows]

    async def of_library(self, library: str) -> list[FollowRecord]:
        rows = self._tables.query(Table.DIRECTORY, f"follows#{library}", limit=FOLLOWS_MAX)
        return [_record(row, library=library) async for row in rows]

    async def drop_all(self, account: str, library: str | None = None) -> None:
        """End all follows of an account, or those in one library."""
        follows = await self.of_account(account)
        await self._drop([follow for follow in follows if library in (None, follow.library)])

    async def _drop(self, follows: list[FollowRecord]) -> None:
        for start in range(0, len(follows), _PER_TRANSACTION):
            some = follows[start : start + _PER_TRANSACTION]
            keys = [key for follow in some for key in _keys(follow.library, follow.node, follow.account)]
            await self._tables.transact([Delete(Table.DIRECTORY, key) for key in keys])


def _keys(library: str, node: str, account: str) -> tuple[Key, Key]:
    return (
        Key(f"follows#{library}", f"{account}#{node}"),
        Key(f"follower#{account}", f"{library}#{node}"),
    )


def _record(row: Row, *, library: str = "", account: str = "") -> FollowRecord:
    other, _, node = str(row["sk"]).partition("#")
    return FollowRecord(library or other, node, account or other, number(row, "at_ms"))
