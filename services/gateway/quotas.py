"""Quotas: room for an upload is claimed before its permits are given out, so nothing that landed is ever refused."""

from __future__ import annotations

from syncline.domain.errors import Refused, Temporary
from syncline.domain.rights import Role
from syncline.messages import records as m
from syncline.ports.clock import Clock
from syncline.serving.auth import Access
from syncline.serving.routes import Call, Nothing
from syncline.store.directory import Directory
from syncline.store.grants import GrantRecord
from syncline.store.usage import LibraryUsage, Quotas, Usage

CLAIM_TRIES = 5
"""Claims in one library at once meet at its row; so often one of them tries again."""
CLAIM_PAUSE_S = 0.05


class Quota:
    def __init__(self, usage: Usage, directory: Directory, access: Access, clock: Clock, quotas: Quotas) -> None:
        self._usage = usage
        self._directory = directory
        self._access = access
        self._clock = clock
        self._quotas = quotas

    async def claim(self, grant: GrantRecord, asked_bytes: int) -> None:
        """Store the grant and count what it permits. Raises ``Refused("quota-exceeded")`` (507): there is no room."""
        used = await self._usage.of_library(grant.library)
        quota = used.quota(self._quotas)
        if quota and asked_bytes and used.bytes + asked_bytes > quota:
            raise _exceeded("library", used.bytes, quota, asked_bytes)
        await self._check_owners(grant.library, asked_bytes)
        if not await self._open(grant, asked_bytes, quota):
            raise _exceeded("library", (await self._usage.of_library(grant.library)).bytes, quota, asked_bytes)

    async def library(self, call: Call, _body: Nothing) -> m.LibraryUse:
        await self._access.require_read(call.library, call.caller.account)
        return self._use(call.library, await self._usage.of_library(call.library))

    async def mine(self, call: Call, _body: Nothing) -> m.AccountUse:
        account = call.caller.account
        used = await self._usage.of_account(account)
        libraries = [self._use(library, usage) for library, usage in used.items()]
        total = sum(library.used_bytes for library in libraries)
        return m.AccountUse(total, await self._account_quota(account), libraries)

    def _use(self, library: str, usage: LibraryUsage) -> m.LibraryUse:
        return m.LibraryUse(library, usage.bytes, usage.quota(self._quotas))

    async def _open(self, grant: GrantRecord, asked_bytes: int, quota: int) -> bool:
        for tried in range(1, CLAIM_TRIES):
            try:
                return await self._usage.open(grant, asked_bytes, quota_bytes=quota)
            except Temporary:
                # Should it have been counted after all, the sweep sets that right.
                await self._clock.sleep(CLAIM_PAUSE_S * tried)
        return await self._usage.open(grant, asked_bytes, quota_bytes=quota)

    async def _check_owners(self, library: str, asked_bytes: int) -> None:
        """One owner with room is enough. Only where accounts have quotas: it reads all that the owners own."""
        if not self._quotas.account_bytes or not asked_bytes:
            return
        full: Refused | None = None
        for member in await self._directory.members(library):
            if member.role is not Role.OWNER:
                continue
            quota = await self._account_quota(member.account)
            used = sum(usage.bytes for usage in (await self._usage.of_account(member.account)).values())
            if not quota or used + asked_bytes <= quota:
                return
            full = full or _exceeded("account", used, quota, asked_bytes)
        if full is not None:
            raise full

    async def _account_quota(self, account: str) -> int:
        own = await self._usage.account_quota(account)
        return self._quotas.account_bytes if own is None else own


def _exceeded(whose: str, used_bytes: int, quota_bytes: int, asked_bytes: int) -> Refused:
    owner = "The library" if whose == "library" else "The library's owner"
    detail = (
        f"{owner} holds {used_bytes:,} of {quota_bytes:,} bytes; there is no room for {asked_bytes:,} more. "
        "Free some, or ask an operator for a larger quota."
    )
    facts = {"quota_of": whose, "used_bytes": used_bytes, "quota_bytes": quota_bytes, "asked_bytes": asked_bytes}
    return Refused("quota-exceeded", detail, status=507, **facts)
