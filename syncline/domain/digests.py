"""Which changes a follower is told of, and how a window of them is folded and arranged into one mail. Pure.

Told: what others did, to a node one follows or to anything below a followed folder. Not told: one's own changes, a
version that became history only, what came and went within the window, a move there and back.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum

import msgspec

from syncline.domain.commits import Change, Commit, Effect
from syncline.domain.nodes import Kind, Node, Place

LINES_SHOWN = 20
"""Lines of one list before "and N more"."""

FOLDERS_NAMED = 3
"""Of what is not shown, so many folders are named with how much of it is there."""

GROUPS_SHOWN = 20
"""Lists in one mail; what more there is, is counted."""

RANGES_MAX = 32
"""Seq ranges a window remembers; beyond, the closest two become one and some commits are read in vain."""

DEPTH_MAX = 50_000
"""More folders than are above any node (a path is 1,024 bytes when it is made): a walk ends somewhere."""

SeqRange = tuple[int, int]
"""The first and last seq of a run of commits, both included."""


class Happened(StrEnum):
    """What a window did to a node, taken together; and, of a library, to its members."""

    ADDED = "added"
    UPDATED = "updated"
    MOVED = "moved"
    REMOVED = "removed"
    MEMBERS = "members"


TO_NODES = frozenset(Happened) - {Happened.MEMBERS}


class Told(msgspec.Struct, frozen=True):
    """What one node went through in a window: ``node`` is its last state there, ``was`` the place it had before when
    it has another now, ``accounts`` who did it (in order, without the follower), ``times`` how often."""

    node: Node
    happened: Happened
    was: Place | None
    accounts: tuple[str, ...]
    times: int
    at_ms: int


class Group(msgspec.Struct, frozen=True):
    """One list of a mail: the same people did the same to ``files`` and ``folders``, of which ``told`` are shown.

    ``elsewhere``: the folders in which most of the others are, with their number.
    """

    accounts: tuple[str, ...]
    happened: Happened
    told: tuple[Told, ...]
    files: int
    folders: int
    elsewhere: tuple[tuple[str, int], ...] = ()

    @property
    def count(self) -> int:
        return self.files + self.folders

    @property
    def more(self) -> int:
        return self.count - len(self.told)


class Digest(msgspec.Struct, frozen=True):
    """What one mail says: ``count`` nodes changed by ``accounts``; ``more`` of them are in no list."""

    groups: tuple[Group, ...]
    accounts: tuple[str, ...]
    count: int
    more: int


# -- whom it concerns -----------------------------------------------------------------------------------------------


def concerned(change: Change, followed: Iterable[str], parent_of: Mapping[str, str]) -> bool:
    """Whether a change touches a followed node or something below one, where it is now or where it was."""
    return not above(change, parent_of).isdisjoint(followed)


def above(change: Change, parent_of: Mapping[str, str]) -> set[str]:
    """The changed node and every folder above its place and above the place it left, as far as they are known."""
    found = {change.node.id}
    for start in starts(change):
        found.update(upwards(start, parent_of))
    return found


def starts(change: Change) -> tuple[str, ...]:
    """The folders from which to look upwards: the parent now and, if it was elsewhere, the parent before."""
    if change.was is None or change.was.parent == change.node.parent:
        return (change.node.parent,)
    return (change.node.parent, change.was.parent)


def upwards(start: str, parent_of: Mapping[str, str]) -> Iterator[str]:
    """A folder and those above it, as far as they are known."""
    node = start
    for _ in range(DEPTH_MAX):
        if not node:
            return
        yield node
        node = parent_of.get(node, "")


# -- what happened, taken together ----------------------------------------------------------------------------------


class _Story:
    """The events of one node in order; ``others`` are those the follower did not cause."""

    def __init__(self) -> None:
        self.events: list[tuple[Commit, Change]] = []

    def told(self, follower: str) -> Told | None:
        others = [event for event in self.events if event[0].account != follower]
        if not others:
            return None
        (_, first), (last_commit, last) = self.events[0], self.events[-1]
        born = first.effect is Effect.ADDED
        if last.node.removed:
            if born or last_commit.account == follower:
                return None
            return _tell(Happened.REMOVED, last.node, None, [self.events[-1]])
        before = first.was or first.node.place
        moved = before != last.node.place and any(change.was for _, change in others)
        was = before if moved else None
        if born and others[0] is self.events[0]:
            return _tell(Happened.ADDED, last.node, None, others)
        if renewed := [event for event in others if _renews(*event)]:
            return _tell(Happened.UPDATED, last.node, was, renewed)
        return _tell(Happened.MOVED, last.node, was, others) if was else None


def fold(commits: Iterable[Commit], follower: str, concerns: Callable[[Change], bool]) -> list[Told]:
    """What ``follower`` is told of these commits (in order of seq), at most once per node, in order of appearance."""
    stories: dict[str, _Story] = {}
    for commit in commits:
        for change in commit.changes:
            if change.effect is not Effect.LATE and concerns(change):
                stories.setdefault(change.node.id, _Story()).events.append((commit, change))
    told = [told for story in stories.values() if (told := story.told(follower)) is not None]
    return _without_obvious_folders(told)


def _tell(happened: Happened, node: Node, was: Place | None, events: Sequence[tuple[Commit, Change]]) -> Told:
    accounts = tuple(dict.fromkeys(commit.account for commit, _ in events))
    return Told(node, happened, was, accounts, len(events), events[-1][0].at_ms)


def _renews(commit: Commit, change: Change) -> bool:
    """Whether the node has other content since (or came back), rather than just another place."""
    if change.effect is Effect.MOVED:
        return change.node.kind is Kind.FILE and change.node.content_seq == commit.seq
    return change.effect in (Effect.UPDATED, Effect.ADDED)


def _without_obvious_folders(told: list[Told]) -> list[Told]:
    """Without the new folders in which something new is told of: that says it already."""
    filled = {t.node.parent for t in told if t.happened is Happened.ADDED}
    return [t for t in told if not (t.happened is Happened.ADDED and t.node.id in filled)]


# -- how it is arranged ---------------------------------------------------------------------------------------------


def arrange(told: Sequence[Told], *, lines: int = LINES_SHOWN, groups: int = GROUPS_SHOWN) -> Digest:
    """Lists by who did what, the busiest people's first; neighbours in a folder stand together, by name."""
    gathered: dict[tuple[tuple[str, ...], Happened], list[Told]] = {}
    folders: dict[str, int] = {}
    for one in told:
        gathered.setdefault((one.accounts, one.happened), []).append(one)
        folders.setdefault(one.node.parent, len(folders))
    order = list(Happened)
    busiest: dict[tuple[str, ...], int] = {}
    for (accounts, _), items in gathered.items():
        busiest[accounts] = busiest.get(accounts, 0) + len(items)
    keys = sorted(gathered, key=lambda key: (-busiest[key[0]], key[0], order.index(key[1])))
    shown = tuple(_group(key, gathered[key], folders, lines) for key in keys[:groups])
    everyone = tuple(dict.fromkeys(account for accounts, _ in keys for account in accounts))
    return Digest(shown, everyone, len(told), len(told) - sum(group.count for group in shown))


