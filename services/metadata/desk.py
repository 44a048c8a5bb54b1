"""A desk: one library at its head, on which one worker decides command after command.

What it knows of the tree is kept and brought forward by its own commits, so most commands need few reads. Being
behind does no harm: the append fails, and the desk catches up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from syncline.domain.commands import Command
from syncline.domain.commits import Commit
from syncline.domain.deciding import Decision, Landed, decide
from syncline.domain.errors import Broken, Refused
from syncline.domain.facts import ChildFact, ChildrenFact, Fact, MissingFacts
from syncline.domain.partial_tree import PartialTree, needed_facts
from syncline.store.journal import Head, Journal
from syncline.store.loading import FactLoader
from syncline.store.overlay import Overlay
from syncline.store.snapshot import Snapshot
from syncline.store.views import Views

CATCH_UP_COMMITS_MAX = 256
"""A desk that is further behind begins anew."""
FACTS_MAX = 100_000
"""A desk that knows more begins anew."""
ROUNDS_MAX = 1_000
"""Each round of loading teaches something that deciding asked for; so many are a fault."""
MISSES_UNTIL_WHOLE = 8
"""A folder that deciding asks about again and again, one name a round, is read whole."""
VIEW_COMMITS_AT_ONCE = 32


class Desk:
    """``head``, ``tree`` and ``overlay`` are at the same seq, between calls. ``appended_at_ms`` is when it last
    appended a commit itself."""

    def __init__(self, library: str, journal: Journal, views: Views, loader: FactLoader) -> None:
        self.library = library
        self.head = Head(0, 0, "")
        self.tree = PartialTree(library, 0)
        self._overlay = Overlay(0)
        self._journal = journal
        self._views = views
        self._loader = loader
        self._fresh = True
        self.appended_at_ms = 0

    @property
    def size(self) -> int:
        """How many facts it holds."""
        return self.tree.size

    async def open(self) -> None:
        """Come to the journal's head. Raises ``Refused("no-such-library")``."""
        head = await self._journal.head(self.library)
        if head is None:
            raise Refused("no-such-library", f"There is no library {self.library}.", status=404)
        behind = head.seq - self.tree.seq
        usable = head.incarnation == self.head.incarnation and 0 <= behind <= CATCH_UP_COMMITS_MAX
        if self._fresh or not usable or self.tree.size > FACTS_MAX:
            await self._begin(head)
        elif behind:
            await self._catch_up(head)
        self.head = head

    async def prepare(self, commands: Sequence[Command]) -> None:
        """Load in bulk what deciding these commands will ask for, as far as that can be told now."""
        while needed := set().union(*(needed_facts(command, self.tree) for command in commands)):
            await self._load(needed)

    async def decide(self, command: Command, landed: Landed, *, now_ms: int, device_name: str) -> Decision:
        """The decision at head, with all the facts it needs loaded."""
        await self.prepare([command])
        misses: Counter[str] = Counter()
        for _ in range(ROUNDS_MAX):
            try:
                return decide(self.tree, command, landed, seq=self.head.seq + 1, now_ms=now_ms, device_name=device_name)
            except MissingFacts as missing:
                misses.update(fact.parent for fact in missing.facts if isinstance(fact, ChildFact))
                crowded = {ChildrenFact(parent) for parent, n in misses.items() if n >= MISSES_UNTIL_WHOLE}
                await self._load(missing.facts | {fact for fact in crowded if not self.tree.knows(fact)})
        raise Broken(f"Command {command.id} still lacks facts after {ROUNDS_MAX} rounds")

    async def append(self, decision: Decision, *, now_ms: int) -> None:
        """Make a decision true and bring the desk to the new head. Errors as of ``Journal.append``."""
        commit = decision.commit
        await self._journal.append(commit, decision.outcome, expected=self.head, now_ms=now_ms)
        if commit is not None:
            self.head = Head(commit.seq, self.head.epoch, self.head.incarnation)
            self.appended_at_ms = commit.at_ms
            self._take(commit)

    async def settle(self) -> None:
        """Bring the views to the desk's head: rows first, then how far they are."""
        commits = self._overlay.commits
        for start in range(0, len(commits), VIEW_COMMITS_AT_ONCE):
            some = commits[start : start + VIEW_COMMITS_AT_ONCE]
            await self._views.write(*some)
            await self._views.advance(self.library, after=some[0].seq - 1, to=some[-1].seq)
        self._overlay = Overlay(self.head.seq)

    async def _begin(self, head: Head) -> None:
        applied = await self._bring_views_near(head.seq)
        self._overlay = Overlay(applied)
        self.tree = PartialTree(self.library, head.seq)
        async for commit in self._journal.read(self.library, applied, head.seq):
            self._overlay.add(commit)
        self._fresh = False

    async def _bring_views_near(self, seq: int) -> int:
        """How far the views are, after writing what is so far behind that it should not be held in memory."""
        applied = min(await self._views.applied(self.library), seq)
        while seq - applied > CATCH_UP_COMMITS_MAX:
            upto = applied + VIEW_COMMITS_AT_ONCE
            commits = [commit async for commit in self._journal.read(self.library, applied, upto)]
            await self._views.write(*commits)
            await self._views.advance(self.library, after=applied, to=upto)
            applied = upto
        return applied

    async def _catch_up(self, head: Head) -> None:
        applied = min(await self._views.applied(self.library), head.seq)
        async for commit in self._journal.read(self.library, self.tree.seq, head.seq):
            self._take(commit)
        if applied > self._overlay.base:
            # Whoever appended has written the views too: what they hold need not be laid over, nor written again.
            self._overlay = Overlay(applied, [commit for commit in self._overlay.commits if commit.seq > applied])

    def _take(self, commit: Commit) -> None:
        self.tree.apply(commit)
        self._overlay.add(commit)

    async def _load(self, facts: Collection[Fact]) -> None:
        snapshot = Snapshot(self._views, self.library, self._overlay)
        await self._loader.load(snapshot, facts, self.tree)


class Desks:
    """Desks kept from batch to batch, the least recently used dropped first. A desk that failed is not put back."""

    def __init__(self, journal: Journal, views: Views, *, desks_max: int = 256, facts_max: int = 2 * FACTS_MAX) -> None:
        self._journal = journal
        self._views = views
        self._loader = FactLoader(journal)
        self._desks_max = desks_max
        self._facts_max = facts_max
        self._kept: dict[str, Desk] = {}

    def take(self, library: str) -> Desk:
        """A desk for this worker alone, until it is put back."""
        kept = self._kept.pop(library, None)
        return kept or Desk(library, self._journal, self._views, self._loader)

    def put_back(self, desk: Desk) -> None:
        self._kept[desk.library] = desk
        facts = sum(kept.size for kept in self._kept.values())
        while self._kept and (facts > self._facts_max or len(self._kept) > self._desks_max):
            oldest = next(iter(self._kept))
            facts -= self._kept.pop(oldest).size
