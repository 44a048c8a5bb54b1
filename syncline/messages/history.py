"""The bodies of ``/v1`` about what was: the trash, going back, and how long history is kept. Rules as in ``api``."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from syncline.domain.nodes import Kind
from syncline.messages.api import IdOrEmpty

Days = Annotated[int, Meta(ge=0, le=36_500)]
VersionCount = Annotated[int, Meta(ge=0, le=1_000_000)]


class RemovedNode(Struct, kw_only=True):
    """A file or folder in the trash: where it was, who removed it, on which device and when. A folder stands for all
    that was in it. ``version`` is a file's last one."""

    node: str
    kind: Kind
    name: str
    path: str
    seq: int
    account: str
    device: str
    at_ms: int
    size_bytes: int = 0
    version: str = ""


class Trash(Struct, kw_only=True):
    """Newest first. Ask on with ``after`` until it is ""; a page may hold less than was asked for."""

    removed: list[RemovedNode]
    after: str = ""


class RestoreNode(Struct, kw_only=True):
    """``to`` is a folder's id, "" for where it was; ``name`` another name there, "" for its own."""

    to: IdOrEmpty = ""
    name: Annotated[str, Meta(max_length=255)] = ""


class NotRestored(Struct, kw_only=True):
    node: str
    name: str
    reason: str


class RestoreAnswer(Struct, kw_only=True):
    """``node`` is the file, or the folder that stands where the removed one was, ``name`` in ``parent``; ``restored``
    counts files. While ``more``, ask again: a request restores as much as one commit holds. ``done`` as for commits.
    """

    command: str
    done: bool
    more: bool = False
    seq: int = 0
    node: str = ""
    parent: str = ""
    name: str = ""
    restored: int = 0
    failed: list[NotRestored] = []


class Rewind(Struct, kw_only=True):
    """``at``: a time (RFC 3339) or a seq. ``dry_run`` only tells what would change."""

    at: Annotated[str, Meta(min_length=1, max_length=64)]
    dry_run: bool = False


class RewindChange(Struct, kw_only=True):
    """``effect``: "restored", "moved", "changed" (back to an older content), "removed" (to the trash), or "lost": its
    content of then was given up. ``path`` is where it will be (of what is removed: where it was), ``was`` where a moved
    one is now."""

    effect: str
    node: str
    kind: Kind
    path: str
    was: str = ""


class RewindAnswer(Struct, kw_only=True):
    """``at_seq`` is what was gone back to. ``total`` counts the changes; ``changes`` tells at most 1,000 of them.

    ``failed``: what could not be done, because someone changed it meanwhile. ``command`` is "" and ``done`` true when
    there was nothing to do or only asked what would be done.
    """

    at_seq: int
    total: int
    changes: list[RewindChange]
    dry_run: bool
    command: str = ""
    done: bool = True
    seq: int = 0
    failed: list[NotRestored] = []


class Retention(Struct, kw_only=True):
    """How long a library keeps what is no more current. 0: for ever; nothing is ever given up unless owners say so.

    ``versions_days``: superseded versions, counted from when they were superseded. ``versions_max``: so many versions
    of each file, the current one among them. ``trash_days``: what was removed. ``hold``: a legal hold, under which
    nothing is given up, whatever else is said.
    """

    versions_days: Days = 0
    versions_max: VersionCount = 0
    trash_days: Days = 0
    hold: bool = False


class Purge(Struct, kw_only=True):
    """What to give up for ever: the removed file or folder ``node``, or the whole trash when that is "".

    ``versions_before`` (a time, RFC 3339, or a seq): of the file ``node`` instead what was superseded by then.
    ``upto``: only what was in the trash at this seq; 0 for now. ``dry_run`` only tells what would go.
    """

    node: IdOrEmpty = ""
    versions_before: Annotated[str, Meta(max_length=64)] = ""
    upto: Annotated[int, Meta(ge=0)] = 0
    dry_run: bool = False


class NotPurged(Struct, kw_only=True):
    """``reason``: "too-large", more than 20,000 files and folders are in it; give it up part by part."""

    node: str
    path: str
    reason: str


class PurgeAnswer(Struct, kw_only=True):
    """What this request gave up, or with ``dry_run`` would be given up: ``versions`` of ``files``, together of
    ``size_bytes``, and removed ``folders`` that leave the trash. Bytes that another version still names stay.

    ``upto`` is the seq that this was told of; name it when asking on. While ``more``, ask again: a request gives up as
    much as one commit holds; of a dry run there is more than was counted. ``left`` could not be given up. ``command``
    is "" and ``done`` true when there was nothing to do or only asked what would be done.
    """

    upto: int
    files: int
    folders: int
    versions: int
    size_bytes: int
    dry_run: bool
    more: bool = False
    left: list[NotPurged] = []
    command: str = ""
    done: bool = True
    seq: int = 0
