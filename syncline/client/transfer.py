"""Moving bytes between files and S3: several files at once, large ones in parallel parts, resumed after a crash.

Small and large files have lanes of their own, so that neither waits for the other.
"""

from __future__ import annotations

import asyncio
import base64
import copy
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from typing import Protocol

import msgspec

from syncline.client.progress import Progress, Way
from syncline.client.s3 import Credentials, Stored, sha256_base64
from syncline.client.s3_xml import Part
from syncline.client.tasks import to_the_end, together
from syncline.client.trees import Content
from syncline.domain.checksums import is_multipart, part_ranges
from syncline.domain.errors import Broken, ConditionFailed, NotFound, Temporary
from syncline.domain.permits import METADATA_NAME
from syncline.domain.traceparent import TRACEPARENT
from syncline.messages.api import Permitted
from syncline.ports import tracing

SMALL_AT_ONCE = 16
LARGE_AT_ONCE = 3
PARTS_AT_ONCE = 6
STRIPES = 4
STRIPED_FROM_BYTES = 16 * 1024 * 1024
WRITTEN_BYTES = 1024 * 1024
BEGINNINGS_MAX = 3
"""So often an upload that S3 forgot is begun anew, before the file waits for the next pass."""
UPLOAD_KEPT_S = 6 * 86_400
"""S3 drops the parts of an unfinished upload after seven days (the bucket's lifecycle)."""


class ObjectsOverHttp(Protocol):
    """What moving bytes takes of S3 (s3.py)."""

    async def put(self, key: str, body: bytes, *, checksum: str, metadata: Mapping[str, str]) -> None: ...

    async def head(self, key: str) -> Stored: ...

    def get(self, key: str, s3_version: str, *, offset: int, length: int, whole: bool) -> AsyncIterator[bytes]: ...

    async def create_multipart(self, key: str, *, metadata: Mapping[str, str]) -> str: ...

    async def put_part(self, key: str, upload: str, number: int, body: bytes, checksum: str) -> Part: ...

    async def parts(self, key: str, upload: str) -> list[Part]: ...

    async def complete_multipart(
        self, key: str, upload: str, parts: list[Part], *, size_bytes: int, checksum: str
    ) -> None: ...

    async def abort_multipart(self, key: str, upload: str) -> None: ...


class ContentChanged(Exception):
    """The file no longer holds the bytes that were to be sent."""


class Source(msgspec.Struct, frozen=True):
    """Bytes to be read and where from: ``read(offset, length)`` blocks, so it is called in a worker thread."""

    content: Content
    read: Callable[[int, int], bytes]


class Fetched(msgspec.Struct, frozen=True):
    """Bytes that S3 holds: a version's location and content."""

    content: Content
    key: str
    s3_version: str
    offset: int
    length: int


