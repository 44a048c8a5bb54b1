"""Comparing two trees by their paths and checksums: one digest when they are equal, the differences when not."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import NamedTuple

import msgspec

from syncline.domain.nodes import Kind

LINK_MARK = "link:"
"""Stands before the checksum of a symbolic link, so that it equals no file that holds the same bytes."""


class Entry(NamedTuple):
    """One file or folder. ``checksum`` is "" for a folder and ``compared_checksum`` of a file; ``node`` the id on the
    server, where it is known."""

    path: str
    kind: Kind
    size_bytes: int = 0
    checksum: str = ""
    node: str = ""


class State(StrEnum):
    """What a client's side of a path is, seen against the server's."""

    NEWER = "newer"  # the server has a later version of what the client has
    MISSING = "missing"  # the client lacks it
    EXTRA = "extra"  # the server lacks it
    DIFFERENT = "different"  # other content, or a folder here and a file there


class Difference(msgspec.Struct, frozen=True):
    """``node`` is the server's, "" when it has none at this path."""

    path: str
    state: State
    node: str = ""


WasEver = Callable[[str, int, str], bool]
"""Whether a file node (id) ever had a content of this size (bytes) and checksum."""


def compared_checksum(checksum: str, *, symlink: bool) -> str:
    """A file's checksum as two sides compare it."""
    return f"{LINK_MARK}{checksum}" if symlink else checksum


def folder_digest(children: Iterable[tuple[str, Kind, int, str]]) -> str:
    """A digest of what a folder holds, whatever the order: 64 hexadecimal digits.

    ``children`` are (name, kind, size in bytes, checksum); for a folder size 0 and its own digest.
    """
    held = sorted((_nfc(name), str(kind), size, checksum) for name, kind, size, checksum in children)
    return hashlib.sha256(msgspec.msgpack.encode(held)).hexdigest()


def root_digest(entries: Iterable[tuple[str, Kind, int, str] | Entry]) -> str:
    """A digest of a whole tree, whatever the order of its entries: equal digests mean equal trees.

    Built from the folders' digests up. A folder that has entries below it need not be listed itself.
    """
    folders: dict[str, dict[str, tuple[Kind, int, str]]] = {"": {}}
    for path, kind, size_bytes, checksum in (entry[:4] for entry in entries):
        path = _nfc(path)
        if path:
            _place(folders, path, (kind, size_bytes, checksum))
        if kind is Kind.FOLDER:
            folders.setdefault(path, {})
    for path in sorted(folders, key=lambda path: path.count("/"), reverse=True):
        if path:
            _place(folders, path, (Kind.FOLDER, 0, _digest(folders[path])))
    return _digest(folders[""])


def compare(local: Iterable[Entry], remote: Iterable[Entry], was_ever: WasEver) -> list[Difference]:
    """How what a client has (``local``) differs from what the server has (``remote``), in order of paths."""
    here = {_nfc(entry.path): entry for entry in local}
    there = {_nfc(entry.path): entry for entry in remote}
    differences = []
    for path in sorted(here.keys() | there.keys()):
        state = _state(here.get(path), there.get(path), was_ever)
        if state is not None:
            differences.append(Difference(path, state, there[path].node if path in there else ""))
    return differences


def _state(here: Entry | None, there: Entry | None, was_ever: WasEver) -> State | None:
    if here is None or there is None:
        return State.MISSING if here is None else State.EXTRA
    if here.kind is not there.kind:
        return State.DIFFERENT
    if here.kind is Kind.FOLDER or here[2:4] == there[2:4]:
        return None
    if was_ever(there.node, here.size_bytes, here.checksum):
        return State.NEWER
    return State.DIFFERENT


def _place(folders: dict[str, dict[str, tuple[Kind, int, str]]], path: str, what: tuple[Kind, int, str]) -> None:
    """Enter it in its folder, and its folder in the one above, up to the first that is there already."""
    above, _, name = path.rpartition("/")
    while above not in folders:
        folders[above] = {name: what}
        what = (Kind.FOLDER, 0, "")
        above, _, name = above.rpartition("/")
    folders[above][name] = what


def _digest(children: dict[str, tuple[Kind, int, str]]) -> str:
    return folder_digest((name, *what) for name, what in children.items())


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)
