"""What the index holds of one link's trees, read bit by bit: by folder, by id, by what differs. Nothing is kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, TypeVar

from syncline.client.database import Database
from syncline.client.schema import BASE_COLUMNS, REMOTE_COLUMNS, SETTLED, Row, base_node, remote_node, signed, unsigned
from syncline.client.trees import BaseNode, RemoteNode
from syncline.domain.nodes import Kind

PAGE_PLACES = 1_000
ASKED_AT_ONCE_MAX = 5_000
"""Ids in one query."""
DEPTH_MAX = 1_024

Node = TypeVar("Node", BaseNode, RemoteNode)


class Place(NamedTuple):
    """A child of a folder as the disk had it when both sides agreed. ``inode`` is None where that is not known."""

    local_name: str
    name: str
    node: str
    is_folder: bool
    executable: bool
    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int | None


class Holdings:
    """``root`` is the library's id. Answers are as of the moment of the call."""

    def __init__(self, db: Database, link: str, root: str) -> None:
        self._db = db
        self._link = link
        self.root = root

    def one_moment(self) -> AbstractContextManager[None]:
        """All that is asked for within is of one moment."""
        return self._db.one_moment()

    def seq(self) -> int:
        """How far the remote tree has been read."""
        rows = self._db.read("SELECT seq FROM links WHERE id = ?", self._link)
        return int(rows[0][0]) if rows else 0

    # -- what was agreed on

    def whole_base(self) -> list[BaseNode]:
        query = f"SELECT {BASE_COLUMNS} FROM base WHERE link = ?"  # noqa: S608
        return [base_node(row) for row in self._db.read(query, self._link)]

    def nodes_at(self, path: str) -> list[str]:
        """The nodes at a path of this disk."""
        found = [self.root]
        for name in path.split("/") if path else ():
            query = f"SELECT node FROM base WHERE link = ? AND local_name = ? AND parent IN {_LIST}"  # noqa: S608
            found = [row[0] for row in self._db.read(query, self._link, name, json.dumps(found))]
        return found

    def places(self, folder: str) -> Iterator[Place]:
        """A folder's children that lie on this disk, in the order of their local names."""
        after = ("", "")
        while True:
            page = self._db.read(_PAGE_OF_PLACES, self._link, folder, *after)
            for row in page:
                yield Place._make((*row[:-1], None if row[-1] is None else unsigned(row[-1])))
            if len(page) < PAGE_PLACES:
                return
            after = (page[-1][0], page[-1][2])

    def base_children(self, folder: str) -> list[BaseNode]:
        query = f"SELECT {BASE_COLUMNS} FROM base WHERE link = ? AND parent = ?"  # noqa: S608
        return [base_node(row) for row in self._db.read(query, self._link, folder)]

    def base_below(self, folder: str) -> list[BaseNode]:
        """Everything below a folder."""
        return [base_node(row) for row in self._db.read(_BASE_BELOW, self._link, folder)]

    def base_nodes(self, nodes: Iterable[str]) -> list[BaseNode]:
        return self._by_id(f"SELECT {BASE_COLUMNS} FROM base", base_node, nodes)  # noqa: S608

    def base_node(self, node: str) -> BaseNode | None:
        rows = self._db.read(f"SELECT {BASE_COLUMNS} FROM base WHERE link = ? AND node = ?", self._link, node)  # noqa: S608
        return base_node(rows[0]) if rows else None

    def base_files(self) -> int:
        """How many files lie on this disk. Reads all of the base."""
        query = "SELECT COUNT(*) FROM base WHERE link = ? AND kind <> ? AND materialised"
        return int(self._db.read(query, self._link, Kind.FOLDER.value)[0][0])

    def folder_of_inode(self, inode: int) -> str | None:
        """The folder that had this inode when it was agreed on."""
        query = "SELECT node FROM base WHERE link = ? AND kind = 'folder' AND inode = ?"
        rows = self._db.read(query, self._link, signed(inode))
        return str(rows[0][0]) if len(rows) == 1 else None

    # -- what the library holds

    def whole_remote(self) -> list[RemoteNode]:
        query = f"SELECT {REMOTE_COLUMNS} FROM remote WHERE link = ?"  # noqa: S608
        return [remote_node(row) for row in self._db.read(query, self._link)]

    def remote_children(self, folder: str) -> list[RemoteNode]:
        query = f"SELECT {REMOTE_COLUMNS} FROM remote WHERE link = ? AND parent = ?"  # noqa: S608
        return [remote_node(row) for row in self._db.read(query, self._link, folder)]

    def remote_nodes(self, nodes: Iterable[str]) -> list[RemoteNode]:
        return self._by_id(f"SELECT {REMOTE_COLUMNS} FROM remote", remote_node, nodes)  # noqa: S608

    def remote_with(self, checksums: Sequence[str]) -> Iterator[RemoteNode]:
        """The files with these contents, also those in removed folders."""
        query = f"SELECT {REMOTE_COLUMNS} FROM remote WHERE link = ? AND checksum IN {_LIST}"  # noqa: S608
        for asked in _pieces(checksums):
            yield from (remote_node(row) for row in self._db.read(query, self._link, asked))

    def symlinks_below(self, folders: Sequence[str]) -> list[str]:
        """The symbolic links anywhere below these folders."""
        return [row[0] for asked in _pieces(folders) for row in self._db.read(_SYMLINKS_BELOW, self._link, asked)]

    def left_apart(self) -> list[str]:
        """The nodes that were kept off this disk, though their folder was not."""
        return [row[0] for row in self._db.read(_LEFT_APART, self._link)]

    # -- what is to be here

    def deselected(self) -> frozenset[str]:
        """The folders that are not to be on this disk."""
        return frozenset(row[0] for row in self._db.read("SELECT node FROM deselected WHERE link = ?", self._link))

    def obeyed(self) -> str:
        """The digest of the rules that everything on this disk goes by."""
        rows = self._db.read("SELECT rules FROM links WHERE id = ?", self._link)
        return str(rows[0][0]) if rows else ""

    # -- where they differ

    def differing(self) -> list[str]:
        """The nodes whose two states differ; what has come to agree meanwhile is taken off the list."""
        if self._db.read(f"SELECT 1 FROM differing WHERE link = ? AND {_NOW_SETTLED} LIMIT 1", self._link):  # noqa: S608
            with self._db.writing() as db:
                db.execute(f"DELETE FROM differing WHERE link = ? AND {_NOW_SETTLED}", (self._link,))  # noqa: S608
        return [row[0] for row in self._db.read("SELECT node FROM differing WHERE link = ?", self._link)]

    def put_off(self, nodes: Iterable[str], seq: int) -> None:
        """Do not list these as differing until something is learnt of them, or of the folders above; unless something
        was learnt since ``seq``."""
        rows = [(self._link, node, seq) for node in nodes]
        unmoved = "EXISTS (SELECT 1 FROM links WHERE id = link AND seq = ?)"
        query = f"DELETE FROM differing WHERE link = ? AND node = ? AND {unmoved}"  # noqa: S608
        if rows:
            with self._db.writing() as db:
                db.executemany(query, rows)

    # -- within

    def _by_id(self, select: str, made: Callable[[Row], Node], nodes: Iterable[str]) -> list[Node]:
        query = f"{select} WHERE link = ? AND node IN {_LIST}"
        return [made(row) for asked in _pieces(list(nodes)) for row in self._db.read(query, self._link, asked)]


