"""What can be asked of the daemon: one JSON object a request, in one line. docs/client.md shows them."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from syncline.client.daemon.asking import VERSION
from syncline.domain.errors import Refused


class Ask(msgspec.Struct, kw_only=True, tag_field="ask"):
    """``v`` is the version of the protocol. ``server`` is the one that was asked for, if any: another is refused."""

    v: int


class Sync(Ask, tag="sync"):
    """Have folders (all, when none is named) in sync with what is there now, and tell of it."""

    folders: list[str] = []
    server: str = ""
    allow_removals: bool = False
    progress: bool = False


class Look(Ask, tag="status"):
    """Tell what all links do."""

    folders: list[str] = []
    server: str = ""
    color: bool = False


class Refresh(Ask, tag="refresh"):
    """Links or settings were changed: take them up before answering."""


class Stop(Ask, tag="stop"):
    """End; the answer comes before the end."""


Request = Sync | Look | Refresh | Stop


def decode_request(line: bytes) -> Request:
    """The request in a line. Raises ``Refused`` ("other-version", "not-understood")."""
    try:
        found: Any = json.loads(line)
        version = found.get("v") if isinstance(found, dict) else None
        if version != VERSION:
            detail = "The running daemon is of another version of Syncline. Run: syncline stop && syncline start"
            raise Refused("other-version", detail)
        request: Request = msgspec.convert(found, Request)
        return request
    except (ValueError, msgspec.ValidationError) as error:
        raise Refused("not-understood", f"The daemon does not understand this: {error}") from None
