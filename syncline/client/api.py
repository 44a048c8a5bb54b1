"""The service's routes as typed methods. Errors and retries: http.py."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from types import TracebackType
from urllib.parse import quote

import aiohttp
import msgspec

from syncline.client.governing import GoverningApi
from syncline.client.http import TokenStore, Transport, saved_session
from syncline.client.records import RecordsApi
from syncline.domain.errors import Refused, Temporary
from syncline.messages import api as m, history as h

HEADS_WAIT_S = 50
OUTCOME_ASKS_MAX = 12
OUTCOME_PAUSE_S = 0.5
COMMIT_TIMEOUT_S = 45.0


class Api:
    """One client's view of ``/v1``. Use as an async context manager, or call ``close``."""

    def __init__(self, server: str, tokens: TokenStore, *, transport: Transport | None = None) -> None:
        self._transport = transport or Transport(server, tokens)
        self._tokens = tokens
        self._call = self._transport.call
        self.governing = GoverningApi(self._transport)
        self.records = RecordsApi(self._transport)

    @property
    def server(self) -> str:
        return self._transport.server

    @property
    def http(self) -> aiohttp.ClientSession:
        """The connections, for whoever talks to S3 on this client's behalf."""
        return self._transport.http

    async def __aenter__(self) -> Api:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._transport.close()

    # -- accounts and devices

    async def sign_up(self, email: str, password: str, name: str, *, invitation: str = "") -> m.Account:
        """``invitation`` is the token of the link in an invitation."""
        body = m.NewAccount(email=email, password=password, name=name, invitation=invitation)
        return await self._call("POST", "/v1/accounts", m.Account, body=body, open_to_all=True, repeatable=False)

    async def sign_in(self, email: str, password: str, device_name: str) -> m.Session:
        """Makes a device and saves its session in the token store."""
        body = m.SignIn(email=email, password=password, device_name=device_name)
        asked_at = time.time()
        session = await self._call("POST", "/v1/sessions", m.Session, body=body, open_to_all=True, repeatable=False)
        with self._tokens.alone():
            self._tokens.save(saved_session(self.server, session, asked_at))
        return session

    async def sign_out(self) -> None:
        """Revokes the device at the service and forgets the session."""
        await self._call("DELETE", "/v1/sessions/current", type(None))
        self._tokens.clear()

    async def me(self) -> m.Me:
        return await self._call("GET", "/v1/me", m.Me)

    # -- libraries and members

    async def create_library(self, name: str) -> m.Library:
        return await self._call("POST", "/v1/libraries", m.Library, body=m.NewLibrary(name=name), repeatable=False)

    async def libraries(self) -> list[m.Library]:
        return (await self._call("GET", "/v1/libraries", m.Libraries)).libraries

    async def library(self, library: str) -> m.Library:
        return await self._call("GET", f"/v1/libraries/{library}", m.Library)

    async def members(self, library: str) -> list[m.Member]:
        return (await self._call("GET", f"/v1/libraries/{library}/members", m.Members)).members

    async def sharing(self, library: str) -> m.Members:
        """The members, those through groups too, and the groups."""
        return await self._call("GET", f"/v1/libraries/{library}/members", m.Members)

    async def set_member(self, library: str, member: m.NewMember) -> m.Member:
        """Adds a member or gives it another role."""
        return await self._call("POST", f"/v1/libraries/{library}/members", m.Member, body=member)

    async def remove_member(self, library: str, account: str) -> None:
        await self._call("DELETE", f"/v1/libraries/{library}/members/{account}", type(None))

    # -- bytes and commits

    async def uploads(self, library: str, request: m.UploadRequest) -> m.UploadAnswer:
        """Permits for intents, with the credential to put their bytes. Nothing is committed by this."""
        return await self._call("POST", f"/v1/libraries/{library}/uploads", m.UploadAnswer, body=request)

    async def downloads(self, library: str) -> m.DownloadAnswer:
        return await self._call(
            "POST", f"/v1/libraries/{library}/downloads", m.DownloadAnswer, body=m.DownloadRequest()
        )

    async def commit(self, library: str, body: m.CommitBody | bytes, *, key: str = "") -> m.CommitAnswer:
        """Send a command and wait for its outcome. ``key`` is the Idempotency-Key (else a fresh one); sending the
        same key and body again gets the first answer. Raises ``Temporary`` when the outcome takes too long."""
        wire = body if isinstance(body, bytes) else msgspec.msgpack.encode(body)
        answer = await self._call(
            "POST",
            f"/v1/libraries/{library}/commits",
            m.CommitAnswer,
            body=wire,
            headers={"Idempotency-Key": key or secrets.token_hex(16)},
            timeout_s=COMMIT_TIMEOUT_S,
        )
        for asked in range(OUTCOME_ASKS_MAX):
            if answer.done:
                return answer
            await asyncio.sleep(OUTCOME_PAUSE_S * (asked + 1))
            answer = await self.outcome(library, answer.command)
        if answer.done:
            return answer
        raise Temporary("The changes were sent, but it is not known yet what became of them; they are asked for again.")

    async def outcome(self, library: str, command: str) -> m.CommitAnswer:
        return await self._call("GET", f"/v1/libraries/{library}/commits/{command}", m.CommitAnswer)

    # -- looking

    async def node(self, library: str, node: str, *, at: str = "") -> m.NodeState:
        """A node, removed ones too, as it is or was at a time or seq."""
        query = {"at": at} if at else {}
        return await self._call("GET", f"/v1/libraries/{library}/nodes/{node}", m.NodeState, query=query)

    async def find(self, library: str, path: str, *, at: str = "") -> m.NodeState:
        """The live node at a path ("" is the root), now or at a time or seq."""
        query = {"path": path, **({"at": at} if at else {})}
        return await self._call("GET", f"/v1/libraries/{library}/nodes", m.NodeState, query=query)

    async def children(self, library: str, folder: str, *, after: str = "", limit: int = 1000) -> m.Children:
        query: dict[str, str | int] = {"after": after, "limit": limit}
        return await self._call("GET", f"/v1/libraries/{library}/folders/{folder}/children", m.Children, query=query)

    async def versions(self, library: str, node: str, *, before: int = 0, limit: int = 100) -> m.Versions:
        query = {"limit": limit, **({"before": before} if before else {})}
        return await self._call("GET", f"/v1/libraries/{library}/files/{node}/versions", m.Versions, query=query)

    async def restore(self, library: str, node: str, version: str) -> m.CommitAnswer:
        path = f"/v1/libraries/{library}/files/{node}/versions/{version}/restore"
        answer = await self._call("POST", path, m.CommitAnswer, timeout_s=COMMIT_TIMEOUT_S)
        for asked in range(OUTCOME_ASKS_MAX):
            if answer.done:
                break
            await asyncio.sleep(OUTCOME_PAUSE_S * (asked + 1))
            answer = await self.outcome(library, answer.command)
        return answer

    # -- what was

    async def trash(self, library: str, *, after: str = "", limit: int = 200) -> h.Trash:
        query: dict[str, str | int] = {"limit": limit, **({"after": after} if after else {})}
        return await self._call("GET", f"/v1/libraries/{library}/trash", h.Trash, query=query)

    async def restore_node(self, library: str, node: str, body: h.RestoreNode) -> h.RestoreAnswer:
        """As much as one commit holds: ask again while ``more``. Raises ``Temporary`` when it takes too long."""
        path = f"/v1/libraries/{library}/nodes/{node}/restore"
        answer = await self._call("POST", path, h.RestoreAnswer, body=body, timeout_s=COMMIT_TIMEOUT_S)
        if not answer.done:
            await self._decided(library, answer.command)
        return answer

    async def rewind(self, library: str, node: str, body: h.Rewind) -> h.RewindAnswer:
        path = f"/v1/libraries/{library}/nodes/{node}/rewind"
        answer = await self._call("POST", path, h.RewindAnswer, body=body, timeout_s=COMMIT_TIMEOUT_S)
        if not answer.done:
            await self._decided(library, answer.command)
        return answer

    async def purge(self, library: str, body: h.Purge) -> h.PurgeAnswer:
        """As much as one commit holds: ask again while ``more``. Raises ``Temporary`` when it takes too long."""
        path = f"/v1/libraries/{library}/purge"
        answer = await self._call("POST", path, h.PurgeAnswer, body=body, timeout_s=COMMIT_TIMEOUT_S)
        if not answer.done:
            await self._decided(library, answer.command)
        return answer

    async def retention(self, library: str) -> h.Retention:
        return await self._call("GET", f"/v1/libraries/{library}/retention", h.Retention)

    async def set_retention(self, library: str, rules: h.Retention) -> h.Retention:
        return await self._call("PUT", f"/v1/libraries/{library}/retention", h.Retention, body=rules)

    async def _decided(self, library: str, command: str) -> None:
        """Wait until a command has its outcome. Raises ``Temporary`` when that takes too long."""
        for asked in range(OUTCOME_ASKS_MAX):
            await asyncio.sleep(OUTCOME_PAUSE_S * (asked + 1))
            if (await self.outcome(library, command)).done:
                return
        raise Temporary("The changes were sent, but it is not known yet what became of them; look again later.")

    def content_url(self, library: str, node: str, version: str = "") -> str:
        """Where a signed-in person's browser finds the bytes."""
        path = f"{self.server}/v1/libraries/{library}/files/{node}/content"
        return path + (f"?version={quote(version)}" if version else "")

    # -- what I lack

    async def heads(self, since: str = "", *, wait_s: int = 0) -> m.Heads:
        """The heads of all my libraries; with ``wait_s`` held until something differs from the token ``since``."""
        query: dict[str, str | int] = {"wait": min(wait_s, HEADS_WAIT_S)}
        if since:
            query["since"] = since
        return await self._call("GET", "/v1/sync/heads", m.Heads, query=query, timeout_s=wait_s + 30)

    async def changes(self, library: str, cursor: str = "", *, limit: int = 0) -> m.Changes:
        """What changed after the cursor. Raises ``Refused("cursor-gone")`` with the fact ``start``."""
        query: dict[str, str | int] = {"cursor": cursor} if cursor else {}
        if limit:
            query["limit"] = limit
        return await self._call("GET", f"/v1/sync/libraries/{library}/changes", m.Changes, query=query)

    async def snapshot(self, library: str) -> m.Snapshot | None:
        """The tree to start from; None where the library has none (a small one)."""
        try:
            return await self._call("GET", f"/v1/sync/libraries/{library}/snapshot", m.Snapshot)
        except Refused as refused:
            if refused.kind != "no-snapshot":
                raise
            return None

    def snapshot_bytes(self, snapshot: m.Snapshot) -> AsyncIterator[bytes]:
        """The bytes of a snapshot, straight from S3. Raises ``Temporary``."""
        return self._transport.download(snapshot.url, snapshot.size_bytes)

    async def compare(self, library: str, request: m.CompareRequest) -> m.CompareAnswer:
        return await self._call("POST", f"/v1/sync/libraries/{library}/compare", m.CompareAnswer, body=request)

    # -- following

    async def follows(self) -> list[m.Follow]:
        return (await self._call("GET", "/v1/follows", m.Follows)).follows

    async def follow(self, library: str, node: str, terms: m.MailTerms | None = None) -> m.Follow:
        return await self._call("PUT", f"/v1/libraries/{library}/follows/{node}", m.Follow, body=terms or m.MailTerms())

    async def unfollow(self, library: str, node: str) -> None:
        await self._call("DELETE", f"/v1/libraries/{library}/follows/{node}", type(None))

    async def mail_settings(self) -> m.MailSettings:
        return await self._call("GET", "/v1/me/mail", m.MailSettings)

    async def prefer_mail(self, preferences: m.MailPreferences) -> m.MailSettings:
        return await self._call("PUT", "/v1/me/mail", m.MailSettings, body=preferences)

    async def lift_mail(self) -> m.MailSettings:
        return await self._call("POST", "/v1/me/mail/lift", m.MailSettings)

    async def outside_followers(self, library: str) -> m.OutsideFollowers:
        return await self._call("GET", f"/v1/libraries/{library}/followers", m.OutsideFollowers)

    async def invite_follower(self, library: str, invited: m.NewOutsideFollower) -> m.OutsideFollower:
        return await self._call("POST", f"/v1/libraries/{library}/followers", m.OutsideFollower, body=invited)

    async def remove_follower(self, library: str, follower: str) -> None:
        await self._call("DELETE", f"/v1/libraries/{library}/followers/{follower}", type(None))

    async def set_outside_rules(self, library: str, rules: m.OutsideRules) -> m.OutsideRules:
        return await self._call("PUT", f"/v1/libraries/{library}/outside", m.OutsideRules, body=rules)
