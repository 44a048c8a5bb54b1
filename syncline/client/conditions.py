"""What a link that is kept in sync does right now, in one word and one sentence."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from syncline.domain.errors import Refused, Temporary


class Doing(StrEnum):
    """The states of a link (docs/client.md describes each)."""

    STARTING = "starting"
    SCANNING = "scanning"
    SYNCING = "syncing"
    IDLE = "idle"
    SETTLING = "settling"
    PAUSED = "paused"
    WAITING = "waiting"
    PARTLY = "partly"
    HELD = "held"
    MISSING = "missing"
    REFUSED = "refused"
    SIGNED_OUT = "signed-out"
    BROKEN = "broken"


class Condition(msgspec.Struct, frozen=True):
    """Since when a link is in a state (Unix ms), why, and when it is tried again (0: nothing is to be tried)."""

    doing: Doing
    since_ms: int
    detail: str = ""
    retry_at_ms: int = 0


_FOLDER_TROUBLE = frozenset({"root-missing", "root-unreadable", "root-exchanged", "folder-taken"})


def doing_after(error: BaseException) -> Doing:
    """The state that a failed pass leaves a link in."""
    if isinstance(error, Temporary):
        return Doing.WAITING
    if isinstance(error, Refused):
        if error.status == 401:
            return Doing.SIGNED_OUT
        if error.kind == "large-removal":
            return Doing.HELD
        if error.kind in _FOLDER_TROUBLE:
            return Doing.MISSING
        return Doing.WAITING if error.kind == "busy" else Doing.REFUSED
    return Doing.BROKEN
