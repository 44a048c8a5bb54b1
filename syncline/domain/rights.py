"""Who may do what in a library."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Role(StrEnum):
    """A member's role. Owners also share and remove; editors change content; viewers read and follow."""

    OWNER = "owner"
    EDITOR = "editor"
    VIEWER = "viewer"


_RANKS = (Role.VIEWER, Role.EDITOR, Role.OWNER)


def highest(roles: Iterable[Role]) -> Role | None:
    """The role of someone who has all of these, None for none of them."""
    return max(roles, key=_RANKS.index, default=None)


def may_write(role: Role | None) -> bool:
    """Whether a member with this role (None: no member) may change content."""
    return role in (Role.OWNER, Role.EDITOR)


def may_read(role: Role | None) -> bool:
    return role is not None


def may_govern(role: Role | None) -> bool:
    """Whether the role may add, change and remove members and the library itself."""
    return role is Role.OWNER
