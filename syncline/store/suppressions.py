"""Suppressed addresses: mail is not sent to them any more, since when and why, until it is lifted.

Rows in the table ``mail``: ``pk = suppressed#{address}``, ``sk = suppressed``, ``reason``, ``at_ms``, ``lifted?``,
``lifts?`` (how often it was lifted: the next bounce suppresses again, and not endlessly).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from syncline.domain.errors import ConditionFailed, Refused
from syncline.ports.clock import Clock
from syncline.ports.tables import Exists, Key, Row, Table, Tables, Update
from syncline.store.codec import number, text
from syncline.store.directory import normal_email

REASON_CHARACTERS_MAX = 500
LIFTS_MAX = 3
"""An address that bounced after so many liftings is for an operator to look at: SES counts bounces against us."""


class Suppression(msgspec.Struct, frozen=True):
    """Why nothing is sent to an address, and since when."""

    reason: str
    at_ms: int


class Suppressions:
    def __init__(self, tables: Tables, clock: Clock) -> None:
        self._tables = tables
        self._clock = clock

    async def get(self, address: str) -> Suppression | None:
        """Why nothing is sent to an address; None when mail is."""
        row = await self._tables.get(Table.MAIL, _key(address))
        return _suppression(row)

    async def among(self, addresses: Sequence[str]) -> dict[str, Suppression]:
        """The suppressed ones among these addresses."""
        keys = {address: _key(address) for address in addresses}
        rows = await self._tables.get_many(Table.MAIL, list(keys.values()))
        found = {address: _suppression(rows.get(key)) for address, key in keys.items()}
        return {address: suppression for address, suppression in found.items() if suppression is not None}

    async def reason(self, address: str) -> str | None:
        found = await self.get(address)
        return None if found is None else found.reason

    async def add(self, address: str, reason: str) -> None:
        """Send nothing to this address from now on. Repeating is harmless."""
        said: Row = {"reason": reason[:REASON_CHARACTERS_MAX], "at_ms": self._clock.now_ms(), "lifted": False}
        await self._tables.write(Update(Table.MAIL, _key(address), set=said))

    async def lift(self, address: str) -> None:
        """Send mail again; harmless when it is. Raises ``Refused("lifted-too-often")``."""
        row = await self._tables.get(Table.MAIL, _key(address))
        if row is None or _suppression(row) is None:
            return
        lifts = number(row, "lifts") if "lifts" in row else 0
        if lifts >= LIFTS_MAX:
            detail = "Mail to this address failed again each time; ask whoever runs this server to look into it."
            raise Refused("lifted-too-often", detail, status=409)
        try:
            await self._tables.write(
                Update(Table.MAIL, _key(address), set={"lifted": True}, add={"lifts": 1}, when=Exists())
            )
        except ConditionFailed:
            return  # the row went meanwhile: nothing is suppressed


def _suppression(row: Row | None) -> Suppression | None:
    if row is None or row.get("lifted") is True:
        return None
    return Suppression(text(row, "reason"), number(row, "at_ms"))


def _key(address: str) -> Key:
    return Key(f"suppressed#{normal_email(address)}", "suppressed")
