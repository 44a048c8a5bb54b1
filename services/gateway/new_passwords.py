"""New passwords: by a link in a mail when the old one is lost, or by the old one."""

from __future__ import annotations

from collections.abc import Sequence

from services.gateway.auditing import concerns
from services.gateway.letters import Letters, language_of
from services.gateway.limits import Limits
from services.gateway.lockout import Lockout
from services.gateway.passwords import Passwords
from services.gateway.proving import Proving
from services.gateway.wakes import Wakes
from syncline.domain.capabilities import (
    RESET_LIFE_S,
    ResetCapability,
    SigningKey,
    account_stamp,
    open_capability,
)
from syncline.domain.errors import ConditionFailed, Refused
from syncline.messages import api as m
from syncline.messages.send_letter import Letter
from syncline.ports.clock import Clock
from syncline.serving.auth import authenticate
from syncline.serving.http import remote_address
from syncline.serving.logging import get_logger
from syncline.serving.routes import Call, Nothing
from syncline.store.directory import AccountRecord, Directory
from syncline.store.titles import clean_email


class NewPasswords:
    def __init__(
        self,
        directory: Directory,
        passwords: Passwords,
        proving: Proving,
        lockout: Lockout,
        letters: Letters,
        limits: Limits,
        wakes: Wakes,
        clock: Clock,
        link_keys: Sequence[SigningKey],
    ) -> None:
        self._directory = directory
        self._passwords = passwords
        self._proving = proving
        self._lockout = lockout
        self._letters = letters
        self._limits = limits
        self._wakes = wakes
        self._clock = clock
        self._link_keys = link_keys

    async def ask(self, call: Call, body: m.ResetRequest) -> Nothing:
        """Nothing here depends on whether there is such an account: the notifier looks, and writes if there is one."""
        email = clean_email(body.email)
        await self._limits.ask_for_letter(remote_address(call.request), email)
        language = language_of(call.request)
        await self._letters.send(Letter.PASSWORD_RESET, to=email, language=language, life_s=RESET_LIFE_S)
        return Nothing()

    async def use(self, call: Call, body: m.NewPassword) -> Nothing:
        """Set a password by a link. All devices are signed out, but for the asker's own if that is asked for."""
        keep_device = ""
        if body.keep_this_device and "Authorization" in call.request.headers:
            keep_device = (await authenticate(call.request)).device
        await self.set_by_link(call, body.token, body.password, keep_device=keep_device)
        return Nothing()

    async def change(self, call: Call, body: m.PasswordChange) -> Nothing:
        """Set a password by the old one."""
        account = await self._proving.once_more(call.request, call.caller.account, body.password)
        keep_device = call.caller.device if body.keep_this_device else ""
        try:
            await self._set(call, account, body.new_password, keep_device=keep_device)
        except ConditionFailed:
            raise Refused("wrong-password", "The password was changed in this very moment.", status=403) from None
        return Nothing()

    async def account_of(self, token: str) -> AccountRecord:
        """Whose password a link may set. Raises ``Refused``: "bad-link", "link-expired", "link-used" (410)."""
        capability = open_capability(token, self._link_keys, now_s=self._clock.now_ms() // 1000)
        if not isinstance(capability, ResetCapability):
            raise Refused("bad-link", "This link is for something else; open it from the mail again.", status=404)
        account = await self._directory.account(capability.account)
        if account is None or account_stamp(account.id, account.email, account.epoch) != capability.stamp:
            raise link_used()
        concerns(account=account.id)
        return account

    async def set_by_link(self, call: Call, token: str, password: str, *, keep_device: str = "") -> AccountRecord:
        account = await self.account_of(token)
        confirmed_at_ms = self._clock.now_ms()
        try:
            await self._set(call, account, password, keep_device=keep_device, confirmed_at_ms=confirmed_at_ms)
        except ConditionFailed:
            raise link_used() from None
        return account

    async def _set(
        self, call: Call, account: AccountRecord, password: str, *, keep_device: str, confirmed_at_ms: int = 0
    ) -> None:
        password_hash = await self._passwords.hash(password)
        await self._directory.change_password(
            account, password_hash, keep_device=keep_device, confirmed_at_ms=confirmed_at_ms
        )
        get_logger().info("password-changed", account=account.id, by_link=bool(confirmed_at_ms))
        await self._wakes.touch(account.id)
        await self._lockout.forgive(account.email, remote_address(call.request))
        await self._directory.forget_devices(account.id, at_ms=self._clock.now_ms())
        await self._letters.send(Letter.PASSWORD_CHANGED, to=account.email, language=language_of(call.request))


def link_used() -> Refused:
    return Refused("link-used", "This link was used already, or a newer one takes its place; ask again.", status=410)
