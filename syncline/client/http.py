"""Talking with the service: one request with its tokens, retries and errors. The routes are in api.py."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Any, Protocol, TypeVar

import aiohttp
import msgspec

from syncline.client.home import SavedSession
from syncline.domain.errors import Broken, Refused, SynclineError, Temporary
from syncline.domain.ids import is_id
from syncline.domain.traceparent import TRACEPARENT
from syncline.messages.api import Refresh, Session
from syncline.ports import tracing
from syncline.ports.tracing import SpanKind

T = TypeVar("T")

TRIES_MAX = 6
PAUSE_FIRST_S = 0.2
PAUSE_MAX_S = 10.0
RETRY_AFTER_MAX_S = 60.0
RENEW_BEFORE_S = 30.0
ANSWER_BYTES_MAX = 64 * 1024 * 1024
TIMEOUT_S = 60.0
CONNECTIONS_MAX = 64
DOWNLOAD_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
DOWNLOAD_CHUNK_BYTES = 256 * 1024
LOCK_TRIES_MAX = 1200
LOCK_PAUSE_S = 0.05

_AGAIN = frozenset({429, 500, 502, 503, 504})
_SURELY_NOT_DONE = frozenset({429, 503})
_TYPE = "application/msgpack"
_WORD = re.compile(r"[a-z0-9-]{0,20}")


class TokenStore(Protocol):
    """Where the session is kept. ``save`` is durable when it returns.

    ``alone`` keeps other processes out while the tokens are renewed; raises ``Refused("busy")`` while another is in.
    """

    def load(self) -> SavedSession | None: ...

    def save(self, session: SavedSession) -> None: ...

    def clear(self) -> None: ...

    def alone(self) -> AbstractContextManager[None]: ...


def pause_s(tries: int, retry_after: str = "") -> float:
    """How long to wait after the ``tries``-th failure: exponential with full jitter, at least what Retry-After says."""
    spread = random.uniform(0.5, 1.0) * min(PAUSE_MAX_S, PAUSE_FIRST_S * 2.0 ** (tries - 1))
    try:
        asked = min(float(retry_after), RETRY_AFTER_MAX_S) if retry_after else 0.0
    except ValueError:
        asked = 0.0
    return max(spread, asked)


def problem_error(status: int, content_type: str, body: bytes) -> SynclineError:
    """The error of ours that a problem document (RFC 9457) or any other failure answer stands for."""
    members: dict[str, Any] = {}
    try:
        decode = msgspec.msgpack.decode if "msgpack" in content_type else msgspec.json.decode
        decoded = decode(body)
        members = decoded if isinstance(decoded, dict) else {}
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    kind = str(members.pop("type", "")).rstrip("/").rsplit("/", 1)[-1] or f"http-{status}"
    title = str(members.pop("title", ""))
    detail = str(members.pop("detail", "")) or title or f"The service answered {status}."
    members.pop("status", None)
    if status in _AGAIN:
        return Temporary(f"The service is not able to answer now ({kind}): {detail}")
    return Refused(kind, detail, status=status, **{str(k).replace("-", "_"): v for k, v in members.items()})


class Transport:
    """Requests to one server, msgpack both ways, with the access token of the store's session.

    Raises ``Refused`` (the problem's slug as kind), ``Temporary`` once the bounded retries are used up, ``Broken``
    for an answer that makes no sense.
    """

    def __init__(self, server: str, tokens: TokenStore, *, tries: int = TRIES_MAX) -> None:
        self.server = server.rstrip("/")
        self.tokens = tokens
        self._tries = tries
        self._http: aiohttp.ClientSession | None = None
        self._renewing = asyncio.Lock()

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()
            self._http = None

    @property
    def http(self) -> aiohttp.ClientSession:
        if self._http is None:
            connector = aiohttp.TCPConnector(limit=CONNECTIONS_MAX)
            self._http = aiohttp.ClientSession(connector=connector, auto_decompress=True)
        return self._http

    async def call(
        self,
        method: str,
        path: str,
        answer: type[T],
        *,
        body: object = None,
        query: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        open_to_all: bool = False,
        repeatable: bool = True,
        timeout_s: float = TIMEOUT_S,
    ) -> T:
        """One request and its decoded answer. ``repeatable``: doing it twice is as good as once.

        ``body`` is encoded as msgpack, or sent as it is when it is bytes already encoded.
        """
        wire = body if isinstance(body, bytes) else None if body is None else msgspec.msgpack.encode(body)
        renewed = False
        tries = 0
        while True:
            token = "" if open_to_all else await self.access_token()
            tries += 1
            try:
                status, kind, retry_after, got = await self._send(method, path, wire, query, headers, token, timeout_s)
            except aiohttp.ClientConnectorError as error:
                failure: SynclineError = Temporary(f"{self.server} cannot be reached: {error.os_error}")
                again, retry_after = True, ""
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                failure = Temporary(f"The connection to {self.server} was lost: {type(error).__name__} {error}")
                again, retry_after = repeatable, ""
            else:
                if status < 300:
                    return _decoded(answer, got)
                if status == 401 and not open_to_all and not renewed:
                    renewed = True
                    await self._renew(token)
                    continue
                failure = problem_error(status, kind, got)
                again = status in (_AGAIN if repeatable else _SURELY_NOT_DONE)
            if not again or tries >= self._tries:
                raise failure
            await asyncio.sleep(pause_s(tries, retry_after))

    async def download(self, url: str, size_bytes: int) -> AsyncIterator[bytes]:
        """The bytes behind a presigned URL; a broken connection is taken up where it stopped. Raises ``Temporary``."""
        done = failures = 0
        while done < size_bytes:
            before = done
            headers = {"Range": f"bytes={done}-{size_bytes - 1}"} if done else {}
            try:
                async with self.http.get(url, headers=headers, timeout=DOWNLOAD_TIMEOUT) as response:
                    if response.status != (206 if done else 200):
                        failure = f"S3 answered {response.status}"
                    else:
                        async for piece in response.content.iter_chunked(DOWNLOAD_CHUNK_BYTES):
                            done += len(piece)
                            yield piece
                        failure = "the answer ended early"
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                failure = f"{type(error).__name__} {error}"
            if done < size_bytes:
                failures = 1 if done > before else failures + 1
                if failures >= self._tries:
                    raise Temporary(f"A download was cut off: {failure}")
                await asyncio.sleep(pause_s(failures))

    async def _send(
        self,
        method: str,
        path: str,
        wire: bytes | None,
        query: Mapping[str, str | int] | None,
        headers: Mapping[str, str] | None,
        token: str,
        timeout_s: float,
    ) -> tuple[int, str, str, bytes]:
        sent = {"Accept": f"{_TYPE}, application/problem+json", **(headers or {})}
        if wire is not None:
            sent["Content-Type"] = _TYPE
        if token:
            sent["Authorization"] = f"Bearer {token}"
        limit = aiohttp.ClientTimeout(total=timeout_s, sock_connect=10)
        with tracing.span_within(f"{method} {route_of(path)}", SpanKind.CLIENT) as span:
            if trace := tracing.current():
                sent[TRACEPARENT] = trace
            answer = await self._answer(method, path, wire, query, sent, limit)
            span.set({"http.response.status_code": answer[0]})
            return answer

    async def _answer(
        self,
        method: str,
        path: str,
        wire: bytes | None,
        query: Mapping[str, str | int] | None,
        headers: Mapping[str, str],
        limit: aiohttp.ClientTimeout,
    ) -> tuple[int, str, str, bytes]:
        async with self.http.request(
            method, self.server + path, data=wire, params=query, headers=headers, timeout=limit, allow_redirects=False
        ) as response:
            body = await response.content.read(ANSWER_BYTES_MAX + 1)
            while len(body) <= ANSWER_BYTES_MAX and (more := await response.content.read(ANSWER_BYTES_MAX)):
                body += more
            if len(body) > ANSWER_BYTES_MAX:
                raise Broken(f"{path} answered more than {ANSWER_BYTES_MAX} bytes.")
            return response.status, response.content_type, response.headers.get("Retry-After", ""), body

    async def access_token(self) -> str:
        """A token good for a while yet, renewed when need be. Raises ``Refused("not-signed-in")``."""
        session = self._session()
        if session.access_token and session.access_until - RENEW_BEFORE_S > time.time():
            return session.access_token
        return await self._renew(session.access_token)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """The store's lock, waited for without stopping the loop: its holder may live on the same loop."""
        for _ in range(LOCK_TRIES_MAX):
            held = self.tokens.alone()
            try:
                held.__enter__()
            except Refused as refused:
                if refused.kind != "busy":
                    raise
                await asyncio.sleep(LOCK_PAUSE_S)
                continue
            try:
                yield
            finally:
                held.__exit__(None, None, None)
            return
        raise Temporary("Another process of this client has been renewing the sign-in for too long.")

    def _session(self) -> SavedSession:
        session = self.tokens.load()
        if session is None:
            raise Refused("not-signed-in", "Nobody is signed in here. Run: syncline login", status=401)
        return session

    async def _renew(self, spent: str) -> str:
        """Trade the refresh token for new tokens, unless someone has done so since ``spent`` was current.

        The new refresh token is on the disk before anything is done with it: the old one is worth nothing any more.
        """
        async with self._renewing, self._alone():
            session = self._session()
            if session.access_token != spent and session.access_until > time.time():
                return session.access_token
            asked_at = time.time()
            answer = await self.call(
                "POST",
                "/v1/sessions/refresh",
                Session,
                body=Refresh(refresh_token=session.refresh_token),
                open_to_all=True,
                repeatable=False,
            )
            self.tokens.save(saved_session(self.server, answer, asked_at))
            return answer.access_token


def route_of(path: str) -> str:
    """The path without what it names: ids, addresses, tokens."""
    return "/".join(step if _WORD.fullmatch(step) and not is_id(step) else "{}" for step in path.split("/"))


def saved_session(server: str, session: Session, asked_at: float) -> SavedSession:
    """What is kept of a session the service answered to a request sent at ``asked_at`` (Unix s)."""
    return SavedSession(
        server=server,
        account=session.account.id,
        email=session.account.email,
        account_name=session.account.name,
        device=session.device,
        device_name=session.device_name,
        refresh_token=session.refresh_token,
        access_token=session.access_token,
        access_until=asked_at + session.expires_in_s,
    )


def _decoded(answer: type[T], body: bytes) -> T:
    if answer is type(None):
        return None
    try:
        return msgspec.msgpack.decode(body, type=answer)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Broken(f"The service's answer is no {answer.__name__}: {error}") from None
