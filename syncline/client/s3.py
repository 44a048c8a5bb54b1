"""S3 as a client with a short-lived credential needs it: put, multipart, ranged get.

Every request is signed by hand (signing.py) and tried again a bounded number of times on throttling and lost
connections. An expired credential is renewed in the middle of whatever is going on. Errors: ``Temporary``,
``Refused("s3-denied")``, ``ConditionFailed`` (the key holds other bytes), ``NotFound``, ``Broken``.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Protocol

import aiohttp
import msgspec
from yarl import URL

from syncline.client import s3_xml
from syncline.client.http import TRIES_MAX, pause_s
from syncline.client.progress import Way
from syncline.client.s3_xml import Part
from syncline.client.signing import EMPTY_HASH, encode_path, encode_query, signed_headers
from syncline.client.throttle import PIECE_BYTES, Throttle
from syncline.domain.errors import Broken, ConditionFailed, NotFound, Refused, SynclineError, Temporary
from syncline.messages.api import S3Credential
from syncline.ports import tracing
from syncline.ports.tracing import SpanKind

CHUNK_BYTES = 256 * 1024
ANSWER_BYTES_MAX = 8 * 1024 * 1024
PART_PAGES_MAX = 20
RENEWALS_MAX = 4
TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)

_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"})
# A credential that S3 knows no more, or not yet: another one helps.
_UNKNOWN = frozenset({"InvalidAccessKeyId", "InvalidToken", "InvalidClientTokenId"})
_AGAIN = frozenset(
    {
        "SlowDown",
        "RequestTimeout",
        "InternalError",
        "ServiceUnavailable",
        "ConditionalRequestConflict",
        "OperationAborted",
        "BadDigest",
        "XAmzContentSHA256Mismatch",
        "XAmzContentChecksumMismatch",
    }
)


class Credentials(Protocol):
    """Where a credential comes from. ``renewed`` asks for another one than ``spent``; many may ask at once."""

    async def current(self) -> S3Credential: ...

    async def renewed(self, spent: S3Credential) -> S3Credential: ...


class Stored(msgspec.Struct, frozen=True):
    """What HeadObject says of an object."""

    size_bytes: int
    checksum: str
    s3_version: str
    metadata: Mapping[str, str]


class Answer(msgspec.Struct):
    status: int
    headers: Mapping[str, str]
    body: bytes


def sha256_base64(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


class S3:
    """One bucket under one source of credentials. ``http`` may be shared among many."""

    def __init__(
        self,
        credentials: Credentials,
        http: aiohttp.ClientSession,
        *,
        tries: int = TRIES_MAX,
        throttle: Throttle | None = None,
    ) -> None:
        self._credentials = credentials
        self._throttle = throttle
        self._http = http
        self._tries = tries
        self._skew = timedelta()

    # -- objects

    async def put(self, key: str, body: bytes, *, checksum: str, metadata: Mapping[str, str]) -> None:
        """Store a whole object where there is none; S3 checks the bytes against ``checksum``.

        If the key holds the very same bytes already (an earlier try got through), that is success too.
        """
        headers = {"x-amz-checksum-sha256": checksum, "if-none-match": "*", **_meta(metadata)}
        answer = await self._ask("PUT", key, body=body, headers=headers, fine=(412,))
        if answer.status == 412:
            await self._must_hold(key, len(body), checksum)

    async def head(self, key: str) -> Stored:
        answer = await self._ask("HEAD", key, headers={"x-amz-checksum-mode": "ENABLED"})
        found = answer.headers
        metadata = {k[11:].lower(): v for k, v in found.items() if k.lower().startswith("x-amz-meta-")}
        return Stored(
            int(found.get("Content-Length", "0")),
            found.get("x-amz-checksum-sha256", ""),
            found.get("x-amz-version-id", ""),
            metadata,
        )

    async def _must_hold(self, key: str, size_bytes: int, checksum: str) -> None:
        stored = await self.head(key)
        if (stored.size_bytes, stored.checksum) != (size_bytes, checksum):
            raise ConditionFailed(f"{key} holds other bytes than the ones to be put there.")

    async def get(self, key: str, s3_version: str, *, offset: int, length: int, whole: bool) -> AsyncIterator[bytes]:
        """``length`` bytes from ``offset`` in order, in pieces; a broken connection is taken up where it stopped.

        ``whole``: these are all bytes of the object, so no range need be asked for.
        """
        done = 0
        failures = 0
        while done < length:
            ranged = not (whole and done == 0)
            headers = {"range": f"bytes={offset + done}-{offset + length - 1}"} if ranged else {}
            before = done
            response = await self._open("GET", key, {"versionId": s3_version} if s3_version else {}, headers)
            try:
                if ranged and response.status != 206 and not (response.status == 200 and offset + done == 0):
                    raise Broken(f"S3 answered {response.status} to a range of {key}.")
                async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                    piece = chunk[: length - done]
                    done += len(piece)
                    if self._throttle is not None:
                        await self._throttle.spend(Way.DOWN, len(piece))
                    yield piece
                    if done == length:
                        break
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                failure = f"{type(error).__name__} {error}"
            else:
                failure = "the answer ended early"
            finally:
                response.close()
            if done < length:
                failures = 1 if done > before else failures + 1
                if failures >= self._tries:
                    raise Temporary(f"{key} could not be read from S3: {failure}")
                await asyncio.sleep(pause_s(failures))

    # -- multipart uploads

    async def create_multipart(self, key: str, *, metadata: Mapping[str, str]) -> str:
        """The id of a new upload in parts, each checked by its SHA-256, the whole by the composite of these."""
        headers = {"x-amz-checksum-algorithm": "SHA256", "x-amz-checksum-type": "COMPOSITE", **_meta(metadata)}
        answer = await self._ask("POST", key, query={"uploads": ""}, headers=headers)
        upload = s3_xml.text(s3_xml.parse(answer.body), "UploadId")
        if not upload:
            raise Broken("S3 began an upload in parts without an id.")
        return upload

    async def put_part(self, key: str, upload: str, number: int, body: bytes, checksum: str) -> Part:
        """Parts may be put in any order and again; ``number`` counts from 1."""
        query = {"partNumber": str(number), "uploadId": upload}
        answer = await self._ask("PUT", key, query=query, body=body, headers={"x-amz-checksum-sha256": checksum})
        return Part(number, answer.headers.get("ETag", ""), checksum, len(body))

    async def parts(self, key: str, upload: str) -> list[Part]:
        """The parts that S3 has. Raises ``NotFound`` when there is no such upload (any more)."""
        found: list[Part] = []
        marker = ""
        for _ in range(PART_PAGES_MAX):
            query = {"uploadId": upload, **({"part-number-marker": marker} if marker else {})}
            page, marker = s3_xml.parts((await self._ask("GET", key, query=query)).body)
            found += page
            if not marker:
                return found
        raise Broken(f"{key} has more parts than S3 allows.")

    async def complete_multipart(
        self, key: str, upload: str, parts: list[Part], *, size_bytes: int, checksum: str
    ) -> None:
        """Make the parts one object, where there is none. The same bytes there already are success too."""
        headers = {"x-amz-checksum-type": "COMPOSITE", "if-none-match": "*"}
        body = s3_xml.completion(parts)
        try:
            answer = await self._ask("POST", key, query={"uploadId": upload}, body=body, headers=headers, fine=(412,))
        except NotFound:
            # An earlier try may have completed it: then the upload is gone and the object is there.
            await self._must_hold(key, size_bytes, checksum)
            return
        if answer.status == 412:
            await self._must_hold(key, size_bytes, checksum)
            return
        told = s3_xml.text(s3_xml.parse(answer.body), "ChecksumSHA256")
        if told and told != checksum:
            raise Broken(f"S3 made {told} of the parts of {key}, not {checksum}.")

    async def abort_multipart(self, key: str, upload: str) -> None:
        try:
            await self._ask("DELETE", key, query={"uploadId": upload})
        except NotFound:
            return

    # -- one request

    async def _ask(
        self,
        method: str,
        key: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        fine: tuple[int, ...] = (),
    ) -> Answer:
        """One request and its whole answer. ``fine`` are statuses besides 2xx that are no errors."""
        for tries in range(1, self._tries + 1):
            try:
                response = await self._open(method, key, query or {}, headers or {}, body, fine)
                async with response:
                    got = await response.content.read(ANSWER_BYTES_MAX)
                    while more := await response.content.read(ANSWER_BYTES_MAX - len(got)):
                        got += more
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                failure = f"the connection to S3 was lost ({type(error).__name__})"
            else:
                # S3 may begin a long completion with 200 and tell of its failure in the body.
                code, message = s3_xml.error_code(got) if method == "POST" and response.status == 200 else ("", "")
                if not code:
                    return Answer(response.status, response.headers, got)
                if code not in _AGAIN:
                    raise _error(500, code, message, key)
                failure = f"{code} {message}"
            if tries < self._tries:
                await asyncio.sleep(pause_s(tries))
        raise Temporary(f"S3 could not be asked about {key}: {failure}")

    async def _open(
        self,
        method: str,
        key: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes = b"",
        fine: tuple[int, ...] = (),
    ) -> aiohttp.ClientResponse:
        """A response with a good status, its body unread. Renews the credential and retries what is worth it."""
        credential = await self._credentials.current()
        payload_hash = await _hash(body, headers.get("x-amz-checksum-sha256", ""))
        renewals = 0
        tries = 0
        while True:
            tries += 1
            retry_after = ""
            try:
                response = await self._send(credential, method, key, query, headers, body, payload_hash)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                failure: SynclineError = Temporary(f"S3 cannot be reached: {type(error).__name__} {error}")
            else:
                if response.status < 300 or response.status in fine:
                    return response
                async with response:
                    code, message = s3_xml.error_code(await response.content.read(ANSWER_BYTES_MAX))
                code = code or response.headers.get("x-amz-error-code", "")
                retry_after = response.headers.get("Retry-After", "")
                expired = code in _EXPIRED | _UNKNOWN or (response.status == 403 and not code and method == "HEAD")
                if expired and renewals < RENEWALS_MAX:
                    renewals += 1
                    credential = await self._credentials.renewed(credential)
                    continue
                if code == "RequestTimeTooSkewed" and renewals < RENEWALS_MAX:
                    renewals += 1
                    self._set_clock(response.headers.get("Date", ""))
                    continue
                failure = _error(response.status, code, message, key)
            if not isinstance(failure, Temporary) or tries >= self._tries:
                raise failure
            await asyncio.sleep(pause_s(tries, retry_after))

    async def _send(
        self,
        credential: S3Credential,
        method: str,
        key: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes,
        payload_hash: str,
    ) -> aiohttp.ClientResponse:
        base, path = _address(credential, key)
        signed = signed_headers(
            method=method,
            host=base.raw_host + (f":{base.explicit_port}" if base.explicit_port else ""),  # type: ignore[operator]
            path=path,
            query=query,
            headers=headers,
            payload_hash=payload_hash,
            access_key_id=credential.access_key_id,
            secret_access_key=credential.secret_access_key,
            session_token=credential.session_token,
            region=credential.region,
            now=datetime.now(UTC) + self._skew,
        )
        target = f"{str(base).rstrip('/')}{encode_path(path)}" + (f"?{encode_query(query)}" if query else "")
        data: bytes | AsyncIterator[bytes] | None = body if body or method in ("PUT", "POST") else None
        if body and self._throttle is not None and self._throttle.rate(Way.UP):
            data = self._slowly(body, self._throttle)
            signed = signed | {"Content-Length": str(len(body))}
        with tracing.span_within(f"s3 {method}", SpanKind.CLIENT, attributes={"http.request.method": method}) as span:
            response = await self._http.request(
                method,
                URL(target, encoded=True),
                data=data,
                headers=signed,
                skip_auto_headers=("Content-Type", "Accept-Encoding"),
                timeout=TIMEOUT,
                allow_redirects=False,
            )
            span.set({"http.response.status_code": response.status})
            return response

    async def _slowly(self, body: bytes, throttle: Throttle) -> AsyncIterator[bytes]:
        """A body in pieces, each when it may go."""
        for start in range(0, len(body), PIECE_BYTES):
            piece = body[start : start + PIECE_BYTES]
            await throttle.spend(Way.UP, len(piece))
            yield piece

    def _set_clock(self, date: str) -> None:
        try:
            self._skew = parsedate_to_datetime(date) - datetime.now(UTC)
        except (TypeError, ValueError):
            self._skew = timedelta()


def _address(credential: S3Credential, key: str) -> tuple[URL, str]:
    """(scheme and host, path): the bucket is in the path at a given endpoint, in the host's name on AWS."""
    if credential.endpoint:
        return URL(credential.endpoint).origin(), f"/{credential.bucket}/{key}"
    return URL(f"https://{credential.bucket}.s3.{credential.region}.amazonaws.com"), f"/{key}"


