"""An account leaves: what only it owns is handed to an heir first, so that nothing is lost with it."""

from __future__ import annotations

from contextlib import suppress

from syncline.domain.errors import NotFound, Refused
from syncline.domain.rights import Role
from syncline.ports.tables import Tables
from syncline.store.addresses import AddressChanges
from syncline.store.directory import AccountRecord, Directory, GroupRecord
from syncline.store.follows import Follows
from syncline.store.groups import Groups
from syncline.store.usage import Usage


class Leaving:
    """Every step may be repeated: a removal that was cut short goes on when it is asked for again."""

    def __init__(self, tables: Tables) -> None:
        self._directory = Directory(tables)
        self._groups = Groups(tables)
        self._follows = Follows(tables)
        self._changes = AddressChanges(tables)
        self._usage = Usage(tables)

    async def alone(self, account: str) -> tuple[list[str], list[GroupRecord]]:
        """The libraries that have no other owner, and the groups, that nobody would own without the account."""
        roles = await self._directory.direct_roles(account)
        owned = [library for library, role in roles.items() if role is Role.OWNER]
        libraries = [library for library in owned if await self._is_sole(library, account)]
        return libraries, await self._groups.owned_by(account)

    async def remove(self, account: AccountRecord, *, heir: str, at_ms: int) -> None:
        """Hand over to ``heir`` ("": nobody), give up the rest, and remove the account.

        Raises ``Refused("last-owner")`` where an heir would be needed, ``ConditionFailed`` when the account
        has changed.
        """
        await self._leave(account.id, heir)
        await self._forget(account.id)
        await self._directory.remove_account(account, at_ms=at_ms)
        # Whoever made it a member in the meantime did so for nothing; from now on nobody can.
        with suppress(Refused):  # the only owner of what was handed to it just now: operators find an heir
            await self._leave(account.id, heir)
        await self._forget(account.id)
        await self._directory.forget_devices(account.id, at_ms=at_ms)

    async def _forget(self, account: str) -> None:
        """What it wanted, began, and was granted."""
        await self._follows.forget(account)
        await self._changes.drop(account)
        await self._usage.forget_account(account)

    async def _leave(self, account: str, heir: str) -> None:
        for library, role in (await self._directory.direct_roles(account)).items():
            if role is Role.OWNER and heir and await self._is_sole(library, account):
                await self._directory.transfer(library, account, heir, keep=None)
            else:
                await self._directory.set_member(library, account, None, by=account)
        for group in await self._groups.owned_by(account):
            if heir:
                await self._groups.hand_over(group, heir)
        for group in await self._groups.of(account):
            with suppress(NotFound):  # it is being deleted, and its members with it
                await self._groups.remove(group.id, account, by=account)

    async def _is_sole(self, library: str, account: str) -> bool:
        members = await self._directory.members(library)
        return not any(member.role is Role.OWNER and member.account != account for member in members)
