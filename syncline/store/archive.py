"""The archive: libraries in the bucket, written by the syncer, read when a library is rebuilt.

Keys and bodies: ``syncline/store/segments.py``. Writing is idempotent; damaged objects are passed over where another
object holds the same commits.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import msgspec

from syncline.domain.commits import Commit
from syncline.domain.errors import Broken, ConditionFailed, NotFound
from syncline.ports.objects import ObjectStore
from syncline.store.segments import (
    ROOM,
    About,
    AboutKey,
    SegmentKey,
    about_key,
    cover,
    decode_about,
    decode_segment,
    encode_about,
    encode_segment,
    library_prefix,
    parse_key,
    segment_key,
)

AFTER_ALL_OF_IT = "~"
"""Behind every incarnation's name."""


class Archived(msgspec.Struct, frozen=True):
    """One incarnation of a library as the bucket has it. ``last`` is the last seq without a gap before it."""

    library: str
    incarnation: str
    about: About
    segments: tuple[SegmentKey, ...]

    @property
    def last(self) -> int:
        seq = 0
        while holding := cover(self.segments, seq):
            seq = holding[0].last
        return seq


class Archive:
    """``damaged`` lists the keys that were found to be so."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self.damaged: list[str] = []

    async def keep(self, incarnation: str, commits: Sequence[Commit]) -> str:
        """Archive consecutive commits of one segment; the key. Repeating is harmless."""
        key = segment_key(commits[0].library, incarnation, commits[0].seq, commits[-1].seq)
        await self._put(key, encode_segment(incarnation, commits))
        return key

    async def keep_about(self, about: About, at_ms: int) -> None:
        await self._put(about_key(about.library, about.incarnation, at_ms), encode_about(about))

    async def libraries(self) -> AsyncIterator[str]:
        """The libraries that have been archived, by id; one listing each."""
        after = ""
        while True:
            key = await anext(aiter(self._objects.list_keys(ROOM, after=after)), None)
            if key is None:
                return
            library = key.removeprefix(ROOM).partition("/")[0]
            yield library
            after = library_prefix(library) + AFTER_ALL_OF_IT

    async def incarnations(self, library: str) -> list[Archived]:
        """What the bucket has of a library, the newest incarnation last."""
        segments: dict[str, list[SegmentKey]] = {}
        abouts: dict[str, list[AboutKey]] = {}
        async for key in self._objects.list_keys(library_prefix(library)):
            found = parse_key(key)
            if isinstance(found, SegmentKey):
                segments.setdefault(found.incarnation, []).append(found)
            elif isinstance(found, AboutKey):
                abouts.setdefault(found.incarnation, []).append(found)
        archived = []
        for incarnation in abouts:
            about = await self._newest_about(sorted(abouts[incarnation], reverse=True))
            if about is not None:
                archived.append(Archived(library, incarnation, about, tuple(sorted(segments.get(incarnation, ())))))
        return sorted(archived, key=lambda one: one.about.began_at_ms)

    async def commits(self, archived: Archived, after: int = 0) -> AsyncIterator[Commit]:
        """The commits after ``after`` as far as they are there without a gap."""
        while (segment := await self._segment_after(archived, after)) is not None:
            for commit in segment:
                if commit.seq > after:
                    after = commit.seq
                    yield commit

    async def _segment_after(self, archived: Archived, after: int) -> Sequence[Commit] | None:
        for wanted in cover(archived.segments, after):
            if wanted.key in self.damaged:
                continue
            try:
                return decode_segment(await self._objects.get(wanted.key), wanted).commits
            except (Broken, NotFound):
                self.damaged.append(wanted.key)
        return None

    async def _newest_about(self, keys: Sequence[AboutKey]) -> About | None:
        for wanted in keys:
            try:
                return decode_about(await self._objects.get(wanted.key))
            except (Broken, NotFound):
                self.damaged.append(wanted.key)
        return None

    async def _put(self, key: str, body: bytes) -> None:
        try:
            await self._objects.put(key, body, only_if_absent=True)
        except ConditionFailed:
            return  # the same commits, archived before or by somebody else
