"""The three trees of a link as plain values: base (last agreed), local (on this disk), remote (in the library).

Paths are relative to the link's folder, with "/" between names. Base and local paths hold raw local names, as the
disk has them; ``name`` is what the library has (NFC).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field

import msgspec

from syncline.domain.nodes import Kind, Version
from syncline.messages.api import VersionState


class Stat(msgspec.Struct, frozen=True, array_like=True):
    """What tells, cheaply, whether a local file is still the one that was looked at."""

    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    def same_content(self, other: Stat) -> bool:
        return self == other


BytesKey = tuple[int, str, bool]
"""(size in bytes, checksum, whether it is a symbolic link)."""


class Content(msgspec.Struct, frozen=True, array_like=True):
    """The content of a file: equal checksums of equal sizes are equal bytes. ``symlink``: a symbolic link, its bytes
    being its target."""

    size_bytes: int
    checksum: str
    executable: bool
    symlink: bool = False

    @property
    def bytes_key(self) -> BytesKey:
        """Equal for equal bytes in the same kind of file: a symbolic link is none that holds its target as text."""
        return self.size_bytes, self.checksum, self.symlink

    def same_bytes(self, other: Content | None) -> bool:
        return other is not None and self.bytes_key == other.bytes_key


def content_of_version(version: Version | VersionState) -> Content:
    return Content(version.size_bytes, version.checksum, version.executable, version.symlink)


class BaseNode(msgspec.Struct, frozen=True):
    """A node as this client and the library last agreed on it.

    ``local_name`` is its raw name on the disk. ``stat`` is what the disk said when they agreed (None for folders,
    but for ``inode``). ``materialised`` false: known, but not on this disk; never to be read as removed.
    """

    node: str
    parent: str
    name: str
    local_name: str
    kind: Kind
    seq: int
    version: str = ""
    content: Content | None = None
    stat: Stat | None = None
    materialised: bool = True


class RemoteNode(msgspec.Struct, frozen=True):
    """A live node of the library as of the remote tree's seq. ``key`` … ``length``: where its bytes are; of a symbolic
    link ``target`` says them, "" until they were fetched."""

    node: str
    parent: str
    name: str
    kind: Kind
    seq: int
    version: str = ""
    content: Content | None = None
    mtime_ns: int = 0
    key: str = ""
    s3_version: str = ""
    offset: int = 0
    length: int = 0
    conflict_of: str = ""
    target: str = ""


class LocalEntry(msgspec.Struct, frozen=True):
    """A file or folder found on the disk. ``parent`` is the path of its folder, "" the root."""

    path: str
    parent: str
    name: str
    local_name: str
    kind: Kind
    stat: Stat
    content: Content | None = None


class Skipped(msgspec.Struct, frozen=True):
    """Something on the disk that is left alone, and why (a stable slug and a sentence)."""

    path: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Base:
    """``root`` is the library's id, which is the id of the root folder; the root itself is not among the nodes.

    ``nodes`` may be a part of the base (``reduced.py``); ``count`` then says how many files the whole of it holds.
    """

    root: str
    nodes: Mapping[str, BaseNode]
    count: Callable[[], int] | None = None

    @property
    def files(self) -> int:
        """How many files the whole base holds on this disk."""
        if self.count is not None:
            return self.count()
        return sum(node.kind is not Kind.FOLDER and node.materialised for node in self.nodes.values())


@dataclass(frozen=True)
class Remote:
    """The live nodes; ``seq`` is how far the journal has been read.

    ``nodes`` may be a part of the tree; ``versions`` then are live versions elsewhere in it, by their bytes.
    """

    root: str
    nodes: Mapping[str, RemoteNode]
    seq: int
    versions: Mapping[BytesKey, str] = field(default_factory=dict)

    def without(self, nodes: Set[str]) -> Remote:
        left = {node: state for node, state in self.nodes.items() if node not in nodes}
        return Remote(self.root, left, self.seq, self.versions)


@dataclass(frozen=True)
class Local:
    """What a scan found. ``unsure``: paths whose content could not be told in this pass (still changing, unreadable);
    they, and everything below them, are neither changed nor read as removed. ``ignored``: paths that are there, but
    are none of the library's business (ignoring.py). ``keeps_executable``: whether this file system has an executable
    bit for each file; if not, it is false in all contents here."""

    entries: Mapping[str, LocalEntry]
    skipped: tuple[Skipped, ...] = ()
    unsure: frozenset[str] = frozenset()
    ignored: frozenset[str] = frozenset()
    keeps_executable: bool = True
