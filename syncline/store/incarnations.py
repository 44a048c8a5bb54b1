"""Incarnations: where a rebuilt journal comes from, so that a cursor from before can be judged.

Rows in the table ``journal``, in the partition of the head::

    pk = head#{library}   sk = incarnation#{incarnation}   body (packed Lineage)

The first incarnation of a library has none.
"""

from __future__ import annotations

import msgspec

from syncline.ports.tables import Key, Put, Table, Tables
from syncline.store.codec import pack, unpack
from syncline.store.segments import Origin

ALL = 2**63
"""Above every seq."""


class Lineage(msgspec.Struct, frozen=True, array_like=True):
    """``origins``: the incarnations before, each with how far it is part of this one."""

    began_at_ms: int = 0
    origins: tuple[Origin, ...] = ()

    def kept(self, incarnation: str) -> int:
        """Up to which seq of that incarnation everything is here too; 0 when nothing is known to be."""
        return next((origin.kept for origin in self.origins if origin.incarnation == incarnation), 0)


class Life(msgspec.Struct, frozen=True):
    """A journal's present incarnation, and where it comes from."""

    incarnation: str
    lineage: Lineage = Lineage()

    def kept(self, incarnation: str) -> int:
        """Up to which seq of ``incarnation`` everything is here too; of this very one that is all."""
        return ALL if incarnation in (self.incarnation, "") else self.lineage.kept(incarnation)


class Incarnations:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def lineage(self, library: str, incarnation: str) -> Lineage:
        row = await self._tables.get(Table.JOURNAL, _key(library, incarnation))
        return Lineage() if row is None else unpack(Lineage, row["body"])

    async def life(self, library: str, incarnation: str) -> Life:
        return Life(incarnation, await self.lineage(library, incarnation))

    async def record(self, library: str, incarnation: str, lineage: Lineage) -> None:
        key = _key(library, incarnation)
        await self._tables.write(Put(Table.JOURNAL, {"pk": key.pk, "sk": key.sk, "body": pack(lineage)}))


def begun_from(lineage: Lineage, incarnation: str, kept: int, at_ms: int) -> Lineage:
    """The lineage of a journal that begins with what ``incarnation``, of this lineage, has up to ``kept``."""
    before = [Origin(origin.incarnation, min(origin.kept, kept)) for origin in lineage.origins]
    return Lineage(at_ms, (*before, Origin(incarnation, kept)))


def _key(library: str, incarnation: str) -> Key:
    return Key(f"head#{library}", f"incarnation#{incarnation}")
