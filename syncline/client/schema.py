"""The index's tables, how each version of them becomes the next, and how nodes are written as rows.

``base`` lies in the order of places, so that a folder is read in one go, by name; ``remote`` in the order of ids.
``differing`` holds every node whose base and remote rows differ, and perhaps some that agree: triggers add whatever is
written, readers take out what they find settled. So what a pass looks at follows from what changed, not from the tree.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import msgspec

from syncline.client import filelog
from syncline.client.trees import BaseNode, Content, RemoteNode, Stat
from syncline.domain.nodes import Kind

Row = tuple[Any, ...]

BASE_COLUMNS = (
    "node, parent, name, local_name, kind, seq, version, size_bytes, checksum, executable, symlink,"
    " stat_size_bytes, mtime_ns, ctime_ns, inode, materialised"
)
REMOTE_COLUMNS = (
    "node, parent, name, kind, seq, version, size_bytes, checksum, executable, symlink,"
    " mtime_ns, key, s3_version, start, length, conflict_of, target"
)
SETTLED = """EXISTS (
  SELECT 1 FROM base b JOIN remote r ON r.link = b.link AND r.node = b.node
  WHERE b.link = {link} AND b.node = {node} AND b.parent = r.parent AND b.name = r.name AND b.version = r.version
    AND b.size_bytes IS r.size_bytes AND b.checksum IS r.checksum AND b.executable IS r.executable
    AND b.symlink IS r.symlink
    AND EXISTS (SELECT 1 FROM base p WHERE p.link = b.link AND p.node = b.parent
                UNION ALL SELECT 1 FROM links l WHERE l.id = b.link AND l.library = b.parent))"""
"""That base and remote hold a node alike, in a folder that the base has."""

_INODE_MASK = 2**64 - 1


def base_row(link: str, node: BaseNode) -> Row:
    content, stat = node.content, node.stat
    return (
        link,
        node.node,
        node.parent,
        node.name,
        node.local_name,
        node.kind.value,
        node.seq,
        node.version,
        *_content_values(content),
        *((stat.size_bytes, stat.mtime_ns, stat.ctime_ns, signed(stat.inode)) if stat else (None,) * 4),
        node.materialised,
    )


def base_node(row: Row) -> BaseNode:
    """From a row of ``BASE_COLUMNS``."""
    node, parent, name, local_name, kind, seq, version, *content, size, mtime_ns, ctime_ns, inode, here = row
    return BaseNode(
        node=node,
        parent=parent,
        name=name,
        local_name=local_name,
        kind=Kind(kind),
        seq=seq,
        version=version,
        content=_content(*content),
        stat=None if inode is None else Stat(size, mtime_ns, ctime_ns, unsigned(inode)),
        materialised=bool(here),
    )


def remote_row(link: str, node: RemoteNode) -> Row:
    return (
        link,
        node.node,
        node.parent,
        node.name,
        node.kind.value,
        node.seq,
        node.version,
        *_content_values(node.content),
        node.mtime_ns,
        node.key,
        node.s3_version,
        node.offset,
        node.length,
        node.conflict_of,
        node.target,
    )


def remote_node(row: Row) -> RemoteNode:
    """From a row of ``REMOTE_COLUMNS``."""
    node, parent, name, kind, seq, version, size, checksum, executable, symlink, *rest = row
    content = _content(size, checksum, executable, symlink)
    return RemoteNode(node, parent, name, Kind(kind), seq, version, content, *rest)


def unsigned(inode: int) -> int:
    """SQLite's integers have a sign, inode numbers have none."""
    return inode & _INODE_MASK


def signed(inode: int) -> int:
    return inode - 2**64 if inode >= 2**63 else inode


def _content_values(content: Content | None) -> Row:
    return (content.size_bytes, content.checksum, content.executable, content.symlink) if content else (None,) * 4


def _content(size_bytes: int, checksum: str | None, executable: int, symlink: int) -> Content | None:
    return None if checksum is None else Content(size_bytes, checksum, bool(executable), bool(symlink))


def marks(columns: str) -> str:
    """As many question marks as there are columns, and one for the link."""
    return ", ".join("?" * (columns.count(",") + 2))


PUT_BASE = f"INSERT OR REPLACE INTO base (link, {BASE_COLUMNS}) VALUES ({marks(BASE_COLUMNS)})"  # noqa: S608
PUT_REMOTE = f"INSERT OR REPLACE INTO remote (link, {REMOTE_COLUMNS}) VALUES ({marks(REMOTE_COLUMNS)})"  # noqa: S608


# -- versions of the schema

_FIRST = """
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
    """

