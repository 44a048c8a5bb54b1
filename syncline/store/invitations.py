"""Invitations by mail, to people who have no account yet.

Rows in the table ``directory``, all with ``expires_at`` some time after the invitation's end::

    pk = invitation#{invitation}   sk = invitation              body (packed InvitationRecord)
    pk = library#{library}         sk = invited#{invitation}    (a library's invitations)
    pk = invited#{email}           sk = {library}               invitation (an address's; "-" for no library)
"""

from __future__ import annotations

import msgspec

from syncline.domain.errors import Refused
from syncline.domain.rights import Role
from syncline.ports.tables import Delete, Key, Put, Row, Table, Tables
from syncline.store.codec import blob, pack, text, unpack

INVITATIONS_PER_LIBRARY_MAX = 500
KEPT_S = 30 * 24 * 3600
"""An invitation that has ended is remembered so long, to say so."""
_NO_LIBRARY = "-"


class InvitationRecord(msgspec.Struct, frozen=True, array_like=True):
    """``library`` "" invites to register only. ``inviter`` is an account; ``ends_at`` Unix s."""

    id: str
    library: str
    email: str
    role: Role
    inviter: str
    created_at_ms: int
    ends_at: int
    sent_at_ms: int = 0


class Invitations:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def get(self, invitation: str) -> InvitationRecord | None:
        row = await self._tables.get(Table.DIRECTORY, _key(invitation))
        return None if row is None else _record(row)

    async def to(self, email: str, library: str) -> InvitationRecord | None:
        """The invitation of this address to this library."""
        row = await self._tables.get(Table.DIRECTORY, _address_key(email, library))
        return None if row is None else await self.get(text(row, "invitation"))

    async def of_library(self, library: str) -> list[InvitationRecord]:
        rows = self._tables.query(
            Table.DIRECTORY,
            f"library#{library}",
            first="invited#",
            last="invited#~",
            limit=2 * INVITATIONS_PER_LIBRARY_MAX,
        )
        return await self._many([str(row["sk"]).removeprefix("invited#") async for row in rows])

    async def of_email(self, email: str) -> list[InvitationRecord]:
        rows = self._tables.query(Table.DIRECTORY, f"invited#{email}", limit=INVITATIONS_PER_LIBRARY_MAX)
        return await self._many([text(row, "invitation") async for row in rows])

    async def put(self, invitation: InvitationRecord, *, now_s: int) -> None:
        """Store an invitation or its newer state. Raises ``Refused("too-many-invitations")``."""
        if invitation.library and await self.to(invitation.email, invitation.library) is None:
            await self._refuse_too_many(invitation.library, now_s)
        gone_at = invitation.ends_at + KEPT_S
        body = pack(invitation)
        address = _address_key(invitation.email, invitation.library)
        puts = [
            _put(_key(invitation.id), body=body, expires_at=gone_at),
            _put(address, invitation=invitation.id, expires_at=gone_at),
        ]
        if invitation.library:
            puts.append(_put(_library_key(invitation), expires_at=gone_at))
        await self._tables.transact(puts)

    async def drop(self, invitation: InvitationRecord) -> None:
        """Accepted or revoked. Repeating is harmless."""
        keys = [_key(invitation.id), _address_key(invitation.email, invitation.library)]
        if invitation.library:
            keys.append(_library_key(invitation))
        await self._tables.transact([Delete(Table.DIRECTORY, key) for key in keys])

    async def _refuse_too_many(self, library: str, now_s: int) -> None:
        open_ = [one for one in await self.of_library(library) if one.ends_at > now_s]
        if len(open_) >= INVITATIONS_PER_LIBRARY_MAX:
            detail = f"{INVITATIONS_PER_LIBRARY_MAX} invitations are open already; revoke some first."
            raise Refused("too-many-invitations", detail, status=409)

    async def _many(self, ids: list[str]) -> list[InvitationRecord]:
        rows = await self._tables.get_many(Table.DIRECTORY, [_key(one) for one in ids]) if ids else {}
        return sorted(map(_record, rows.values()), key=lambda one: (one.created_at_ms, one.id))


def _key(invitation: str) -> Key:
    return Key(f"invitation#{invitation}", "invitation")


def _address_key(email: str, library: str) -> Key:
    return Key(f"invited#{email}", library or _NO_LIBRARY)


def _library_key(invitation: InvitationRecord) -> Key:
    return Key(f"library#{invitation.library}", f"invited#{invitation.id}")


def _put(key: Key, **values: str | int | bytes) -> Put:
    return Put(Table.DIRECTORY, {"pk": key.pk, "sk": key.sk, **values})


def _record(row: Row) -> InvitationRecord:
    return unpack(InvitationRecord, blob(row, "body"))
