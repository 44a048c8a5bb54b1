"""Usage: how many bytes each library holds in the bucket, and how many it may.

Rows in the table ``directory``::

    pk = usage#{library}   sk = usage   bytes; quota_bytes where the library has a quota of its own;
                                        whole: nothing landed before counting began that is not in ``bytes``
    pk = quota#{account}   sk = quota   quota_bytes where the account has a quota of its own
    pk = freed#{library}   sk = {key}#{S3 version}   expires_at: these bytes were counted as gone
    pk = grant#{grant}     sk = grant   counted: the part of ``bytes`` that stands for this grant (see ``grants``)

``bytes`` is always the sum of ``counted`` over the library's grants, less what was freed since. Permits are counted
before they are given out, and once no credential of a grant is alive, the sweep sets ``counted`` to the size of what
lies under the grant's prefix: orphans stay counted, what never landed does not. Both numbers move in one transaction,
so a crash between any two steps leaves nothing counted that is not settled later, and an append has nothing to count.
Copies name bytes that are there already and count nothing. Of a key that a plain tool overwrote (``direct/``) every
version in S3 counts: each is paid for, and each goes by itself. Counts that are lost: ``recounting``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

import msgspec

from syncline.domain.errors import ConditionFailed
from syncline.domain.nodes import Location
from syncline.domain.permits import parse_key
from syncline.domain.rights import Role
from syncline.ports.tables import Absent, Below, Delete, Equals, Key, Put, Row, Table, Tables, Update
from syncline.store.archiving import mark
from syncline.store.codec import number
from syncline.store.grants import LAST_AFTER_S, GrantRecord, grant_key, hour_of, opening

NO_QUOTA = 0
LIBRARIES_COUNTED_MAX = 10_000
COUNTED_WHOLE = "whole"
FREED_KEPT_S = 90 * 24 * 3600
"""Whoever frees the same bytes again does so long before."""


class Quotas(msgspec.Struct, frozen=True):
    """What a library and an account may hold where nothing else was set for them, in bytes. 0: no limit."""

    library_bytes: int = NO_QUOTA
    account_bytes: int = NO_QUOTA


class LibraryUsage(msgspec.Struct, frozen=True):
    """``bytes``: landed or permitted. ``quota_bytes``: the library's own quota, None when it has none of its own."""

    bytes: int = 0
    quota_bytes: int | None = None

    def quota(self, quotas: Quotas) -> int:
        """The quota that holds, 0 for none."""
        return quotas.library_bytes if self.quota_bytes is None else self.quota_bytes


