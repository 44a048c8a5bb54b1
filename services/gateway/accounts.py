"""Accounts and sessions: registering, signing in, refreshing, signing out."""

from __future__ import annotations

from collections.abc import Sequence

from services.gateway.invitations import Inviting
from services.gateway.limits import Limits
from services.gateway.passwords import Passwords
from services.gateway.proving import Proving
from services.gateway.refresh_tokens import (
    RandomBytes,
    device_of,
    hash_refresh_token,
    is_genuine,
    make_refresh_token,
)
from services.gateway.wakes import Wakes
from syncline.domain.capabilities import SigningKey
from syncline.domain.errors import ConditionFailed, Refused
from syncline.domain.ids import NewId
from syncline.domain.registration import Registration
from syncline.messages import api as m
from syncline.ports.clock import Clock
from syncline.serving.auth import ACCESS_TOKEN_S, Caller, Tokens, not_signed_in
from syncline.serving.http import remote_address
from syncline.serving.logging import get_logger
from syncline.serving.routes import Call, Nothing
from syncline.store.directory import DEVICES_MAX, AccountRecord, DeviceRecord, Directory
from syncline.store.invitations import InvitationRecord
from syncline.store.titles import clean_email, clean_title

REFRESH_GRACE_MS = 60_000
"""So long the token before the current one still works: its answer may have been lost on the way."""


