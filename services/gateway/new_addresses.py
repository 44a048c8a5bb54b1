"""Another e-mail address for an account, once the old and the new one have both said yes."""

from __future__ import annotations

from collections.abc import Sequence

from services.gateway.auditing import concerns
from services.gateway.letters import Letters, language_of
from services.gateway.limits import Limits
from services.gateway.new_passwords import link_used
from services.gateway.proving import Proving
from syncline.domain.capabilities import ADDRESS_LIFE_S, AddressCapability, SigningKey, open_capability
from syncline.domain.errors import ConditionFailed, Refused
from syncline.domain.ids import NewId
from syncline.messages import api as m
from syncline.messages.send_letter import Letter
from syncline.ports.clock import Clock
from syncline.serving.logging import get_logger
from syncline.serving.routes import Call, Nothing
from syncline.store.addresses import AddressChange, AddressChanges
from syncline.store.directory import Directory
from syncline.store.titles import clean_email


class NewAddresses:
    def __init__(
        self,
        directory: Directory,
        changes: AddressChanges,
        proving: Proving,
        letters: Letters,
        limits: Limits,
        clock: Clock,
        new_id: NewId,
        link_keys: Sequence[SigningKey],
    ) -> None:
        self._directory = directory
        self._changes = changes
        self._proving = proving
        self._letters = letters
        self._limits = limits
        self._clock = clock
        self._new_id = new_id
        self._link_keys = link_keys

    async def ask(self, call: Call, body: m.AddressRequest) -> Nothing:
        """Both addresses get a letter. Whether the new one has an account already is not said: only its owner will
        see, by the link sent there."""
        email = clean_email(body.email)
        account = await self._proving.once_more(call.request, call.caller.account, body.password)
        if email == account.email:
            raise Refused("invalid-body", "This is your address already.", status=422, at="$.email")
        await self._limits.send_letter(account.id)
        language, ends_at = language_of(call.request), self._clock.now_ms() // 1000 + ADDRESS_LIFE_S
        change = AddressChange(self._new_id(), account.id, account.email, email, ends_at, language=language)
        await self._changes.begin(change)
        about = {"account": account.id, "change": change.id}
        for kind in (Letter.ADDRESS_OLD, Letter.ADDRESS_NEW):
            await self._letters.send(kind, about=about, language=language, life_s=ADDRESS_LIFE_S)
        return Nothing()

    async def confirm(self, _call: Call, body: m.LinkToken) -> m.AddressConfirmed:
        return m.AddressConfirmed(done=await self.confirm_by_link(body.token))

    async def by_link(self, token: str) -> tuple[AddressChange, AddressCapability]:
        """What a link confirms. Raises ``Refused``: "bad-link", "link-expired", "link-used"."""
        now_s = self._clock.now_ms() // 1000
        capability = open_capability(token, self._link_keys, now_s=now_s)
        if not isinstance(capability, AddressCapability):
            raise Refused("bad-link", "This link is for something else; open it from the mail again.", status=404)
        change = await self._changes.get(capability.account)
        if change is None or change.id != capability.change or now_s >= change.ends_at:
            raise link_used()
        return change, capability

    async def confirm_by_link(self, token: str) -> bool:
        """Whether both sides have confirmed by now, so that the address is changed. Raises as ``by_link`` does."""
        _, capability = await self.by_link(token)
        concerns(account=capability.account)
        confirmed = await self._changes.confirm(capability.account, capability.change, new=capability.new)
        if confirmed is None:
            raise link_used()
        if not (confirmed.old_confirmed and confirmed.new_confirmed):
            return False
        await self._make_true(confirmed)
        return True

    async def _make_true(self, change: AddressChange) -> None:
        account = await self._directory.account(change.account)
        if account is None or account.email != change.old:
            raise link_used()
        try:
            await self._directory.change_email(account, change.new, at_ms=self._clock.now_ms())
        except ConditionFailed:
            raise Refused(
                "temporarily-unavailable", "This account is being changed.", status=503, retry_after_s=1
            ) from None
        get_logger().info("address-changed", account=account.id)
        await self._changes.drop(account.id)
        await self._letters.send(Letter.ADDRESS_CHANGED, to=change.old, language=change.language)
