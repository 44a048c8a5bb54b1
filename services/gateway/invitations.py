"""Invitations by mail, to people who have no account yet."""

from __future__ import annotations

from collections.abc import Sequence

from services.gateway.auditing import concerns
from services.gateway.letters import Letters, language_of
from services.gateway.limits import Limits
from services.gateway.wakes import Wakes
from syncline.domain.capabilities import INVITATION_LIFE_S, InvitationCapability, SigningKey, open_capability
from syncline.domain.errors import NotFound, Refused
from syncline.domain.ids import NewId
from syncline.domain.rights import Role
from syncline.messages import api as m
from syncline.messages.send_letter import Letter
from syncline.ports.clock import Clock
from syncline.serving.auth import Access, not_signed_in
from syncline.serving.logging import get_logger
from syncline.serving.routes import Call, Nothing
from syncline.store.directory import AccountRecord, Directory
from syncline.store.invitations import InvitationRecord, Invitations

SENT_AGAIN_AFTER_MS = 10 * 60 * 1000
"""Sharing once more within this time changes the role, but sends no further letter."""


class Inviting:
    def __init__(
        self,
        directory: Directory,
        invitations: Invitations,
        access: Access,
        letters: Letters,
        limits: Limits,
        wakes: Wakes,
        clock: Clock,
        new_id: NewId,
        link_keys: Sequence[SigningKey],
    ) -> None:
        self._directory = directory
        self._invitations = invitations
        self._access = access
        self._letters = letters
        self._limits = limits
        self._wakes = wakes
        self._clock = clock
        self._new_id = new_id
        self._link_keys = link_keys

    async def invite(self, call: Call, library: str, email: str, role: Role) -> InvitationRecord:
        """Invite an address without an account to a library; its letter leads to registering."""
        now_ms = self._clock.now_ms()
        known = await self._invitations.to(email, library)
        fresh = known is None or known.ends_at <= now_ms // 1000
        send = fresh or known is None or now_ms - known.sent_at_ms > SENT_AGAIN_AFTER_MS
        if send:
            await self._limits.send_letter(call.caller.account)
        invitation = InvitationRecord(
            id=self._new_id() if fresh or known is None else known.id,
            library=library,
            email=email,
            role=role,
            inviter=call.caller.account,
            created_at_ms=now_ms if fresh or known is None else known.created_at_ms,
            ends_at=now_ms // 1000 + INVITATION_LIFE_S,
            sent_at_ms=now_ms if send or known is None else known.sent_at_ms,
        )
        await self._invitations.put(invitation, now_s=now_ms // 1000)
        if send:
            about = {"invitation": invitation.id}
            language = language_of(call.request)
            await self._letters.send(Letter.INVITATION, about=about, language=language, life_s=INVITATION_LIFE_S)
        return invitation

    async def of_library(self, call: Call, _body: Nothing) -> m.Invitations:
        await self._access.require_govern(call.library, call.caller.account)
        now_s = self._clock.now_ms() // 1000
        found = await self._invitations.of_library(call.library)
        return m.Invitations(invitations=[_invitation(one) for one in found if one.ends_at > now_s])

    async def revoke(self, call: Call, _body: Nothing) -> Nothing:
        await self._access.require_govern(call.library, call.caller.account)
        invitation = await self._invitations.get(call.id("invitation", "no-such-invitation"))
        if invitation is None or invitation.library != call.library:
            raise Refused("no-such-invitation", "There is no such invitation to this library.", status=404)
        await self._invitations.drop(invitation)
        return Nothing()

    async def accept(self, call: Call, body: m.LinkToken) -> m.Accepted:
        """As somebody who has an account with the address that was invited."""
        invitation = await self.by_link(body.token)
        account = await self._directory.account(call.caller.account)
        if account is None:
            raise not_signed_in("This account is no more.")
        return m.Accepted(libraries=await self.accept_all(account, invitation))

    async def by_link(self, token: str) -> InvitationRecord:
        """What a link invites to. Raises ``Refused``: "bad-link", "link-expired", "invitation-gone" (410)."""
        now_s = self._clock.now_ms() // 1000
        capability = open_capability(token, self._link_keys, now_s=now_s)
        if not isinstance(capability, InvitationCapability):
            raise Refused("bad-link", "This link is for something else; open it from the mail again.", status=404)
        invitation = await self._invitations.get(capability.invitation)
        if invitation is None or now_s >= invitation.ends_at:
            detail = "This invitation was accepted or revoked already."
            raise Refused("invitation-gone", detail, status=410)
        concerns(email=invitation.email, library=invitation.library)
        return invitation

    async def accept_all(self, account: AccountRecord, shown: InvitationRecord) -> list[str]:
        """Accept every invitation of the address that ``shown`` was sent to: having its link proves to read it.

        The libraries joined. Raises ``Refused("invitation-for-another")`` (403) for an account with another address.
        """
        if account.email != shown.email:
            detail = "The invitation was sent to another address than your account's."
            raise Refused("invitation-for-another", detail, status=403)
        joined = [shown.library] if await self._accept(account, shown) else []
        now_s = self._clock.now_ms() // 1000
        for other in await self._invitations.of_email(shown.email):
            if other.id != shown.id and other.ends_at > now_s and await self._accept(account, other):
                joined.append(other.library)
        await self._wakes.touch(account.id)
        return joined

    async def _accept(self, account: AccountRecord, invitation: InvitationRecord) -> bool:
        joined = False
        # Somebody who has become a member otherwise keeps the role they have.
        if invitation.library and await self._directory.direct_member(invitation.library, account.id) is None:
            try:
                await self._directory.set_member(invitation.library, account.id, invitation.role, by=account.id)
                joined = True
            except NotFound:
                get_logger().info("invitation-without-library", invitation=invitation.id)
        await self._invitations.drop(invitation)
        return joined


def _invitation(record: InvitationRecord) -> m.Invitation:
    return m.Invitation(
        id=record.id,
        email=record.email,
        role=record.role,
        inviter=record.inviter,
        created_at_ms=record.created_at_ms,
        ends_at=record.ends_at,
    )
