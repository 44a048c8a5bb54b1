"""Going back: the requests that bring a folder back from the trash, or make it as it was. Pure.

What is current is never overwritten unheard: every request names the state it was planned on, so what changes between
planning and deciding wins as it always does (docs/sync.md).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from syncline.domain.commands import CopyVersion, Move, Remove, Request, Revive
from syncline.domain.nodes import Kind, Node, Place, Version
from syncline.domain.seeing import same_content

NewVersionId = Callable[[str], str]
"""The id of the version that a copy for this node makes."""


class Return(StrEnum):
    """What going back does about a node."""

    RESTORED = "restored"
    MOVED = "moved"
    CHANGED = "changed"
    REMOVED = "removed"
    LOST = "lost"


@dataclass(frozen=True)
class Step:
    """What is done about one node, and the requests that do it. ``now`` is its present state, None for a lost one."""

    effect: Return
    node: Node
    requests: tuple[Request, ...]
    now: Node | None = None


@dataclass(frozen=True)
class Present:
    """A node as it is. ``live`` false: it, or a folder above it, was removed."""

    node: Node
    live: bool


def plan_rewind(
    then: Mapping[str, Node],
    now: Mapping[str, Present],
    before: Mapping[str, Node],
    purged: Collection[str],
    seq: int,
    new_version: NewVersionId,
) -> list[Step]:
    """What makes a folder as it was: all that was below it, and all that has come since, goes where it was then.

    ``then``: what was below it, folders before what was in them. ``now``: the present state of all those, and of all
    that is below it now. ``before``: where else those were that came in from other folders. ``purged``: versions of
    ``then`` without content. ``seq``: the seq of ``now``.
    """
    came = {node_id: one.node for node_id, one in now.items() if one.live and node_id not in then}
    stands = _namesakes(then, now, came, before)
    steps: list[Step] = []
    for node in then.values():
        if node.id not in stands:
            place = Place(stands.get(node.parent, node.parent), node.name)
            steps.extend(_back(node, place, now[node.id], purged, seq, new_version))
    for node in came.values():
        if node.id in before:
            there = before[node.id]
            steps.append(Step(Return.MOVED, there, (Move(node.id, seq, there.parent, there.name),), node))
    kept = {*before, *stands.values()}
    new = {node_id: node for node_id, node in came.items() if node_id not in kept}
    for node in new.values():
        if node.parent not in new:
            steps.append(Step(Return.REMOVED, node, (Remove(node.id, seq, node.kind is Kind.FOLDER),), node))
    return steps


def _namesakes(
    then: Mapping[str, Node], now: Mapping[str, Present], came: Mapping[str, Node], before: Mapping[str, Node]
) -> dict[str, str]:
    """For folders that are gone: those that have come since and stand where they were."""
    at = {node.place: node for node in came.values() if node.kind is Kind.FOLDER and node.id not in before}
    stands: dict[str, str] = {}
    for node in then.values():
        if node.kind is Kind.FOLDER and not now[node.id].live:
            namesake = at.get(Place(stands.get(node.parent, node.parent), node.name))
            if namesake is not None:
                stands[node.id] = namesake.id
    return stands


def _back(
    then: Node, place: Place, now: Present, purged: Collection[str], seq: int, new_version: NewVersionId
) -> Iterator[Step]:
    """What brings one node back to its state of then."""
    moved = (Move(then.id, seq, place.parent, place.name),) if now.node.place != place else ()
    if then.version is None:
        if not now.live:
            yield Step(Return.RESTORED, then, (Revive(then.id, place.parent, place.name, True),), now.node)
        elif moved:
            yield Step(Return.MOVED, then, moved, now.node)
        return
    changed = not same_content(now.node.version, then.version)
    if (changed or not now.live) and then.version.id in purged:
        yield Step(Return.LOST, then, moved if now.live else (), now.node)
    elif not now.live:
        yield Step(Return.RESTORED, then, (copy_of(then.version, now.node, new_version), *moved), now.node)
    elif changed:
        yield Step(Return.CHANGED, then, (copy_of(then.version, now.node, new_version), *moved), now.node)
    elif moved:
        yield Step(Return.MOVED, then, moved, now.node)


def plan_restore(
    top: Node, below: Sequence[Node], *, to: str, name: str, whole: bool, purged: Collection[str], seq: int,
    new_version: NewVersionId, requests_max: int,
) -> tuple[list[Request], bool]:  # fmt: skip
    """The requests that bring a removed node back, as many as fit, and whether more are left.

    ``below``: what a removed folder still holds, folders before what is in them; ``whole`` false: not all of it was
    looked at. A folder is made again with the first file in it; those that hold no file, only with the last requests.
    """
    place = (to, name or top.name) if to else ("", "")
    if top.version is not None:
        moved = (Move(top.id, seq, to or top.parent, name or top.name),) if to or name else ()
        return [copy_of(top.version, top, new_version), *moved], False
    folders = {node.id: node for node in (top, *below) if node.kind is Kind.FOLDER}
    requests: list[Request] = []
    standing: set[str] = {top.id}
    for node in below:
        if node.version is None or node.version.id in purged:
            continue
        wanted = _ways_to(node.parent, folders, standing)
        if len(requests) + len(wanted) + 2 > requests_max:
            return [Revive(top.id, *place), *requests], True
        requests += [*wanted, copy_of(node.version, node, new_version)]
    if not whole:
        return [Revive(top.id, *place), *requests], True
    rest = [request for folder in folders for request in _ways_to(folder, folders, standing)]
    fitting = rest[: max(0, requests_max - len(requests) - 1)]
    more = len(fitting) < len(rest)
    return [Revive(top.id, *place, not more), *requests, *fitting], more


def _ways_to(folder: str, folders: Mapping[str, Node], standing: set[str]) -> list[Request]:
    """The folders from the nearest that stands down to this one, which stand from then on."""
    missing: list[Request] = []
    while folder not in standing and folder in folders:
        standing.add(folder)
        node = folders[folder]
        missing.append(Revive(node.id, node.parent, node.name, node.removed))
        folder = node.parent
    return missing[::-1]


def copy_of(version: Version, now: Node, new_version: NewVersionId) -> CopyVersion:
    """A copy that makes an older version of a file its current one."""
    return CopyVersion(
        id=new_version(now.id),
        source=version.id,
        node=now.id,
        new=False,
        parent="",
        name="",
        base_version=now.version.id if now.version is not None else "",
        size_bytes=version.size_bytes,
        checksum=version.checksum,
        mtime_ns=version.mtime_ns,
        executable=version.executable,
        symlink=version.symlink,
    )
