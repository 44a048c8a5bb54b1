"""Records of the directory and the rows they are stored as; what lies where is written in ``directory``. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from syncline.domain.rights import Role
from syncline.ports.tables import Key, Put, Row, Table, Value
from syncline.store.codec import blob, number, text, unpack

NO_NUMBER = 0


class AccountRecord(msgspec.Struct, frozen=True):
    """``epoch`` moves with every new password: devices of an earlier one are signed out. ``confirmed_at_ms`` is when
    its owner last proved to read the address (0: never). ``removed_at_ms``: what is left of a removed account."""

    id: str
    email: str
    name: str
    password_hash: str
    created_at_ms: int
    epoch: int = 0
    confirmed_at_ms: int = 0
    removed_at_ms: int = 0


class DeviceRecord(msgspec.Struct, frozen=True):
    """``refresh_hash`` and ``previous_refresh_hash`` are hashes of refresh tokens, never the tokens.

    ``rotated_at_ms`` is when the previous one was last replaced, 0 when it never was. ``epoch`` is the account's under
    which the device signed in.
    """

    id: str
    account: str
    name: str
    refresh_hash: str
    previous_refresh_hash: str
    created_at_ms: int
    revoked: bool = False
    rotated_at_ms: int = 0
    epoch: int = 0


class LibraryRecord(msgspec.Struct, frozen=True):
    id: str
    name: str
    created_at_ms: int


class MemberRecord(msgspec.Struct, frozen=True):
    library: str
    account: str
    role: Role


class GroupRecord(msgspec.Struct, frozen=True):
    """A named set of accounts. ``rev`` counts changes; up to ``settled`` the libraries' epochs have been moved."""

    id: str
    name: str
    owner: str
    created_at_ms: int
    members: int = 0
    rev: int = 0
    settled: int = 0
    deleting: bool = False


def account_key(account: str) -> Key:
    return Key(f"account#{account}", "account")


def email_key(email: str) -> Key:
    return Key(f"email#{email}", "email")


def device_key(device: str) -> Key:
    return Key(f"device#{device}", "device")


def device_index_key(account: str, device: str) -> Key:
    return Key(f"account#{account}", f"device#{device}")


def library_key(library: str) -> Key:
    return Key(f"library#{library}", "library")


def member_key(library: str, account: str) -> Key:
    return Key(f"library#{library}", f"member#{account}")


def membership_key(library: str, account: str) -> Key:
    return Key(f"account#{account}", f"library#{library}")


def library_groups_key(library: str) -> Key:
    return Key(f"library#{library}", "groups")


def group_key(group: str) -> Key:
    return Key(f"group#{group}", "group")


def group_libraries_key(group: str) -> Key:
    return Key(f"group#{group}", "libraries")


def group_member_key(group: str, account: str) -> Key:
    return Key(f"group#{group}", f"member#{account}")


def in_group_key(account: str, group: str) -> Key:
    return Key(f"account#{account}", f"group#{group}")


def owns_group_key(account: str, group: str) -> Key:
    return Key(f"account#{account}", f"owns#{group}")


def row_of(key: Key, record: AccountRecord | DeviceRecord | LibraryRecord | GroupRecord) -> Row:
    return {"pk": key.pk, "sk": key.sk, **msgspec.structs.asdict(record)}


def bare_row(key: Key, **values: Value) -> Row:
    return {"pk": key.pk, "sk": key.sk, **values}


def member_puts(member: MemberRecord) -> list[Put]:
    keys = (member_key(member.library, member.account), membership_key(member.library, member.account))
    return [Put(Table.DIRECTORY, bare_row(key, role=member.role.value)) for key in keys]


def roles_in(row: Row | None) -> dict[str, Role]:
    """What a row ``groups`` or ``libraries`` holds: roles by the group's or the library's id."""
    return {} if row is None else unpack(dict[str, Role], blob(row, "body"))


def account_of(row: Row) -> AccountRecord:
    return AccountRecord(
        text(row, "id"),
        text(row, "email"),
        text(row, "name"),
        text(row, "password_hash"),
        number(row, "created_at_ms"),
        number_or_0(row, "epoch"),
        number_or_0(row, "confirmed_at_ms"),
        number_or_0(row, "removed_at_ms"),
    )


def device_of(row: Row) -> DeviceRecord:
    return DeviceRecord(
        text(row, "id"),
        text(row, "account"),
        text(row, "name"),
        text(row, "refresh_hash"),
        text(row, "previous_refresh_hash"),
        number(row, "created_at_ms"),
        row.get("revoked") is True,
        number_or_0(row, "rotated_at_ms"),
        number_or_0(row, "epoch"),
    )


def library_of(row: Row) -> LibraryRecord:
    return LibraryRecord(text(row, "id"), text(row, "name"), number(row, "created_at_ms"))


def group_of(row: Row) -> GroupRecord:
    return GroupRecord(
        text(row, "id"),
        text(row, "name"),
        text(row, "owner"),
        number(row, "created_at_ms"),
        number(row, "members"),
        number(row, "rev"),
        number(row, "settled"),
        row.get("deleting") is True,
    )


def number_or_0(row: Mapping[str, Value], name: str) -> int:
    """A number that rows of an earlier release lack."""
    return number(row, name) if name in row else NO_NUMBER
