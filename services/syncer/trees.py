"""Folded trees of the libraries that are compared now and then, kept in memory and brought forward from the journal."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from syncline.domain.tree import Tree
from syncline.serving.metrics import Metrics
from syncline.store.journal import Head, Journal

WEIGHT_MAX = 300_000
"""Changes folded into all kept trees together, at about a kilobyte each. One larger tree is dropped after its use."""
FOLDING_AT_ONCE = 2


class _Kept:
    """One library's tree. Whoever uses it holds ``lock``, so that it does not move meanwhile."""

    def __init__(self, library: str, incarnation: str) -> None:
        self.tree = Tree(library)
        self.incarnation = incarnation
        self.weight = 0
        self.lock = asyncio.Lock()


class Trees:
    """The least recently used go first when all weigh more than ``weight_max``."""

    def __init__(self, journal: Journal, metrics: Metrics, *, weight_max: int = WEIGHT_MAX) -> None:
        self._journal = journal
        self._weight_max = weight_max
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._folding = asyncio.Semaphore(FOLDING_AT_ONCE)
        self._gauge = metrics.gauge("tree_changes", "Changes folded into the trees kept in memory.")
        self._folded = metrics.counter("tree_commits_folded", "Commits read to bring trees forward.")

    @property
    def weight(self) -> int:
        return sum(kept.weight for kept in self._kept.values())

    @asynccontextmanager
    async def at(self, library: str, head: Head) -> AsyncIterator[Tree]:
        """The tree at ``head`` or later, still while the context is open. Raises ``Temporary``, ``Broken``."""
        kept = self._kept.get(library)
        if kept is None or kept.incarnation != head.incarnation:
            kept = self._kept[library] = _Kept(library, head.incarnation)
        async with kept.lock:
            try:
                await self._bring_forward(kept, head)
                yield kept.tree
            finally:
                self._make_room(library)

    async def _bring_forward(self, kept: _Kept, head: Head) -> None:
        if kept.tree.seq >= head.seq:
            return
        async with self._folding:
            async for commit in self._journal.read(kept.tree.library, kept.tree.seq, head.seq):
                kept.tree.apply(commit)
                kept.weight += len(commit.changes) + len(commit.withdrawn)
                self._folded.inc()

    def _make_room(self, used: str) -> None:
        if used in self._kept:
            self._kept.move_to_end(used)
        weight = self.weight
        while self._kept and weight > self._weight_max:
            _, dropped = self._kept.popitem(last=False)
            weight -= dropped.weight
        self._gauge.set(weight)
