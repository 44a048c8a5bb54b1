"""Reading a library's tree at exactly its head, so that everyone reads their own writes."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from syncline.domain.errors import NotFound
from syncline.domain.facts import Fact
from syncline.domain.partial_tree import PartialTree
from syncline.store.journal import Journal
from syncline.store.loading import FactLoader
from syncline.store.overlay import Overlay
from syncline.store.snapshot import Snapshot
from syncline.store.views import Views


class TreeReader:
    """Snapshots of libraries: view rows with the commits that are not in the views yet laid over."""

    def __init__(self, journal: Journal, views: Views) -> None:
        self._journal = journal
        self._views = views
        self._loader = FactLoader(journal)

    async def at_head(self, library: str) -> Snapshot:
        """The tree as it is now, for two read units and what is asked. Raises ``NotFound``: no such library."""
        head, applied = await asyncio.gather(self._journal.head(library), self._views.applied(library))
        if head is None:
            raise NotFound(f"There is no library {library}")
        return await self._snapshot(library, head.seq, applied)

    async def at(self, library: str, seq: int) -> Snapshot:
        """The tree as of ``seq``, which is at most the head."""
        return await self._snapshot(library, seq, await self._views.applied(library))

    async def load(self, library: str, facts: Collection[Fact], known: PartialTree) -> None:
        """Teach ``known`` these facts as of its own seq."""
        await self._loader.load(await self.at(library, known.seq), facts, known)

    async def _snapshot(self, library: str, seq: int, applied: int) -> Snapshot:
        base = min(applied, seq)
        commits = [commit async for commit in self._journal.read(library, base, seq)]
        return Snapshot(self._views, library, Overlay(base, commits))
