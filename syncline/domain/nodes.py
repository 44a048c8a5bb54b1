"""Nodes, versions and locations: the values a library is made of.

All are ``array_like`` structs: their msgpack form is a positional array. Fields are only ever appended, with a
default, so an older reader skips what it does not know and a newer one fills in what is missing.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Kind(StrEnum):
    """What a node is."""

    FILE = "file"
    FOLDER = "folder"


class Location(msgspec.Struct, frozen=True, array_like=True):
    """Where the bytes of a version are: ``length`` bytes from ``offset`` of one S3 object version."""

    key: str
    s3_version: str
    offset: int
    length: int


class Author(msgspec.Struct, frozen=True, array_like=True):
    """Who made a state: ``counter`` is the device's own, ever growing; ``at_ms`` the service's clock, Unix ms."""

    account: str
    device: str
    counter: int
    at_ms: int


class Version(msgspec.Struct, frozen=True, array_like=True):
    """One immutable content of a file node. Its ``id`` is the id of the permit (or copy) that brought it.

    ``checksum`` is S3's own SHA-256 string (domain/checksums.py); ``mtime_ns`` the file's, Unix ns. ``symlink``: the
    file is a symbolic link, its bytes are the target (UTF-8, names parted by "/"); such a one is never executable.
    """

    id: str
    size_bytes: int
    checksum: str
    location: Location
    mtime_ns: int
    executable: bool
    author: Author
    symlink: bool = False


class Place(msgspec.Struct, frozen=True, array_like=True):
    """A name in a folder."""

    parent: str
    name: str


class Node(msgspec.Struct, frozen=True, array_like=True):
    """The state of a file or folder as of commit ``seq``. The root is the folder whose id is the library's id.

    ``placed_seq`` is the commit that last set parent or name, ``content_seq`` the one that set the version
    (for a folder: its making). ``removed`` speaks of the node itself; it is live only when all its ancestors are.
    ``author`` made the latest state; ``placed_by`` set parent and name, when that was someone else or earlier, else
    None. ``conflict_of`` names the node whose place or content it lost when it was born as a conflict copy, until
    someone gives it another name; else "".
    """

    id: str
    parent: str
    name: str
    kind: Kind
    version: Version | None
    seq: int
    placed_seq: int
    content_seq: int
    removed: bool
    author: Author
    conflict_of: str = ""
    placed_by: Author | None = None

    @property
    def place(self) -> Place:
        return Place(self.parent, self.name)

    @property
    def placer(self) -> Author:
        """Who set parent and name."""
        return self.placed_by or self.author


def root_node(library: str) -> Node:
    """The root folder of a library, there from seq 0, without name or parent."""
    nobody = Author(account="", device="", counter=0, at_ms=0)
    return Node(library, "", "", Kind.FOLDER, None, 0, 0, 0, False, nobody)
