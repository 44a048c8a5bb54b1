"""Loading the facts that deciding asks for: in bulk where many are asked, from a snapshot at the tree's seq."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import TypeVar

from syncline.domain.commits import Commit
from syncline.domain.facts import (
    ChangesSinceFact,
    ChildFact,
    ChildrenFact,
    Fact,
    FactValue,
    NodeFact,
    PurgedFact,
    VersionFact,
)
from syncline.domain.partial_tree import PartialTree
from syncline.store.journal import Journal
from syncline.store.snapshot import Snapshot
from syncline.store.together import together

WHOLE_FOLDER_FROM = 8
"""From so many questions about one folder on it is read whole: as many queries as it has buckets."""
WHOLE_FOLDER_ROWS_MAX = 20_000
"""A larger folder is asked name by name instead."""
READS_AT_ONCE = 32
COMMITS_SINCE_MAX = 4_096
"""Further back than so many commits nobody looks for what changed."""

F = TypeVar("F", bound=Fact)


class FactLoader:
    """Teaches facts to partial trees. ``journal`` answers what changed since a seq, snapshots the rest."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def load(self, snapshot: Snapshot, facts: Collection[Fact], known: PartialTree) -> None:
        """Learn these facts, and whatever comes with them. ``snapshot`` and ``known`` are at the same seq."""
        await self._folders(snapshot, [fact.parent for fact in facts if isinstance(fact, ChildrenFact)], known)
        await self._versions(snapshot, _of(VersionFact, facts), known)
        await self._purged(snapshot, _of(PurgedFact, facts), known)
        for since in _of(ChangesSinceFact, facts):
            known.learn(since, await self._changes(known, since.seq))
        await self._children(snapshot, _of(ChildFact, facts), known)
        await self._nodes(snapshot, _of(NodeFact, facts), known)

    async def _versions(self, snapshot: Snapshot, facts: list[VersionFact], known: PartialTree) -> None:
        facts = [fact for fact in facts if not known.knows(fact)]
        if facts:
            records = await snapshot.version_records([fact.id for fact in facts])
            for fact in facts:
                known.learn(fact, records.get(fact.id))

    async def _purged(self, snapshot: Snapshot, facts: list[PurgedFact], known: PartialTree) -> None:
        if facts:
            gone = await snapshot.purged([fact.version for fact in facts])
            for fact in facts:
                known.learn(fact, fact.version in gone)

    async def _changes(self, known: PartialTree, since: int) -> list[Commit] | None:
        if known.seq - since > COMMITS_SINCE_MAX:
            return None
        return [commit async for commit in self._journal.read(known.library, since, known.seq)]

    async def _children(self, snapshot: Snapshot, facts: list[ChildFact], known: PartialTree) -> None:
        await self._crowded(snapshot, (fact.parent for fact in facts), known)

        async def ask(fact: ChildFact) -> FactValue:
            return await snapshot.child(fact.parent, fact.name)

        await self._each(facts, known, ask)

    async def _nodes(self, snapshot: Snapshot, facts: list[NodeFact], known: PartialTree) -> None:
        facts = [fact for fact in facts if not known.knows(fact)]
        if not facts:
            return
        asked = [fact.id for fact in facts if fact.id not in snapshot.overlay.nodes]
        born = await snapshot.first_states(asked)
        for node in asked:
            if node not in born:
                known.learn(NodeFact(node), None)
        # Most nodes are still where they were born: reading that folder tells of all of them.
        await self._crowded(snapshot, (state.parent for state in born.values()), known)

        async def ask(fact: NodeFact) -> FactValue:
            return await snapshot.node(fact.id)

        await self._each(facts, known, ask)

    async def _crowded(self, snapshot: Snapshot, parents: Iterable[str], known: PartialTree) -> None:
        crowded = [parent for parent, count in Counter(parents).items() if count >= WHOLE_FOLDER_FROM]
        await self._folders(snapshot, crowded, known, rows_max=WHOLE_FOLDER_ROWS_MAX)

    async def _folders(
        self, snapshot: Snapshot, parents: Iterable[str], known: PartialTree, rows_max: int | None = None
    ) -> None:
        for parent in dict.fromkeys(parents):
            if known.knows(ChildrenFact(parent)):
                continue
            children = await snapshot.all_children(parent, rows_max=rows_max)
            if children is not None:
                known.learn(ChildrenFact(parent), children)

    async def _each(self, facts: list[F], known: PartialTree, ask: Callable[[F], Awaitable[FactValue]]) -> None:
        """Ask one by one what is still unknown, a bounded number at once."""

        async def one(fact: F) -> None:
            known.learn(fact, await ask(fact))

        unknown = [fact for fact in facts if not known.knows(fact)]
        await together(unknown, one, at_once=READS_AT_ONCE)


def _of(kind: type[F], facts: Collection[Fact]) -> list[F]:
    return [fact for fact in facts if isinstance(fact, kind)]
