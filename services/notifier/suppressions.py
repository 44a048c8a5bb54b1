"""Suppressed addresses: mail is not sent to them any more, and why.

Rows in the table ``mail``: ``pk = suppressed#{address}``, ``sk = suppressed``, ``reason``, ``at_ms``.
"""

from __future__ import annotations

from syncline.ports.clock import Clock
from syncline.ports.tables import Key, Put, Row, Table, Tables
from syncline.store.codec import text
from syncline.store.directory import normal_email

REASON_CHARACTERS_MAX = 500


class Suppressions:
    def __init__(self, tables: Tables, clock: Clock) -> None:
        self._tables = tables
        self._clock = clock

    async def reason(self, address: str) -> str | None:
        """Why nothing is sent to an address; None when mail is."""
        row = await self._tables.get(Table.MAIL, _key(address))
        return None if row is None else text(row, "reason")

    async def add(self, address: str, reason: str) -> None:
        """Send nothing to this address from now on. Repeating is harmless."""
        key = _key(address)
        row: Row = {
            "pk": key.pk,
            "sk": key.sk,
            "reason": reason[:REASON_CHARACTERS_MAX],
            "at_ms": self._clock.now_ms(),
        }
        await self._tables.write(Put(Table.MAIL, row))


def _key(address: str) -> Key:
    return Key(f"suppressed#{normal_email(address)}", "suppressed")
