"""Outside followers: people without an account who get mail about something in one library, once they confirmed.

Rows in the table ``directory``::

    pk = outsiders#{library}  sk = {outsider}  email, state, language, invited_by, invited_at_ms, node, wishes …,
                                               confirmed_at_ms, ends_at_s
    pk = outsiders#{library}  sk = !rules      links

What an outside follower follows lies in ``syncline.store.follows``, under the outsider's id; only after confirming.
The id follows from library and address, so that inviting twice is one follower.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum

import msgspec

from syncline.domain.ids import id_from_bytes
from syncline.domain.preferences import Wishes
from syncline.ports.tables import Delete, Key, Put, Row, Table, Tables
from syncline.store.codec import number, pack, text, unpack
from syncline.store.directory import normal_email

OUTSIDERS_MAX = 1_000
"""Of one library, invited or confirmed."""

OUTSIDE_LIFE_S = 365 * 24 * 3600
"""A confirmation is good for a year; mail in the last weeks has a link that renews it."""

RENEWAL_S = 45 * 24 * 3600
"""So long before the end mail asks whether to go on."""

_RULES = "!rules"
_FIRST_ID, _LAST_ID = "2", "~"


class State(StrEnum):
    """Where an outside follower stands. ``invited → confirmed → left``, and back by another invitation."""

    INVITED = "invited"
    CONFIRMED = "confirmed"
    LEFT = "left"


class OutsiderRecord(msgspec.Struct, frozen=True):
    """``node`` and ``wishes`` are those of the last invitation. Nothing is sent after ``ends_at_s``."""

    id: str
    library: str
    email: str
    state: State
    language: str
    invited_by: str
    invited_at_ms: int
    node: str
    wishes: Wishes = Wishes()
    confirmed_at_ms: int = 0
    ends_at_s: int = 0

    def hears(self, now_s: int) -> bool:
        """Whether mail may be sent to them."""
        return self.state is State.CONFIRMED and now_s < self.ends_at_s


class OutsideRules(msgspec.Struct, frozen=True):
    """What a library allows outside followers. ``links``: links in their mail open files."""

    links: bool = False


def outsider_id(library: str, email: str) -> str:
    return id_from_bytes(hashlib.sha256(f"outsider\0{library}\0{normal_email(email)}".encode()).digest())


class Outsiders:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def get(self, library: str, outsider: str) -> OutsiderRecord | None:
        row = await self._tables.get(Table.DIRECTORY, _key(library, outsider))
        return None if row is None else _record(library, row)

    async def put(self, record: OutsiderRecord) -> None:
        key = _key(record.library, record.id)
        row: Row = {
            "pk": key.pk,
            "sk": key.sk,
            "email": record.email,
            "state": record.state.value,
            "language": record.language,
            "invited_by": record.invited_by,
            "invited_at_ms": record.invited_at_ms,
            "node": record.node,
            "wishes": pack(record.wishes),
            "confirmed_at_ms": record.confirmed_at_ms,
            "ends_at_s": record.ends_at_s,
        }
        await self._tables.write(Put(Table.DIRECTORY, row))

    async def of_library(self, library: str) -> list[OutsiderRecord]:
        """All of them, by id, whatever their state."""
        rows = self._tables.query(
            Table.DIRECTORY, f"outsiders#{library}", first=_FIRST_ID, last=_LAST_ID, limit=OUTSIDERS_MAX
        )
        return [_record(library, row) async for row in rows]

    async def remove(self, library: str, outsider: str) -> None:
        """Forget one; harmless when there is none. Their follows are for the caller to drop, first."""
        await self._tables.write(Delete(Table.DIRECTORY, _key(library, outsider)))

    async def rules(self, library: str) -> OutsideRules:
        row = await self._tables.get(Table.DIRECTORY, _key(library, _RULES))
        return OutsideRules() if row is None else OutsideRules(links=row.get("links") is True)

    async def set_rules(self, library: str, rules: OutsideRules) -> None:
        key = _key(library, _RULES)
        await self._tables.write(Put(Table.DIRECTORY, {"pk": key.pk, "sk": key.sk, "links": rules.links}))


def _key(library: str, outsider: str) -> Key:
    return Key(f"outsiders#{library}", outsider)


def _record(library: str, row: Row) -> OutsiderRecord:
    return OutsiderRecord(
        str(row["sk"]),
        library,
        text(row, "email"),
        State(text(row, "state")),
        text(row, "language"),
        text(row, "invited_by"),
        number(row, "invited_at_ms"),
        text(row, "node"),
        unpack(Wishes, row["wishes"]),
        number(row, "confirmed_at_ms"),
        number(row, "ends_at_s"),
    )
