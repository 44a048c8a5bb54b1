"""Changes of a library's members, and what a follower is told of those of a window, taken together. Pure.

Not told: what the follower did, that they joined themselves, and what was taken back within the window.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from syncline.domain.rights import Role


class MemberChange(msgspec.Struct, frozen=True, array_like=True):
    """``account`` had ``before`` and has ``after``, by what ``by`` did ("": nobody that is known, as an operator).

    With ``group`` it is by being in that group; with ``group`` alone the whole group shares the library.
    """

    by: str
    account: str
    group: str
    before: Role | None
    after: Role | None


class Membership(msgspec.Struct, frozen=True):
    """What became of one member in a window, and who did it, in order."""

    account: str
    group: str
    before: Role | None
    after: Role | None
    by: tuple[str, ...]


class MembersTold(msgspec.Struct, frozen=True):
    """What one mail says of members. ``groups``: the names of those groups that are still there."""

    told: tuple[Membership, ...] = ()
    groups: Mapping[str, str] = {}

    @property
    def by(self) -> list[str]:
        """The accounts that did it, as far as they are known."""
        return list(dict.fromkeys(account for one in self.told for account in one.by if account))

    @property
    def accounts(self) -> set[str]:
        """All the accounts it speaks of."""
        return {one.account for one in self.told if one.account} | set(self.by)


def is_news(change: MemberChange, follower: str) -> bool:
    """Whether a follower does not know already."""
    return change.by != follower and not (change.account == follower and change.before is None)


def fold_members(changes: Iterable[MemberChange], follower: str) -> list[Membership]:
    """What ``follower`` is told of these changes (in order), at most once per member, in order of appearance."""
    found: dict[tuple[str, str], list[MemberChange]] = {}
    for change in changes:
        found.setdefault((change.account, change.group), []).append(change)
    told = []
    for (account, group), some in found.items():
        others = tuple(dict.fromkeys(change.by for change in some if is_news(change, follower)))
        before, after = some[0].before, some[-1].after
        if others and before is not after and not (account == follower and before is None):
            told.append(Membership(account, group, before, after, others))
    return told
