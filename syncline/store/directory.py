"""Who is who: accounts, devices, libraries, their members and the groups among them.

Rows, all in the table ``directory``::

    pk = account#{account}   sk = account             email, name, password_hash, created_at_ms, epoch, …
    pk = email#{email}       sk = email               account (makes e-mail addresses unique)
    pk = device#{device}     sk = device              account, name, refresh_hash, previous_refresh_hash, epoch, …
    pk = account#{account}   sk = device#{device}     (an account's devices that were not signed out)
    pk = library#{library}   sk = library             name, created_at_ms
    pk = library#{library}   sk = member#{account}    role
    pk = account#{account}   sk = library#{library}   role (the same, found from the other side)
    pk = library#{library}   sk = groups              rev, body (packed map of roles by group)
    pk = group#{group}       sk = group, libraries, member#{account}; pk = account#{account} sk = group#…, owns#…
                                                      (see ``groups``)
    pk = account#{account}   sk = address             (see ``addresses``)
    pk = library#{library}   sk = invited#{invitation} (see ``invitations``)
    pk = memberchanges#{library}, memberdue#{shard}   (see ``membership``)

Of a removed account the row ``account`` stays, without address, name and password: versions name their author by id.
"""

from __future__ import annotations

from collections.abc import Sequence

from syncline.domain.errors import ConditionFailed, NotFound, Refused, Temporary
from syncline.domain.membership import MemberChange
from syncline.domain.rights import Role, highest
from syncline.ports.tables import Absent, Below, Check, Delete, Put, Row, Table, Tables
from syncline.store import archiving, membership, usage
from syncline.store.codec import text
from syncline.store.directory_rows import (
    AccountRecord,
    DeviceRecord,
    GroupRecord,
    LibraryRecord,
    MemberRecord,
    account_key,
    group_libraries_key,
    group_member_key,
    library_groups_key,
    library_key,
    library_of,
    member_key,
    member_puts,
    membership_key,
    roles_in,
    row_of,
)
from syncline.store.journal import Journal
from syncline.store.people import DEVICES_MAX, People, normal_email

__all__ = [
    "DEVICES_MAX",
    "AccountRecord",
    "DeviceRecord",
    "Directory",
    "GroupRecord",
    "LibraryRecord",
    "MemberRecord",
    "normal_email",
]

MEMBERS_MAX = 10_000
MEMBER_CHANGE_TRIES = 8
"""A change of members that meets another one starts again at most so often."""


