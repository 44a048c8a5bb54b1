"""The client's memory: one SQLite file in SYNCLINE_HOME.

Write-ahead log. A pending command, a new link and the device's counter are on the disk when their call returns
(synchronous=FULL); the rest may be lost with the machine's power but not with the process, and is found again by the
next pass: what is on both sides and equal is simply agreed on anew.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from syncline.client import filelog
from syncline.client.matching import base_paths
from syncline.client.operations import Sent
from syncline.client.trees import Base, BaseNode, Remote, RemoteNode
from syncline.domain.errors import Broken, Temporary

BUSY_MS = 10_000
SCHEMA_VERSION = 3

_MIGRATIONS: dict[int, str] = {
    1: """
    CREATE TABLE links (
      id TEXT PRIMARY KEY, library TEXT NOT NULL, library_name TEXT NOT NULL, path TEXT NOT NULL UNIQUE,
      device INTEGER NOT NULL, inode INTEGER NOT NULL, marker TEXT NOT NULL,
      cursor TEXT NOT NULL DEFAULT '', seq INTEGER NOT NULL DEFAULT 0);
    CREATE TABLE base (link TEXT, node TEXT, state BLOB NOT NULL, PRIMARY KEY (link, node)) WITHOUT ROWID;
    CREATE TABLE remote (link TEXT, node TEXT, state BLOB NOT NULL, PRIMARY KEY (link, node)) WITHOUT ROWID;
    CREATE TABLE pending (
      link TEXT, command TEXT, body BLOB NOT NULL, sent BLOB NOT NULL, PRIMARY KEY (link, command));
    CREATE TABLE uploads (
      library TEXT, ident TEXT, state BLOB NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (library, ident));
    CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
    """,
    2: "ALTER TABLE links ADD COLUMN known_to INTEGER NOT NULL DEFAULT -1;",
    3: filelog.TABLE,
}


class Link(msgspec.Struct, frozen=True):
    """A library kept in a directory. ``device``, ``inode`` and ``marker`` tell the directory from any other;
    ``cursor`` is how far the journal has been read, ``seq`` the same as a number. ``known_to``: the journal is being
    read anew, and of what was agreed the service is only sure to know what came up to this seq; -1 at other times."""

    id: str
    library: str
    library_name: str
    path: str
    device: int
    inode: int
    marker: str
    cursor: str = ""
    seq: int = 0
    known_to: int = -1


class Pending(msgspec.Struct, frozen=True):
    """A command that was sent, or was about to be, and whose outcome is not known yet."""

    command: str
    body: bytes
    sent: tuple[Sent, ...]


class PendingUpload(msgspec.Struct, frozen=True):
    """An upload in parts that was begun: what it takes to go on with it after a crash."""

    grant: str
    key: str
    permit: str
    node: str
    version: str
    upload: str


class Index:
    """One per process and home; methods are short and may be called from any thread.

    Raises ``Temporary`` when another process holds the file for too long, ``Broken`` for a damaged or newer file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        with self._ours():
            self._db = sqlite3.connect(path, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False)
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._migrate()

    def close(self) -> None:
        with self._lock:
            self._db.close()

    # -- links

    def links(self) -> list[Link]:
        rows = self._read("SELECT * FROM links ORDER BY path")
        return [msgspec.convert(dict(row), Link) for row in rows]

    def link(self, link: str) -> Link | None:
        rows = self._read("SELECT * FROM links WHERE id = ?", link)
        return msgspec.convert(dict(rows[0]), Link) if rows else None

    def add_link(self, link: Link) -> None:
        values = msgspec.structs.astuple(link)
        with self._writing(durable=True):
            self._db.execute("INSERT INTO links VALUES (?,?,?,?,?,?,?,?,?,?)", values)

    def drop_link(self, link: str) -> None:
        with self._writing(durable=True):
            for table in ("base", "remote", "pending", "log"):
                self._db.execute(f"DELETE FROM {table} WHERE link = ?", (link,))  # noqa: S608 - names of ours
            self._db.execute("DELETE FROM links WHERE id = ?", (link,))

    # -- trees

    def base(self, link: Link) -> Base:
        rows = self._read("SELECT state FROM base WHERE link = ?", link.id)
        nodes = (_base.decode(row[0]) for row in rows)
        return Base(link.library, {node.node: node for node in nodes})

    def remote(self, link: Link) -> Remote:
        """The tree as last read; ``seq`` is read in the same moment."""
        with self._lock:
            rows = self._read("SELECT state FROM remote WHERE link = ?", link.id)
            seq = self._read("SELECT seq FROM links WHERE id = ?", link.id)
        nodes = (_remote.decode(row[0]) for row in rows)
        return Remote(link.library, {node.node: node for node in nodes}, seq[0][0] if seq else 0)

    def agree(
        self, link: Link, nodes: Iterable[BaseNode], *, forget: Iterable[str] = (), log: Iterable[filelog.Entry] = ()
    ) -> None:
        """Nodes both sides agree on from now, nodes to forget, and what the log shall say of it."""
        with self._writing():
            self._put_base(link, nodes, forget)
            filelog.write(self._db, link.id, log)

    def learn(
        self, link: Link, live: Iterable[RemoteNode], gone: Iterable[str], *, cursor: str, seq: int, anew: bool = False
    ) -> None:
        """One page of changes, and how far it goes, in one step. ``anew``: forget the tree known so far."""
        with self._writing():
            if anew:
                self._db.execute("DELETE FROM remote WHERE link = ?", (link.id,))
            self._db.executemany("DELETE FROM remote WHERE link = ? AND node = ?", [(link.id, n) for n in gone])
            rows = [(link.id, node.node, _encode(node)) for node in live]
            self._db.executemany("INSERT OR REPLACE INTO remote VALUES (?,?,?)", rows)
            self._db.execute("UPDATE links SET cursor = ?, seq = ? WHERE id = ?", (cursor, seq, link.id))

    # -- beginning anew

    def begin_anew(self, link: Link, known_to: int) -> Link:
        """The cursor is gone: the tree is to be read from the beginning, and then ``reconcile``d. Told so twice before
        that, the smaller ``known_to`` holds."""
        if link.known_to >= 0:
            known_to = min(link.known_to, known_to)
        with self._writing(durable=True):
            change = "UPDATE links SET cursor = '', seq = 0, known_to = ? WHERE id = ?"
            self._db.execute(change, (known_to, link.id))
        return msgspec.structs.replace(link, cursor="", seq=0, known_to=known_to)

    def reconcile(self, link: Link) -> None:
        """The tree has been read anew: correct what was agreed where the service may have forgotten it.

        What it does not have, or has with another content, is not agreed any more: it is then a thing of this disk
        that the service is sent. Where it has something elsewhere, the place here counts as moved to. So nothing is
        read as removed or replaced by others that the service merely lost.
        """
        with self._writing():
            remote = {node.node: node for node in self.remote(link).nodes.values()}
            forget, moved = [], []
            for node in self.base(link).nodes.values():
                there = remote.get(node.node)
                if node.seq <= link.known_to:
                    continue
                if there is None or there.version != node.version:
                    forget.append(node.node)
                elif (there.parent, there.name) != (node.parent, node.name):
                    moved.append(msgspec.structs.replace(node, parent=there.parent, name=there.name, seq=there.seq))
            self._put_base(link, moved, forget)
            self._db.execute("UPDATE links SET known_to = -1 WHERE id = ?", (link.id,))

    # -- commands whose outcome is awaited

    def pending(self, link: Link) -> list[Pending]:
        rows = self._read("SELECT command, body, sent FROM pending WHERE link = ? ORDER BY rowid", link.id)
        return [Pending(row[0], row[1], _sent.decode(row[2])) for row in rows]

    def expect(self, link: Link, pending: Pending) -> None:
        """Must be called, and have returned, before the command is sent."""
        row = (link.id, pending.command, pending.body, _encode(pending.sent))
        with self._writing(durable=True):
            self._db.execute("INSERT INTO pending VALUES (?,?,?,?)", row)

    def settle(
        self,
        link: Link,
        command: str,
        nodes: Sequence[BaseNode],
        forget: Sequence[str],
        log: Iterable[filelog.Entry] = (),
    ) -> None:
        """The command's outcome is known: what it changed in the base, and the end of waiting, in one step."""
        with self._writing():
            self._put_base(link, nodes, forget)
            filelog.write(self._db, link.id, log)
            self._db.execute("DELETE FROM pending WHERE link = ? AND command = ?", (link.id, command))

    # -- uploads in parts

    def upload(self, library: str, ident: str) -> PendingUpload | None:
        rows = self._read("SELECT state FROM uploads WHERE library = ? AND ident = ?", library, ident)
        return _upload.decode(rows[0][0]) if rows else None

    def keep_upload(self, library: str, ident: str, upload: PendingUpload, at_s: int) -> None:
        with self._writing():
            row = (library, ident, _encode(upload), at_s)
            self._db.execute("INSERT OR REPLACE INTO uploads VALUES (?,?,?,?)", row)

    def drop_upload(self, library: str, ident: str) -> None:
        with self._writing():
            self._db.execute("DELETE FROM uploads WHERE library = ? AND ident = ?", (library, ident))

    def drop_uploads_before(self, at_s: int) -> None:
        """Forget uploads begun before this Unix second: S3 has dropped their parts by then."""
        with self._writing():
            self._db.execute("DELETE FROM uploads WHERE at < ?", (at_s,))

    # -- the log of files

    def log(self, link: Link, path: str, *, since_ms: int = 0, limit: int) -> list[filelog.Entry]:
        """What was done to the files that are or were at a path or under it, wherever those at it were then. The last
        ``limit`` entries, oldest first."""
        nodes = self._nodes_at(link, path)
        with self._ours():
            return filelog.read(self._db, link.id, path, nodes, since_ms=since_ms, limit=limit)

    def node_at(self, link: Link, path: str) -> str:
        """The node at a path of the disk, or the last that was, as the log tells; "" when neither is known."""
        return next(iter(self._nodes_at(link, path)), "")

    def _nodes_at(self, link: Link, path: str) -> list[str]:
        paths = base_paths(self.base(link))
        with self._ours():
            here = [node for node, at in paths.items() if at == path]
            return here or filelog.nodes_at(self._db, link.id, path)

    def log_news(self, link: Link, entries: Sequence[filelog.Entry], at_ms: int) -> None:
        """What a pass found and left; told once, not in each pass. Drops what is too old at ``at_ms``."""
        with self._writing():
            filelog.write_news(self._db, link.id, entries)
            filelog.prune(self._db, at_ms)

    # -- the device's counter

    def next_counter(self, now_ms: int) -> int:
        """A number larger than any this device has given. It is at least ``now_ms``, so a lost index does no harm."""
        with self._writing(durable=True):
            rows = self._db.execute("SELECT value FROM counters WHERE name = 'device'").fetchall()
            value = max(now_ms, rows[0][0] + 1 if rows else 0)
            self._db.execute("INSERT OR REPLACE INTO counters VALUES ('device', ?)", (value,))
        return value

    # -- within

    def _put_base(self, link: Link, nodes: Iterable[BaseNode], forget: Iterable[str]) -> None:
        self._db.executemany("DELETE FROM base WHERE link = ? AND node = ?", [(link.id, n) for n in forget])
        rows = [(link.id, node.node, _encode(node)) for node in nodes]
        self._db.executemany("INSERT OR REPLACE INTO base VALUES (?,?,?)", rows)

    def _read(self, query: str, *values: str) -> list[sqlite3.Row]:
        with self._ours():
            return self._db.execute(query, values).fetchall()

    @contextmanager
    def _writing(self, *, durable: bool = False) -> Iterator[None]:
        with self._ours():
            self._db.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    @contextmanager
    def _ours(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except sqlite3.OperationalError as error:
                if "locked" in str(error) or "busy" in str(error):
                    raise Temporary(f"{self._path} is in use by another process; try again.") from None
                raise Broken(f"{self._path} cannot be used: {error}") from None
            except sqlite3.DatabaseError as error:
                raise Broken(f"{self._path} is damaged ({error}); move it away and link again.") from None

    def _migrate(self) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise Broken(f"{self._path} was made by a newer version of Syncline; update this one.")
        for step in range(version + 1, SCHEMA_VERSION + 1):
            self._db.executescript(f"BEGIN; {_MIGRATIONS[step]} PRAGMA user_version = {step}; COMMIT;")


_base = msgspec.msgpack.Decoder(BaseNode)
_remote = msgspec.msgpack.Decoder(RemoteNode)
_upload = msgspec.msgpack.Decoder(PendingUpload)
_sent = msgspec.msgpack.Decoder(tuple[Sent, ...])
_encode = msgspec.msgpack.encode
