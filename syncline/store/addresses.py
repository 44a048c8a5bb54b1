"""A change of address that waits for its confirmations, at most one per account.

Rows in the table ``directory``: ``pk = account#{account}``, ``sk = address``, body (packed AddressChange),
``rev``, ``expires_at``.
"""

from __future__ import annotations

import msgspec

from syncline.ports.tables import Delete, Equals, Key, Put, Row, Table, Tables
from syncline.store.codec import blob, number, pack, unpack


class AddressChange(msgspec.Struct, frozen=True, array_like=True):
    """``old_confirmed`` and ``new_confirmed``: the link sent there was used. ``ends_at`` is Unix s."""

    id: str
    account: str
    old: str
    new: str
    ends_at: int
    old_confirmed: bool = False
    new_confirmed: bool = False
    language: str = ""


class AddressChanges:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def get(self, account: str) -> AddressChange | None:
        row = await self._tables.get(Table.DIRECTORY, _key(account))
        return None if row is None else unpack(AddressChange, blob(row, "body"))

    async def begin(self, change: AddressChange) -> None:
        """Replaces one that was begun earlier: its links work no more."""
        key = _key(change.account)
        row: Row = {"pk": key.pk, "sk": key.sk, "rev": 1, "body": pack(change), "expires_at": change.ends_at}
        await self._tables.write(Put(Table.DIRECTORY, row))

    async def confirm(self, account: str, change: str, *, new: bool) -> AddressChange | None:
        """One side says yes: the change as it is then, None when it is gone or replaced.

        Raises ``ConditionFailed`` when both sides confirm in the same moment: try again.
        """
        row = await self._tables.get(Table.DIRECTORY, _key(account))
        found = None if row is None else unpack(AddressChange, blob(row, "body"))
        if row is None or found is None or found.id != change:
            return None
        side = {"new_confirmed": True} if new else {"old_confirmed": True}
        confirmed = msgspec.structs.replace(found, **side)
        rev = number(row, "rev")
        newer = {**row, "rev": rev + 1, "body": pack(confirmed)}
        await self._tables.write(Put(Table.DIRECTORY, newer, Equals({"rev": rev})))
        return confirmed

    async def drop(self, account: str) -> None:
        await self._tables.write(Delete(Table.DIRECTORY, _key(account)))


def _key(account: str) -> Key:
    return Key(f"account#{account}", "address")
