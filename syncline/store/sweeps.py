"""What the sweep remembers: whose turn it is, and how far it has come.

Rows in the table ``directory``::

    pk = sweep#turn#{job}     sk = turn     until_ms: nobody else need begin this job before
    pk = sweep#hours          sk = hours    hour: no grant is left in an earlier hour of the index
    pk = sweep#grant#{grant}  sk = swept    upto (Unix s), expires_at: small objects older than this are settled
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

from syncline.domain.errors import ConditionFailed
from syncline.ports.tables import Below, Delete, Key, Put, Table, Tables, Update
from syncline.store.codec import number
from syncline.store.grants import GRANT_KEPT_S

_HOURS = Key("sweep#hours", "hours")


class Sweeps:
    """All of it is thrift: with these rows gone, or two workers at one job, only work is done twice."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def take_turn(self, job: str, *, now_ms: int, until_ms: int) -> bool:
        """Whether this worker shall do the job now; others then leave it until ``until_ms``."""
        key = Key(f"sweep#turn#{job}", "turn")
        try:
            await self._tables.write(
                Update(Table.DIRECTORY, key, set={"until_ms": until_ms}, when=Below("until_ms", now_ms + 1))
            )
        except ConditionFailed:
            return False
        return True

    async def first_hour(self) -> int | None:
        """The first hour of the grants' index that may hold something; None before the first sweep."""
        row = await self._tables.get(Table.DIRECTORY, _HOURS)
        return None if row is None else number(row, "hour")

    async def advance(self, hour: int) -> None:
        """Earlier hours are empty and stay so. Never goes back."""
        with contextlib.suppress(ConditionFailed):
            await self._tables.write(Update(Table.DIRECTORY, _HOURS, set={"hour": hour}, when=Below("hour", hour)))

    async def swept(self, grants: Sequence[str]) -> Mapping[str, int]:
        """How far (Unix s) each of many grants is settled; 0 for those never swept."""
        keys = {_grant_key(grant): grant for grant in grants}
        rows = await self._tables.get_many(Table.DIRECTORY, list(keys)) if keys else {}
        return {grant: number(rows[key], "upto") if key in rows else 0 for key, grant in keys.items()}

    async def remember(self, grant: str, upto: int) -> None:
        key = _grant_key(grant)
        await self._tables.write(
            Put(Table.DIRECTORY, {"pk": key.pk, "sk": key.sk, "upto": upto, "expires_at": upto + GRANT_KEPT_S})
        )

    async def forget(self, grant: str) -> None:
        """The grant is done."""
        await self._tables.write(Delete(Table.DIRECTORY, _grant_key(grant)))


def _grant_key(grant: str) -> Key:
    return Key(f"sweep#grant#{grant}", "swept")
