"""Deleting from the archive what something newer has replaced: pieces of full segments, old snapshots, old ``About``s.

Nothing goes before what replaces it was read back whole (of a snapshot: before its record is in the tables), nor for
``REPLACED_KEPT_S`` (or what a setting says) after: whoever listed the archive, or was sent to a snapshot, finds for
that long what was named.
Every step may be cut short or done twice, by anyone, at once.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from syncline.domain.errors import Broken
from syncline.ports.clock import Clock
from syncline.ports.objects import ListedVersion, ObjectStore
from syncline.serving.logging import get_logger
from syncline.store.segments import (
    AboutKey,
    SegmentKey,
    abouts_prefix,
    decode_about,
    decode_segment,
    first_of_segment,
    last_of_segment,
    parse_key,
    segment_prefix,
)
from syncline.store.tree_snapshots import snapshots_prefix

REPLACED_KEPT_S = 24 * 3600
SEGMENTS_AT_ONCE = 16
"""In one turn of a library, at most."""
SNAPSHOTS_KEPT = 2
"""The newest one, and the one before."""


class Tidying:
    def __init__(self, objects: ObjectStore, clock: Clock, *, kept_s: int = REPLACED_KEPT_S) -> None:
        self._objects = objects
        self._clock = clock
        self._kept_s = kept_s

    async def segments(self, library: str, incarnation: str, done: int, upto: int) -> int:
        """Delete the pieces of the segments after ``done`` that are full by ``upto``; up to which seq nothing is left
        to delete. Raises ``Temporary``."""
        for _ in range(SEGMENTS_AT_ONCE):
            last = last_of_segment(done + 1)
            if last > upto or not await self._segment(library, incarnation, first_of_segment(last), last):
                break
            done = last
        return done

    async def _segment(self, library: str, incarnation: str, first: int, last: int) -> bool:
        """Whether one segment is done with."""
        found = await self._listed(segment_prefix(library, incarnation, last))
        held = [(one, key) for one in found if isinstance(key := parse_key(one.key), SegmentKey)]
        whole = next((both for both in held if (both[1].first, both[1].last) == (first, last)), None)
        pieces = [one for one, key in held if whole is None or key != whole[1]]
        if whole is None or not pieces:
            return True  # too large for one object, or tidy
        if not self._is_long_ago(whole[0]):
            return False
        if await self._is_sound(whole[0], lambda body: decode_segment(body, whole[1])):
            await self._delete(pieces)
        return True

    async def abouts(self, library: str, incarnation: str) -> bool:
        """Delete what newer ``About``s have replaced; whether only the newest is left."""
        found = [
            one
            for one in await self._listed(abouts_prefix(library, incarnation))
            if isinstance(parse_key(one.key), AboutKey)
        ]
        old = [one for one, newer in pairwise(found) if self._is_long_ago(newer)]
        if old and await self._is_sound(found[-1], decode_about):
            await self._delete(old)
        return len(found) - len(old) <= 1

    async def snapshots(self, library: str, incarnation: str, newest_seq: int) -> None:
        """Delete the snapshots before the one at ``newest_seq``, which the tables name, but the last of them."""
        found = await self._listed(snapshots_prefix(library, incarnation))
        upto_newest = [one for one in found if int(one.key.rpartition("/")[2]) <= newest_seq]
        replaced = [one for one, newer in pairwise(upto_newest) if self._is_long_ago(newer)]
        await self._delete(replaced[: max(0, len(upto_newest) - SNAPSHOTS_KEPT)])

    async def _listed(self, prefix: str) -> list[ListedVersion]:
        return [one async for one in self._objects.list_versions(prefix)]

    async def _delete(self, replaced: list[ListedVersion]) -> None:
        for one in replaced:
            await self._objects.delete_version(one.key, one.s3_version)

    async def _is_sound(self, one: ListedVersion, decode: Callable[[bytes], object]) -> bool:
        try:
            decode(await self._objects.get(one.key, one.s3_version))
        except Broken as error:
            # What it should replace stays: readers pass over the damaged one.
            get_logger().error("archive-damaged", key=one.key, reason=str(error)[:200])
            return False
        return True

    def _is_long_ago(self, newer: ListedVersion) -> bool:
        return newer.last_modified + self._kept_s <= self._clock.now_ms() // 1000
