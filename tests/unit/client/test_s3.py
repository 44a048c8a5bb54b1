"""S3 over real HTTP against a small server that behaves, and misbehaves, as S3 does."""

from __future__ import annotations

import base64
import hashlib
import os
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from syncline.client import s3_xml
from syncline.client.credentials import GrantCredentials
from syncline.client.progress import Way
from syncline.client.s3 import RENEWALS_MAX, S3, sha256_base64
from syncline.client.s3_xml import Part
from syncline.client.settings import Limits
from syncline.client.throttle import PIECE_BYTES, Throttle
from syncline.domain.errors import Broken, ConditionFailed, NotFound, Refused, Temporary
from syncline.messages.api import S3Credential, UploadAnswer, UploadRequest

MIB = 1024 * 1024
ERROR = "<?xml version='1.0'?><Error><Code>{}</Code><Message>no</Message></Error>"


@dataclass
class FakeS3:
    """``troubles`` are done to the next requests, one each: a status and code, "drop", "half", "expires" (half, and the
    token ends meanwhile), or None."""

    objects: dict[str, tuple[bytes, str, dict[str, str]]] = field(default_factory=dict)
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)
    troubles: deque[object] = field(default_factory=deque)
    good_token: str = "token-1"
    requests: list[web.Request] = field(default_factory=list)
    page: int = 2
    completion_fails: int = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        body = await request.read()
        assert hashlib.sha256(body).hexdigest() == request.headers["x-amz-content-sha256"]
        if self.good_token not in ("any", request.headers.get("x-amz-security-token")):
            return self.error(400, "ExpiredToken", request)
        trouble = self.troubles.popleft() if self.troubles else None
        if isinstance(trouble, tuple):
            status, code = trouble
            return self.error(status, code, request)
        if trouble == "expires":
            self.good_token = "token-2"
        response = await self.serve(request, body, half=trouble in ("half", "expires"))
        if trouble == "drop" and request.transport is not None:
            request.transport.abort()
        return response

    def error(self, status: int, code: str, request: web.Request) -> web.Response:
        return web.Response(status=status, text="" if request.method == "HEAD" else ERROR.format(code))

    async def serve(self, request: web.Request, body: bytes, *, half: bool) -> web.StreamResponse:
        key, query = request.match_info["key"], request.query
        match request.method:
            case "PUT" if "partNumber" in query:
                return self.put_part(request, body)
            case "PUT":
                return self.put(request, key, body)
            case "POST" if "uploads" in query:
                upload = f"upload-{len(self.uploads) + 1}"
                self.uploads[upload] = {}
                return web.Response(text=f"<R xmlns='http://s3/'><UploadId>{upload}</UploadId></R>")
            case "POST":
                return self.complete(request, key, body)
            case "DELETE":
                found = self.uploads.pop(query["uploadId"], None)
                return web.Response(status=204) if found is not None else self.error(404, "NoSuchUpload", request)
            case "GET" if "uploadId" in query:
                return self.list_parts(request)
            case _:
                return await self.get(request, key, half=half)

    def put(self, request: web.Request, key: str, body: bytes) -> web.Response:
        if sha256_base64(body) != request.headers["x-amz-checksum-sha256"]:
            return self.error(400, "BadDigest", request)
        return self.store(request, key, body, sha256_base64(body))

    def store(self, request: web.Request, key: str, body: bytes, checksum: str) -> web.Response:
        if key in self.objects and request.headers.get("if-none-match") == "*":
            return self.error(412, "PreconditionFailed", request)
        meta = {k: v for k, v in request.headers.items() if k.startswith("x-amz-meta-")}
        self.objects[key] = (body, checksum, meta)
        return web.Response(text=f"<R><ChecksumSHA256>{checksum}</ChecksumSHA256></R>", headers={"ETag": '"e"'})

    def put_part(self, request: web.Request, body: bytes) -> web.Response:
        parts = self.uploads.get(request.query["uploadId"])
        if parts is None:
            return self.error(404, "NoSuchUpload", request)
        parts[int(request.query["partNumber"])] = body
        return web.Response(headers={"ETag": '"part"'})

    def list_parts(self, request: web.Request) -> web.Response:
        parts = self.uploads.get(request.query["uploadId"])
        if parts is None:
            return self.error(404, "NoSuchUpload", request)
        after = int(request.query.get("part-number-marker", "0"))
        numbers = sorted(n for n in parts if n > after)
        shown = numbers[: self.page]
        told = "".join(
            f'<Part><PartNumber>{n}</PartNumber><ETag>"e"</ETag><Size>{len(parts[n])}</Size>'
            f"<ChecksumSHA256>{sha256_base64(parts[n])}</ChecksumSHA256></Part>"
            for n in shown
        )
        more = len(shown) < len(numbers)
        marker = f"<NextPartNumberMarker>{shown[-1]}</NextPartNumberMarker>" if shown else ""
        return web.Response(text=f"<L><IsTruncated>{str(more).lower()}</IsTruncated>{marker}{told}</L>")

    def complete(self, request: web.Request, key: str, body: bytes) -> web.Response:
        if self.completion_fails:
            self.completion_fails -= 1
            return web.Response(status=200, text=ERROR.format("InternalError"))
        parts = self.uploads.pop(request.query["uploadId"], None)
        if parts is None:
            return self.error(404, "NoSuchUpload", request)
        digests = b"".join(hashlib.sha256(part).digest() for _, part in sorted(parts.items()))
        checksum = f"{base64.b64encode(hashlib.sha256(digests).digest()).decode()}-{len(parts)}"
        return self.store(request, key, b"".join(part for _, part in sorted(parts.items())), checksum)

    async def get(self, request: web.Request, key: str, *, half: bool) -> web.StreamResponse:
        if key not in self.objects:
            return self.error(404, "NoSuchKey", request)
        body, checksum, meta = self.objects[key]
        status = 200
        if wanted := request.headers.get("range"):
            first, last = wanted.removeprefix("bytes=").split("-")
            body, status = body[int(first) : int(last) + 1], 206
        headers = {"x-amz-checksum-sha256": checksum, **meta}
        if not half:
            return web.Response(status=status, body=body, headers=headers)
        response = web.StreamResponse(status=status, headers={**headers, "Content-Length": str(len(body))})
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
        assert request.transport
        request.transport.close()
        return response


