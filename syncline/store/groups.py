"""Groups: named sets of accounts that share libraries together.

Rows in the table ``directory``::

    pk = group#{group}       sk = group              name, owner, members, rev, settled, deleting
    pk = group#{group}       sk = libraries          rev, body (packed map of roles by library)
    pk = group#{group}       sk = member#{account}   at_ms
    pk = group#{group}       sk = change#{rev}       (see ``membership``)
    pk = account#{account}   sk = group#{group}      at_ms (the same, found from the other side)
    pk = account#{owner}     sk = owns#{group}
    pk = library#{library}   sk = groups             rev, body (packed map of roles by group)

Who joins or leaves a group gains or loses its libraries in that moment; then the epoch of each library is moved, so
that remembered roles are worth nothing. Should that be cut short, ``rev`` is ahead of ``settled``: the same request
again, or any other change of the group, goes on with it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from syncline.domain.errors import ConditionFailed, NotFound, Refused, Temporary
from syncline.domain.membership import MemberChange
from syncline.domain.rights import Role
from syncline.ports.tables import (
    Absent,
    Below,
    Check,
    Condition,
    Delete,
    Equals,
    Exists,
    Key,
    Put,
    Row,
    Table,
    Tables,
    Update as Change,
)
from syncline.store import archiving, membership
from syncline.store.codec import number, pack
from syncline.store.directory_rows import (
    GroupRecord,
    account_key,
    bare_row,
    group_key,
    group_libraries_key,
    group_member_key,
    group_of,
    in_group_key,
    library_groups_key,
    owns_group_key,
    roles_in,
    row_of,
)
from syncline.store.journal import Journal
from syncline.store.membership import GroupChange, MemberChanges
from syncline.store.together import together

GROUP_MEMBERS_MAX = 1_000
LIBRARIES_PER_GROUP_MAX = 200
GROUPS_PER_LIBRARY_MAX = 50
GROUPS_OWNED_MAX = 200
TRIES = 8
SETTLED_AT_ONCE = 8
_PER_TRANSACTION = 40


class Groups:
    """Reads see every earlier write. Every change may be repeated: what is done already is not done again.

    ``by`` is the account that makes a change, "" for nobody that followers could be told of.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._journal = Journal(tables)
        self._changes = MemberChanges(tables)

    # -- looking ------------------------------------------------------------------------------------------------

    async def group(self, group: str) -> GroupRecord | None:
        row = await self._tables.get(Table.DIRECTORY, group_key(group))
        return None if row is None else group_of(row)

    async def groups(self, groups: list[str]) -> dict[str, GroupRecord]:
        """Those that exist, by id."""
        rows = await self._tables.get_many(Table.DIRECTORY, [group_key(group) for group in groups]) if groups else {}
        return {record.id: record for record in map(group_of, rows.values())}

    async def owned_by(self, account: str) -> list[GroupRecord]:
        return await self._named(account, "owns#", GROUPS_OWNED_MAX)

    async def of(self, account: str) -> list[GroupRecord]:
        """The groups an account is in."""
        return await self._named(account, "group#", None)

    async def members(self, group: str) -> list[str]:
        """The accounts in a group, by id."""
        rows = self._tables.query(Table.DIRECTORY, f"group#{group}", first="member#", last="member#~")
        return [str(row["sk"]).removeprefix("member#") async for row in rows]

    async def is_member(self, group: str, account: str) -> bool:
        return await self._tables.get(Table.DIRECTORY, group_member_key(group, account)) is not None

    async def libraries(self, group: str) -> dict[str, Role]:
        """The libraries a group shares, with its role in each."""
        return roles_in(await self._tables.get(Table.DIRECTORY, group_libraries_key(group)))

    # -- changing -----------------------------------------------------------------------------------------------

    async def create(self, group: GroupRecord) -> None:
        """Raises ``Refused("too-many-groups")``, ``ConditionFailed`` when the id is taken."""
        if len(await self.owned_by(group.owner)) >= GROUPS_OWNED_MAX:
            raise Refused("too-many-groups", f"An account owns at most {GROUPS_OWNED_MAX} groups.", status=409)
        operations = [
            Put(Table.DIRECTORY, row_of(group_key(group.id), group), Absent()),
            Put(Table.DIRECTORY, bare_row(owns_group_key(group.owner, group.id))),
        ]
        await self._tables.transact(operations)

    async def add(self, group: str, account: str, *, at_ms: int, by: str = "") -> None:
        """Raises ``NotFound`` (no such group), ``Refused``: "group-full", "no-such-account" for a removed one."""

        def writes(record: GroupRecord) -> list[Put | Check | Delete]:
            if record.members >= GROUP_MEMBERS_MAX:
                raise Refused("group-full", f"A group has at most {GROUP_MEMBERS_MAX} members.", status=409)
            return [
                Put(Table.DIRECTORY, bare_row(group_member_key(group, account), at_ms=at_ms)),
                Put(Table.DIRECTORY, bare_row(in_group_key(account, group), at_ms=at_ms)),
                Check(Table.DIRECTORY, account_key(account), Below("removed_at_ms", 1)),
                membership.group_written(group, GroupChange(record.rev + 1, by, account, joined=True)),
            ]

        for _ in range(TRIES):
            record = await self._existing(group)
            if await self.is_member(group, account) or await self._change(record, +1, writes(record)):
                return await self.settle(group)
        raise Temporary(f"The group {group} keeps changing; try again")

    async def remove(self, group: str, account: str, *, by: str = "") -> None:
        """Harmless when the account is no member. Raises ``NotFound`` (no such group)."""
        keys = (group_member_key(group, account), in_group_key(account, group))
        for _ in range(TRIES):
            record = await self._existing(group)
            told = membership.group_written(group, GroupChange(record.rev + 1, by, account, joined=False))
            drops: list[Put | Check | Delete] = [*(Delete(Table.DIRECTORY, key) for key in keys), told]
            if not await self.is_member(group, account) or await self._change(record, -1, drops):
                return await self.settle(group)
        raise Temporary(f"The group {group} keeps changing; try again")

    async def share(self, library: str, group: str, role: Role | None, *, by: str = "") -> None:
        """Give a group a role in a library, or none, and move the library's epoch, in one moment.

        Raises ``NotFound`` (no such library or group), ``Refused("too-many-groups")``.
        """
        for _ in range(TRIES):
            head = await self._journal.head(library)
            if head is None:
                raise NotFound(f"There is no library {library}")
            keys = (library_groups_key(library), group_libraries_key(group))
            rows = await self._tables.get_many(Table.DIRECTORY, keys)
            in_library, in_group = roles_in(rows.get(keys[0])), roles_in(rows.get(keys[1]))
            if in_library.get(group) is role:
                return
            puts = [
                _put(keys[0], rows.get(keys[0]), _with(in_library, group, role, GROUPS_PER_LIBRARY_MAX)),
                _put(keys[1], rows.get(keys[1]), _with(in_group, library, role, LIBRARIES_PER_GROUP_MAX)),
            ]
            there = [] if role is None else [Check(Table.DIRECTORY, group_key(group), Equals({"deleting": False}))]
            try:
                bump = self._journal.epoch_bump(library, expected=head.epoch)
                news = archiving.mark(library, f"members {head.epoch + 1}")
                change = MemberChange(by, "", group, in_library.get(group), role)
                followers = membership.written(library, head.epoch + 1, [change])
                await self._tables.transact([*puts, bump, *there, news, *followers])
                return
            except ConditionFailed as failed:
                if there and failed.index == 3:
                    raise NotFound(f"There is no group {group}") from None
        raise Temporary(f"The members of {library} keep changing; try again")

    async def hand_over(self, group: GroupRecord, to: str) -> None:
        """Another account owns the group from now on. Raises ``ConditionFailed`` when it changed meanwhile."""
        same = Equals({"owner": group.owner, "deleting": False})
        operations: list[Put | Change | Delete | Check] = [
            Change(Table.DIRECTORY, group_key(group.id), set={"owner": to}, when=same),
            Delete(Table.DIRECTORY, owns_group_key(group.owner, group.id)),
            Put(Table.DIRECTORY, bare_row(owns_group_key(to, group.id))),
            Check(Table.DIRECTORY, account_key(to), Below("removed_at_ms", 1)),
        ]
        await self._tables.transact(operations)

    async def delete(self, group: str, *, by: str = "") -> None:
        """Take the group out of its libraries, then its members out of it; repeating goes on where it stopped."""
        record = await self.group(group)
        if record is None:
            return
        # From now on nobody can put it into another library.
        await self._tables.write(
            Change(Table.DIRECTORY, group_key(group), set={"deleting": True}, add={"rev": 1}, when=Exists())
        )
        for library in await self.libraries(group):
            await self.share(library, group, None, by=by)
        members = await self.members(group)
        for start in range(0, len(members), _PER_TRANSACTION):
            some = members[start : start + _PER_TRANSACTION]
            keys = [key for one in some for key in (group_member_key(group, one), in_group_key(one, group))]
            await self._tables.transact([Delete(Table.DIRECTORY, key) for key in keys])
        last = (group_libraries_key(group), owns_group_key(record.owner, group), group_key(group))
        await self._tables.transact([Delete(Table.DIRECTORY, key) for key in last])

    async def settle(self, group: str) -> None:
        """Move the epochs of the group's libraries on, as far as a change of the group has not done so yet."""
        record = await self.group(group)
        if record is None or record.settled >= record.rev:
            return
        changes = [change for change in await self._changes.of_group(group) if change.rev <= record.rev]
        roles = await self.libraries(group)
        await together(
            list(roles), lambda library: self._bump(library, roles[library], record, changes), at_once=SETTLED_AT_ONCE
        )
        settled = Change(
            Table.DIRECTORY, group_key(group), set={"settled": record.rev}, when=Below("settled", record.rev)
        )
        with contextlib.suppress(ConditionFailed):  # another one was faster
            await self._tables.write(settled)
        await self._changes.forget_of_group(group, changes)

    async def _bump(self, library: str, role: Role, group: GroupRecord, changes: list[GroupChange]) -> None:
        """Move a library's epoch for these changes of the group, once however often it is tried."""
        for _ in range(TRIES):
            head, before = await self._journal.head(library), await self._changes.taken_in(library, group.id)
            if head is None or before >= group.rev:
                return
            told = [_told(group.id, change, role) for change in changes if change.rev > before]
            try:
                bump = self._journal.epoch_bump(library, expected=head.epoch)
                news = archiving.mark(library, f"members {head.epoch + 1}")
                done = membership.taken_in(library, group.id, group.rev, before=before)
                followers = membership.written(library, head.epoch + 1, told) if told else []
                await self._tables.transact([bump, news, done, *followers])
                return
            except ConditionFailed:
                continue
        raise Temporary(f"The members of {library} keep changing; try again")

    async def _existing(self, group: str) -> GroupRecord:
        record = await self.group(group)
        if record is None or record.deleting:
            raise NotFound(f"There is no group {group}")
        return record

    async def _change(self, record: GroupRecord, count: int, writes: list[Put | Check | Delete]) -> bool:
        """Whether it was done: not when the group has changed since it was read."""
        same = Equals({"rev": record.rev, "deleting": False})
        moved = Change(Table.DIRECTORY, group_key(record.id), add={"rev": 1, "members": count}, when=same)
        try:
            await self._tables.transact([moved, *writes])
        except ConditionFailed as failed:
            if failed.index > 0:
                raise Refused("no-such-account", "There is no such account.", status=404) from None
            return False
        return True

    async def _named(self, account: str, prefix: str, limit: int | None) -> list[GroupRecord]:
        rows = self._tables.query(Table.DIRECTORY, f"account#{account}", first=prefix, last=f"{prefix}~", limit=limit)
        found = await self.groups([str(row["sk"]).removeprefix(prefix) async for row in rows])
        return sorted(found.values(), key=lambda group: (group.name, group.id))


def _told(group: str, change: GroupChange, role: Role) -> MemberChange:
    before, after = (None, role) if change.joined else (role, None)
    return MemberChange(change.by, change.account, group, before, after)


def _with(roles: dict[str, Role], key: str, role: Role | None, count_max: int) -> dict[str, Role]:
    changed = {name: had for name, had in roles.items() if name != key}
    if role is None:
        return changed
    if len(changed) >= count_max:
        raise Refused("too-many-groups", f"At most {count_max} can be shared with; take one out first.", status=409)
    return {**changed, key: role}


def _put(key: Key, row: Row | None, roles: Mapping[str, Role]) -> Put:
    """The next state of a map of roles, on the condition that it is still what was read."""
    rev = 0 if row is None else number(row, "rev")
    when: Condition = Equals({"rev": rev}) if rev else Absent()
    return Put(Table.DIRECTORY, bare_row(key, rev=rev + 1, body=pack(dict(sorted(roles.items())))), when)
