"""A ZIP archive written from front to back, to a stream that cannot seek, in memory that does not grow with it.

The standard library writes the format (ZIP64 where it must). Two things are added: the table of contents waits on disk
instead of in memory, and an archive can be abandoned, after which no reader takes what is there for whole.
"""

from __future__ import annotations

import pickle
import stat
import struct
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import IO, BinaryIO, NamedTuple
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from syncline.domain.errors import Refused

NAME_BYTES_MAX = 0xFFFF
COMPRESSION = 1
"""The quickest level. Readers that take an archive from a pipe want compressed entries: these say where they end."""
_UNIX = 3
_FOLDER_MARK = 0x10
_TIMES_EXTRA = 0x5455
_FIRST, _LAST = datetime(1980, 1, 1, tzinfo=UTC), datetime(2107, 12, 31, tzinfo=UTC)
_NS = 1_000_000_000


class Entry(NamedTuple):
    """One entry. ``mode`` as in ``st_mode``; ``mtime_ns`` Unix ns; ``size_bytes`` of what will be written."""

    name: str
    mode: int
    mtime_ns: int
    size_bytes: int = 0


class ZipStream:
    """Entries one after another: ``folder``, or ``begin``, ``write`` … ``end``. Then ``finish`` or ``abandon``."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = _Out(out)
        self._zip = ZipFile(self._out, "w", ZIP_DEFLATED, compresslevel=COMPRESSION)  # type: ignore[call-overload]
        self._zip.filelist = _Contents()
        self._zip.NameToInfo = _Nothing()
        self._writing: IO[bytes] | None = None

    @property
    def written_bytes(self) -> int:
        return self._out.written_bytes

    def folder(self, entry: Entry) -> None:
        self._zip.mkdir(_info(entry))

    def begin(self, entry: Entry) -> None:
        self._writing = self._zip.open(_info(entry), "w")

    def write(self, data: bytes) -> None:
        assert self._writing is not None
        self._writing.write(data)

    def end(self) -> None:
        assert self._writing is not None
        self._writing.close()

    def finish(self) -> None:
        self._zip.close()

    def abandon(self) -> None:
        """Nothing more is written, whoever tidies up: an archive without its end is taken for whole by nobody."""
        self._out.ended = True
        if self._writing is not None:
            self._writing.close()
        self._zip.close()


class _Out:
    """The stream as ``ZipFile`` may see it: it can only be written to."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self.written_bytes = 0
        self.ended = False

    def write(self, data: bytes) -> int:
        if not self.ended:
            self._out.write(data)
            self.written_bytes += len(data)
        return len(data)

    def flush(self) -> None:
        if not self.ended:
            self._out.flush()


class _Contents(list[ZipInfo]):
    """``ZipFile.filelist`` in a temporary file: what ``ZipFile`` does is append, and iterate once at the end."""

    def __init__(self) -> None:
        super().__init__()
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - goes with the last reference
        self._count = 0

    def append(self, info: ZipInfo) -> None:
        pickle.dump(info, self._file)
        self._count += 1

    def __iter__(self) -> Iterator[ZipInfo]:
        self._file.seek(0)
        for _ in range(self._count):
            yield pickle.load(self._file)

    def __len__(self) -> int:
        return self._count


class _Nothing(dict[str, ZipInfo]):
    """``ZipFile.NameToInfo``, which only warns of names that were there before."""

    def __setitem__(self, name: str, info: ZipInfo) -> None:
        pass


def _info(entry: Entry) -> ZipInfo:
    name = entry.name + "/" if stat.S_ISDIR(entry.mode) else entry.name
    if len(name.encode()) > NAME_BYTES_MAX:
        raise Refused("path-too-long", f"A ZIP archive cannot hold a path of {len(name.encode())} bytes: {name[:60]}…")
    seconds = entry.mtime_ns // _NS
    info = ZipInfo(name, _dos_time(seconds))
    info.create_system = _UNIX
    info.external_attr = entry.mode << 16 | (_FOLDER_MARK if stat.S_ISDIR(entry.mode) else 0)
    info.file_size = entry.size_bytes
    info.CRC = info.compress_size = 0
    if not stat.S_ISDIR(entry.mode):
        info.compress_type = ZIP_DEFLATED
        info._compresslevel = COMPRESSION  # type: ignore[attr-defined]
    if -(2**31) <= seconds < 2**31:
        # The format's own times are local and even; this one is UTC (Info-ZIP, "extended timestamp").
        info.extra = struct.pack("<HHBl", _TIMES_EXTRA, 5, 1, seconds)
    return info


def _dos_time(seconds: int) -> tuple[int, int, int, int, int, int]:
    try:
        when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    except OverflowError:
        when = _FIRST
    when = min(max(when, _FIRST), _LAST)
    return when.year, when.month, when.day, when.hour, when.minute, when.second
