"""Libraries, their members, invitations and groups."""

from __future__ import annotations

from msgspec import Struct

from syncline.domain.rights import Role
from syncline.messages.api.words import Email, Title


class NewLibrary(Struct, kw_only=True):
    name: Title


class Library(Struct, kw_only=True):
    """``id`` is also the id of its root folder. ``role`` is the asker's."""

    id: str
    name: str
    role: Role
    seq: int
    cursor: str
    created_at_ms: int


class Libraries(Struct, kw_only=True):
    libraries: list[Library]


class NewMember(Struct, kw_only=True):
    """Adds a member, or gives a member another role."""

    email: Email
    role: Role


class Member(Struct, kw_only=True):
    """``role`` is the highest of the member's own and of its groups'. ``direct``: it has one of its own; ``groups``
    names those it is a member through. ``invited``: no member yet, a mail is on its way (``account`` is "")."""

    account: str
    email: str
    name: str
    role: Role
    direct: bool = True
    groups: list[str] = []
    invited: bool = False


class LibraryGroup(Struct, kw_only=True):
    group: str
    name: str
    role: Role


class Members(Struct, kw_only=True):
    members: list[Member]
    groups: list[LibraryGroup] = []


class Transfer(Struct, kw_only=True):
    """``email`` becomes an owner; the asker gets the role ``keep``, or leaves when it is null."""

    email: Email
    keep: Role | None = Role.EDITOR


class Invitation(Struct, kw_only=True):
    """``inviter`` is an account."""

    id: str
    email: str
    role: Role
    inviter: str
    created_at_ms: int
    ends_at: int


class Invitations(Struct, kw_only=True):
    invitations: list[Invitation]


class Accepted(Struct, kw_only=True):
    """The libraries joined."""

    libraries: list[str]


class NewGroup(Struct, kw_only=True):
    name: Title


class Group(Struct, kw_only=True):
    """``owned``: by the asker. ``members`` is how many it has."""

    id: str
    name: str
    owner: str
    owned: bool
    members: int
    created_at_ms: int


class Groups(Struct, kw_only=True):
    groups: list[Group]


class GroupMember(Struct, kw_only=True):
    account: str
    email: str
    name: str


class GroupDetail(Struct, kw_only=True):
    group: Group
    members: list[GroupMember]


class NewGroupMember(Struct, kw_only=True):
    email: Email


class GroupRole(Struct, kw_only=True):
    role: Role
