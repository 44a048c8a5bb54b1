"""Who is told of what, on which terms: of all follows above a change, a follower's nearest one decides. Pure.

Someone may follow a library daily and one folder in it at once: what happens in the folder is told at once and is not
in the daily mail. A move between two such places is told in both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from syncline.domain.commits import Change, Commit, Effect
from syncline.domain.digests import TO_NODES, Happened, Told, starts, upwards
from syncline.domain.nodes import Kind
from syncline.domain.preferences import Terms

Following = Mapping[str, Mapping[str, Terms]]
"""By followed node: its followers with their terms."""


class News(msgspec.Struct, frozen=True):
    """A commit is news to a follower. ``opens``: worth a mail; else it only goes into one that is being gathered."""

    terms: Terms
    opens: bool


def news_of(commit: Commit, following: Following, parent_of: Mapping[str, str]) -> dict[tuple[str, str], News]:
    """Whom a commit is news to, by follower and lane; its author is not among them.

    Everything is below the root, so its followers are told even where ``parent_of`` knows nothing.
    """
    # Most changes of a commit lie below the same followed nodes: followers are counted once for all of these.
    kinds_by_chain: dict[tuple[str, ...], set[Happened]] = {}
    for change in commit.changes:
        if change.effect is Effect.LATE:
            continue
        kinds = kinds_of(commit, change)
        for chain in _chains(change.node.id, starts(change), parent_of, commit.library):
            followed = tuple(node for node in chain if node in following)
            if followed:
                kinds_by_chain.setdefault(followed, set()).update(kinds)
    found: dict[tuple[str, str], News] = {}
    for followed, kinds in kinds_by_chain.items():
        for follower, terms in _nearest(followed, following).items():
            if follower != commit.account:
                key = (follower, terms.lane)
                before = found.get(key)
                opens = not terms.kinds.isdisjoint(kinds)
                found[key] = News(terms, opens or (before is not None and before.opens))
    return found


def kinds_of(commit: Commit, change: Change) -> set[Happened]:
    """What a change may be told as, when nothing came before it."""
    if change.effect is Effect.MOVED:
        renewed = change.node.kind is Kind.FILE and change.node.content_seq == commit.seq
        return {Happened.MOVED, Happened.UPDATED} if renewed else {Happened.MOVED}
    return {_HAPPENED[change.effect]}


_HAPPENED = {
    Effect.ADDED: Happened.ADDED,
    Effect.UPDATED: Happened.UPDATED,
    Effect.REMOVED: Happened.REMOVED,
}


class Scope(msgspec.Struct, frozen=True):
    """What one mail to one follower is about: ``follows`` are all theirs in the library by node, and ``counted`` the
    nodes among these whose follows this mail is for."""

    library: str
    follows: Mapping[str, Terms]
    counted: frozenset[str]

    def concerns(self, change: Change, parent_of: Mapping[str, str]) -> bool:
        """Whether a change is for this mail."""
        return any(True for _ in self._deciding(change.node.id, starts(change), parent_of))

    def wants(self, told: Told, parent_of: Mapping[str, str]) -> bool:
        """Whether what happened is of a kind the follower wants to hear of."""
        before = () if told.was is None else (told.was.parent,)
        deciding = self._deciding(told.node.id, (told.node.parent, *before), parent_of)
        return any(told.happened in terms.kinds for terms in deciding)

    @property
    def wants_everything(self) -> bool:
        """Whether every change of a node is for this mail, whatever it is."""
        terms = self.follows.get(self.library)
        return len(self.follows) == len(self.counted) == 1 and terms is not None and terms.kinds >= TO_NODES

    @property
    def wants_members(self) -> bool:
        """Whether changes of the library's members are for this mail: who follows the library hears of them."""
        return self.library in self.counted and Happened.MEMBERS in self.follows[self.library].kinds

    def _deciding(self, node: str, starts: tuple[str, ...], parent_of: Mapping[str, str]) -> Iterator[Terms]:
        for chain in _chains(node, starts, parent_of, self.library):
            nearest = next((above for above in chain if above in self.follows), None)
            if nearest in self.counted:
                yield self.follows[nearest]


def _chains(
    node: str, starts: tuple[str, ...], parent_of: Mapping[str, str], library: str
) -> Iterator[tuple[str, ...]]:
    """From the node upwards to the root, once from each place."""
    for start in starts:
        yield (node, *upwards(start, parent_of), library)


def _nearest(chain: tuple[str, ...], following: Following) -> dict[str, Terms]:
    """Each follower's terms of the first node in the chain that they follow."""
    found: dict[str, Terms] = {}
    for node in chain:
        for follower, terms in following[node].items():
            found.setdefault(follower, terms)
    return found
