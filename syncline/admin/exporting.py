"""Exporting a library: its tree at a seq, with all bytes, as one ZIP archive.

The tree comes from the views, page by page, the bytes from S3 in pieces, a few pieces ahead of what is written. Each
file's checksum is computed as its bytes pass; memory does not grow with the library, nor with its largest file.
"""

from __future__ import annotations

import asyncio
import stat
import tempfile
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import BinaryIO

import msgspec

from syncline.admin.ports import Ports
from syncline.admin.zipping import Entry, ZipStream
from syncline.client.cli.times import time_ms
from syncline.domain.checksums import Hasher
from syncline.domain.errors import Broken, NotFound, Refused
from syncline.domain.links import MAX_TARGET_BYTES, leads_out, target_of
from syncline.domain.nodes import Kind, Node, Version
from syncline.domain.paths import join_path
from syncline.store.journal import Head, Journal
from syncline.store.moments import Moments
from syncline.store.rows import SEQ_MAX
from syncline.store.snapshot import DEPTH_MAX, FOLDER_PAGE, Snapshot
from syncline.store.tree import TreeReader
from syncline.store.views import Views

PIECE_BYTES = 4 * 1024 * 1024
READS_AHEAD = 8
"""Memory holds so many pieces; small files are fetched as many at once."""
FILES_FOLDER = "files"
MANIFEST = "manifest.jsonl"
MANIFEST_MEMORY_BYTES = 4 * 1024 * 1024
_NS_PER_MS = 1_000_000

