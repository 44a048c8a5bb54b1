"""S3's HTTP face over objects in memory: what the client asks of it. Signatures are not looked at."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from xml.etree import ElementTree

from aiohttp import web

from syncline.domain.errors import ConditionFailed, NotFound
from syncline.memory.objects import MemoryObjects

BODY_MAX = 64 * 1024 * 1024
PERMIT = "x-amz-meta-permit"
Hook = Callable[[str], None]


class S3Face:
    """``hook`` hears of every request before it is served ("PUT", "PART", "GET", …) and may raise."""

    def __init__(self, objects: MemoryObjects) -> None:
        self._objects = objects
        self._uploads: dict[str, tuple[str, dict[int, bytes]]] = {}
        self.heard: list[str] = []
        self.hook: Hook = lambda _: None
        self.app = web.Application(client_max_size=BODY_MAX)
        self.app.router.add_route("*", "/{bucket}/{key:.+}", self._serve)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        step = _step(request)
        self.heard.append(step)
        key = request.match_info["key"]
        try:
            self.hook(step)
            return await getattr(self, f"_{step.lower()}")(request, key)
        except NotFound:
            return _error(404, "NoSuchKey")
        except ConditionFailed:
            return _error(412, "PreconditionFailed")

    async def _put(self, request: web.Request, key: str) -> web.Response:
        body = await request.read()
        if _sha(body) != request.headers["x-amz-checksum-sha256"]:
            return _error(400, "BadDigest")
        metadata = {"permit": request.headers[PERMIT]}
        info = await self._objects.put(key, body, metadata=metadata, only_if_absent=True)
        return web.Response(headers={"x-amz-version-id": info.s3_version})

    async def _head(self, request: web.Request, key: str) -> web.Response:
        info = await self._objects.head(key)
        headers = {"x-amz-checksum-sha256": info.checksum, "x-amz-version-id": info.s3_version}
        return web.Response(headers=headers | {"Content-Length": str(info.size_bytes)})

    async def _get(self, request: web.Request, key: str) -> web.Response:
        body = await self._objects.get(key, request.query.get("versionId", ""))
        asked = request.http_range
        if "Range" in request.headers:
            return web.Response(status=206, body=body[asked.start : asked.stop])
        return web.Response(body=body)

    async def _begin(self, request: web.Request, key: str) -> web.Response:
        upload = f"upload-{len(self._uploads) + 1}"
        self._uploads[upload] = (request.headers[PERMIT], {})
        return _xml("InitiateMultipartUploadResult", f"<UploadId>{upload}</UploadId>")

    async def _part(self, request: web.Request, key: str) -> web.Response:
        body = await request.read()
        if _sha(body) != request.headers["x-amz-checksum-sha256"]:
            return _error(400, "BadDigest")
        self._uploads[request.query["uploadId"]][1][int(request.query["partNumber"])] = body
        return web.Response(headers={"ETag": '"etag"'})

    async def _parts(self, request: web.Request, key: str) -> web.Response:
        if request.query["uploadId"] not in self._uploads:
            return _error(404, "NoSuchUpload")
        parts = sorted(self._uploads[request.query["uploadId"]][1].items())
        told = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>etag</ETag><Size>{len(body)}</Size>"
            f"<ChecksumSHA256>{_sha(body)}</ChecksumSHA256></Part>"
            for number, body in parts
        )
        return _xml("ListPartsResult", told + "<IsTruncated>false</IsTruncated>")

    async def _complete(self, request: web.Request, key: str) -> web.Response:
        asked = ElementTree.fromstring(await request.read())
        permit, parts = self._uploads.pop(request.query["uploadId"])
        assert len(asked) == len(parts)
        bodies = [body for _, body in sorted(parts.items())]
        digests = b"".join(hashlib.sha256(body).digest() for body in bodies)
        checksum = f"{_sha(digests)}-{len(bodies)}"
        await self._objects.put_with_checksum(
            key, b"".join(bodies), checksum, metadata={"permit": permit}, only_if_absent=True
        )
        return _xml("CompleteMultipartUploadResult", f"<ChecksumSHA256>{checksum}</ChecksumSHA256>")

    async def _abort(self, request: web.Request, key: str) -> web.Response:
        self._uploads.pop(request.query["uploadId"], None)
        return web.Response(status=204)


def _step(request: web.Request) -> str:
    """Which of S3's operations a request is."""
    query = request.query
    match request.method:
        case "POST":
            return "BEGIN" if "uploads" in query else "COMPLETE"
        case "PUT":
            return "PART" if "partNumber" in query else "PUT"
        case "GET":
            return "PARTS" if "uploadId" in query else "GET"
        case "DELETE":
            return "ABORT"
        case method:
            return method


def _xml(name: str, inside: str) -> web.Response:
    return web.Response(body=f"<{name}>{inside}</{name}>".encode(), content_type="application/xml")


def _error(status: int, code: str) -> web.Response:
    body = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>"
    return web.Response(status=status, body=body.encode(), content_type="application/xml")


def _sha(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()
