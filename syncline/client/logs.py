"""The daemon's log: what was done and what went wrong, in lines for people, in files that are never many."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path

from syncline.client.home import Home

LOG_BYTES_MAX = 1024 * 1024
LOGS_KEPT = 5
FORMAT = "%(asctime)s %(levelname)-7s %(message)s"

log = logging.getLogger("syncline.daemon")


def logs_folder(home: Home) -> Path:
    """Where the logs of a home are; made, private."""
    folder = home.path / "logs"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


@contextmanager
def logging_to(home: Home) -> Iterator[Path]:
    """Write the log to ``daemon.log``; the older ones are ``daemon.log.1`` and so on."""
    path = logs_folder(home) / "daemon.log"
    handler = RotatingFileHandler(path, maxBytes=LOG_BYTES_MAX, backupCount=LOGS_KEPT, delay=True, errors="replace")
    handler.setFormatter(logging.Formatter(FORMAT))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        yield path
    finally:
        log.removeHandler(handler)
        handler.close()
