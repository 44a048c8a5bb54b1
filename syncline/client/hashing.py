"""The content of a local file or symbolic link. Blocking: call from a worker thread."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat as modes
import time
from pathlib import Path

from syncline.client.trees import Content, Stat
from syncline.domain.checksums import Hasher, checksum_of
from syncline.domain.errors import Refused

READ_BYTES = 1024 * 1024
AT_REST_S = 2.0
"""A file that a program has open for writing is at rest when nothing was written for so long."""
_A_LINK = (errno.ELOOP, errno.EMLINK)
"""What opening a symbolic link without following it fails with (FreeBSD: the second)."""


def content_of(path: Path, *, at_rest_s: float = AT_REST_S) -> tuple[Stat, Content] | None:
    """What a file or symbolic link holds, with its stat; None when it is still being written. Raises ``OSError``."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in _A_LINK:
            return _content_of_link(path)
        raise
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
        if 0 <= time.time() - after.st_mtime_ns / 1e9 < at_rest_s and _is_open_for_writing(descriptor):
            return None
    if _moment(before) != _moment(after):
        return None
    return stat_of(after), Content(after.st_size, checksum, is_executable(after.st_mode))


def _content_of_link(path: Path) -> tuple[Stat, Content] | None:
    """Links are made and replaced whole, so only which one it is has to be the same before and after."""
    before = os.lstat(path)
    target = target_bytes(path)
    if stat_of(os.lstat(path)) != stat_of(before):
        return None
    return stat_of(before), content_of_target(target)


def target_bytes(path: Path) -> bytes:
    """What a symbolic link says. Raises ``OSError``."""
    return os.fsencode(os.readlink(path))


def content_of_target(target: bytes) -> Content:
    return Content(len(target), checksum_of(target), executable=False, symlink=True)


def stat_of(found: os.stat_result) -> Stat:
    return Stat(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def is_executable(mode: int) -> bool:
    return bool(mode & 0o100)


def _is_open_for_writing(descriptor: int) -> bool:
    """Whether some program has this file open for writing. False where the system cannot tell.

    Linux gives a lease to read only while nobody may write (fcntl(2), "Leases"); it is given back at once. Should a
    writer come in between, we are told by a signal that is ignored, instead of the one that would end the process.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    return False


def _moment(stat: os.stat_result) -> tuple[int, int, int]:
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
