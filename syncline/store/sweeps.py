"""What the sweep remembers: whose turn it is, and how far it has come.

Rows in the table ``directory``::

    pk = sweep#turn#{job}     sk = turn     until_ms: nobody else need begin this job before; done_ms, once it was done
    pk = sweep#behind         sk = behind   views_ms, news_ms: since when a library is behind (0: none is), as the last
                                            round of moves saw it
    pk = sweep#hours          sk = hours    hour: no grant is left in an earlier hour of the index
    pk = sweep#grant#{grant}  sk = swept    upto (Unix s), expires_at: small objects older than this are settled
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

import msgspec

from syncline.domain.errors import ConditionFailed
from syncline.ports.tables import Below, Delete, Key, Put, Row, Table, Tables, Update
from syncline.store.codec import number
from syncline.store.grants import GRANT_KEPT_S

_HOURS = Key("sweep#hours", "hours")
_BEHIND = Key("sweep#behind", "behind")


class Behind(msgspec.Struct, frozen=True):
    """Since when (Unix ms) the views of some library are behind its journal, and since when consumers of the topic have
    not heard of some commit; 0: nothing is behind."""

    views_ms: int = 0
    news_ms: int = 0


class Standing(msgspec.Struct, frozen=True):
    """When each job was last done (Unix ms; 0: never), and what its rounds left behind."""

    done_ms: Mapping[str, int]
    behind: Behind


class Sweeps:
    """All of it is thrift: with these rows gone, or two workers at one job, only work is done twice."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def take_turn(self, job: str, *, now_ms: int, until_ms: int) -> bool:
        """Whether this worker shall do the job now; others then leave it until ``until_ms``."""
        key = _turn_key(job)
        try:
            await self._tables.write(
                Update(Table.DIRECTORY, key, set={"until_ms": until_ms}, when=Below("until_ms", now_ms + 1))
            )
        except ConditionFailed:
            return False
        return True

    async def done(self, job: str, now_ms: int) -> None:
        """A round of the job got through."""
        await self._tables.write(Update(Table.DIRECTORY, _turn_key(job), set={"done_ms": now_ms}))

    async def leave(self, behind: Behind) -> None:
        """What a round of moves could not heal."""
        said: Row = {"pk": _BEHIND.pk, "sk": _BEHIND.sk, "views_ms": behind.views_ms, "news_ms": behind.news_ms}
        await self._tables.write(Put(Table.DIRECTORY, said))

    async def standing(self, jobs: Sequence[str]) -> Standing:
        """How the sweep stands, whoever did it. Half a read unit a job and one more."""
        keys = {job: _turn_key(job) for job in jobs}
        rows = await self._tables.get_many(Table.DIRECTORY, [*keys.values(), _BEHIND], eventual=True)
        done_ms = {job: _number(rows.get(key, {}), "done_ms") for job, key in keys.items()}
        behind = rows.get(_BEHIND, {})
        return Standing(done_ms, Behind(_number(behind, "views_ms"), _number(behind, "news_ms")))

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


def _turn_key(job: str) -> Key:
    return Key(f"sweep#turn#{job}", "turn")


def _number(row: Row, name: str) -> int:
    return number(row, name) if name in row else 0


def _grant_key(grant: str) -> Key:
    return Key(f"sweep#grant#{grant}", "swept")
