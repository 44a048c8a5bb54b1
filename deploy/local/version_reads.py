"""Reads of object versions as S3 answers them.

For a GET that names a version MiniStack (1.5.33) forgets `Range` and the `response-*` overrides of
headers, which it honours for the current version. Downloads need both, and always name the version.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_RANGE = re.compile(rb"bytes=(\d*)-(\d*)")
_OVERRIDES = {
    f"response-{name}": name.encode()
    for name in ("cache-control", "content-disposition", "content-encoding", "content-language", "content-type")
}


class VersionReads:
    """Cuts the range out of what MiniStack answers, and sets the headers that were asked for."""

    def __init__(self, app: App):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        if "versionId" not in query:
            await self._app(scope, receive, send)
            return
        asked = next((value for name, value in scope["headers"] if name.lower() == b"range"), b"")
        await self._app(scope, receive, _Answer(send, _RANGE.fullmatch(asked), query))


class _Answer:
    """Passes one answer on, changed."""

    def __init__(self, send: Send, asked: re.Match[bytes] | None, query: dict[str, list[str]]):
        self._send = send
        self._asked = asked
        self._query = query
        self._first = 0
        self._end: int | None = None
        self._position = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 200:
            message = self._start(message)
        elif message["type"] == "http.response.body" and self._end is not None:
            message = self._part(message, self._end)
        await self._send(message)

    def _start(self, message: Message) -> Message:
        headers: Headers = [(name.lower(), value) for name, value in message["headers"]]
        for parameter, name in _OVERRIDES.items():
            if parameter in self._query:
                headers = _with(headers, name, self._query[parameter][0].encode("latin-1", "replace"))
        size = int(dict(headers).get(b"content-length", b"0"))
        if self._asked is None or not self._asked.group(0).strip(b"bytes=-"):
            return {**message, "headers": headers}
        first, end = _bounds(self._asked, size)
        if first >= end:
            self._end = 0
            headers = _with(_with(headers, b"content-length", b"0"), b"content-range", b"bytes */%d" % size)
            return {**message, "status": 416, "headers": headers}
        self._first, self._end = first, end
        headers = _with(headers, b"content-length", b"%d" % (end - first))
        headers = _with(headers, b"content-range", b"bytes %d-%d/%d" % (first, end - 1, size))
        # The checksum is the whole object's: S3 leaves it out of an answer with a part.
        headers = [(name, value) for name, value in headers if not name.startswith(b"x-amz-checksum-")]
        return {**message, "status": 206, "headers": headers}

    def _part(self, message: Message, end: int) -> Message:
        body = message.get("body", b"")
        start = max(0, self._first - self._position)
        stop = max(0, end - self._position)
        self._position += len(body)
        return {**message, "body": body[start:stop]}


def _bounds(asked: re.Match[bytes], size: int) -> tuple[int, int]:
    """The first byte and the one after the last, of `first-last`, `first-` and `-count`."""
    first, last = asked.groups()
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(size, int(last) + 1) if last else size


def _with(headers: Headers, name: bytes, value: bytes) -> Headers:
    return [(other, kept) for other, kept in headers if other != name] + [(name, value)]
