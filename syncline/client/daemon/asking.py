"""Asking the daemon: one request, then lines of JSON until the answer. Blocks; imports next to nothing.

The protocol is in docs/client.md, "Talking with the daemon".
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from typing import Any

from syncline.client.daemon.place import Unsafe, socket_path

VERSION = 1
LINE_BYTES_MAX = 64 * 1024 * 1024
PIECE_BYTES = 64 * 1024
CONNECT_S_MAX = 10.0


class NoDaemon(Exception):
    """No daemon runs for this home."""


class Lost(Exception):
    """The daemon went away before it answered."""


def ask(home: str, request: dict[str, Any], *, hear: Callable[[dict[str, Any]], None] | None = None) -> dict[str, Any]:
    """Ask the daemon of a home and answer its last line, which has ``answer`` or ``problem`` in it.

    ``hear`` is told the lines before. Raises ``NoDaemon`` and ``Lost``.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as talk:
        talk.settimeout(CONNECT_S_MAX)
        try:
            talk.connect(socket_path(home, os.environ))
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError, Unsafe):
            raise NoDaemon from None
        except OSError as error:
            raise Lost(f"the daemon cannot be reached: {error}") from None
        try:
            talk.sendall(json.dumps({"v": VERSION, **request}).encode() + b"\n")
            talk.settimeout(None)
            return _last_line(talk, hear)
        except OSError as error:
            raise Lost(f"the daemon was lost: {error}") from None


def _last_line(talk: socket.socket, hear: Callable[[dict[str, Any]], None] | None) -> dict[str, Any]:
    got = bytearray()
    while True:
        piece = talk.recv(PIECE_BYTES)
        if not piece or len(got) > LINE_BYTES_MAX:
            raise Lost("the daemon ended before it had answered")
        searched = len(got)
        got += piece
        while (end := got.find(b"\n", searched)) >= 0:
            line: dict[str, Any] = json.loads(bytes(got[:end]))
            del got[: end + 1]
            searched = 0
            if "answer" in line or "problem" in line:
                return line
            if hear is not None:
                hear(line)
