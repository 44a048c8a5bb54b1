"""Permits and credentials: who may put which bytes where, and read what. Bytes never pass through here."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from services.gateway.limits import Limits
from services.gateway.quotas import Quota
from syncline.domain.checksums import MAX_SIZE_BYTES, is_checksum
from syncline.domain.commands import Permit
from syncline.domain.errors import Refused
from syncline.domain.ids import NewId, is_id
from syncline.domain.links import MAX_TARGET_BYTES
from syncline.domain.paths import clean_name
from syncline.domain.permits import PermitKeys, object_key, read_prefixes, seal_permit, write_prefix
from syncline.messages import api as m
from syncline.ports.clock import Clock
from syncline.ports.credentials import Credential, CredentialIssuer
from syncline.serving.auth import Access, Caller
from syncline.serving.routes import Call
from syncline.store.grants import GRANT_RENEWABLE_S, PERMIT_ALLOWANCE_S, GrantRecord, Grants
from syncline.store.tree import TreeReader

CREDENTIAL_S = 900
PERMITS_PER_TURN = 100


class Uploads:
    def __init__(
        self,
        grants: Grants,
        quota: Quota,
        credentials: CredentialIssuer,
        tree: TreeReader,
        access: Access,
        limits: Limits,
        clock: Clock,
        *,
        permit_keys: PermitKeys,
        new_id: NewId,
    ) -> None:
        self._grants = grants
        self._quota = quota
        self._credentials = credentials
        self._tree = tree
        self._access = access
        self._limits = limits
        self._clock = clock
        self._permit_keys = permit_keys
        self._new_id = new_id

    async def upload(self, call: Call, body: m.UploadRequest) -> m.UploadAnswer:
        library, caller = call.library, call.caller
        _, head = await self._access.require_write(library, caller.account)
        if not body.intents and not body.grant:
            raise Refused("bad-intent", "Say what to upload, or which grant to renew.", status=422, at="$.intents")
        intents = [check_intent(intent, at) for at, intent in enumerate(body.intents)]
        await self._limits.issue_credential(caller.device)
        grant = await self._renewable(body, library, caller) if body.grant else self._new_grant(body, library, caller)
        await self._check_known(library, intents)
        credential = await self._issue(caller, (grant.prefix,), library)
        grant = msgspec.structs.replace(grant, expires_at=credential.expires_at)
        await self._quota.claim(grant, sum(intent.size_bytes for intent in intents))
        permits: list[m.Permitted] = []
        for intent in intents:
            permits.append(self._permit(intent, grant, head.epoch))
            if len(permits) % PERMITS_PER_TURN == 0:
                await asyncio.sleep(0)  # sealing is quick, a thousand are not
        return m.UploadAnswer(grant=grant.id, credential=_credential(credential), permits=permits)

    async def download(self, call: Call, _body: m.DownloadRequest) -> m.DownloadAnswer:
        library, caller = call.library, call.caller
        await self._access.require_read(library, caller.account)
        await self._limits.issue_credential(caller.device)
        return m.DownloadAnswer(credential=_credential(await self._issue(caller, (), library)))

    async def _issue(self, caller: Caller, write_prefixes: tuple[str, ...], library: str) -> Credential:
        return await self._credentials.issue(
            session_name=caller.device,
            write_prefixes=write_prefixes,
            read_prefixes=read_prefixes(library),
            duration_s=CREDENTIAL_S,
        )

    def _new_grant(self, body: m.UploadRequest, library: str, caller: Caller) -> GrantRecord:
        grant = self._new_id()
        prefix = write_prefix(library, grant, body.direct)
        now_ms = self._clock.now_ms()
        return GrantRecord(grant, library, caller.account, caller.device, prefix, body.direct, now_ms, 0)

    async def _check_known(self, library: str, intents: Sequence[m.Intent]) -> None:
        """What the bytes are meant for must be there, now or once: else they would land and become nothing."""
        meant = [intent.node or intent.parent for intent in intents]
        if all(node == library for node in meant):
            return
        strangers = await (await self._tree.at_head(library)).strangers(meant)
        for position, node in enumerate(meant):
            if node in strangers:
                detail = f"There is no {node} in this library; commit a new folder before asking for permits in it."
                raise Refused("no-such-node", detail, status=404, at=f"$.intents[{position}]")

    async def _renewable(self, body: m.UploadRequest, library: str, caller: Caller) -> GrantRecord:
        grant = await self._grants.get(body.grant) if is_id(body.grant) else None
        now_ms = self._clock.now_ms()
        if (
            grant is None
            or (grant.library, grant.account, grant.device) != (library, caller.account, caller.device)
            or grant.direct != body.direct
            or now_ms - grant.opened_at_ms >= GRANT_RENEWABLE_S * 1000
        ):
            detail = "This grant cannot be renewed by this device in this library; ask for a new one."
            raise Refused("grant-gone", detail, status=409)
        return grant

    def _permit(self, intent: m.Intent, grant: GrantRecord, epoch: int) -> m.Permitted:
        version = self._new_id()
        key = object_key(grant.library, grant.id, version, grant.direct)
        permit = Permit(
            id=version,
            grant=grant.id,
            library=grant.library,
            account=grant.account,
            device=grant.device,
            counter=intent.counter,
            epoch=epoch,
            key=key,
            node=intent.node or self._new_id(),
            new=not intent.node,
            parent=intent.parent,
            name=intent.name,
            base_version=intent.base_version,
            size_bytes=intent.size_bytes,
            checksum=intent.checksum,
            mtime_ns=intent.mtime_ns,
            executable=intent.executable,
            expires_at=grant.expires_at + PERMIT_ALLOWANCE_S,
            symlink=intent.symlink,
        )
        sealed = seal_permit(permit, self._permit_keys)
        return m.Permitted(node=permit.node, version=version, key=key, permit=sealed)


def check_intent(intent: m.Intent, position: int) -> m.Intent:
    """The intent with its name as it is stored. Raises ``Refused`` (422) "bad-intent" or "bad-name", naming it."""
    at = f"$.intents[{position}]"
    name = check_place(intent.node, intent.parent, intent.name, intent.base_version, at)
    check_content(intent, at)
    return msgspec.structs.replace(intent, name=name)


def check_place(node: str, parent: str, name: str, base_version: str, at: str) -> str:
    """The clean name ("" for an existing file). Either an existing file is named, or where a new one goes."""
    if node:
        good = is_id(node) and not parent and not name and (not base_version or is_id(base_version))
    else:
        good = is_id(parent) and bool(name) and not base_version
    if not good:
        detail = "Name either an existing file and its base version, or a parent and a name for a new one."
        raise Refused("bad-intent", detail, status=422, at=at)
    return clean(name, at) if name else ""


def check_content(asked: m.Intent | m.CopyVersion, at: str) -> None:
    if asked.size_bytes > MAX_SIZE_BYTES or not is_checksum(asked.checksum, asked.size_bytes):
        detail = (
            f"{asked.size_bytes} bytes cannot have the checksum {asked.checksum}; see the documentation of checksums."
        )
        raise Refused("bad-intent", detail, status=422, at=at)
    if asked.symlink and (asked.executable or not 0 < asked.size_bytes <= MAX_TARGET_BYTES):
        detail = f"A symbolic link is not executable, and its target has 1 to {MAX_TARGET_BYTES} bytes."
        raise Refused("bad-intent", detail, status=422, at=at)


def clean(name: str, at: str) -> str:
    try:
        return clean_name(name)
    except Refused as error:
        raise Refused(error.kind, error.detail, status=422, at=at) from None


def _credential(credential: Credential) -> m.S3Credential:
    return m.S3Credential(
        access_key_id=credential.access_key_id,
        secret_access_key=credential.secret_access_key,
        session_token=credential.session_token,
        expires_at=credential.expires_at,
        bucket=credential.bucket,
        region=credential.region,
        endpoint=credential.endpoint,
    )
