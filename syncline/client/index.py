"""The client's memory: one SQLite file in SYNCLINE_HOME.

Write-ahead log. A pending command, a new link and the device's counter are on the disk when their call returns
(synchronous=FULL); the rest may be lost with the machine's power but not with the process, and is found again by the
next pass: what is on both sides and equal is simply agreed on anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from syncline.client import filelog
from syncline.client.apart import CHANGING
from syncline.client.database import Database
from syncline.client.holdings import Holdings
from syncline.client.operations import Sent
from syncline.client.schema import PUT_BASE, PUT_REMOTE, SETTLED, base_row, remote_row
from syncline.client.trees import Base, BaseNode, Remote, RemoteNode
from syncline.domain.nodes import Kind


class Link(msgspec.Struct, frozen=True):
    """A library kept in a directory. ``device``, ``inode`` and ``marker`` tell the directory from any other;
    ``cursor`` is how far the journal has been read, ``seq`` the same as a number. ``known_to``: the journal is being
    read anew, and of what was agreed the service is only sure to know what came up to this seq; -1 at other times.
    ``rules``: the digest of those that everything on this disk goes by (apart.py)."""

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
    rules: str = ""


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
        self._db = Database(path)

    def close(self) -> None:
        self._db.close()

    # -- links

    def links(self) -> list[Link]:
        return [msgspec.convert(row, Link) for row in self._db.records("SELECT * FROM links ORDER BY path")]

    def link(self, link: str) -> Link | None:
        rows = self._db.records("SELECT * FROM links WHERE id = ?", link)
        return msgspec.convert(rows[0], Link) if rows else None

    def add_link(self, link: Link) -> None:
        columns = ", ".join(Link.__struct_fields__)
        marks = ", ".join("?" for _ in Link.__struct_fields__)
        with self._db.writing(durable=True) as db:
            db.execute(f"INSERT INTO links ({columns}) VALUES ({marks})", msgspec.structs.astuple(link))  # noqa: S608

    def drop_link(self, link: str) -> None:
        with self._db.writing(durable=True) as db:
            for table in ("base", "remote", "pending", "log", "differing", "deselected"):
                db.execute(f"DELETE FROM {table} WHERE link = ?", (link,))  # noqa: S608 - names of ours
            db.execute("DELETE FROM links WHERE id = ?", (link,))

    # -- trees

    def holdings(self, link: Link) -> Holdings:
        """What is held of a link's trees, to be read bit by bit."""
        return Holdings(self._db, link.id, link.library)

    def base(self, link: Link) -> Base:
        """The whole of it."""
        return Base(link.library, {node.node: node for node in self.holdings(link).whole_base()})

    def remote(self, link: Link) -> Remote:
        """The whole tree as last read, also what lies in removed folders; ``seq`` is of the same moment."""
        holdings = self.holdings(link)
        with holdings.one_moment():
            return Remote(link.library, {node.node: node for node in holdings.whole_remote()}, holdings.seq())

    def deselect(self, link: Link, folders: Iterable[str]) -> None:
        """From now on just these folders (ids) are not to be on this disk."""
        with self._db.writing(durable=True) as db:
            db.execute("DELETE FROM deselected WHERE link = ?", (link.id,))
            db.executemany("INSERT INTO deselected VALUES (?,?)", [(link.id, folder) for folder in folders])
            db.execute("UPDATE links SET rules = ? WHERE id = ?", (CHANGING, link.id))

    def obeyed(self, link: Link, rules: str) -> None:
        """Everything on this disk goes by the rules with this digest (apart.py)."""
        with self._db.writing() as db:
            db.execute("UPDATE links SET rules = ? WHERE id = ? AND rules <> ?", (rules, link.id, rules))

    def agree(
        self, link: Link, nodes: Iterable[BaseNode], *, forget: Iterable[str] = (), log: Iterable[filelog.Entry] = ()
    ) -> None:
        """Nodes both sides agree on from now, nodes to forget, and what the log shall say of it."""
        with self._db.writing() as db:
            _put_base(db, link, nodes, forget)
            filelog.write(db, link.id, log)

    def learn(
        self, link: Link, live: Sequence[RemoteNode], gone: Iterable[str], *, cursor: str, seq: int, anew: bool = False
    ) -> None:
        """One page of changes, and how far it goes, in one step. ``anew``: forget the tree known so far."""
        with self._db.writing() as db:
            if anew:
                db.execute("DELETE FROM remote WHERE link = ?", (link.id,))
            placed = _newly_placed(db, link, live)
            db.executemany("DELETE FROM remote WHERE link = ? AND node = ?", [(link.id, n) for n in gone])
            db.executemany(PUT_REMOTE, (remote_row(link.id, node) for node in live))
            db.executemany(_DIFFERING_BELOW, [(link.id, node) for node in placed])
            db.execute("UPDATE links SET cursor = ?, seq = ? WHERE id = ?", (cursor, seq, link.id))

    # -- beginning anew

    def begin_anew(self, link: Link, known_to: int) -> Link:
        """The cursor is gone: the tree is to be read from the beginning, and then ``reconcile``d. Told so twice before
        that, the smaller ``known_to`` holds."""
        if link.known_to >= 0:
            known_to = min(link.known_to, known_to)
        with self._db.writing(durable=True) as db:
            change = "UPDATE links SET cursor = '', seq = 0, known_to = ? WHERE id = ?"
            db.execute(change, (known_to, link.id))
        return msgspec.structs.replace(link, cursor="", seq=0, known_to=known_to)

    def reconcile(self, link: Link) -> None:
        """The tree has been read anew: correct what was agreed where the service may have forgotten it.

        What it does not have, or has with another content, is not agreed any more: it is then a thing of this disk
        that the service is sent. Where it has something elsewhere, the place here counts as moved to. So nothing is
        read as removed or replaced by others that the service merely lost.
        """
        with self._db.writing() as db:
            db.execute(_FORGET_LOST, (link.id, link.known_to))
            db.execute(_TAKE_PLACES, (link.id, link.known_to))
            db.execute("UPDATE links SET known_to = -1 WHERE id = ?", (link.id,))

    # -- commands whose outcome is awaited

    def pending(self, link: Link) -> list[Pending]:
        rows = self._db.read("SELECT command, body, sent FROM pending WHERE link = ? ORDER BY rowid", link.id)
        return [Pending(row[0], row[1], _sent.decode(row[2])) for row in rows]

    def expect(self, link: Link, pending: Pending) -> None:
        """Must be called, and have returned, before the command is sent."""
        row = (link.id, pending.command, pending.body, _encode(pending.sent))
        with self._db.writing(durable=True) as db:
            db.execute("INSERT INTO pending VALUES (?,?,?,?)", row)

    def settle(
        self,
        link: Link,
        command: str,
        nodes: Sequence[BaseNode],
        forget: Sequence[str],
        log: Iterable[filelog.Entry] = (),
    ) -> None:
        """The command's outcome is known: what it changed in the base, and the end of waiting, in one step."""
        with self._db.writing() as db:
            _put_base(db, link, nodes, forget)
            filelog.write(db, link.id, log)
            db.execute("DELETE FROM pending WHERE link = ? AND command = ?", (link.id, command))

    # -- uploads in parts

    def upload(self, library: str, ident: str) -> PendingUpload | None:
        rows = self._db.read("SELECT state FROM uploads WHERE library = ? AND ident = ?", library, ident)
        return _upload.decode(rows[0][0]) if rows else None

    def keep_upload(self, library: str, ident: str, upload: PendingUpload, at_s: int) -> None:
        with self._db.writing() as db:
            row = (library, ident, _encode(upload), at_s)
            db.execute("INSERT OR REPLACE INTO uploads VALUES (?,?,?,?)", row)

    def drop_upload(self, library: str, ident: str) -> None:
        with self._db.writing() as db:
            db.execute("DELETE FROM uploads WHERE library = ? AND ident = ?", (library, ident))

    def drop_uploads_before(self, at_s: int) -> None:
        """Forget uploads begun before this Unix second: S3 has dropped their parts by then."""
        if self._db.read("SELECT 1 FROM uploads WHERE at < ? LIMIT 1", at_s):
            with self._db.writing() as db:
                db.execute("DELETE FROM uploads WHERE at < ?", (at_s,))

    # -- the log of files

    def log(self, link: Link, path: str, *, since_ms: int = 0, limit: int) -> list[filelog.Entry]:
        """What was done to the files that are or were at a path or under it, wherever those at it were then. The last
        ``limit`` entries, oldest first."""
        nodes = self._nodes_at(link, path)
        with self._db.reading() as db:
            return filelog.read(db, link.id, path, nodes, since_ms=since_ms, limit=limit)

    def node_at(self, link: Link, path: str) -> str:
        """The node at a path of the disk, or the last that was, as the log tells; "" when neither is known."""
        return next(iter(self._nodes_at(link, path)), "")

    def _nodes_at(self, link: Link, path: str) -> list[str]:
        here = self.holdings(link).nodes_at(path)
        with self._db.reading() as db:
            return here or filelog.nodes_at(db, link.id, path)

    def log_news(self, link: Link, entries: Sequence[filelog.Entry], at_ms: int) -> None:
        """What a pass found and left; told once, not in each pass. Drops what is too old at ``at_ms``."""
        with self._db.writing() as db:
            filelog.write_news(db, link.id, entries)
            filelog.prune(db, at_ms)

    # -- the device's counter

    def next_counter(self, now_ms: int) -> int:
        """A number larger than any this device has given. It is at least ``now_ms``, so a lost index does no harm."""
        with self._db.writing(durable=True) as db:
            rows = db.execute("SELECT value FROM counters WHERE name = 'device'").fetchall()
            value = max(now_ms, rows[0][0] + 1 if rows else 0)
            db.execute("INSERT OR REPLACE INTO counters VALUES ('device', ?)", (value,))
        return value