_PAGE_OF_PLACES = f"""
    SELECT local_name, name, node, kind = 'folder', executable, stat_size_bytes, mtime_ns, ctime_ns, inode
    FROM base WHERE link = ? AND parent = ? AND (local_name, node) > (?, ?) AND materialised
    ORDER BY local_name, node LIMIT {PAGE_PLACES}
    """  # noqa: S608
_LIST = "(SELECT value FROM json_each(?))"
_BASE_BELOW = f"""
    WITH RECURSIVE below (node) AS (
      SELECT ?2 UNION SELECT b.node FROM base b JOIN below ON b.link = ?1 AND b.parent = below.node)
    SELECT {", ".join(f"base.{column}" for column in BASE_COLUMNS.split(", "))}
    FROM below JOIN base ON base.link = ?1 AND base.node = below.node WHERE base.node <> ?2
    """  # noqa: S608
_SYMLINKS_BELOW = """
    WITH RECURSIVE below (node) AS (
      SELECT value FROM json_each(?2) UNION
      SELECT r.node FROM remote r JOIN below ON r.link = ?1 AND r.parent = below.node)
    SELECT r.node FROM below JOIN remote r ON r.link = ?1 AND r.node = below.node WHERE r.symlink
    """
_LEFT_APART = """
    SELECT b.node FROM base b WHERE b.link = ? AND NOT b.materialised AND NOT EXISTS (
      SELECT 1 FROM base p WHERE p.link = b.link AND p.node = b.parent AND NOT p.materialised)
    """
_NOW_SETTLED = SETTLED.format(link="differing.link", node="differing.node")


def _pieces(values: Sequence[str]) -> Iterator[str]:
    for start in range(0, len(values), ASKED_AT_ONCE_MAX):
        yield json.dumps(values[start : start + ASKED_AT_ONCE_MAX])
