"""Nodes, versions, changes and comparing: what a library holds."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from syncline.domain.commits import Effect
from syncline.domain.nodes import Kind
from syncline.messages.api.words import MAX_COMPARED_PATHS, Size


class VersionState(Struct, kw_only=True):
    """One version. ``key``, ``s3_version``, ``offset`` and ``length`` say where its bytes are. ``symlink``: a symbolic
    link, whose bytes are its target."""

    id: str
    size_bytes: int
    checksum: str
    mtime_ns: int
    executable: bool
    account: str
    device: str
    at_ms: int
    key: str
    s3_version: str
    offset: int
    length: int
    symlink: bool = False


class NodeState(Struct, kw_only=True):
    """The state of a node as of ``seq``. ``path`` only where a single node was asked for."""

    id: str
    parent: str
    name: str
    kind: Kind
    seq: int
    removed: bool = False
    conflict_of: str = ""
    path: str = ""
    version: VersionState | None = None


class Children(Struct, kw_only=True):
    """One page of a folder by name; ``after`` is the name to ask on from, "" at the end."""

    children: list[NodeState]
    after: str = ""


class Versions(Struct, kw_only=True):
    """Versions of a file, newest first; ``before`` is the seq to ask on from, 0 at the end."""

    versions: list[VersionState]
    before: int = 0


class Head(Struct, kw_only=True):
    library: str
    seq: int
    cursor: str


class Heads(Struct, kw_only=True):
    """The heads of all libraries the asker is a member of. ``token`` goes into the next ``since``."""

    heads: list[Head]
    token: str


class ChangeState(Struct, kw_only=True, omit_defaults=True):
    """The newest state of one node in this page; ``effect`` and authorship are those of its last change. ``trace``: the
    W3C ``traceparent`` in which that was committed, left out when nobody recorded it."""

    effect: Effect
    node: NodeState
    account: str
    device: str
    at_ms: int
    trace: str = ""


class Changes(Struct, kw_only=True):
    """The changes after a cursor. ``cursor`` is where this page ends (a commit's boundary); ``more``: ask again."""

    changes: list[ChangeState]
    cursor: str
    seq: int
    more: bool


class Snapshot(Struct, kw_only=True):
    """The tree as of ``seq``: GET ``url`` (good for ``expires_in_s``), compare its SHA-256 (base64) with ``checksum``,
    go on with the changes after ``cursor``. Form: docs/api.md."""

    seq: int
    cursor: str
    url: str
    expires_in_s: int
    size_bytes: int
    checksum: str
    nodes: int
    at_ms: int


class Held(Struct, kw_only=True):
    """One path a client holds. ``checksum`` is "" for a folder; a symbolic link's has ``link:`` before it."""

    path: Annotated[str, Meta(max_length=1024)]
    checksum: Annotated[str, Meta(max_length=55)] = ""
    size_bytes: Size = 0


class CompareRequest(Struct, kw_only=True):
    """First ask with ``digest`` alone; when it differs, ask again with ``held``."""

    digest: Annotated[str, Meta(max_length=64)]
    held: Annotated[list[Held], Meta(max_length=MAX_COMPARED_PATHS)] | None = None


class DifferenceState(Struct, kw_only=True):
    """``state``: ``newer`` (the server has a later version of what the client has), ``missing`` (the client lacks it),
    ``extra`` (the server lacks it), ``different`` (other content). ``node`` is the server's state, if it has one."""

    path: str
    state: str
    node: NodeState | None = None


class CompareAnswer(Struct, kw_only=True):
    """``differences`` is null when nothing was compared: equal digests, or ``held`` was not sent."""

    seq: int
    equal: bool
    digest: str
    differences: list[DifferenceState] | None = None