def _group(key: tuple[tuple[str, ...], Happened], items: list[Told], folders: Mapping[str, int], lines: int) -> Group:
    def by_place(told: Told) -> tuple[int, str, str]:
        return folders[told.node.parent], told.node.name.casefold(), told.node.name

    files = sum(told.node.kind is Kind.FILE for told in items)
    ordered = sorted(items, key=by_place)
    hidden = Counter(told.node.parent for told in ordered[lines:])
    elsewhere = tuple(hidden.most_common(FOLDERS_NAMED))
    return Group(key[0], key[1], tuple(ordered[:lines]), files, len(items) - files, elsewhere)


# -- what a window remembers ----------------------------------------------------------------------------------------


def add_seq(ranges: tuple[SeqRange, ...], seq: int) -> tuple[SeqRange, ...]:
    """The ranges with a seq above all of theirs; never more than ``RANGES_MAX``, never without a seq they had."""
    if ranges and seq <= ranges[-1][1]:
        return ranges
    if ranges and ranges[-1][1] + 1 == seq:
        return (*ranges[:-1], (ranges[-1][0], seq))
    grown = [*ranges, (seq, seq)]
    if len(grown) > RANGES_MAX:
        _, at = min((grown[i + 1][0] - grown[i][1], i) for i in range(len(grown) - 1))
        grown[at : at + 2] = [(grown[at][0], grown[at + 1][1])]
    return tuple(grown)


def cut_ranges(ranges: tuple[SeqRange, ...], upto: int) -> tuple[SeqRange, ...]:
    """What of the ranges is not above ``upto``."""
    return tuple((first, min(last, upto)) for first, last in ranges if first <= upto)


# -- names in mail --------------------------------------------------------------------------------------------------

_KEPT_FORMATS = "\u200c\u200d"  # the joiners that scripts and emoji are written with


def harmless(name: str) -> str:
    """A name on one line, whose every character is one: line ends, control characters, marks that reverse the
    direction of what follows and lone surrogates become U+FFFD."""
    return "".join("\ufffd" if _harms(c) else c for c in name)


def _harms(character: str) -> bool:
    category = unicodedata.category(character)
    return category in ("Cc", "Zl", "Zp", "Cs") or (category == "Cf" and character not in _KEPT_FORMATS)