def _put_base(db: sqlite3.Connection, link: Link, nodes: Iterable[BaseNode], forget: Iterable[str]) -> None:
    db.executemany("DELETE FROM base WHERE link = ? AND node = ?", [(link.id, n) for n in forget])
    db.executemany(PUT_BASE, (base_row(link.id, node) for node in nodes))


def _newly_placed(db: sqlite3.Connection, link: Link, live: Iterable[RemoteNode]) -> list[str]:
    """The folders that are new, or have another place than before: with them, what lies below may come to life."""
    known = "SELECT 1 FROM remote WHERE link = ? AND node = ? AND parent = ? AND name = ?"
    folders = [node for node in live if node.kind is Kind.FOLDER]
    return [n.node for n in folders if not db.execute(known, (link.id, n.node, n.parent, n.name)).fetchone()]


_DIFFERING_BELOW = f"""
    WITH RECURSIVE below (node) AS (
      SELECT ?2 UNION SELECT r.node FROM remote r JOIN below ON r.link = ?1 AND r.parent = below.node)
    INSERT OR IGNORE INTO differing
    SELECT ?1, below.node FROM below WHERE NOT {SETTLED.format(link="?1", node="below.node")}
    """  # noqa: S608

_FORGET_LOST = """
    DELETE FROM base WHERE link = ? AND seq > ? AND NOT EXISTS (
      SELECT 1 FROM remote r WHERE r.link = base.link AND r.node = base.node AND r.version = base.version)
    """
_TAKE_PLACES = """
    UPDATE base SET (parent, name, seq) = (
      SELECT r.parent, r.name, r.seq FROM remote r WHERE r.link = base.link AND r.node = base.node)
    WHERE link = ? AND seq > ? AND EXISTS (
      SELECT 1 FROM remote r WHERE r.link = base.link AND r.node = base.node
        AND (r.parent, r.name) <> (base.parent, base.name))
    """

_upload = msgspec.msgpack.Decoder(PendingUpload)
_sent = msgspec.msgpack.Decoder(tuple[Sent, ...])
_encode = msgspec.msgpack.encode
