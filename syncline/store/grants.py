"""Grants: one credential's life each, found again by the hour it was opened in.

Rows in the table ``directory``::

    pk = grant#{grant}        sk = grant     body (packed GrantRecord), expires_at
    pk = grants#{hour}        sk = {grant}   expires_at (the index: Unix hour of opening)

``expires_at`` is when the row may go, long after the credential's own end.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec

from syncline.ports.tables import Key, Row, Table, Tables
from syncline.store.codec import pack, unpack

GRANT_KEPT_S = 30 * 24 * 3600
_HOUR_MS = 3_600_000
_READ_AT_ONCE = 100


class GrantRecord(msgspec.Struct, frozen=True, array_like=True):
    """``prefix`` is what the credential may write under; ``expires_at`` (Unix s) its newest credential's end."""

    id: str
    library: str
    account: str
    device: str
    prefix: str
    direct: bool
    opened_at_ms: int
    expires_at: int


def hour_of(at_ms: int) -> int:
    """The hour of the index that a grant opened at this time lies in: Unix hours."""
    return at_ms // _HOUR_MS


class Grants:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def open(self, grant: GrantRecord) -> None:
        """Store a grant, or its newer state (a later ``expires_at``). Repeating is harmless."""
        key = _key(grant.id)
        gone_at = grant.expires_at + GRANT_KEPT_S
        rows: list[Row] = [
            {"pk": key.pk, "sk": key.sk, "body": pack(grant), "expires_at": gone_at},
            {"pk": _index(hour_of(grant.opened_at_ms)), "sk": grant.id, "expires_at": gone_at},
        ]
        await self._tables.put_many(Table.DIRECTORY, rows)

    async def get(self, grant: str) -> GrantRecord | None:
        row = await self._tables.get(Table.DIRECTORY, _key(grant))
        return None if row is None else unpack(GrantRecord, row["body"])

    async def opened_in(self, hour: int) -> AsyncIterator[GrantRecord]:
        """The grants opened in one Unix hour, by id."""
        ids: list[str] = []
        async for row in self._tables.query(Table.DIRECTORY, _index(hour)):
            ids.append(str(row["sk"]))
            if len(ids) == _READ_AT_ONCE:
                for grant in await self._many(ids):
                    yield grant
                ids = []
        for grant in await self._many(ids):
            yield grant

    async def _many(self, ids: list[str]) -> list[GrantRecord]:
        rows = await self._tables.get_many(Table.DIRECTORY, [_key(grant) for grant in ids]) if ids else {}
        return [unpack(GrantRecord, rows[_key(grant)]["body"]) for grant in ids if _key(grant) in rows]


def _key(grant: str) -> Key:
    return Key(f"grant#{grant}", "grant")


def _index(hour: int) -> str:
    return f"grants#{hour}"