Progress = Callable[[int, int], None]
"""Told of the files and bytes written so far."""


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One node in the manifest. ``entry`` is its name in the archive; ``given_up``: its content is, so it is not there;
    ``leads_out``: a symbolic link out of the library, which is there as a file that holds its target."""

    path: str
    entry: str
    node: str
    kind: Kind
    mtime_ns: int
    version: str = ""
    size_bytes: int = 0
    checksum: str = ""
    executable: bool = False
    symlink: bool = False
    given_up: bool = False
    leads_out: bool = False


class Exported(msgspec.Struct):
    """What the archive holds; the last line of its manifest."""

    library: str
    incarnation: str
    seq: int
    files: int = 0
    folders: int = 0
    size_bytes: int = 0
    given_up: int = 0
    links_out: int = 0
    zip_bytes: int = 0


class _Piece(msgspec.Struct, frozen=True):
    """``length`` bytes from ``offset`` of a file; one of length 0 for an empty file, and for what has no bytes."""

    path: str
    entry: str
    node: Node
    version: Version | None
    given_up: bool = False
    offset: int = 0
    length: int = 0

    @property
    def last(self) -> bool:
        return self.version is None or self.offset + self.length >= self.version.size_bytes


@dataclass
class _Level:
    """A folder that is being walked through: what is left of the page at hand, and whether more pages follow."""

    folder: str
    path: str
    entry: str
    waiting: deque[Node] = field(default_factory=deque)
    given_up: set[str] = field(default_factory=set)
    after: str = ""
    more: bool = True


class Exporting:
    """One export: ``open``, then ``write``."""

    def __init__(self, ports: Ports, library: str) -> None:
        self._tables = ports.tables
        self._objects = ports.objects
        self._journal = Journal(ports.tables)
        self._library = library

    async def open(self, at: str) -> tuple[Head, Snapshot]:
        """The library at a seq in digits, or a time in RFC 3339; "" is now.

        Raises ``NotFound``, and ``Refused("bad-time")`` for a seq that is still to come.
        """
        head = await self._journal.head(self._library)
        if head is None:
            raise NotFound(f"There is no library {self._library}.")
        if not at:
            seq = head.seq
        elif at.isdigit():
            seq = int(at)
        else:
            seq = await Moments(self._journal).seq_at(self._library, time_ms(at), head.seq)
        if seq > head.seq:
            raise Refused("bad-time", f"The library has not come to {seq} yet; it is at {head.seq}.", status=422)
        return head, await TreeReader(self._journal, Views(self._tables)).at(self._library, seq)

    async def write(self, head: Head, snapshot: Snapshot, out: BinaryIO, progress: Progress) -> Exported:
        """Write the whole archive.

        Raises ``Refused``: ``bytes-missing`` or ``bytes-differ`` (which file), ``path-too-long``; ``OSError`` of
        ``out``. The archive is then without its end.
        """
        exported = Exported(self._library, head.incarnation, snapshot.seq)
        archive = ZipStream(out)
        try:
            with tempfile.SpooledTemporaryFile(MANIFEST_MEMORY_BYTES) as manifest:
                writer = _Writer(archive, manifest, exported)
                async with aclosing(self._fetched(self._pieces(snapshot))) as fetched:
                    async for piece, data in fetched:
                        await _aside(writer.take, piece, data)
                        progress(exported.files, exported.size_bytes)
                await _aside(writer.close)
        except BaseException:
            archive.abandon()
            raise
        exported.zip_bytes = archive.written_bytes
        return exported

    # -- the tree

    async def _pieces(self, snapshot: Snapshot) -> AsyncIterator[_Piece]:
        async for piece in self._walk(snapshot):
            size_bytes = piece.version.size_bytes if piece.version and not piece.given_up else 0
            for offset in range(0, max(size_bytes, 1), PIECE_BYTES):
                length = min(PIECE_BYTES, size_bytes - offset)
                yield msgspec.structs.replace(piece, offset=offset, length=length)

    async def _walk(self, snapshot: Snapshot) -> AsyncIterator[_Piece]:
        """Everything in the library, each folder before what is in it; one page of each folder above in memory."""
        levels = [_Level(self._library, "", FILES_FOLDER)]
        while levels:
            level = levels[-1]
            if not level.waiting and level.more:
                await self._turn_page(snapshot, level)
            if not level.waiting:
                levels.pop()
                continue
            node = level.waiting.popleft()
            path, entry = join_path(level.path, node.name), join_path(level.entry, entry_name(node))
            yield _Piece(
                path, entry, node, node.version, node.version is not None and node.version.id in level.given_up
            )
            if node.kind is Kind.FOLDER:
                levels.append(_Level(node.id, path, entry))
            if len(levels) > DEPTH_MAX:
                raise Broken(f"The folders of {self._library} are deeper than {DEPTH_MAX} at {node.id}")

    async def _turn_page(self, snapshot: Snapshot, level: _Level) -> None:
        nodes = await snapshot.children(level.folder, level.after, FOLDER_PAGE)
        level.waiting.extend(nodes)
        level.more = len(nodes) == FOLDER_PAGE
        level.after = nodes[-1].name if nodes else ""
        level.given_up = await self._given_up(nodes)

    async def _given_up(self, nodes: list[Node]) -> set[str]:
        """Those of the versions whose content retention has given up by now, whatever was so at the seq."""
        versions = [node.version.id for node in nodes if node.version is not None]
        return await Views(self._tables).purged(self._library, versions, SEQ_MAX)

    # -- the bytes

    async def _fetched(self, pieces: AsyncIterator[_Piece]) -> AsyncGenerator[tuple[_Piece, bytes], None]:
        """The pieces in order with their bytes; ``READS_AHEAD`` are fetched at once."""
        ahead: deque[tuple[_Piece, asyncio.Task[bytes]]] = deque()
        try:
            async for piece in pieces:
                ahead.append((piece, asyncio.create_task(self._fetch(piece))))
                if len(ahead) == READS_AHEAD:
                    first, fetching = ahead.popleft()
                    yield first, await fetching
            while ahead:
                first, fetching = ahead.popleft()
                yield first, await fetching
        finally:
            for _, fetching in ahead:
                fetching.cancel()
            await asyncio.gather(*(fetching for _, fetching in ahead), return_exceptions=True)

    async def _fetch(self, piece: _Piece) -> bytes:
        if piece.version is None or piece.given_up:
            return b""
        where = piece.version.location
        try:
            return await self._objects.get(
                where.key, where.s3_version, offset=where.offset + piece.offset, length=piece.length
            )
        except NotFound:
            detail = f"{piece.path}: its bytes are not in the bucket ({where.key}). {_ADVICE}"
            raise Refused("bytes-missing", detail, path=piece.path, key=where.key) from None


class _Writer:
    """Takes the pieces in order; runs in a thread."""

    def __init__(self, archive: ZipStream, manifest: tempfile.SpooledTemporaryFile[bytes], exported: Exported) -> None:
        self._archive = archive
        self._manifest = manifest
        self._exported = exported
        self._hasher = Hasher(0)
        self._leads_out = False

    def take(self, piece: _Piece, data: bytes) -> None:
        if piece.version is None:
            mtime_ns = piece.node.author.at_ms * _NS_PER_MS
            self._archive.folder(Entry(piece.entry, stat.S_IFDIR | 0o755, mtime_ns))
            self._exported.folders += 1
            self._note(piece, mtime_ns)
        elif piece.given_up:
            self._exported.given_up += 1
            self._note(piece, piece.version.mtime_ns)
        else:
            self._take_bytes(piece, piece.version, data)

    def close(self) -> None:
        line = msgspec.json.encode(self._exported)
        self._manifest.write(line + b"\n")
        size_bytes = self._manifest.tell()
        self._manifest.seek(0)
        self._archive.begin(Entry(MANIFEST, stat.S_IFREG | 0o644, 0, size_bytes))
        while data := self._manifest.read(PIECE_BYTES):
            self._archive.write(data)
        self._archive.end()
        self._archive.finish()

    def _take_bytes(self, piece: _Piece, version: Version, data: bytes) -> None:
        if piece.offset == 0:
            self._hasher = Hasher(version.size_bytes)
            self._leads_out = version.symlink and not _stays_in(piece.path, version, data)
            self._archive.begin(
                Entry(piece.entry, _mode(version, self._leads_out), version.mtime_ns, version.size_bytes)
            )
        if len(data) != piece.length:
            raise _differ(piece)
        self._hasher.update(data)
        self._archive.write(data)
        if not piece.last:
            return
        if self._hasher.checksum() != version.checksum:
            raise _differ(piece)
        self._archive.end()
        self._exported.files += 1
        self._exported.size_bytes += version.size_bytes
        self._exported.links_out += self._leads_out
        self._note(piece, version.mtime_ns)

    def _note(self, piece: _Piece, mtime_ns: int) -> None:
        line = Line(piece.path, piece.entry, piece.node.id, piece.node.kind, mtime_ns, given_up=piece.given_up)
        if piece.version is not None:
            line = msgspec.structs.replace(
                line,
                version=piece.version.id,
                size_bytes=piece.version.size_bytes,
                checksum=piece.version.checksum,
                executable=piece.version.executable,
                symlink=piece.version.symlink,
                leads_out=self._leads_out and not piece.given_up,
            )
        self._manifest.write(msgspec.json.encode(line) + b"\n")


async def _aside(work: Callable[..., None], *arguments: object) -> None:
    """Compress and write in a thread, so that signals are answered meanwhile; cut short, it is over when it returns."""
    running = asyncio.ensure_future(asyncio.to_thread(work, *arguments))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


_ADVICE = "The archive is not whole. syncline-admin check LIBRARY --bytes names every such file."


def _differ(piece: _Piece) -> Refused:
    key = piece.node.version.location.key if piece.node.version else ""
    detail = f"{piece.path}: the bytes in the bucket are not those of the version ({key}). {_ADVICE}"
    return Refused("bytes-differ", detail, path=piece.path, key=key)


def _mode(version: Version, leads_out: bool) -> int:
    if version.symlink and not leads_out:
        return stat.S_IFLNK | 0o777
    return stat.S_IFREG | (0o755 if version.executable else 0o644)


def _stays_in(path: str, version: Version, data: bytes) -> bool:
    return version.size_bytes <= MAX_TARGET_BYTES and not leads_out(path, target_of(data))


def entry_name(node: Node) -> str:
    """A node's name in the archive. Some readers take a backslash for a separator, and so ``..\\x`` for an escape: a
    name with one is written otherwise, with the node's id, so that it meets no other. Names hold neither ``/`` nor
    NUL and are neither ``.`` nor ``..``; those that Windows cannot hold stay as they are."""
    if "\\" not in node.name:
        return node.name
    return f"{node.name.replace(chr(92), '%5C')}~{node.id}"
