"""Groups of accounts, and the libraries they share."""

from __future__ import annotations

from services.gateway.wakes import Wakes
from syncline.domain.errors import NotFound, Refused
from syncline.domain.ids import NewId
from syncline.domain.rights import may_govern
from syncline.messages import api as m
from syncline.ports.clock import Clock
from syncline.serving.auth import Access
from syncline.serving.routes import Call, Nothing
from syncline.store.directory import Directory, GroupRecord
from syncline.store.groups import Groups
from syncline.store.titles import clean_email, clean_title


class GroupRoom:
    """A group's owner changes it; its members see it; to everybody else it is not there."""

    def __init__(
        self, directory: Directory, groups: Groups, access: Access, wakes: Wakes, clock: Clock, new_id: NewId
    ) -> None:
        self._directory = directory
        self._groups = groups
        self._access = access
        self._wakes = wakes
        self._clock = clock
        self._new_id = new_id

    async def create(self, call: Call, body: m.NewGroup) -> m.Group:
        name = clean_title(body.name, "$.name")
        record = GroupRecord(self._new_id(), name, call.caller.account, self._clock.now_ms())
        await self._groups.create(record)
        return _group(record, call.caller.account)

    async def all(self, call: Call, _body: Nothing) -> m.Groups:
        """Those that the asker owns or is in."""
        account = call.caller.account
        found = {group.id: group for group in await self._groups.owned_by(account)}
        found |= {group.id: group for group in await self._groups.of(account)}
        in_order = sorted(found.values(), key=lambda group: (group.name.casefold(), group.id))
        return m.Groups(groups=[_group(record, account) for record in in_order])

    async def get(self, call: Call, _body: Nothing) -> m.GroupDetail:
        record = await self._visible(call)
        accounts = await self._directory.accounts(await self._groups.members(record.id))
        members = [m.GroupMember(account=one.id, email=one.email, name=one.name) for one in accounts.values()]
        return m.GroupDetail(
            group=_group(record, call.caller.account), members=sorted(members, key=lambda member: member.email)
        )

    async def delete(self, call: Call, _body: Nothing) -> Nothing:
        record = await self._owned(call)
        members = await self._groups.members(record.id)
        await self._groups.delete(record.id, by=call.caller.account)
        await self._wakes.touch_all(members)
        return Nothing()

    async def add(self, call: Call, body: m.NewGroupMember) -> m.GroupMember:
        record = await self._owned(call)
        account = await self._directory.account_by_email(clean_email(body.email))
        if account is None:
            raise Refused("no-such-account", "Nobody has registered with this e-mail address.", status=404)
        try:
            await self._groups.add(record.id, account.id, at_ms=self._clock.now_ms(), by=call.caller.account)
        except NotFound:
            raise _no_such_group() from None
        await self._wakes.touch(account.id)
        return m.GroupMember(account=account.id, email=account.email, name=account.name)

    async def remove(self, call: Call, _body: Nothing) -> Nothing:
        """The owner removes anyone; everyone may leave."""
        record = await self._visible(call)
        account = call.id("account", "no-such-member")
        if call.caller.account not in (account, record.owner):
            raise Refused("not-allowed", "Only a group's owner removes others from it.", status=403)
        if not await self._groups.is_member(record.id, account) and record.settled >= record.rev:
            raise Refused("no-such-member", "This account is not a member of the group.", status=404)
        try:
            await self._groups.remove(record.id, account, by=call.caller.account)
        except NotFound:
            raise _no_such_group() from None
        await self._wakes.touch(account)
        return Nothing()

    # -- in libraries -------------------------------------------------------------------------------------------

    async def share(self, call: Call, body: m.GroupRole) -> m.LibraryGroup:
        """Give a group that the asker owns or is in a role in a library that the asker owns."""
        await self._access.require_govern(call.library, call.caller.account)
        record = await self._visible(call)
        try:
            await self._groups.share(call.library, record.id, body.role, by=call.caller.account)
        except NotFound:
            raise _no_such_group() from None
        await self._wakes.touch_all(await self._groups.members(record.id))
        return m.LibraryGroup(group=record.id, name=record.name, role=body.role)

    async def unshare(self, call: Call, _body: Nothing) -> Nothing:
        role, _ = await self._access.require_read(call.library, call.caller.account)
        group = call.id("group", "no-such-group")
        if not may_govern(role):
            raise Refused("not-allowed", "Only owners take groups out of a library.", status=403)
        if group not in await self._directory.groups_in(call.library):
            raise _no_such_group()
        await self._groups.share(call.library, group, None, by=call.caller.account)
        await self._wakes.touch_all(await self._groups.members(group))
        return Nothing()

    async def _visible(self, call: Call) -> GroupRecord:
        record = await self._groups.group(call.id("group", "no-such-group"))
        account = call.caller.account
        if record is None or not (record.owner == account or await self._groups.is_member(record.id, account)):
            raise _no_such_group()
        return record

    async def _owned(self, call: Call) -> GroupRecord:
        record = await self._visible(call)
        if record.owner != call.caller.account:
            raise Refused("not-allowed", "Only the group's owner can do this.", status=403)
        return record


def _group(record: GroupRecord, account: str) -> m.Group:
    return m.Group(
        id=record.id,
        name=record.name,
        owner=record.owner,
        owned=record.owner == account,
        members=record.members,
        created_at_ms=record.created_at_ms,
    )


def _no_such_group() -> Refused:
    return Refused("no-such-group", "There is no such group, or you neither own it nor are in it.", status=404)
