"""Libraries and their members."""

from __future__ import annotations

from typing import NoReturn

from services.gateway.invitations import Inviting
from services.gateway.wakes import Wakes
from syncline.domain.cursors import Cursor, encode_cursor
from syncline.domain.errors import Refused
from syncline.domain.ids import NewId
from syncline.domain.rights import Role, highest, may_govern
from syncline.messages import api as m
from syncline.ports.clock import Clock
from syncline.serving.auth import Access, no_such_library
from syncline.serving.routes import Call, Nothing
from syncline.store.directory import AccountRecord, Directory, LibraryRecord
from syncline.store.follows import Follows
from syncline.store.groups import Groups
from syncline.store.journal import Head, Journal
from syncline.store.titles import clean_email, clean_title


class Libraries:
    def __init__(
        self,
        directory: Directory,
        journal: Journal,
        follows: Follows,
        groups: Groups,
        access: Access,
        inviting: Inviting | None,
        wakes: Wakes,
        clock: Clock,
        new_id: NewId,
    ) -> None:
        self._directory = directory
        self._journal = journal
        self._follows = follows
        self._groups = groups
        self._access = access
        self._inviting = inviting
        self._wakes = wakes
        self._clock = clock
        self._new_id = new_id

    async def create(self, call: Call, body: m.NewLibrary) -> m.Library:
        name = clean_title(body.name, "$.name")
        record = LibraryRecord(self._new_id(), name, self._clock.now_ms())
        incarnation = self._new_id()
        await self._directory.create_library(record, call.caller.account, incarnation)
        return _library(record, Role.OWNER, Head(0, 1, incarnation))

    async def all(self, call: Call, _body: Nothing) -> m.Libraries:
        found = await self._directory.libraries_of(call.caller.account)
        heads = await self._journal.heads([record.id for record, _ in found])
        return m.Libraries(
            libraries=[_library(record, role, heads[record.id]) for record, role in found if record.id in heads]
        )

    async def get(self, call: Call, _body: Nothing) -> m.Library:
        role, head = await self._access.require_read(call.library, call.caller.account)
        record = await self._directory.library(call.library)
        if record is None or role is None:
            raise no_such_library()
        return _library(record, role, head)

    async def members(self, call: Call, _body: Nothing) -> m.Members:
        """Everybody who shares a library, with the highest of their roles, and the groups among them."""
        await self._access.require_read(call.library, call.caller.account)
        own = {member.account: member.role for member in await self._directory.members(call.library)}
        roles = await self._directory.groups_in(call.library)
        groups = await self._groups.groups(list(roles))
        through: dict[str, list[str]] = {}
        for group in groups:
            for account in await self._groups.members(group):
                through.setdefault(account, []).append(group)
        accounts = await self._directory.accounts(list({**own, **through}))
        members = [
            _member(
                record,
                _highest(own.get(account), [roles[group] for group in through.get(account, [])]),
                direct=account in own,
                groups=sorted(groups[group].name for group in through.get(account, [])),
            )
            for account, record in accounts.items()
        ]
        return m.Members(
            members=members,
            groups=[m.LibraryGroup(group=one.id, name=one.name, role=roles[one.id]) for one in groups.values()],
        )

    async def set_member(self, call: Call, body: m.NewMember) -> m.Member:
        """Who has no account with the address is invited by mail, where people may register."""
        await self._access.require_govern(call.library, call.caller.account)
        email = clean_email(body.email)
        account = await self._directory.account_by_email(email)
        if account is None:
            return await self._invite(call, email, body.role)
        await self._directory.set_member(call.library, account.id, body.role, by=call.caller.account)
        await self._wakes.touch(account.id)
        return _member(account, body.role)

    async def remove_member(self, call: Call, _body: Nothing) -> Nothing:
        """Owners remove anyone, everyone may leave. The members' epoch moves: the next request is refused."""
        role, _ = await self._access.require_read(call.library, call.caller.account)
        account = call.id("account", "no-such-member")
        if account != call.caller.account and not may_govern(role):
            raise Refused("not-allowed", "Only owners remove other members.", status=403)
        if await self._directory.direct_member(call.library, account) is None:
            await self._refuse_to_remove_from_outside(call.library, account)
        await self._directory.set_member(call.library, account, None, by=call.caller.account)
        if await self._directory.member(call.library, account) is None:
            await self._follows.drop_all(account, call.library)
        await self._wakes.touch(account)
        return Nothing()

    async def transfer(self, call: Call, body: m.Transfer) -> m.Member:
        """Make somebody else an owner and step back, in one moment."""
        await self._access.require_govern(call.library, call.caller.account)
        account = await self._directory.account_by_email(clean_email(body.email))
        if account is None:
            raise Refused("no-such-account", "Nobody has registered with this e-mail address.", status=404)
        await self._directory.transfer(call.library, call.caller.account, account.id, keep=body.keep)
        await self._wakes.touch(call.caller.account, account.id)
        return _member(account, Role.OWNER)

    async def _invite(self, call: Call, email: str, role: Role) -> m.Member:
        if self._inviting is None:
            detail = "Nobody has registered with this e-mail address, and nobody can register here."
            raise Refused("no-such-account", detail, status=404)
        await self._inviting.invite(call, call.library, email, role)
        return m.Member(account="", email=email, name="", role=role, direct=False, invited=True)

    async def _refuse_to_remove_from_outside(self, library: str, account: str) -> NoReturn:
        if await self._directory.member(library, account) is None:
            raise Refused("no-such-member", "This account is not a member of the library.", status=404)
        detail = "This account is a member through a group: take it out of the group, or the group out of the library."
        raise Refused("member-by-group", detail, status=409)


def _library(record: LibraryRecord, role: Role, head: Head) -> m.Library:
    return m.Library(
        id=record.id,
        name=record.name,
        role=role,
        seq=head.seq,
        cursor=encode_cursor(Cursor(head.incarnation, head.seq)),
        created_at_ms=record.created_at_ms,
    )


def _member(account: AccountRecord, role: Role, *, direct: bool = True, groups: list[str] | None = None) -> m.Member:
    return m.Member(
        account=account.id, email=account.email, name=account.name, role=role, direct=direct, groups=groups or []
    )


def _highest(own: Role | None, through: list[Role]) -> Role:
    role = highest(through if own is None else [own, *through])
    assert role is not None, "whoever is shown has a role"
    return role