class Usage:
    """Counts bytes. All reads see every earlier write."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def of_library(self, library: str) -> LibraryUsage:
        return _usage(await self._tables.get(Table.DIRECTORY, usage_key(library)))

    async def of_libraries(self, libraries: Sequence[str]) -> Mapping[str, LibraryUsage]:
        keys = {library: usage_key(library) for library in libraries}
        rows = await self._tables.get_many(Table.DIRECTORY, list(keys.values())) if keys else {}
        return {library: _usage(rows.get(key)) for library, key in keys.items()}

    async def of_account(self, account: str) -> Mapping[str, LibraryUsage]:
        """The usage of each library that the account owns by itself: one query and batched reads."""
        rows = self._tables.query(
            Table.DIRECTORY, f"account#{account}", first="library#", last="library#~", limit=LIBRARIES_COUNTED_MAX
        )
        owned = [str(row["sk"]).partition("#")[2] async for row in rows if row["role"] == Role.OWNER.value]
        return await self.of_libraries(owned)

    async def account_quota(self, account: str) -> int | None:
        """The account's own quota; None when it has none of its own."""
        row = await self._tables.get(Table.DIRECTORY, _quota_key(account))
        return None if row is None else number(row, "quota_bytes")

    async def set_library_quota(self, library: str, quota_bytes: int) -> None:
        """Give a library a quota of its own; 0 lifts every limit."""
        said = Update(Table.DIRECTORY, usage_key(library), set={"quota_bytes": quota_bytes})
        await self._tables.transact([said, mark(library, f"quota {quota_bytes}")])

    async def set_account_quota(self, account: str, quota_bytes: int) -> None:
        key = _quota_key(account)
        await self._tables.write(Put(Table.DIRECTORY, {"pk": key.pk, "sk": key.sk, "quota_bytes": quota_bytes}))

    async def forget_account(self, account: str) -> None:
        """Its own quota."""
        await self._tables.write(Delete(Table.DIRECTORY, _quota_key(account)))

    # -- counting ---------------------------------------------------------------------------------------------------

    async def open(self, grant: GrantRecord, asked_bytes: int, *, quota_bytes: int = NO_QUOTA) -> bool:
        """Store a grant, or its newer state, and count what is permitted under it; False when there is no room.

        Whoever repeats it after ``Temporary`` may count twice, until the grant is settled.
        """
        if quota_bytes and asked_bytes > quota_bytes:
            return False
        room = Below("bytes", quota_bytes - asked_bytes + 1) if quota_bytes and asked_bytes else None
        counting = Update(Table.DIRECTORY, usage_key(grant.library), add={"bytes": asked_bytes}, when=room)
        # Nothing to count leaves the library's one row alone.
        counts = [counting] if asked_bytes else []
        try:
            await self._tables.transact([*counts, *opening(grant, asked_bytes)])
        except ConditionFailed:
            return False
        return True

    async def counted(self, grant: GrantRecord) -> int | None:
        """What a grant counts for, to be read before its prefix is listed. None where there is nothing to settle:
        a newer credential continues it, or it is from before anything was counted."""
        row = await self._tables.get(Table.DIRECTORY, grant_key(grant.id))
        if row is None or "counted" not in row or number(row, "ends_at") != grant.expires_at:
            return None
        return number(row, "counted")

    async def settle(self, grant: GrantRecord, counted_bytes: int, landed_bytes: int) -> bool:
        """Count for a grant what landed under it; False when more was permitted since ``counted``: settle later."""
        if landed_bytes == counted_bytes:
            return True
        still = Equals({"counted": counted_bytes, "ends_at": grant.expires_at})
        own = Update(Table.DIRECTORY, grant_key(grant.id), set={"counted": landed_bytes}, when=still)
        added = {"bytes": landed_bytes - counted_bytes}
        try:
            await self._tables.transact([own, Update(Table.DIRECTORY, usage_key(grant.library), add=added)])
        except ConditionFailed:
            return False
        return True

    async def freed(self, library: str, location: Location, *, now_ms: int) -> None:
        """Count bytes as gone that were removed from the bucket; once, however often it is said.

        Those of a grant that is yet to be settled are left to that: what is not there any more will not count.
        """
        key = parse_key(location.key)
        grant = None if key is None else await self._tables.get(Table.DIRECTORY, grant_key(key.grant))
        if grant is not None and hour_of(now_ms // 1000) < hour_of(number(grant, "ends_at") + LAST_AFTER_S):
            return
        row: Row = {
            "pk": f"freed#{library}",
            "sk": f"{location.key}#{location.s3_version}",
            "expires_at": now_ms // 1000 + FREED_KEPT_S,
        }
        gone = Update(Table.DIRECTORY, usage_key(library), add={"bytes": -location.length})
        with contextlib.suppress(ConditionFailed):
            await self._tables.transact([Put(Table.DIRECTORY, row, Absent()), gone])


def beginning(library: str) -> Put:
    """For the transaction that makes a library: it holds nothing."""
    key = usage_key(library)
    return Put(Table.DIRECTORY, {"pk": key.pk, "sk": key.sk, "bytes": 0, COUNTED_WHOLE: 1})


def usage_key(library: str) -> Key:
    return Key(f"usage#{library}", "usage")


def _quota_key(account: str) -> Key:
    return Key(f"quota#{account}", "quota")


def _usage(row: Row | None) -> LibraryUsage:
    if row is None:
        return LibraryUsage()
    own = number(row, "quota_bytes") if "quota_bytes" in row else None
    return LibraryUsage(number(row, "bytes") if "bytes" in row else 0, own)