class Renewing:
    """Hands out credentials with the next token each time."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.given = 1

    def make(self) -> S3Credential:
        return S3Credential(
            access_key_id="ASIA",
            secret_access_key="secret",
            session_token=f"token-{self.given}",
            expires_at=int(time.time()) + 900,
            bucket="bucket",
            region="eu-central-1",
            endpoint=self.endpoint,
        )

    async def current(self) -> S3Credential:
        return self.make()

    async def renewed(self, spent: S3Credential) -> S3Credential:
        self.given += 1
        return self.make()


@dataclass
class Bench:
    server: FakeS3
    s3: S3
    credentials: Renewing


@pytest_asyncio.fixture
async def bench() -> AsyncIterator[Bench]:
    server = FakeS3()
    app = web.Application(client_max_size=64 * MIB)
    app.router.add_route("*", "/bucket/{key:.*}", server.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    credentials = Renewing(f"http://127.0.0.1:{port}")
    async with aiohttp.ClientSession() as http:
        yield Bench(server, S3(credentials, http), credentials)
    await runner.cleanup()


BODY = b"some bytes"
META = {"permit": "sealed"}
KEY = "objects/lib/grant/é +~=&permit"


async def put(bench: Bench, body: bytes = BODY) -> None:
    await bench.s3.put(KEY, body, checksum=sha256_base64(body), metadata=META)


async def read(bench: Bench, offset: int, length: int, *, whole: bool = False) -> bytes:
    return b"".join([p async for p in bench.s3.get(KEY, "v1", offset=offset, length=length, whole=whole)])


async def test_put_carries_checksum_permit_and_condition(bench: Bench) -> None:
    await put(bench)
    sent = bench.server.requests[0].headers
    assert bench.server.objects[KEY][0] == BODY
    assert (sent["if-none-match"], sent["x-amz-meta-permit"]) == ("*", "sealed")
    stored = await bench.s3.head(KEY)
    assert (stored.size_bytes, stored.checksum, stored.metadata) == (len(BODY), sha256_base64(BODY), META)


async def test_a_taken_key_is_fine_with_the_same_bytes_only(bench: Bench) -> None:
    await put(bench)
    await put(bench)
    with pytest.raises(ConditionFailed):
        await put(bench, b"other bytes")


@pytest.mark.parametrize(
    "trouble", [(503, "SlowDown"), (500, "InternalError"), "drop", (409, "ConditionalRequestConflict")]
)
async def test_a_put_is_tried_again(bench: Bench, trouble: object) -> None:
    bench.server.troubles += [trouble, trouble]
    await put(bench)
    assert bench.server.objects[KEY][0] == BODY


async def test_tries_are_bounded(bench: Bench) -> None:
    bench.s3._tries = 3
    bench.server.troubles += [(503, "SlowDown")] * 100
    with pytest.raises(Temporary):
        await put(bench)
    assert len(bench.server.requests) == 3


async def test_denied_is_not_tried_again(bench: Bench) -> None:
    bench.server.troubles += [(403, "AccessDenied")]
    with pytest.raises(Refused) as refused:
        await put(bench)
    assert (refused.value.kind, len(bench.server.requests)) == ("s3-denied", 1)


@pytest.mark.parametrize("code", ["InvalidAccessKeyId", "InvalidToken"])
async def test_a_credential_that_s3_has_forgotten_is_renewed(bench: Bench, code: str) -> None:
    bench.server.good_token = "any"
    bench.server.troubles += [(403, code)]
    await put(bench)
    assert bench.credentials.given == 2
    bench.server.troubles += [(403, code)] * 100
    with pytest.raises(Refused):
        await put(bench, b"other bytes")
    assert len(bench.server.requests) == 2 + RENEWALS_MAX + 1


async def test_an_expired_token_is_renewed_in_the_middle(bench: Bench) -> None:
    upload = await bench.s3.create_multipart(KEY, metadata=META)
    first = await bench.s3.put_part(KEY, upload, 1, b"a" * 10, sha256_base64(b"a" * 10))
    bench.server.good_token = "token-2"
    second = await bench.s3.put_part(KEY, upload, 2, b"b" * 10, sha256_base64(b"b" * 10))
    assert bench.credentials.given == 2
    assert [p.size_bytes for p in (first, second)] == [10, 10]


async def send_parts(bench: Bench, parts: list[bytes]) -> tuple[str, list[Part]]:
    upload = await bench.s3.create_multipart(KEY, metadata=META)
    sent = [await bench.s3.put_part(KEY, upload, n, p, sha256_base64(p)) for n, p in enumerate(parts, 1)]
    return upload, sent


def composite(parts: list[bytes]) -> str:
    digests = b"".join(hashlib.sha256(part).digest() for part in parts)
    return f"{base64.b64encode(hashlib.sha256(digests).digest()).decode()}-{len(parts)}"


async def test_parts_listed_page_by_page_and_completed(bench: Bench) -> None:
    parts = [os.urandom(100) for _ in range(5)]
    upload, sent = await send_parts(bench, parts)
    assert [(p.number, p.checksum) for p in await bench.s3.parts(KEY, upload)] == [(p.number, p.checksum) for p in sent]
    bench.server.completion_fails = 2
    await bench.s3.complete_multipart(KEY, upload, sent, size_bytes=500, checksum=composite(parts))
    assert bench.server.objects[KEY][0] == b"".join(parts)


async def test_a_completion_whose_answer_was_lost(bench: Bench) -> None:
    parts = [b"a" * 100, b"b"]
    upload, sent = await send_parts(bench, parts)
    bench.server.troubles += ["drop"]
    await bench.s3.complete_multipart(KEY, upload, sent, size_bytes=101, checksum=composite(parts))
    await bench.s3.abort_multipart(KEY, upload)
    with pytest.raises(NotFound):
        await bench.s3.parts(KEY, upload)
    with pytest.raises(ConditionFailed):
        await bench.s3.complete_multipart(KEY, upload, sent, size_bytes=101, checksum=composite([b"x", b"y"]))


async def test_ranges_and_what_is_whole(bench: Bench) -> None:
    body = os.urandom(3 * MIB)
    await put(bench, body)
    assert await read(bench, 0, len(body), whole=True) == body
    assert "range" not in bench.server.requests[-1].headers
    assert await read(bench, 1000, 2 * MIB) == body[1000 : 1000 + 2 * MIB]
    assert bench.server.requests[-1].query["versionId"] == "v1"
    assert await read(bench, 0, 0) == b""


async def test_a_broken_download_goes_on_where_it_stopped(bench: Bench) -> None:
    body = os.urandom(MIB)
    await put(bench, body)
    bench.server.troubles += ["half", "half", (503, "SlowDown"), None]
    assert await read(bench, 0, len(body), whole=True) == body
    starts = [r.headers.get("range", "") for r in bench.server.requests[1:]]
    assert starts[0] == ""
    assert starts[1] > "bytes=0-"


async def test_a_token_that_expires_in_the_middle_of_a_download_is_renewed(bench: Bench) -> None:
    body = os.urandom(3 * MIB)
    await put(bench, body)
    bench.server.troubles += ["expires"]
    assert await read(bench, MIB, 2 * MIB) == body[MIB:]
    assert bench.credentials.given == 2
    starts = [r.headers.get("range", "") for r in bench.server.requests[1:]]
    assert starts[0] < starts[-1]


async def test_a_missing_object(bench: Bench) -> None:
    with pytest.raises(NotFound):
        await read(bench, 0, 10)
    with pytest.raises(NotFound):
        await bench.s3.head(KEY)


def test_xml_with_a_document_type_is_refused() -> None:
    with pytest.raises(Broken):
        s3_xml.parse(b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>')
    assert s3_xml.error_code(b"not xml") == ("", "")
    assert s3_xml.error_code(b"") == ("", "")


async def test_a_grant_is_renewed_once_for_all_who_ask() -> None:
    asked: list[UploadRequest] = []
    spent = Renewing("").make()

    class Permissions:
        async def uploads(self, library: str, request: UploadRequest) -> UploadAnswer:
            asked.append(request)
            return UploadAnswer(grant=request.grant, credential=Renewing("").make(), permits=[])

        async def downloads(self, library):
            raise AssertionError

    answer = UploadAnswer(grant="g" * 20, credential=spent, permits=[])
    credentials = GrantCredentials(Permissions(), "library", answer)
    assert await credentials.current() is spent
    renewed = [await credentials.renewed(spent) for _ in range(3)]
    assert len(asked) == 1
    assert all(credential is renewed[0] for credential in renewed)
    assert (asked[0].grant, asked[0].intents) == ("g" * 20, []), "nothing is counted again"


class Slow(Throttle):
    """Limits everything and waits for nothing."""

    def __init__(self) -> None:
        super().__init__(Limits(up=1, down=1))
        self.spent = {Way.UP: 0, Way.DOWN: 0}
        self.largest = 0

    async def spend(self, way: Way, size_bytes: int) -> None:
        self.spent[way] += size_bytes
        self.largest = max(self.largest, size_bytes) if way is Way.UP else self.largest


async def test_limited_transfers_bring_the_same_bytes(bench: Bench) -> None:
    body, throttle = os.urandom(3 * PIECE_BYTES + 1), Slow()
    async with aiohttp.ClientSession() as http:
        s3 = S3(bench.credentials, http, throttle=throttle)
        bench.server.troubles.append("drop")  # the second try is held back as well
        await s3.put(KEY, body, checksum=sha256_base64(body), metadata=META)
        assert bench.server.objects[KEY][0] == body
        assert bench.server.requests[0].headers["Content-Length"] == str(len(body))
        assert (throttle.spent[Way.UP], throttle.largest) == (2 * len(body), PIECE_BYTES)
        got = b"".join([piece async for piece in s3.get(KEY, "", offset=0, length=len(body), whole=True)])
    assert got == body
    assert throttle.spent[Way.DOWN] == len(body)