class Accounts:
    def __init__(
        self,
        directory: Directory,
        clock: Clock,
        *,
        registration: Registration,
        inviting: Inviting,
        wakes: Wakes,
        tokens: Tokens,
        token_keys: Sequence[SigningKey],
        passwords: Passwords,
        proving: Proving,
        limits: Limits,
        new_id: NewId,
        random_bytes: RandomBytes,
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._registration = registration
        self._inviting = inviting
        self._wakes = wakes
        self._tokens = tokens
        self._token_keys = token_keys
        self._passwords = passwords
        self._proving = proving
        self._limits = limits
        self._new_id = new_id
        self._random_bytes = random_bytes

    async def create(self, call: Call, body: m.NewAccount) -> m.Account:
        """An invitation's link proves to read the address, and makes a member of what was shared with it."""
        account, _ = await self.register(call, body)
        return _account(account)

    async def register(self, call: Call, body: m.NewAccount) -> tuple[AccountRecord, list[str]]:
        """The new account, and the libraries that it was invited to."""
        email, name = clean_email(body.email), clean_title(body.name, "$.name")
        await self._limits.create_account(remote_address(call.request))
        invitation = await self._invitation(body.invitation, email)
        password_hash = await self._passwords.hash(body.password)
        now_ms = self._clock.now_ms()
        record = AccountRecord(
            self._new_id(), email, name, password_hash, now_ms, confirmed_at_ms=now_ms if invitation else 0
        )
        account = await self._directory.create_account(record)
        # Should this be cut short, the link still works, with the password that was just set.
        joined = await self._inviting.accept_all(account, invitation) if invitation else []
        return account, joined

    async def _invitation(self, token: str, email: str) -> InvitationRecord | None:
        """The invitation that somebody registers by. Raises ``Refused``: "registration-closed" (403), as ``by_link``
        does, "invitation-for-another" (403)."""
        if self._registration is Registration.CLOSED:
            raise Refused("registration-closed", "Accounts are made by the operators here; ask them.", status=403)
        if not token:
            if self._registration is Registration.INVITED:
                detail = "Only who was invited by mail can register here; open the link in the invitation."
                raise Refused("registration-closed", detail, status=403)
            return None
        invitation = await self._inviting.by_link(token)
        if invitation.email != email:
            detail = "The invitation was sent to another address than this one."
            raise Refused("invitation-for-another", detail, status=403)
        return invitation

    async def sign_in(self, call: Call, body: m.SignIn) -> m.Session:
        """One answer, after the same work, for a wrong password and for an unknown address."""
        email, device_name = clean_email(body.email), clean_title(body.device_name, "$.device_name")
        await self._limits.sign_in(remote_address(call.request), email)
        account = await self._proving.by_email(call.request, email, body.password)
        if account is None:
            raise Refused("sign-in-failed", "The e-mail address or the password is wrong.", status=401)
        await self._make_room(account)
        return await self._create_device(account, device_name)

    async def refresh(self, _call: Call, body: m.Refresh) -> m.Session:
        """New tokens. A token used twice signs its device out, unless its first answer may have been lost."""
        account, device = await self._signed_in(body.refresh_token)
        used = hash_refresh_token(body.refresh_token)
        token = make_refresh_token(device.id, self._token_keys, self._random_bytes)
        now_ms = self._clock.now_ms()
        if used == device.refresh_hash:
            previous_hash, rotated_at_ms = device.refresh_hash, now_ms
        elif used == device.previous_refresh_hash and now_ms - device.rotated_at_ms <= REFRESH_GRACE_MS:
            # The grace counts from the first rotation, however often the answer is lost.
            previous_hash, rotated_at_ms = used, device.rotated_at_ms
        else:
            await self._refuse_reuse(device, body.refresh_token)
            raise _refresh_failed()
        try:
            await self._directory.rotate_refresh(
                device.id,
                device.refresh_hash,
                hash_refresh_token(token),
                previous_hash=previous_hash,
                at_ms=rotated_at_ms,
            )
        except ConditionFailed:
            # Another request with the same token was faster: as if the answer was lost, asking again helps.
            raise Refused(
                "temporarily-unavailable", "This session is being refreshed.", status=503, retry_after_s=1
            ) from None
        return self._session(account, device, token)

    async def sign_out(self, call: Call, _body: Nothing) -> Nothing:
        await self._directory.revoke_device(call.caller.device, at_ms=self._clock.now_ms())
        await self._wakes.touch(call.caller.account)
        return Nothing()

    async def me(self, call: Call, _body: Nothing) -> m.Me:
        account = await self._directory.account(call.caller.account)
        device = await self._directory.device(call.caller.device)
        if account is None or device is None:
            raise not_signed_in("This account is no more.")
        return m.Me(account=_account(account), device=device.id, device_name=device.name)

    async def _create_device(self, account: AccountRecord, device_name: str) -> m.Session:
        device_id = self._new_id()
        token = make_refresh_token(device_id, self._token_keys, self._random_bytes)
        device = DeviceRecord(
            device_id,
            account.id,
            device_name,
            hash_refresh_token(token),
            "",
            self._clock.now_ms(),
            # Should the password have been changed since it was looked at, this device is signed out already.
            epoch=account.epoch,
        )
        await self._directory.create_device(device)
        get_logger().info("signed-in", account=account.id, device=device.id)
        return self._session(account, device, token)

    async def _make_room(self, account: AccountRecord) -> None:
        """Sign out the devices that were away longest, beyond so many."""
        devices = await self._directory.devices_of(account)
        by_use = sorted(devices, key=lambda device: max(device.created_at_ms, device.rotated_at_ms))
        for device in by_use[: max(0, len(devices) - DEVICES_MAX + 1)]:
            await self._directory.revoke_device(device.id, at_ms=self._clock.now_ms())

    async def _signed_in(self, token: str) -> tuple[AccountRecord, DeviceRecord]:
        device_id = device_of(token)
        device = await self._directory.device(device_id) if device_id else None
        if device is None:
            raise _refresh_failed()
        signed_in = await self._directory.signed_in(device.account, device.id)
        if signed_in is None:
            raise Refused("device-revoked", "This device was signed out; sign in again.", status=401)
        return signed_in

    async def _refuse_reuse(self, device: DeviceRecord, token: str) -> None:
        if is_genuine(token, self._token_keys):
            get_logger().warning("refresh-token-reused", account=device.account, device=device.id)
            await self._directory.revoke_device(device.id, at_ms=self._clock.now_ms())
            await self._wakes.touch(device.account)

    def _session(self, account: AccountRecord, device: DeviceRecord, refresh_token: str) -> m.Session:
        return m.Session(
            account=_account(account),
            device=device.id,
            device_name=device.name,
            access_token=self._tokens.issue(Caller(account.id, device.id)),
            expires_in_s=ACCESS_TOKEN_S,
            refresh_token=refresh_token,
        )


def _account(account: AccountRecord) -> m.Account:
    return m.Account(id=account.id, email=account.email, name=account.name)


def _refresh_failed() -> Refused:
    return Refused("refresh-failed", "The refresh token is not good any more; sign in again.", status=401)
