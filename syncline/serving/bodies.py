"""Bodies over HTTP: JSON or msgpack, as Content-Type and Accept say, bounded and checked against their type."""

from __future__ import annotations

import zlib
from typing import Any, TypeVar

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from syncline.domain.errors import Refused

T = TypeVar("T")

JSON = "application/json"
MSGPACK = "application/msgpack"
_MSGPACK_NAMES = (MSGPACK, "application/x-msgpack", "application/vnd.msgpack")
BODY_BYTES_MAX = 4 * 1024 * 1024


async def read_bytes(request: web.Request, *, bytes_max: int = BODY_BYTES_MAX) -> bytes:
    """The body, inflated if it was sent compressed, of at most ``bytes_max``. Raises ``Refused("body-too-large")``."""
    declared = request.content_length
    if declared is not None and declared > bytes_max:
        raise _too_large(bytes_max)
    body = bytearray()
    try:
        # aiohttp inflates piece by piece, so this bound holds for what comes out, not only for what was sent.
        while chunk := await request.content.readany():
            body += chunk
            if len(body) > bytes_max:
                raise _too_large(bytes_max)
    except (HttpProcessingError, web.RequestPayloadError, zlib.error, ValueError):
        # aiohttp would go on reading after our answer, meet the same error, and cut the answer off.
        request.content.feed_eof()
        raise Refused("malformed-request", "The body's Content-Encoding or framing is wrong.") from None
    return bytes(body)


async def read_body(request: web.Request, body: type[T], *, bytes_max: int = BODY_BYTES_MAX) -> T:
    """The body as ``body``. Raises ``Refused``: "unsupported-media-type", "body-too-large", "malformed-body" for what
    is no JSON or msgpack, "invalid-body" (422, ``at`` names the member) for what has not the type's form."""
    # Not request.content_type: Python's header parser fails on some garbage with an IndexError.
    kind = request.headers.get("Content-Type", JSON).partition(";")[0].strip().lower()
    if kind != JSON and kind not in _MSGPACK_NAMES:
        detail = f"The body is {kind[:80]!r}; send {JSON} or {MSGPACK}."
        raise Refused("unsupported-media-type", detail, status=415)
    wire = await read_bytes(request, bytes_max=bytes_max)
    try:
        if kind == JSON:
            return msgspec.json.decode(wire, type=body)
        return msgspec.msgpack.decode(wire, type=body)
    except msgspec.ValidationError as error:
        message, _, at = str(error).partition(" - at `")
        raise Refused("invalid-body", f"{message}.", status=422, at=at.rstrip("`") or "$") from None
    except (msgspec.DecodeError, UnicodeError, RecursionError, OverflowError) as error:
        raise Refused("malformed-body", f"The body is no valid {kind}: {error}.") from None


def answer(
    request: web.Request, body: msgspec.Struct, status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    """A response with ``body`` as JSON, or as msgpack when the asker prefers it."""
    kind = MSGPACK if prefers_msgpack(request) else JSON
    wire = encode(body, kind)
    return web.Response(
        status=status, body=wire, content_type=kind, headers={"Cache-Control": "no-store", **(headers or {})}
    )


def encode(body: Any, kind: str) -> bytes:
    return msgspec.msgpack.encode(body) if kind == MSGPACK else msgspec.json.encode(body)


def prefers_msgpack(request: web.Request) -> bool:
    """Whether Accept ranks msgpack above JSON; JSON when it says nothing of either."""
    ranks = {"json": 0.0, "msgpack": 0.0}
    for entry in ",".join(request.headers.getall("Accept", [])).split(",")[:20]:
        name, *parameters = (part.strip().lower() for part in entry.split(";"))
        rank = _quality(parameters)
        if name in _MSGPACK_NAMES:
            ranks["msgpack"] = max(ranks["msgpack"], rank)
        elif name == JSON:
            ranks["json"] = max(ranks["json"], rank)
    return ranks["msgpack"] > ranks["json"]


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
    return 1.0


def _too_large(bytes_max: int) -> Refused:
    detail = f"The body is longer than {bytes_max} bytes."
    return Refused("body-too-large", detail, status=413, limit_bytes=bytes_max)