class Transfers:
    """Bounds how much moves at once, over all libraries of one process."""

    def __init__(self, s3: Callable[[Credentials], ObjectsOverHttp], progress: Progress) -> None:
        self.s3 = s3
        self._progress = progress
        self._small = asyncio.Semaphore(SMALL_AT_ONCE)
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)
        self._parts = asyncio.Semaphore(PARTS_AT_ONCE)

    def telling(self, progress: Progress) -> Transfers:
        """The same transfers, with the same bounds, telling another listener."""
        told = copy.copy(self)
        told._progress = progress
        return told

    @asynccontextmanager
    async def lane(self, size_bytes: int) -> AsyncIterator[None]:
        """A place among the files of this size; held while one file is moved."""
        async with self._large if is_multipart(size_bytes) else self._small:
            yield

    # -- up

    async def send(
        self,
        source: Source,
        s3: ObjectsOverHttp,
        permitted: Permitted,
        *,
        upload: str = "",
        begun: Callable[[str], None] | None = None,
    ) -> None:
        """Put the bytes where the permit says. Raises ``ContentChanged`` when the file holds others by now.

        ``upload`` is an upload in parts to go on with; ``begun`` is told the id of a new one before any part is sent.
        """
        with tracing.span_within("upload", attributes={"syncline.version": permitted.version}):
            await self._send(source, s3, permitted, upload, begun)

    async def _send(
        self,
        source: Source,
        s3: ObjectsOverHttp,
        permitted: Permitted,
        upload: str,
        begun: Callable[[str], None] | None,
    ) -> None:
        if is_multipart(source.content.size_bytes):
            await self._send_parts(source, s3, permitted, upload, begun)
            return
        body = await asyncio.to_thread(source.read, 0, source.content.size_bytes + 1)
        if len(body) != source.content.size_bytes or sha256_base64(body) != source.content.checksum:
            raise ContentChanged
        await s3.put(permitted.key, body, checksum=source.content.checksum, metadata=landing_metadata(permitted.permit))
        self._progress.moved(Way.UP, len(body))

    async def _send_parts(
        self,
        source: Source,
        s3: ObjectsOverHttp,
        permitted: Permitted,
        upload: str,
        begun: Callable[[str], None] | None,
    ) -> None:
        for _ in range(BEGINNINGS_MAX):
            try:
                await self._send_parts_to(source, s3, permitted, upload, begun)
                return
            except NotFound:
                # Forgotten in the middle, with its parts (they expire; the local AWS forgets them when it is killed).
                upload = ""
        raise Temporary(f"S3 forgot the upload of {permitted.key} {BEGINNINGS_MAX} times.")

    async def _send_parts_to(
        self,
        source: Source,
        s3: ObjectsOverHttp,
        permitted: Permitted,
        upload: str,
        begun: Callable[[str], None] | None,
    ) -> None:
        """Raises ``NotFound`` when the upload is not there any more."""
        size, checksum, key = source.content.size_bytes, source.content.checksum, permitted.key
        there: dict[int, Part] = {}
        if upload:
            try:
                there = {part.number: part for part in await s3.parts(key, upload) if part.checksum}
            except NotFound:
                if await _holds(s3, key, source.content):
                    self._progress.moved(Way.UP, size)
                    return
                upload = ""
        if not upload:
            upload = await s3.create_multipart(key, metadata=landing_metadata(permitted.permit))
            if begun is not None:
                begun(upload)
        self._progress.moved(Way.UP, sum(part.size_bytes for part in there.values()))
        parts = await self._put_missing(source, s3, key, upload, there)
        if _composite([part.checksum for part in parts]) != checksum:
            await s3.abort_multipart(key, upload)
            raise ContentChanged
        await s3.complete_multipart(key, upload, parts, size_bytes=size, checksum=checksum)

    async def _put_missing(
        self, source: Source, s3: ObjectsOverHttp, key: str, upload: str, there: Mapping[int, Part]
    ) -> list[Part]:
        async def put(number: int, offset: int, length: int) -> Part:
            async with self._parts:
                body = await asyncio.to_thread(source.read, offset, length)
                if len(body) != length:
                    raise ContentChanged
                part = await s3.put_part(key, upload, number, body, await asyncio.to_thread(sha256_base64, body))
            self._progress.moved(Way.UP, length)
            return part

        ranges = list(enumerate(part_ranges(source.content.size_bytes), start=1))
        missing = [(n, offset, length) for n, (offset, length) in ranges if n not in there]
        sent = await together([partial(put, *part) for part in missing])
        return sorted([*there.values(), *sent], key=lambda part: part.number)

    # -- down

    async def receive(self, fetched: Fetched, s3: ObjectsOverHttp, write: Callable[[bytes, int], None]) -> None:
        """Bring a version's bytes, checked against its checksum, to ``write(data, offset)`` (in worker threads).

        Raises ``Broken`` when S3 holds other bytes than the library says.
        """
        ranges = part_ranges(fetched.content.size_bytes)
        stripes = _stripes(ranges, fetched.content.size_bytes)
        digests = await together(
            [partial(self._stripe, fetched, s3, stripe, len(stripes) == 1, write) for stripe in stripes]
        )
        parts = [digest for stripe in digests for digest in stripe]
        multipart = is_multipart(fetched.content.size_bytes)
        found = _composite(parts) if multipart else parts[0]
        if found != fetched.content.checksum:
            raise Broken(f"{fetched.key} holds {found}, but the library says {fetched.content.checksum}.")

    async def _stripe(
        self,
        fetched: Fetched,
        s3: ObjectsOverHttp,
        ranges: Sequence[tuple[int, int]],
        alone: bool,
        write: Callable[[bytes, int], None],
    ) -> list[str]:
        """Neighbouring parts in one request; the checksum of each."""
        start = ranges[0][0]
        length = sum(length for _, length in ranges)
        sink = _Sink(ranges, write)
        whole = alone and fetched.offset == 0
        if length:
            pieces = s3.get(fetched.key, fetched.s3_version, offset=fetched.offset + start, length=length, whole=whole)
            async for piece in pieces:
                self._progress.moved(Way.DOWN, len(piece))
                if sink.take(piece):
                    await to_the_end(sink.drain)
        return await to_the_end(sink.finish)


