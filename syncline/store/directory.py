"""Who is who: accounts, devices, libraries and their members.

Rows, all in the table ``directory``::

    pk = account#{account}   sk = account             email, name, password_hash, created_at_ms
    pk = email#{email}       sk = email               account (makes e-mail addresses unique)
    pk = device#{device}     sk = device              account, name, refresh_hash, previous_refresh_hash, …
    pk = library#{library}   sk = library             name, created_at_ms
    pk = library#{library}   sk = member#{account}    role
    pk = account#{account}   sk = library#{library}   role (the same, found from the other side)
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import msgspec

from syncline.domain.errors import ConditionFailed, NotFound, Refused, Temporary
from syncline.domain.rights import Role
from syncline.ports.tables import Absent, Delete, Equals, Exists, Key, Put, Row, Table, Tables, Update, Value
from syncline.store.codec import number, text
from syncline.store.journal import Journal

MEMBERS_MAX = 10_000
MEMBER_CHANGE_TRIES = 8
"""A change of members that meets another one starts again at most so often."""


class AccountRecord(msgspec.Struct, frozen=True):
    id: str
    email: str
    name: str
    password_hash: str
    created_at_ms: int


class DeviceRecord(msgspec.Struct, frozen=True):
    """``refresh_hash`` and ``previous_refresh_hash`` are hashes of refresh tokens, never the tokens.

    ``rotated_at_ms`` is when the previous one was last replaced, 0 when it never was.
    """

    id: str
    account: str
    name: str
    refresh_hash: str
    previous_refresh_hash: str
    created_at_ms: int
    revoked: bool = False
    rotated_at_ms: int = 0


class LibraryRecord(msgspec.Struct, frozen=True):
    id: str
    name: str
    created_at_ms: int


class MemberRecord(msgspec.Struct, frozen=True):
    library: str
    account: str
    role: Role


def normal_email(address: str) -> str:
    """The one form in which an address is stored and looked up: trimmed, lower case, NFC."""
    return unicodedata.normalize("NFC", address.strip().lower())


class Directory:
    """Typed records over the table ``directory``. Reads see every earlier write."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._journal = Journal(tables)

    # -- accounts and devices -----------------------------------------------------------------------------------

    async def create_account(self, account: AccountRecord) -> AccountRecord:
        """Store a new account, its address in normal form. Raises ``Refused("email-taken")``."""
        email = normal_email(account.email)
        normal = msgspec.structs.replace(account, email=email)
        operations = [
            Put(Table.DIRECTORY, _row(_account_key(normal.id), normal), Absent()),
            Put(Table.DIRECTORY, {"pk": f"email#{email}", "sk": "email", "account": normal.id}, Absent()),
        ]
        try:
            await self._tables.transact(operations)
        except ConditionFailed:
            raise Refused("email-taken", f"There is an account with the address {email}.", status=409) from None
        return normal

    async def account(self, account: str) -> AccountRecord | None:
        row = await self._tables.get(Table.DIRECTORY, _account_key(account))
        return None if row is None else _account(row)

    async def accounts(self, accounts: Sequence[str]) -> dict[str, AccountRecord]:
        """Those that exist, by id."""
        keys = [_account_key(account) for account in accounts]
        rows = await self._tables.get_many(Table.DIRECTORY, keys)
        return {record.id: record for record in map(_account, rows.values())}

    async def account_by_email(self, email: str) -> AccountRecord | None:
        row = await self._tables.get(Table.DIRECTORY, Key(f"email#{normal_email(email)}", "email"))
        return None if row is None else await self.account(text(row, "account"))

    async def set_password_hash(self, account: str, expected_hash: str, new_hash: str) -> None:
        """Store the same password under newer parameters. Raises ``ConditionFailed`` when it was changed meanwhile."""
        same = Equals({"password_hash": expected_hash})
        change: dict[str, Value] = {"password_hash": new_hash}
        await self._tables.write(Update(Table.DIRECTORY, _account_key(account), set=change, when=same))

    async def create_device(self, device: DeviceRecord) -> None:
        """Raises ``ConditionFailed`` when the id is taken."""
        await self._tables.write(Put(Table.DIRECTORY, _row(_device_key(device.id), device), Absent()))

    async def device(self, device: str) -> DeviceRecord | None:
        row = await self._tables.get(Table.DIRECTORY, _device_key(device))
        return None if row is None else _device(row)

    async def rotate_refresh(
        self, device: str, expected_hash: str, new_hash: str, *, previous_hash: str, at_ms: int
    ) -> None:
        """Replace the refresh token's hash. Raises ``ConditionFailed`` unless it is ``expected_hash``, unrevoked.

        ``previous_hash`` is the token that was replaced at ``at_ms`` (on a repeat after a lost answer, the older one).
        """
        changed: dict[str, Value] = {
            "refresh_hash": new_hash,
            "previous_refresh_hash": previous_hash,
            "rotated_at_ms": at_ms,
        }
        unchanged = Equals({"refresh_hash": expected_hash, "revoked": False})
        await self._tables.write(Update(Table.DIRECTORY, _device_key(device), set=changed, when=unchanged))

    async def revoke_device(self, device: str) -> None:
        """Nobody gets in with this device any more. Raises ``NotFound``."""
        try:
            await self._tables.write(Update(Table.DIRECTORY, _device_key(device), set={"revoked": True}, when=Exists()))
        except ConditionFailed:
            raise NotFound(f"There is no device {device}") from None

    # -- libraries and members ----------------------------------------------------------------------------------

    async def create_library(self, library: LibraryRecord, owner: str, incarnation: str) -> None:
        """Store a library with its owner and begin its journal, all or nothing."""
        await self._tables.transact(
            [
                Put(Table.DIRECTORY, _row(_library_key(library.id), library), Absent()),
                *_member_puts(MemberRecord(library.id, owner, Role.OWNER)),
                *self._journal.creation(library.id, incarnation),
            ]
        )

    async def library(self, library: str) -> LibraryRecord | None:
        row = await self._tables.get(Table.DIRECTORY, _library_key(library))
        return None if row is None else _library(row)

    async def libraries_of(self, account: str) -> list[tuple[LibraryRecord, Role]]:
        """The libraries an account is a member of, by id."""
        rows = self._tables.query(
            Table.DIRECTORY, f"account#{account}", first="library#", last="library#~", limit=MEMBERS_MAX
        )
        roles = {str(row["sk"]).removeprefix("library#"): Role(text(row, "role")) async for row in rows}
        found = await self._tables.get_many(Table.DIRECTORY, [_library_key(library) for library in roles])
        records = sorted(map(_library, found.values()), key=lambda record: record.id)
        return [(record, roles[record.id]) for record in records]

    async def member(self, library: str, account: str) -> Role | None:
        """The account's role, None when it is no member. One read unit."""
        row = await self._tables.get(Table.DIRECTORY, _member_key(library, account))
        return None if row is None else Role(text(row, "role"))

    async def members(self, library: str) -> list[MemberRecord]:
        rows = self._tables.query(
            Table.DIRECTORY, f"library#{library}", first="member#", last="member#~", limit=MEMBERS_MAX
        )
        return [
            MemberRecord(library, str(row["sk"]).removeprefix("member#"), Role(text(row, "role"))) async for row in rows
        ]

    async def set_member(self, library: str, account: str, role: Role | None) -> None:
        """Give an account a role in a library, or none (remove it), and move the members' epoch.

        Nothing moves when it is so already. Raises ``NotFound`` (no such library) and ``Refused("last-owner")``.
        """
        for _ in range(MEMBER_CHANGE_TRIES):
            head = await self._journal.head(library)
            if head is None:
                raise NotFound(f"There is no library {library}")
            now = {member.account: member.role for member in await self.members(library)}
            if now.get(account) is role:
                return
            _refuse_to_lose_the_last_owner(now, account, role)
            writes = _member_writes(library, account, role)
            try:
                # Conditional on the epoch read above: two changes at once cannot each remove the other's owner.
                bump = self._journal.epoch_bump(library, expected=head.epoch)
                await self._tables.transact([*writes, bump])
                return
            except ConditionFailed:
                continue
        raise Temporary(f"The members of {library} keep changing; try again")


