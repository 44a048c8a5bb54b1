"""Reads what happened in a window and folds it, once for all the followers who are told the same.

A thousand followers of one library would else read and fold the same hundred thousand changes a thousand times. What
was folded is kept for a minute; the changes themselves are not, and only one window's are in memory at a time.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
from msgspec import structs

from services.notifier.places import Places
from syncline.domain.commits import Change, Commit, Effect
from syncline.domain.digests import Digest, SeqRange, arrange, cut_ranges, fold
from syncline.domain.errors import Temporary
from syncline.domain.following import Scope
from syncline.domain.nodes import Author
from syncline.ports.clock import Clock
from syncline.ports.tracing import LINKS_MAX
from syncline.store.incarnations import Incarnations, Life
from syncline.store.journal import Journal
from syncline.store.tree import TreeReader

CHANGES_READ_MAX = 50_000
"""A mail reads no more changes than this, and says "more than". Measured: about 1.2 KB of memory each."""
NOBODY = Author("", "", 0, 0)
KEPT_MAX = 64
KEPT_MS = 60_000

K = TypeVar("K")
V = TypeVar("V")
Ranges = tuple[SeqRange, ...]


class Told(msgspec.Struct, frozen=True):
    """What a window holds for a follower. ``cut``: there was more than may be read. ``places`` is shared by all who
    are told the same, and remembers what was looked up in the tree. ``since_ms`` is the oldest commit's time, 0 without
    any; ``traces`` are the contexts (``traceparent``) of the first commits."""

    digest: Digest
    cut: bool
    places: Places
    at_ms: int
    since_ms: int = 0
    traces: tuple[str, ...] = ()


class Digesting:
    """Digests of windows. Raises ``Temporary``."""

    def __init__(self, journal: Journal, incarnations: Incarnations, trees: TreeReader, clock: Clock) -> None:
        self._journal = journal
        self._incarnations = incarnations
        self._trees = trees
        self._clock = clock
        self._one_at_a_time = asyncio.Semaphore(1)
        self._authors: OrderedDict[tuple[str, Ranges], frozenset[str]] = OrderedDict()
        self._kept: OrderedDict[tuple[object, ...], Told] = OrderedDict()

    async def digest(self, library: str, incarnation: str, ranges: Ranges, follower: str, scope: Scope) -> Told:
        """What the commits in these ranges of the journal's ``incarnation`` are to a follower, as far as they are
        still there."""
        life = await self._life(library)
        ranges = cut_ranges(ranges, life.kept(incarnation))
        journal = f"{library}#{life.incarnation}"
        async with self._one_at_a_time:
            authors = self._authors.get((journal, ranges))
            if authors is not None and (kept := self._kept_for(journal, ranges, follower, scope, authors)) is not None:
                return kept
            commits, cut = await self._read(library, ranges)
            places = Places(await self._trees.at_head(library))
            concerns = await _concerns(commits, scope, places)
            told = [told for told in fold(commits, follower, concerns) if scope.wants(told, places.parent_of)]
            authors = frozenset(commit.account for commit in commits)
            since_ms = min((commit.at_ms for commit in commits), default=0)
            traces = tuple(commit.trace for commit in commits if commit.trace)[:LINKS_MAX]
            found = Told(arrange(told), cut, places.forgetting(), self._clock.now_ms(), since_ms, traces)
            _keep(self._authors, (journal, ranges), authors)
            _keep(self._kept, _key(journal, ranges, follower, scope, authors), found)
            return found

    async def _life(self, library: str) -> Life:
        head = await self._journal.head(library)
        if head is None:
            raise Temporary(f"The library {library} is being made again")
        return await self._incarnations.life(library, head.incarnation)

    def _kept_for(
        self, journal: str, ranges: Ranges, follower: str, scope: Scope, authors: frozenset[str]
    ) -> Told | None:
        kept = self._kept.get(_key(journal, ranges, follower, scope, authors))
        return kept if kept is not None and self._clock.now_ms() - kept.at_ms < KEPT_MS else None

    async def _read(self, library: str, ranges: Ranges) -> tuple[list[Commit], bool]:
        """The window's commits, and whether there were more changes than may be read."""
        commits: list[Commit] = []
        room = CHANGES_READ_MAX
        for first, last in ranges:
            async for commit in self._journal.read(library, first - 1, last):
                if commits and len(commit.changes) > room:
                    return commits, True
                room -= len(commit.changes)
                commits.append(_lean(commit))
        return commits, False


def _lean(commit: Commit) -> Commit:
    """The commit without what no mail tells: contents' versions and locations, most of what a change weighs."""
    changes = tuple(
        structs.replace(change, node=structs.replace(change.node, version=None, author=NOBODY))
        for change in commit.changes
        if change.effect is not Effect.LATE
    )
    return structs.replace(commit, changes=changes)


async def _concerns(commits: Sequence[Commit], scope: Scope, places: Places) -> Callable[[Change], bool]:
    """Which changes are for this follower's mail."""
    if scope.wants_everything:
        return lambda _: True
    for commit in commits:
        await places.look_up(commit)
    return lambda change: scope.concerns(change, places.parent_of)


def _key(journal: str, ranges: Ranges, follower: str, scope: Scope, authors: frozenset[str]) -> tuple[object, ...]:
    # Who did nothing in the window is told what everybody like them is told.
    whose = follower if follower in authors else ""
    return journal, ranges, whose, frozenset(scope.follows.items()), scope.counted


def _keep(kept: OrderedDict[K, V], key: K, value: V) -> None:
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > KEPT_MAX:
        kept.popitem(last=False)
