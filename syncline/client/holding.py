"""One client at a time on a folder, whatever its SYNCLINE_HOME."""

from __future__ import annotations

import fcntl
import os

from syncline.client.disk import Disk
from syncline.domain.errors import Refused

LOCK_NAME = "lock"


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
