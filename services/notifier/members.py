"""What a window says of a library's members: folded for one follower, with the names it needs."""

from __future__ import annotations

from msgspec.structs import replace

from syncline.domain.digests import LINES_SHOWN, SeqRange
from syncline.domain.membership import Membership, MembersTold, fold_members
from syncline.ports.tables import Tables
from syncline.store.directory import Directory
from syncline.store.groups import Groups
from syncline.store.membership import MemberChanges

EPOCHS_READ_MAX = 10_000
"""A mail reads no more changes of members than this."""


class Members:
    def __init__(self, tables: Tables) -> None:
        self._changes = MemberChanges(tables)
        self._directory = Directory(tables)
        self._groups = Groups(tables)

    async def told(self, library: str, ranges: tuple[SeqRange, ...], follower: str) -> MembersTold:
        """What became of the members in these epochs, but by the follower."""
        changes = await self._changes.in_ranges(library, ranges, limit=EPOCHS_READ_MAX)
        folded = fold_members(changes, follower)
        looked_up = [await self._as_it_is(library, one) for one in folded[:LINES_SHOWN]]
        shown = [one for one in looked_up if one.before is not one.after]
        groups = await self._groups.groups(sorted({one.group for one in shown if one.group}))
        names = {id: record.name for id, record in groups.items()}
        return MembersTold((*shown, *folded[LINES_SHOWN:]), names)

    async def _as_it_is(self, library: str, one: Membership) -> Membership:
        """Who is no member by themselves any more may be one through a group, and is not said to be gone."""
        if one.after is not None or one.group:
            return one
        return replace(one, after=await self._directory.member(library, one.account))
