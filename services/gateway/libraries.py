"""Libraries and their members."""

from __future__ import annotations

from services.gateway.titles import clean_email, clean_title
from syncline.domain.cursors import Cursor, encode_cursor
from syncline.domain.errors import Refused
from syncline.domain.ids import NewId
from syncline.domain.rights import Role, may_govern
from syncline.messages import api as m
from syncline.ports.clock import Clock
from syncline.serving.auth import Access, no_such_library
from syncline.serving.routes import Call, Nothing
from syncline.store.directory import AccountRecord, Directory, LibraryRecord
from syncline.store.follows import Follows
from syncline.store.journal import Head, Journal


class Libraries:
    def __init__(
        self,
        directory: Directory,
        journal: Journal,
        follows: Follows,
        access: Access,
        clock: Clock,
        new_id: NewId,
    ) -> None:
        self._directory = directory
        self._journal = journal
        self._follows = follows
        self._access = access
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
        await self._access.require_read(call.library, call.caller.account)
        members = await self._directory.members(call.library)
        accounts = await self._directory.accounts([member.account for member in members])
        return m.Members(
            members=[_member(accounts[member.account], member.role) for member in members if member.account in accounts]
        )

    async def set_member(self, call: Call, body: m.NewMember) -> m.Member:
        await self._access.require_govern(call.library, call.caller.account)
        account = await self._directory.account_by_email(clean_email(body.email))
        if account is None:
            detail = "Nobody has registered with this e-mail address; ask them to do so first."
            raise Refused("no-such-account", detail, status=404)
        await self._directory.set_member(call.library, account.id, body.role)
        return _member(account, body.role)

    async def remove_member(self, call: Call, _body: Nothing) -> Nothing:
        """Owners remove anyone, everyone may leave. The members' epoch moves: the next request is refused."""
        role, _ = await self._access.require_read(call.library, call.caller.account)
        account = call.id("account", "no-such-member")
        if account != call.caller.account and not may_govern(role):
            raise Refused("not-allowed", "Only owners remove other members.", status=403)
        if await self._directory.member(call.library, account) is None:
            raise Refused("no-such-member", "This account is not a member of the library.", status=404)
        await self._directory.set_member(call.library, account, None)
        await self._follows.drop_all(account, call.library)
        return Nothing()


def _library(record: LibraryRecord, role: Role, head: Head) -> m.Library:
    return m.Library(
        id=record.id,
        name=record.name,
        role=role,
        seq=head.seq,
        cursor=encode_cursor(Cursor(head.incarnation, head.seq)),
        created_at_ms=record.created_at_ms,
    )


def _member(account: AccountRecord, role: Role) -> m.Member:
    return m.Member(account=account.id, email=account.email, name=account.name, role=role)
