"""Conflict copies: which there are, and the requests that settle them. Pure.

A conflict is settled in the library, for everybody: by removing the copy, or by giving it a name of its own
(docs/sync.md, 3.6). Nothing is lost: what is replaced stays in the file's history, what is removed in the trash.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from syncline.client.trees import Remote, RemoteNode
from syncline.domain.errors import Refused
from syncline.domain.nodes import Kind
from syncline.domain.paths import join_path, name_before_conflict, settled_name
from syncline.messages.api import CommitRequest, CopyVersion, Move, Remove


class Keep(StrEnum):
    """``MINE``: the copy's content becomes the file's next version, and the copy goes to the trash. ``THEIRS``: the
    file that kept the name stays as it is, and the copy goes. ``BOTH``: the copy stays under a name of its own."""

    MINE = "mine"
    THEIRS = "theirs"
    BOTH = "both"


class Conflict(msgspec.Struct, frozen=True):
    """A conflict copy and the node it lost to, None when that is gone. Paths are the library's."""

    copy: RemoteNode
    path: str
    original: RemoteNode | None
    original_path: str


class Settled(msgspec.Struct, frozen=True):
    """What settles one conflict. ``path`` is where the content that was kept is then."""

    path: str
    requests: tuple[CommitRequest, ...]


def conflicts_in(remote: Remote) -> list[Conflict]:
    """All that wait to be settled, by path. ``remote``: live nodes only."""
    nodes = remote.nodes

    def path(node: RemoteNode) -> str:
        names, at = [node.name], node
        while (above := nodes.get(at.parent)) is not None:
            names.append(above.name)
            at = above
        return join_path(*reversed(names))

    found = []
    for copy in nodes.values():
        if copy.conflict_of and copy.version:
            original = nodes.get(copy.conflict_of)
            found.append(Conflict(copy, path(copy), original, path(original) if original else ""))
    return sorted(found, key=lambda conflict: conflict.path)


def settle(conflicts: Sequence[Conflict], keep: Keep, remote: Remote) -> list[Settled]:
    """What settles these, for one command, all or nothing.

    Raises ``Refused("cannot-keep")`` where there is nothing to keep, or no telling which of two.
    """
    if keep is Keep.MINE:
        _require_one_each(conflicts)
    taken = {(node.parent, node.name) for node in remote.nodes.values()}
    return [_settle_one(conflict, keep, remote.seq, taken) for conflict in conflicts]


def _settle_one(conflict: Conflict, keep: Keep, seq: int, taken: set[tuple[str, str]]) -> Settled:
    copy, original = conflict.copy, conflict.original
    gone = Remove(node=copy.node, base_seq=seq)
    if keep is Keep.BOTH or (keep is Keep.MINE and original is None):
        name = _free_name(copy, taken, wanted=name_before_conflict(copy.name) if keep is Keep.MINE else "")
        taken.add((copy.parent, name))
        above = conflict.path.rpartition("/")[0]
        return Settled(join_path(above, name), (Move(node=copy.node, base_seq=seq, parent=copy.parent, name=name),))
    if original is None:
        detail = f"The file that {conflict.path} lost to has been removed since. Keep mine, or both."
        raise Refused("cannot-keep", detail, status=409, path=conflict.path)
    if keep is Keep.THEIRS:
        return Settled(conflict.original_path, (gone,))
    if original.kind is Kind.FOLDER:
        detail = f"{conflict.original_path} is a folder; {conflict.path} cannot take its place. Keep theirs, or both."
        raise Refused("cannot-keep", detail, status=409, path=conflict.path)
    return Settled(conflict.original_path, (_copy_to(original, copy), gone))


def _require_one_each(conflicts: Sequence[Conflict]) -> None:
    copies = {conflict.copy.node for conflict in conflicts}
    seen: set[str] = set()
    for conflict in conflicts:
        if conflict.original is None:
            continue
        if conflict.original.node in seen or conflict.original.node in copies:
            detail = f"{conflict.original_path} has several conflict copies; name the one to keep."
            raise Refused("cannot-keep", detail, status=409, path=conflict.original_path)
        seen.add(conflict.original.node)


def _free_name(copy: RemoteNode, taken: set[tuple[str, str]], *, wanted: str) -> str:
    if wanted and (copy.parent, wanted) not in taken:
        return wanted
    n = 1
    while (copy.parent, name := settled_name(copy.name, n)) in taken:
        n += 1
    return name


def _copy_to(original: RemoteNode, copy: RemoteNode) -> CopyVersion:
    content = copy.content
    assert content is not None
    return CopyVersion(
        source=copy.version,
        node=original.node,
        base_version=original.version,
        size_bytes=content.size_bytes,
        checksum=content.checksum,
        mtime_ns=copy.mtime_ns,
        executable=content.executable,
        symlink=content.symlink,
    )
