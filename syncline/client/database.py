"""The SQLite file in SYNCLINE_HOME: opened, brought to this version's schema, read and written, its errors as ours."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from syncline.client.schema import MIGRATIONS, SCHEMA_VERSION, Row
from syncline.domain.errors import Broken, Refused, Temporary

BUSY_MS = 10_000


class Database:
    """One connection, for any thread; whoever reads or writes has it alone meanwhile.

    Raises ``Temporary`` when another process holds the file for too long, ``Refused`` ("disk-full", "disk-denied"),
    ``Broken`` for a damaged or newer file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        with self._ours():
            self._db = sqlite3.connect(path, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._migrate()

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def read(self, query: str, *values: Any) -> list[Row]:
        with self._ours():
            return self._db.execute(query, values).fetchall()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        with self._ours():
            yield self._db

    def records(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """Rows with the names of their columns."""
        with self._ours():
            found = self._db.execute(query, values)
            names = [column[0] for column in found.description]
            return [dict(zip(names, row, strict=True)) for row in found]

    @contextmanager
    def writing(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """All or nothing. ``durable``: on the disk when the block ends (synchronous=FULL)."""
        with self._ours():
            self._db.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._db.execute("BEGIN IMMEDIATE")
            with self._ended("COMMIT"):
                yield self._db

    @contextmanager
    def one_moment(self) -> Iterator[None]:
        """What is read within is of one moment, whatever other processes write."""
        with self._ours():
            self._db.execute("BEGIN")
            with self._ended("COMMIT"):
                yield

    @contextmanager
    def _ended(self, end: str) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute(end)

    @contextmanager
    def _ours(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except sqlite3.OperationalError as error:
                if "locked" in str(error) or "busy" in str(error):
                    raise Temporary(f"{self._path} is in use by another process; try again.") from None
                if "disk is full" in str(error):
                    detail = f"There is no room for {self._path}. Nothing is lost; make room on that disk."
                    raise Refused("disk-full", detail) from None
                if "readonly" in str(error):
                    raise Refused("disk-denied", f"{self._path} may not be written by you.") from None
                raise Broken(f"{self._path} cannot be used: {error}") from None
            except sqlite3.DatabaseError as error:
                raise Broken(f"{self._path} is damaged ({error}); move it away and link again.") from None

    def _migrate(self) -> None:
        version = self._version()
        if version > SCHEMA_VERSION:
            raise Broken(f"{self._path} was made by a newer version of Syncline; update this one.")
        for step in range(version + 1, SCHEMA_VERSION + 1):
            with self.writing(durable=True) as db:
                if self._version() < step:  # no other process was faster
                    MIGRATIONS[step](db)
                    db.execute(f"PRAGMA user_version = {step}")

    def _version(self) -> int:
        found: int = self._db.execute("PRAGMA user_version").fetchone()[0]
        return found
