"""How the log of the tables lies on disk: numbered logs of framed records, and the base they go on from.

    00000003.base   the records that make up all there was when log 3 began; complete, or not there
    00000003.log    what happened since, appended to; and any later log

Every file is MAGIC, then per record its length and CRC-32 (both 32 bits, little-endian) and its bytes. A base is
written as a draft and renamed when it is whole on the disk. Of the newest log the end may be torn: a record that
is cut short or damaged, with all that follows, was never waited for by anyone, is cut off and kept beside it as
`.torn`. Damage anywhere else is told, and nothing starts on it.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

MAGIC = b"SYNCLOG1"
RECORD_BYTES_MAX = 64 * 2**20

_FRAME = struct.Struct("<II")
_NAME = re.compile(r"(\d{8})\.(base|log)")


class Damaged(Exception):
    """A file of the log is not what was written; nothing may go on from it."""


class _Torn(Exception):
    """Records up to ``good`` bytes are whole; what follows is not."""

    def __init__(self, good: int):
        super().__init__(good)
        self.good = good


def framed(record: bytes) -> bytes:
    """The bytes that a record takes in a file. Raises ValueError above RECORD_BYTES_MAX."""
    if len(record) > RECORD_BYTES_MAX:
        raise ValueError(f"a record of {len(record)} bytes")
    return _FRAME.pack(len(record), zlib.crc32(record)) + record


class LogFolder:
    """The files of one log. Everything here blocks; one thread at a time.

    `torn_bytes`: how much was cut off the newest log's end.
    """

    def __init__(self, path: Path):
        self.path = path
        self.torn_bytes = 0
        path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def base(self, number: int) -> Path:
        return self.path / f"{number:08d}.base"

    def log(self, number: int) -> Path:
        return self.path / f"{number:08d}.log"

    def numbers(self) -> tuple[int, list[int]]:
        """(the newest base, 0 for none; the logs that go on from it, in order). Raises Damaged for a gap."""
        bases, logs = self._found()
        base = max(bases, default=0)
        after = sorted(number for number in logs if number >= base)
        expected = list(range(base or 1, (base or 1) + len(after)))
        # A base is renamed only after its log has begun.
        if after != expected or (base and not after):
            raise Damaged(f"{self.path} holds base {base} and logs {after}, expected {expected}")
        return base, after

    def records(self, number: int, kind: str, *, newest: bool = False) -> Iterator[bytes]:
        """The records of one file in order. The torn end of the newest log is cut off; otherwise raises Damaged."""
        path = self.base(number) if kind == "base" else self.log(number)
        try:
            yield from _read(path)
        except _Torn as torn:
            if not newest:
                raise Damaged(f"{path} is damaged after {torn.good} bytes") from None
            self._cut(path, torn.good)

    def begin(self, number: int) -> int:
        """Open log ``number`` for appending, made if need be; its file descriptor."""
        descriptor = os.open(self.log(number), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        if os.fstat(descriptor).st_size == 0:
            write_all(descriptor, MAGIC)
            os.fsync(descriptor)
            self._sync_names()
        return descriptor

    def install_base(self, number: int, draft: Path) -> None:
        """Make a whole draft, synced already, the base that log ``number`` goes on from, and drop what it replaces."""
        draft.replace(self.base(number))
        self._sync_names()
        self.tidy()

    def tidy(self) -> None:
        """Remove drafts, and the bases and logs that the newest base replaces."""
        bases, logs = self._found()
        newest = max(bases, default=0)
        for draft in self.path.glob("*.draft"):
            draft.unlink()
        for number in bases:
            if number < newest:
                self.base(number).unlink()
        for number in logs:
            if number < newest:
                self.log(number).unlink()

    def _found(self) -> tuple[list[int], list[int]]:
        named = [(int(match[1]), match[2]) for path in self.path.iterdir() if (match := _NAME.fullmatch(path.name))]
        return (
            [number for number, kind in named if kind == "base"],
            [number for number, kind in named if kind == "log"],
        )

    def _cut(self, path: Path, good: int) -> None:
        with path.open("rb") as file:
            file.seek(good)
            rest = file.read()
        self.torn_bytes = len(rest)
        path.with_suffix(".torn").write_bytes(rest)
        os.truncate(path, good)
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _sync_names(self) -> None:
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise _Torn(0)
        good = len(MAGIC)
        while head := file.read(_FRAME.size):
            if len(head) < _FRAME.size:
                raise _Torn(good)
            length, crc = _FRAME.unpack(head)
            # A length out of bounds is damage too, and must not be read into memory.
            record = file.read(length) if length <= RECORD_BYTES_MAX else b""
            if len(record) != length or zlib.crc32(record) != crc:
                raise _Torn(good)
            yield record
            good += _FRAME.size + length
