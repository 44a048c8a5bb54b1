"""What verifying finds: a folder whose every file was read, against what was agreed and what the library has."""

from __future__ import annotations

from collections.abc import Iterator, Set
from enum import StrEnum

import msgspec

from syncline.client.disk import Changed, Disk
from syncline.client.matching import base_paths, match
from syncline.client.trees import Base, BaseNode, Local, LocalEntry, Remote, RemoteNode
from syncline.domain.errors import Refused
from syncline.domain.nodes import Kind
from syncline.domain.paths import join_path


class State(StrEnum):
    """How a file or folder here differs from the library's.

    ``DAMAGED``: its bytes are others though nothing has written to it, by all the disk tells. It is never sent by
    itself; all else is what the next sync settles.
    """

    DAMAGED = "damaged"
    CHANGED = "changed here"
    NEWER = "newer there"
    BOTH = "changed on both sides"
    MISSING = "missing here"
    EXTRA = "only here"
    MOVED = "elsewhere there"


class Finding(msgspec.Struct, frozen=True):
    """``path`` is where it is on this disk; where it is only in the library, its path there. ``node`` is "" for what
    the library does not have."""

    path: str
    state: State
    node: str = ""


def differences(base: Base, local: Local, remote: Remote, apart: Set[str] = frozenset()) -> list[Finding]:
    """By path; pure. ``apart``: nodes that are not to be on this disk. Files that could not be read are not judged."""
    matched = match(base, local, remote, apart)
    found = [Finding(entry.path, State.EXTRA) for entry in matched.fresh]
    paths = base_paths(base)
    for node, agreed in matched.base.items():
        entry = matched.entries.get(node)
        if entry is not None:
            stored = base.nodes.get(node, agreed)
            state = _state(stored, entry, remote.nodes.get(node), _parent(entry, matched.nodes, base.root))
            found += [Finding(entry.path, state, node)] if state else []
        elif node in matched.gone and node in remote.nodes:
            found.append(Finding(paths.get(node, agreed.name), State.MISSING, node))
    known = matched.base.keys() | matched.unsure | apart
    found += [Finding(path, State.MISSING, node) for node, path in _paths(remote) if node not in known]
    return sorted(found, key=lambda finding: finding.path)


def is_as_read(disk: Disk, local: Local, path: str) -> bool:
    """Whether a path still is as it was when it was read. What a pass or a person changed meanwhile is not judged."""
    entry = local.entries.get(path)
    try:
        now = disk.stat(path)
    except (Changed, Refused):
        now = None
    if entry is None or now is None:
        return entry is None and now is None
    return now == entry.stat or (entry.kind is Kind.FOLDER and now.inode == entry.stat.inode)


def _state(agreed: BaseNode, entry: LocalEntry, remote: RemoteNode | None, parent: str | None) -> State | None:
    as_agreed = entry.content == agreed.content
    if not as_agreed and entry.stat == agreed.stat:
        return State.DAMAGED
    if remote is None:
        return State.EXTRA
    if entry.content != remote.content:
        if as_agreed:
            return State.NEWER
        return State.CHANGED if remote.version == agreed.version else State.BOTH
    return None if (parent, entry.name) == (remote.parent, remote.name) else State.MOVED


def _parent(entry: LocalEntry, nodes: dict[str, str], root: str) -> str | None:
    return nodes.get(entry.parent) if entry.parent else root


def _paths(remote: Remote) -> Iterator[tuple[str, str]]:
    """(node, path) of all there is; every folder is live."""
    paths = {remote.root: ""}
    todo = dict(remote.nodes)
    while todo:
        placed = {id: node for id, node in todo.items() if node.parent in paths}
        for id, node in placed.items():
            paths[id] = join_path(paths[node.parent], node.name)
            yield id, paths[id]
            del todo[id]
        if not placed:
            return
