"""Counting a library's bytes from what lies in the bucket, where the count is lost or was never begun.

Both may run while the library is used. A grant that is still to be settled (``usage``) counts for what its row says,
since settling it will replace just that; every other object counts for its size, with all its versions in S3.
"""

from __future__ import annotations

from collections.abc import Mapping

from syncline.domain.errors import ConditionFailed, Temporary
from syncline.domain.permits import parse_key, read_prefixes
from syncline.ports.objects import ObjectStore
from syncline.ports.tables import Below, Equals, Key, Table, Tables, Update, Value
from syncline.store.codec import number
from syncline.store.grants import LAST_AFTER_S, Grants, grant_key, hour_of
from syncline.store.sweeps import Sweeps
from syncline.store.usage import COUNTED_WHOLE, usage_key

TRIES_MAX = 8
_READ_AT_ONCE = 100
_OPEN_LONGEST_S = 3_600
"""No credential lives longer."""


class Recounting:
    def __init__(self, tables: Tables, objects: ObjectStore) -> None:
        self._tables = tables
        self._objects = objects
        self._grants = Grants(tables)
        self._sweeps = Sweeps(tables)

    async def is_whole(self, library: str) -> bool:
        """Whether the count is there, and nothing lies in the bucket that it leaves out."""
        row = await self._tables.get(Table.DIRECTORY, usage_key(library))
        return row is not None and COUNTED_WHOLE in row

    async def begin(self, library: str) -> None:
        """Count what landed before anything was counted, unless that has been done. One read when it has."""
        if await self.is_whole(library):
            return
        landed = await self._landed(library)
        counted = await self._counted(list(landed))
        missing = sum(size_bytes for grant, size_bytes in landed.items() if grant not in counted)
        added = Update(
            Table.DIRECTORY,
            usage_key(library),
            set={COUNTED_WHOLE: 1},
            add={"bytes": missing},
            when=Below(COUNTED_WHOLE, 1),
        )
        try:
            await self._tables.write(added)
        except ConditionFailed:
            return  # another worker has

    async def recount(self, library: str, *, now_s: int) -> int:
        """Set the count to what it should be; the bytes. Reads all grants of the stack that are not settled yet.

        Raises ``Temporary`` when it keeps changing meanwhile.
        """
        for _ in range(TRIES_MAX):
            row = await self._tables.get(Table.DIRECTORY, usage_key(library))
            open_ = await self._open(library, now_s)
            landed = await self._landed(library)
            found = sum(open_.values()) + sum(size for grant, size in landed.items() if grant not in open_)
            unchanged = Equals({"bytes": row["bytes"]}) if row is not None and "bytes" in row else Below("bytes", 1)
            values: dict[str, Value] = {"bytes": found, COUNTED_WHOLE: 1}
            try:
                await self._tables.write(Update(Table.DIRECTORY, usage_key(library), set=values, when=unchanged))
            except ConditionFailed:
                continue
            return found
        raise Temporary(f"The bytes of {library} keep changing.")

    async def _landed(self, library: str) -> Mapping[str, int]:
        """The bytes that lie in the bucket, by grant."""
        landed: dict[str, int] = {}
        for prefix in read_prefixes(library):
            async for listed in self._objects.list_versions(prefix):
                key = parse_key(listed.key)
                grant = "" if key is None else key.grant
                landed[grant] = landed.get(grant, 0) + listed.size_bytes
        return landed

    async def _open(self, library: str, now_s: int) -> Mapping[str, int]:
        """What the grants count for that the sweep has still to look at."""
        begun = await self._sweeps.first_hour()
        last = hour_of(now_s + _OPEN_LONGEST_S + LAST_AFTER_S)
        first = hour_of(now_s - LAST_AFTER_S) if begun is None else begun
        found: list[str] = []
        for hour in range(first, last + 1):
            async for entries in self._grants.entries(hour):
                grants = await self._grants.many([entry.grant for entry in entries])
                found += [grant.id for grant in grants.values() if grant.library == library]
        return await self._counted(found)

    async def _counted(self, grants: list[str]) -> dict[str, int]:
        """What grants count for, those that are counted."""
        counted: dict[str, int] = {}
        for start in range(0, len(grants), _READ_AT_ONCE):
            keys: dict[Key, str] = {grant_key(grant): grant for grant in grants[start : start + _READ_AT_ONCE]}
            rows = await self._tables.get_many(Table.DIRECTORY, list(keys))
            counted |= {keys[key]: number(row, "counted") for key, row in rows.items() if "counted" in row}
        return counted
