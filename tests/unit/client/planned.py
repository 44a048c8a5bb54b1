"""Short ways to write the three trees down: ``text`` stands for a content, inode 1 unless said otherwise."""

from __future__ import annotations

from syncline.client.trees import BaseNode, Content, LocalEntry, RemoteNode, Stat
from syncline.domain.checksums import checksum_of
from syncline.domain.nodes import Kind
from tests.unit.client.model import LIBRARY


def content(text: str) -> Content:
    return Content(len(text), checksum_of(text.encode()), False)


def stat(inode: int, text: str = "") -> Stat:
    return Stat(len(text), 0, 0, inode)


def base_node(
    node: str,
    *,
    parent: str = LIBRARY,
    folder: bool = False,
    text: str = "text",
    inode: int = 1,
    materialised: bool = True,
) -> BaseNode:
    if folder:
        return BaseNode(node, parent, node, node, Kind.FOLDER, 1, stat=stat(inode), materialised=materialised)
    return BaseNode(node, parent, node, node, Kind.FILE, 1, "v1", content(text), stat(inode, text), materialised)


def remote_node(
    node: str, *, parent: str = LIBRARY, name: str = "", folder: bool = False, version: str = "v1", text: str = "text"
) -> RemoteNode:
    if folder:
        return RemoteNode(node, parent, name or node, Kind.FOLDER, 1)
    return RemoteNode(node, parent, name or node, Kind.FILE, 1, version, content(text))


def entry(path: str, *, folder: bool = False, text: str = "text", inode: int = 1) -> LocalEntry:
    parent, _, name = path.rpartition("/")
    if folder:
        return LocalEntry(path, parent, name, name, Kind.FOLDER, stat(inode))
    return LocalEntry(path, parent, name, name, Kind.FILE, stat(inode, text), content(text))
