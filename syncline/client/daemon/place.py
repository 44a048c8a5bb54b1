"""Where a home's daemon is found: its socket. Imported by the quick road, so it imports next to nothing."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

SOCKET_NAME = "daemon.sock"
SOCKET_PATH_BYTES_MAX = 100
"""The system's own bound is 104 (macOS) or 108 bytes with the zero at its end."""


class Unsafe(Exception):
    """The folder for the socket is not the user's own."""


def home_path(environ: Mapping[str, str]) -> str:
    """SYNCLINE_HOME, as ``Home.from_environ`` finds it, without making it."""
    named = environ.get("SYNCLINE_HOME", "")
    if named:
        return os.path.abspath(os.path.expanduser(named))
    import platformdirs

    return str(platformdirs.user_data_path("syncline"))


def socket_path(home: str, environ: Mapping[str, str], *, make: bool = False) -> str:
    """Where the daemon of a home listens: in the home, or, where that path is too long for a socket, in a private
    folder of the user's run-time or temporary files whose name is made from the home's.

    ``make``: make that folder. Raises ``Unsafe`` when somebody else made it, ``OSError``.
    """
    path = os.path.join(home, SOCKET_NAME)
    if len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX:
        return path
    import hashlib

    digest = hashlib.sha256(os.fsencode(os.path.realpath(home))).hexdigest()[:16]
    folder = os.path.join(_short_folder(environ), f"syncline-{os.getuid()}-{digest}")
    if make and not os.path.lexists(folder):
        os.mkdir(folder, 0o700)
    if os.path.lexists(folder):
        found = os.lstat(folder)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
            raise Unsafe(f"{folder} is not a private folder of yours; remove it or set XDG_RUNTIME_DIR.")
    return os.path.join(folder, SOCKET_NAME)


def _short_folder(environ: Mapping[str, str]) -> str:
    for folder in (environ.get("XDG_RUNTIME_DIR", ""), environ.get("TMPDIR", "")):
        if folder and os.path.isdir(folder) and len(os.fsencode(folder)) <= SOCKET_PATH_BYTES_MAX - 50:
            return folder
    return "/tmp"  # noqa: S108 - the folder made in it is private, and checked