_COLUMNS = """
    CREATE TABLE base (
      link TEXT, node TEXT, parent TEXT, name TEXT NOT NULL, local_name TEXT, kind TEXT NOT NULL, seq INTEGER NOT NULL,
      version TEXT NOT NULL, size_bytes INTEGER, checksum TEXT, executable INTEGER, symlink INTEGER,
      stat_size_bytes INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, inode INTEGER, materialised INTEGER NOT NULL,
      PRIMARY KEY (link, parent, local_name, node), UNIQUE (link, node)) WITHOUT ROWID;
    CREATE INDEX base_folders ON base (link, inode) WHERE kind = 'folder';
    CREATE INDEX base_symlinks_not_here ON base (link) WHERE symlink AND NOT materialised;
    CREATE TABLE remote (
      link TEXT, node TEXT, parent TEXT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL, seq INTEGER NOT NULL,
      version TEXT NOT NULL, size_bytes INTEGER, checksum TEXT, executable INTEGER, symlink INTEGER,
      mtime_ns INTEGER NOT NULL,
      key TEXT NOT NULL, s3_version TEXT NOT NULL, start INTEGER NOT NULL, length INTEGER NOT NULL,
      conflict_of TEXT NOT NULL, target TEXT NOT NULL, PRIMARY KEY (link, node)) WITHOUT ROWID;
    CREATE INDEX remote_places ON remote (link, parent);
    CREATE INDEX remote_contents ON remote (link, checksum) WHERE checksum IS NOT NULL;

    CREATE TABLE differing (link TEXT, node TEXT, PRIMARY KEY (link, node)) WITHOUT ROWID;
    CREATE TRIGGER base_added AFTER INSERT ON base
      BEGIN INSERT OR IGNORE INTO differing VALUES (new.link, new.node); END;
    CREATE TRIGGER base_changed AFTER UPDATE ON base
      BEGIN INSERT OR IGNORE INTO differing VALUES (new.link, new.node); END;
    CREATE TRIGGER base_forgotten AFTER DELETE ON base BEGIN
      INSERT OR IGNORE INTO differing VALUES (old.link, old.node);
      INSERT OR IGNORE INTO differing SELECT link, node FROM base WHERE link = old.link AND parent = old.node;
    END;
    CREATE TRIGGER remote_added AFTER INSERT ON remote
      BEGIN INSERT OR IGNORE INTO differing VALUES (new.link, new.node); END;
    CREATE TRIGGER remote_gone AFTER DELETE ON remote
      BEGIN INSERT OR IGNORE INTO differing VALUES (old.link, old.node); END;
    """


def _run(script: str) -> Callable[[sqlite3.Connection], None]:
    def step(db: sqlite3.Connection) -> None:
        for statement in _statements(script):
            db.execute(statement)

    return step


def _statements(script: str) -> list[str]:
    """One by one, since SQLite's own ``executescript`` commits before it begins."""
    found, so_far = [], ""
    for piece in script.split(";"):
        so_far += piece + ";"
        if sqlite3.complete_statement(so_far):
            found.append(so_far)
            so_far = ""
    return found


def _blobs_to_columns(db: sqlite3.Connection) -> None:
    """Until version 3 a node was one msgpack map."""
    db.execute("ALTER TABLE base RENAME TO base_3")
    db.execute("ALTER TABLE remote RENAME TO remote_3")
    _run(_COLUMNS)(db)
    base, remote = msgspec.msgpack.Decoder(BaseNode), msgspec.msgpack.Decoder(RemoteNode)
    rows = db.execute("SELECT link, state FROM base_3")
    db.executemany(PUT_BASE, (base_row(link, base.decode(state)) for link, state in rows))
    rows = db.execute("SELECT link, state FROM remote_3")
    db.executemany(PUT_REMOTE, (remote_row(link, remote.decode(state)) for link, state in rows))
    db.execute("DROP TABLE base_3")
    db.execute("DROP TABLE remote_3")


MIGRATIONS: dict[int, Callable[[sqlite3.Connection], None]] = {
    1: _run(_FIRST),
    2: _run("ALTER TABLE links ADD COLUMN known_to INTEGER NOT NULL DEFAULT -1;"),
    3: _run(filelog.TABLE),
    4: _blobs_to_columns,
    5: _run(
        """
        ALTER TABLE links ADD COLUMN rules TEXT NOT NULL DEFAULT '';
        CREATE TABLE deselected (link TEXT, node TEXT, PRIMARY KEY (link, node)) WITHOUT ROWID;
        """
    ),
    6: _run(
        """
        DROP INDEX base_symlinks_not_here;
        CREATE INDEX base_not_here ON base (link) WHERE NOT materialised;
        """
    ),
}
SCHEMA_VERSION = max(MIGRATIONS)
