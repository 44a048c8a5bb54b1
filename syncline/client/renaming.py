"""What Python's ``os`` lacks: renames to a free name only, exchanging two names, each in one step; flushing a disk.

Linux has ``renameat2`` for it. Elsewhere (or on a filesystem without it) the nearest thing is done, which leaves a
moment between looking and renaming.
"""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

_AT_FDCWD = -100
_NOREPLACE = 1
_EXCHANGE = 2
_UNKNOWN = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)


def rename_new(source: Path, target: Path) -> None:
    """Rename, but only to a name that is free. Raises ``FileExistsError`` when it is not."""
    if _renameat2(source, target, _NOREPLACE):
        return
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    os.rename(source, target)


def exchange(one: Path, other: Path) -> None:
    """Exchange two names in one step; where the system cannot, in three, with the first always in place."""
    if _renameat2(one, other, _EXCHANGE):
        return
    spare = one.with_name(one.name + ".old")
    os.link(other, spare, follow_symlinks=False)
    os.replace(one, other)
    os.replace(spare, one)


def flush_all(folder: Path) -> bool:
    """Make everything durable that was written to a folder's file system; False where the system has no such call."""
    try:
        call = ctypes.CDLL(None, use_errno=True).syncfs
    except (AttributeError, OSError):
        return False
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return bool(call(descriptor) == 0)
    finally:
        os.close(descriptor)


def _renameat2(source: Path, target: Path, flags: int) -> bool:
    """Whether the system did it. Raises ``OSError`` as ``os.rename`` does."""
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    if call(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), flags) == 0:
        return True
    code = ctypes.get_errno()
    if code in _UNKNOWN:
        return False
    raise OSError(code, os.strerror(code), str(source), None, str(target))