class _Sink:
    """Gathers pieces, writes them in larger ones, and hashes part by part."""

    def __init__(self, ranges: Sequence[tuple[int, int]], write: Callable[[bytes, int], None]) -> None:
        self._ends = [offset + length for offset, length in ranges]
        self._at = ranges[0][0]
        self._write = write
        self._waiting = bytearray()
        self._hash = hashlib.sha256()
        self._digests: list[str] = []

    def take(self, piece: bytes) -> bool:
        self._waiting += piece
        return len(self._waiting) >= WRITTEN_BYTES

    def drain(self) -> None:
        data, self._waiting = bytes(self._waiting), bytearray()
        if not data:
            return
        self._write(data, self._at)
        view = memoryview(data)
        while view:
            room = self._ends[len(self._digests)] - self._at
            self._hash.update(view[:room])
            self._at += min(room, len(view))
            view = view[room:]
            if self._at == self._ends[len(self._digests)] and self._at < self._ends[-1]:
                self._end_part()

    def finish(self) -> list[str]:
        self.drain()
        self._end_part()
        return self._digests

    def _end_part(self) -> None:
        self._digests.append(base64.b64encode(self._hash.digest()).decode())
        self._hash = hashlib.sha256()


def landing_metadata(permit: str) -> dict[str, str]:
    """What an object carries: its permit, and the trace it was put in, for whoever sees it land."""
    trace = tracing.current()
    return {METADATA_NAME: permit, **({TRACEPARENT: trace} if trace else {})}


def upload_ident(parent: str, name: str, node: str, base_version: str, content: Content) -> str:
    """What makes two uploads the same one, before and after a crash."""
    return "\n".join([parent, name, node, base_version, str(content.size_bytes), content.checksum])


def now_s() -> int:
    return int(time.time())


async def _holds(s3: ObjectsOverHttp, key: str, content: Content) -> bool:
    """Whether the object is there already: the upload was completed, but nobody was told."""
    try:
        stored = await s3.head(key)
    except NotFound:
        return False
    if (stored.size_bytes, stored.checksum) != (content.size_bytes, content.checksum):
        raise ConditionFailed(f"{key} holds other bytes than the ones to be put there.")
    return True


def _stripes(ranges: list[tuple[int, int]], size_bytes: int) -> list[list[tuple[int, int]]]:
    """The parts in at most ``STRIPES`` runs of neighbours of nearly equal length."""
    if size_bytes < STRIPED_FROM_BYTES:
        return [ranges]
    count = min(STRIPES, len(ranges))
    bounds = [len(ranges) * i // count for i in range(count + 1)]
    return [ranges[a:b] for a, b in pairwise(bounds)]


def _composite(checksums: list[str]) -> str:
    """S3's checksum of an object made of parts with these."""
    digest = hashlib.sha256(b"".join(base64.b64decode(c) for c in checksums)).digest()
    return f"{base64.b64encode(digest).decode()}-{len(checksums)}"
