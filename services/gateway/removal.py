"""Removing an account: what only it owns is handed to somebody else first, so that nothing is lost with it."""

from __future__ import annotations

from contextlib import suppress

from services.gateway.letters import Letters, language_of
from services.gateway.proving import Proving
from services.gateway.titles import clean_email
from services.gateway.wakes import Wakes
from syncline.domain.errors import NotFound, Refused
from syncline.domain.rights import Role
from syncline.messages import api as m
from syncline.messages.send_letter import Letter
from syncline.ports.clock import Clock
from syncline.serving.logging import get_logger
from syncline.serving.routes import Call, Nothing
from syncline.store.addresses import AddressChanges
from syncline.store.directory import AccountRecord, Directory
from syncline.store.follows import Follows
from syncline.store.groups import Groups

NAMED_MAX = 20
"""So many libraries and groups are named when a removal is refused for them."""


class Removal:
    """Every step may be repeated: a removal that was cut short goes on when it is asked for again."""

    def __init__(
        self,
        directory: Directory,
        groups: Groups,
        follows: Follows,
        changes: AddressChanges,
        proving: Proving,
        letters: Letters,
        wakes: Wakes,
        clock: Clock,
    ) -> None:
        self._directory = directory
        self._groups = groups
        self._follows = follows
        self._changes = changes
        self._proving = proving
        self._letters = letters
        self._wakes = wakes
        self._clock = clock

    async def remove(self, call: Call, body: m.AccountRemoval) -> Nothing:
        account = await self._proving.once_more(call.request, call.caller.account, body.password)
        heir = await self._heir(account, body.hand_to)
        if not heir:
            await self._refuse_to_orphan(account)
        await self._leave(account.id, heir)
        await self._follows.drop_all(account.id)
        await self._changes.drop(account.id)
        await self._directory.remove_account(account, at_ms=self._clock.now_ms())
        get_logger().info("account-removed", account=account.id)
        # Whoever made it a member in the meantime did so for nothing; from now on nobody can.
        with suppress(Refused):  # the only owner of what was handed to it just now: operators find an heir
            await self._leave(account.id, heir)
        await self._directory.forget_devices(account.id)
        await self._wakes.touch_all([account.id, heir] if heir else [account.id])
        await self._letters.send(Letter.ACCOUNT_REMOVED, to=account.email, language=language_of(call.request))
        return Nothing()

    async def _heir(self, account: AccountRecord, hand_to: str) -> str:
        if not hand_to:
            return ""
        heir = await self._directory.account_by_email(clean_email(hand_to))
        if heir is None or heir.id == account.id:
            raise Refused("no-such-account", "Nobody else has registered with this e-mail address.", status=404)
        return heir.id

    async def _refuse_to_orphan(self, account: AccountRecord) -> None:
        libraries = [library for library in await self._owned(account.id) if await self._is_sole(library, account.id)]
        groups = await self._groups.owned_by(account.id)
        if not libraries and not groups:
            return
        named = {library: await self._directory.library(library) for library in libraries[:NAMED_MAX]}
        detail = (
            f"{len(libraries)} libraries and {len(groups)} groups are yours alone. Name somebody to hand them to, "
            "or make others owners of the libraries and delete the groups."
        )
        raise Refused(
            "still-owns",
            detail,
            status=409,
            libraries=[{"id": library, "name": record.name if record else ""} for library, record in named.items()],
            groups=[{"id": group.id, "name": group.name} for group in groups[:NAMED_MAX]],
        )

    async def _leave(self, account: str, heir: str) -> None:
        """Give up every membership and group; what would be left without an owner goes to ``heir``."""
        for library, role in (await self._directory.direct_roles(account)).items():
            if role is Role.OWNER and heir and await self._is_sole(library, account):
                await self._directory.transfer(library, account, heir, keep=None)
            else:
                await self._directory.set_member(library, account, None)
        for group in await self._groups.owned_by(account):
            if heir:
                await self._groups.hand_over(group, heir)
        for group in await self._groups.of(account):
            with suppress(NotFound):  # it is being deleted, and its members with it
                await self._groups.remove(group.id, account)

    async def _owned(self, account: str) -> list[str]:
        roles = await self._directory.direct_roles(account)
        return [library for library, role in roles.items() if role is Role.OWNER]

    async def _is_sole(self, library: str, account: str) -> bool:
        members = await self._directory.members(library)
        return not any(member.role is Role.OWNER and member.account != account for member in members)
