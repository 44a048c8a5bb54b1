"""Proving by password who one is: the same work and the same answer whether there is such an account or not."""

from __future__ import annotations

from contextlib import suppress

from aiohttp import web

from services.gateway.lockout import Lockout
from services.gateway.passwords import Passwords
from syncline.domain.errors import ConditionFailed, Refused
from syncline.serving.auth import not_signed_in
from syncline.serving.http import remote_address
from syncline.store.directory import AccountRecord, Directory

NOBODY = "a" * 20


class Proving:
    def __init__(self, directory: Directory, passwords: Passwords, lockout: Lockout) -> None:
        self._directory = directory
        self._passwords = passwords
        self._lockout = lockout

    async def by_email(self, request: web.Request, email: str, password: str) -> AccountRecord | None:
        """The account with this address and password, None for anything else. ``email`` in normal form.

        Raises ``Refused("too-many-requests")`` (429).
        """
        address = remote_address(request)
        await self._lockout.attempt(email, address)
        account = await self._directory.account_by_email(email)
        if account is None:
            await self._directory.account(NOBODY)  # the second read that a known address costs
        right = await self._passwords.verify(password, account.password_hash if account else None)
        if account is None or not right:
            return None
        await self._lockout.succeeded(email, address)
        await self._renew_hash(account, password)
        return await self._directory.account(account.id)

    async def once_more(self, request: web.Request, account: str, password: str) -> AccountRecord:
        """The account of someone who is signed in and shows the password again for something grave.

        Raises ``Refused``: "wrong-password" (403), "too-many-requests" (429).
        """
        record = await self._directory.account(account)
        if record is None:
            raise not_signed_in("This account is no more.")
        proven = await self.by_email(request, record.email, password)
        if proven is None or proven.id != account:
            raise Refused("wrong-password", "The password is wrong.", status=403)
        return proven

    async def _renew_hash(self, account: AccountRecord, password: str) -> None:
        """Store the password under today's parameters; when it was changed meanwhile, that has been done."""
        if self._passwords.is_outdated(account.password_hash):
            renewed = await self._passwords.hash(password)
            with suppress(ConditionFailed):
                await self._directory.set_password_hash(account.id, account.password_hash, renewed)
