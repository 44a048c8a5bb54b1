"""Commits and outcomes: what took effect, and what the asker is told."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from syncline.domain.nodes import Location, Node, Place, Version


class Effect(StrEnum):
    """What a change did to its node."""

    ADDED = "added"  # a new node
    UPDATED = "updated"  # a new current version
    MOVED = "moved"  # another parent or name
    REMOVED = "removed"
    LATE = "late"  # a version that became history only; the node's state is unchanged


class Change(msgspec.Struct, frozen=True, array_like=True):
    """One effect on one node. ``node`` is its whole state afterwards, so the newest change of a node says all.

    ``was`` is the place it left (moved, removed), else None. ``late`` is the version a LATE change adds to history.
    An update that brings a file back from a dead folder moves it too. ``revived``: the node had been removed before.
    """

    effect: Effect
    node: Node
    was: Place | None = None
    late: Version | None = None
    revived: bool = False

    @property
    def born(self) -> bool:
        """Whether the commit made the node; one that is made and removed by the same command is REMOVED at once."""
        return self.effect in (Effect.ADDED, Effect.REMOVED) and self.was is None and not self.revived


class Restored(msgspec.Struct, frozen=True, array_like=True):
    """``node``, removed by the commit ``removed_seq``, is in the trash no more."""

    node: str
    removed_seq: int


class Purged(msgspec.Struct, frozen=True, array_like=True):
    """The content of ``version`` of ``node``, brought by the commit ``seq``, is given up; where its bytes were."""

    node: str
    version: str
    seq: int
    location: Location


class Commit(msgspec.Struct, frozen=True, array_like=True):
    """The changes that took effect together at ``seq``. At most one commit per command, unless it was cut.

    ``withdrawn`` are permit ids that shall become no version. ``restored`` are removals that count no more: the trash
    of a library is what its commits removed and did not restore. ``purged`` are versions without content from here on.
    ``trace`` is the context (``traceparent``) in which it was made, "" when nobody recorded that.
    """

    library: str
    seq: int
    command: str
    account: str
    device: str
    at_ms: int
    changes: tuple[Change, ...]
    withdrawn: tuple[str, ...] = ()
    restored: tuple[Restored, ...] = ()
    purged: tuple[Purged, ...] = ()
    trace: str = ""


class Status(StrEnum):
    """What became of one request of a command."""

    APPLIED = "applied"  # took effect as asked
    UNCHANGED = "unchanged"  # was so already (a retry, or the same content twice): success, no effect
    CONFLICT = "conflict"  # took effect beside what was there: node and name say where
    KEPT = "kept"  # a removal that met newer content; `kept` says what stays
    LATE = "late"  # kept as history of the node, not its current content
    REFUSED = "refused"  # no effect; `reason` is a stable slug, `detail` a sentence


class Result(msgspec.Struct, frozen=True, array_like=True):
    """The answer to one request: the state of its node after the command. ``seq`` is the node's."""

    status: Status
    node: str = ""
    seq: int = 0
    version: str = ""
    parent: str = ""
    name: str = ""
    reason: str = ""
    detail: str = ""
    kept: tuple[str, ...] = ()


class Outcome(msgspec.Struct, frozen=True, array_like=True):
    """The answer to a command, kept 30 days. ``seq`` is the commit it made, or the head it found when none.

    ``results`` has one entry per request, in the command's order. ``refused`` is set when the whole command was
    (lost rights, all-or-nothing): then it is the slug, and every result carries it. ``incarnation`` is the command's:
    that of the journal whose seqs these are.
    """

    command: str
    library: str
    seq: int
    results: tuple[Result, ...]
    refused: str = ""
    incarnation: str = ""
