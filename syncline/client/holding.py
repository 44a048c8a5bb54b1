"""One client at a time on a folder, whatever its SYNCLINE_HOME."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from syncline.client.disk import Disk
from syncline.domain.errors import Refused

LOCK_NAME = "lock"
HOME_NAME = "home"


def check_free(disk: Disk, home: Path) -> None:
    """Raises ``Refused("folder-taken")`` when another home, which is still there, has this folder linked."""
    try:
        other = os.fsdecode((disk.own / HOME_NAME).read_bytes()).rstrip("\n")
        marker = (disk.own / "link").read_text().strip()
    except (OSError, UnicodeDecodeError):
        return
    if other and other != str(home) and _has_linked(Path(other), marker):
        detail = (
            f"Another Syncline client keeps {disk.root} in sync (SYNCLINE_HOME={other}). Two would get in each other's "
            f"way. To have this one do it: SYNCLINE_HOME={other} syncline unlink {disk.root}"
        )
        raise Refused("folder-taken", detail, status=409)


def note_home(disk: Disk, home: Path) -> None:
    """Remember in the folder whose it is."""
    (disk.own / HOME_NAME).write_bytes(os.fsencode(home) + b"\n")


def _has_linked(home: Path, marker: str) -> bool:
    index = f"file:{quote(os.fsencode(home / 'index.sqlite3'))}?mode=ro"
    try:
        with closing(sqlite3.connect(index, uri=True)) as found:
            return bool(found.execute("SELECT 1 FROM links WHERE marker = ?", (marker,)).fetchone())
    except sqlite3.Error:
        return False  # gone, or not ours to read: then nobody could say so better than the marker that is replaced now


class Held:
    """A lock on a folder against other clients: a context that may be entered again while it is entered.

    Raises ``Refused("folder-taken")``. The system lets go of it when the process ends. What cannot be locked (a folder
    that is not there, a file system without locks) is not.
    """

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._entered = 0
        self._descriptor = -1

    def __enter__(self) -> None:
        if self._descriptor < 0:
            self._lock()
        self._entered += 1

    def __exit__(self, *_: object) -> None:
        self._entered -= 1
        if not self._entered and self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _lock(self) -> None:
        try:
            descriptor = os.open(self._disk.own / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            detail = f"Another Syncline client (with another SYNCLINE_HOME) keeps {self._disk.root} in sync."
            raise Refused("folder-taken", detail, status=409) from None
        except OSError:
            os.close(descriptor)
        else:
            self._descriptor = descriptor