def _refuse_to_lose_the_last_owner(now: dict[str, Role], account: str, role: Role | None) -> None:
    owners = {member for member, had in now.items() if had is Role.OWNER}
    if owners == {account} and role is not Role.OWNER:
        raise Refused("last-owner", "A library keeps at least one owner; make someone else an owner first.", status=409)


def _member_writes(library: str, account: str, role: Role | None) -> Sequence[Put | Delete]:
    if role is not None:
        return _member_puts(MemberRecord(library, account, role))
    keys = (_member_key(library, account), _membership_key(library, account))
    return [Delete(Table.DIRECTORY, key) for key in keys]


def _member_puts(member: MemberRecord) -> list[Put]:
    keys = (
        _member_key(member.library, member.account),
        _membership_key(member.library, member.account),
    )
    return [Put(Table.DIRECTORY, {"pk": key.pk, "sk": key.sk, "role": member.role.value}) for key in keys]


def _account_key(account: str) -> Key:
    return Key(f"account#{account}", "account")


def _device_key(device: str) -> Key:
    return Key(f"device#{device}", "device")


def _library_key(library: str) -> Key:
    return Key(f"library#{library}", "library")


def _member_key(library: str, account: str) -> Key:
    return Key(f"library#{library}", f"member#{account}")


def _membership_key(library: str, account: str) -> Key:
    return Key(f"account#{account}", f"library#{library}")


def _row(key: Key, record: AccountRecord | DeviceRecord | LibraryRecord) -> Row:
    return {"pk": key.pk, "sk": key.sk, **msgspec.structs.asdict(record)}


def _account(row: Row) -> AccountRecord:
    return AccountRecord(
        text(row, "id"),
        text(row, "email"),
        text(row, "name"),
        text(row, "password_hash"),
        number(row, "created_at_ms"),
    )


def _device(row: Row) -> DeviceRecord:
    return DeviceRecord(
        text(row, "id"),
        text(row, "account"),
        text(row, "name"),
        text(row, "refresh_hash"),
        text(row, "previous_refresh_hash"),
        number(row, "created_at_ms"),
        row.get("revoked") is True,
        number(row, "rotated_at_ms") if "rotated_at_ms" in row else 0,
    )


def _library(row: Row) -> LibraryRecord:
    return LibraryRecord(text(row, "id"), text(row, "name"), number(row, "created_at_ms"))
