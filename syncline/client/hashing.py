"""The checksum of a local file. Blocking: call from a worker thread."""

from __future__ import annotations

import os
import stat as modes
from pathlib import Path

from syncline.client.trees import Content, Stat
from syncline.domain.checksums import Hasher
from syncline.domain.errors import Refused

READ_BYTES = 1024 * 1024


def content_of(path: Path) -> tuple[Stat, Content] | None:
    """What a file holds, with its stat; None when it was written to while it was read. Raises ``OSError``."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        before = os.fstat(descriptor)
        if not modes.S_ISREG(before.st_mode):
            return None
        hasher = Hasher(before.st_size)
        try:
            while piece := file.read(READ_BYTES):
                hasher.update(piece)
            checksum = hasher.checksum()
        except Refused:
            return None  # it grew or shrank
        after = os.fstat(descriptor)
    if _moment(before) != _moment(after):
        return None
    stat = Stat(after.st_size, after.st_mtime_ns, after.st_ctime_ns, after.st_ino)
    return stat, Content(after.st_size, checksum, is_executable(after.st_mode))


def is_executable(mode: int) -> bool:
    return bool(mode & 0o100)


def _moment(stat: os.stat_result) -> tuple[int, int, int]:
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