class Directory(People):
    """Typed records over the table ``directory``. Reads see every earlier write."""

    def __init__(self, tables: Tables) -> None:
        super().__init__(tables)
        self._journal = Journal(tables)

    # -- libraries and members ----------------------------------------------------------------------------------

    async def create_library(self, library: LibraryRecord, owner: str, incarnation: str) -> None:
        """Store a library with its owner and begin its journal, all or nothing."""
        await self._tables.transact(
            [
                Put(Table.DIRECTORY, row_of(library_key(library.id), library), Absent()),
                *member_puts(MemberRecord(library.id, owner, Role.OWNER)),
                *self._journal.creation(library.id, incarnation),
                archiving.mark(library.id, "new"),
                usage.beginning(library.id),
            ]
        )

    async def library(self, library: str) -> LibraryRecord | None:
        row = await self._tables.get(Table.DIRECTORY, library_key(library))
        return None if row is None else library_of(row)

    async def libraries_of(self, account: str) -> list[tuple[LibraryRecord, Role]]:
        """The libraries an account is a member of, by itself or through a group, by id."""
        roles = await self._roles_of(account)
        found = await self._tables.get_many(Table.DIRECTORY, [library_key(library) for library in roles])
        records = sorted(map(library_of, found.values()), key=lambda record: record.id)
        return [(record, roles[record.id]) for record in records]

    async def library_ids_of(self, account: str) -> frozenset[str]:
        """The same libraries, without a reading of each. One that is gone may be among them."""
        return frozenset(await self._roles_of(account))

    async def direct_roles(self, account: str) -> dict[str, Role]:
        """The roles an account has by itself, by library."""
        rows = self._tables.query(
            Table.DIRECTORY, f"account#{account}", first="library#", last="library#~", limit=MEMBERS_MAX
        )
        return {_id_in(row): Role(text(row, "role")) async for row in rows}

    async def member(self, library: str, account: str) -> Role | None:
        """The account's role: the highest of its own and of its groups'; None when it is no member.

        Two read units in one call; a further call, and a unit for each group, where groups share the library.
        """
        keys = (member_key(library, account), library_groups_key(library))
        rows = await self._tables.get_many(Table.DIRECTORY, keys)
        own = rows.get(keys[0])
        roles = [] if own is None else [Role(text(own, "role"))]
        groups = roles_in(rows.get(keys[1]))
        if groups and Role.OWNER not in roles:
            asked = {group_member_key(group, account): role for group, role in groups.items()}
            roles += [asked[key] for key in await self._tables.get_many(Table.DIRECTORY, list(asked))]
        return highest(roles)

    async def direct_member(self, library: str, account: str) -> Role | None:
        """The role an account has by itself, whatever its groups."""
        row = await self._tables.get(Table.DIRECTORY, member_key(library, account))
        return None if row is None else Role(text(row, "role"))

    async def groups_in(self, library: str) -> dict[str, Role]:
        """The groups that share a library, with their roles."""
        return roles_in(await self._tables.get(Table.DIRECTORY, library_groups_key(library)))

    async def members(self, library: str) -> list[MemberRecord]:
        """Those who are members by themselves."""
        rows = self._tables.query(
            Table.DIRECTORY, f"library#{library}", first="member#", last="member#~", limit=MEMBERS_MAX
        )
        return [
            MemberRecord(library, str(row["sk"]).removeprefix("member#"), Role(text(row, "role"))) async for row in rows
        ]

    async def set_member(self, library: str, account: str, role: Role | None, *, by: str = "") -> None:
        """Give an account a role of its own in a library, or none (remove it), and move the members' epoch.

        ``by`` is the account that does it, "" for nobody that followers could be told of.
        Nothing moves when it is so already. Raises ``NotFound`` (no such library), ``Refused``: "last-owner",
        "no-such-account" for one that was removed.
        """
        await self._change_members(library, {account: role}, by)

    async def transfer(self, library: str, account: str, to: str, *, keep: Role | None = Role.EDITOR) -> None:
        """Make ``to`` an owner and ``account``, who was one and does it, what ``keep`` says, in one moment.

        Raises as ``set_member`` does, and ``Refused("not-allowed")`` when ``account`` is no owner by itself.
        """
        if account != to:
            await self._change_members(library, {to: Role.OWNER, account: keep}, account, only_owners=True)

    async def _change_members(
        self, library: str, wanted: dict[str, Role | None], by: str, *, only_owners: bool = False
    ) -> None:
        for _ in range(MEMBER_CHANGE_TRIES):
            head = await self._journal.head(library)
            if head is None:
                raise NotFound(f"There is no library {library}")
            now = {member.account: member.role for member in await self.members(library)}
            if only_owners and now.get(by) is not Role.OWNER:
                raise Refused("not-allowed", "Only owners can hand a library over.", status=403)
            changed = {account: role for account, role in wanted.items() if now.get(account) is not role}
            if not changed:
                return
            _refuse_to_lose_the_last_owner(now, changed)
            added = [account for account, role in changed.items() if role is not None]
            writes = [write for account, role in changed.items() for write in _member_writes(library, account, role)]
            checks = [Check(Table.DIRECTORY, account_key(account), Below("removed_at_ms", 1)) for account in added]
            try:
                # Conditional on the epoch read above: two changes at once cannot each remove the other's owner.
                bump = self._journal.epoch_bump(library, expected=head.epoch)
                news = archiving.mark(library, f"members {head.epoch + 1}")
                told = [MemberChange(by, one, "", now.get(one), role) for one, role in changed.items()]
                followers = membership.written(library, head.epoch + 1, told)
                await self._tables.transact([*writes, bump, *checks, news, *followers])
                return
            except ConditionFailed as failed:
                if failed.index > len(writes):
                    raise no_such_account() from None
        raise Temporary(f"The members of {library} keep changing; try again")

    async def _roles_of(self, account: str) -> dict[str, Role]:
        """One query finds both an account's libraries and its groups: they lie beside each other."""
        rows = self._tables.query(
            Table.DIRECTORY, f"account#{account}", first="group#", last="library#~", limit=MEMBERS_MAX
        )
        roles: dict[str, list[Role]] = {}
        groups: list[str] = []
        async for row in rows:
            if str(row["sk"]).startswith("group#"):
                groups.append(_id_in(row))
            elif str(row["sk"]).startswith("library#"):
                roles[_id_in(row)] = [Role(text(row, "role"))]
        keys = [group_libraries_key(group) for group in groups]
        shared = await self._tables.get_many(Table.DIRECTORY, keys) if keys else {}
        for row in shared.values():
            for library, through in roles_in(row).items():
                roles.setdefault(library, []).append(through)
        return {library: role for library, held in roles.items() if (role := highest(held)) is not None}


def _refuse_to_lose_the_last_owner(now: dict[str, Role], changed: dict[str, Role | None]) -> None:
    """Groups do not count: whoever leaves one must not leave a library behind that nobody owns."""
    owners = {account for account, role in {**now, **changed}.items() if role is Role.OWNER}
    if not owners:
        raise Refused("last-owner", "A library keeps at least one owner; make someone else an owner first.", status=409)


def _id_in(row: Row) -> str:
    return str(row["sk"]).partition("#")[2]


def no_such_account() -> Refused:
    return Refused("no-such-account", "There is no such account.", status=404)


def _member_writes(library: str, account: str, role: Role | None) -> Sequence[Put | Delete]:
    if role is not None:
        return member_puts(MemberRecord(library, account, role))
    keys = (member_key(library, account), membership_key(library, account))
    return [Delete(Table.DIRECTORY, key) for key in keys]