def _meta(metadata: Mapping[str, str]) -> dict[str, str]:
    return {f"x-amz-meta-{name}": value for name, value in metadata.items()}


async def _hash(body: bytes, checksum: str) -> str:
    """The body's SHA-256 in hex, taken from its declared checksum when there is one: S3 checks both."""
    if not body:
        return EMPTY_HASH
    if checksum:
        return base64.b64decode(checksum).hex()
    if len(body) <= CHUNK_BYTES:
        return hashlib.sha256(body).hexdigest()
    return await asyncio.to_thread(lambda: hashlib.sha256(body).hexdigest())


def _error(status: int, code: str, message: str, key: str) -> SynclineError:
    said = " ".join(part for part in (str(status), code, message) if part)
    if (status in (429, 500, 502, 503, 504) and code in ("", *_AGAIN)) or code in _AGAIN:
        return Temporary(f"S3 cannot answer now about {key}: {said}")
    if status == 404 or code in ("NoSuchKey", "NoSuchUpload", "NoSuchVersion"):
        return NotFound(f"S3 has no {key}: {said}")
    if status == 403:
        return Refused("s3-denied", f"S3 denies access to {key}: {said}", status=403)
    if status == 412:
        return ConditionFailed(f"{key} is taken: {said}")
    return Broken(f"S3 refused a request about {key}: {said}")
