"""One stack per DATA folder, and ports that are free: what is checked before anything starts."""

from __future__ import annotations

import fcntl
import os
import socket
import time

from deploy.local.place import HOST, PORTS, Place

# A supervisor that was killed leaves its programs to their leashes, which need a moment to end them.
REMAINS_SECONDS_MAX = 30.0
_POLL_SECONDS = 0.2


class CannotStart(Exception):
    """Why the stack cannot start, in one line for the person who started it."""


def take_lock(place: Place) -> int:
    """Lock DATA for this stack; the lock's file descriptor, which the leashes inherit.

    The lock is free again when the last program of the stack has ended. Raises CannotStart if another
    stack runs on the same DATA.
    """
    path = place.data / ".lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + REMAINS_SECONDS_MAX
    while not _locked(descriptor):
        holder = _holder(descriptor)
        if _runs(holder) or time.monotonic() > deadline:
            os.close(descriptor)
            raise CannotStart(
                f"Another stack (process {holder or 'unknown'}) runs on {place.data}: stop it, or choose another."
            )
        time.sleep(_POLL_SECONDS)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor


def check_ports(place: Place) -> None:
    """Raises CannotStart if something listens on one of the stack's ports."""
    for program in PORTS:
        port = place.ports.of(program)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError as error:
                reason = f"Port {port} (for {program}) is not free: {error.strerror}."
                raise CannotStart(f"{reason} Choose others with --port (PORT=… for make).") from error


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(descriptor: int) -> int | None:
    text = os.pread(descriptor, 20, 0).decode()
    return int(text) if text.isdecimal() else None


def _runs(process: int | None) -> bool:
    if process is None:
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
