"""Failed attempts at passwords; what follows from them is in ``syncline.domain.lockouts``.

Rows in the table ``directory``: ``pk = failures#{who}``, ``sk = failures``, ``count``, ``last_ms``, ``until_ms``,
``known``, ``rev``, ``expires_at``. ``who`` is a hash: the table need not say who tried to sign in from where.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from syncline.domain.lockouts import Failures
from syncline.ports.tables import Absent, Delete, Equals, Key, Put, Row, Table, Tables
from syncline.store.codec import number

KEPT_S = 2 * 24 * 3600
KNOWN_KEPT_S = 90 * 24 * 3600


class Counted(Failures, frozen=True):
    """Failures as stored; ``rev`` is for the condition of the next write, 0 when nothing is stored."""

    rev: int = 0


class Lockouts:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def read(self, who: Sequence[str]) -> list[Counted]:
        """What is counted for each, in order. One call, a read unit each."""
        keys = [_key(one) for one in who]
        rows = await self._tables.get_many(Table.DIRECTORY, keys)
        return [_counted(rows.get(key)) for key in keys]

    async def write(self, who: str, before: Counted, after: Failures) -> None:
        """Raises ``ConditionFailed`` when another attempt was counted meanwhile."""
        key = _key(who)
        row: Row = {
            "pk": key.pk,
            "sk": key.sk,
            "count": after.count,
            "last_ms": after.last_ms,
            "until_ms": after.until_ms,
            "known": after.known,
            "rev": before.rev + 1,
            "expires_at": after.last_ms // 1000 + (KNOWN_KEPT_S if after.known else KEPT_S),
        }
        await self._tables.write(Put(Table.DIRECTORY, row, Equals({"rev": before.rev}) if before.rev else Absent()))

    async def clear(self, who: str) -> None:
        await self._tables.write(Delete(Table.DIRECTORY, _key(who)))


def hashed(who: str) -> str:
    return hashlib.sha256(who.encode(errors="replace")).hexdigest()[:32]


def _key(who: str) -> Key:
    return Key(f"failures#{hashed(who)}", "failures")


def _counted(row: Row | None) -> Counted:
    if row is None:
        return Counted()
    return Counted(
        number(row, "count"),
        number(row, "last_ms"),
        number(row, "until_ms"),
        row.get("known") is True,
        number(row, "rev"),
    )
