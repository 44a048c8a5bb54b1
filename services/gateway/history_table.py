"""The gateway's routes about what was: the trash, going back, and how long history is kept."""

from __future__ import annotations

from typing import Any

from syncline.messages import history as h
from syncline.serving.routes import SMALL_BODY_BYTES, Nothing, Query, Route

LIBRARY = "/v1/libraries/{library}"
TRASH_PAGE_MAX = 200
WRITES = ("no-such-library", "not-allowed")
DECIDED_LATER = (202, "Not decided yet: ask the URL in `Location`, then this one again.")

TRASH = Route(
    "GET",
    f"{LIBRARY}/trash",
    "What was removed and not restored, newest first.",
    Nothing,
    h.Trash,
    problems=("no-such-library",),
    query=(
        Query("after", "Where the last page ended."),
        Query("limit", "At most so many on a page.", "integer", 1, TRASH_PAGE_MAX),
    ),
)
RESTORE_NODE = Route(
    "POST",
    f"{LIBRARY}/nodes/{{node}}/restore",
    "Bring a removed file or folder back.",
    h.RestoreNode,
    h.RestoreAnswer,
    problems=(*WRITES, "no-such-node", "not-removed", "version-purged", "bad-name"),
    also=(DECIDED_LATER,),
    body_bytes_max=SMALL_BODY_BYTES,
)
REWIND = Route(
    "POST",
    f"{LIBRARY}/nodes/{{node}}/rewind",
    "Make a folder as it was at a time, as one commit; or tell what that would change.",
    h.Rewind,
    h.RewindAnswer,
    problems=(*WRITES, "no-such-node", "not-a-folder", "bad-time", "too-many-changes"),
    also=(DECIDED_LATER,),
    body_bytes_max=SMALL_BODY_BYTES,
)
PURGE = Route(
    "POST",
    f"{LIBRARY}/purge",
    "Give up for ever what is in the trash, or old versions of a file (owners); or tell what that would be.",
    h.Purge,
    h.PurgeAnswer,
    problems=(*WRITES, "no-such-node", "not-removed", "not-a-file", "bad-time", "under-hold", "cursor-gone"),
    also=(DECIDED_LATER,),
    body_bytes_max=SMALL_BODY_BYTES,
)
RETENTION = Route(
    "GET",
    f"{LIBRARY}/retention",
    "How long a library keeps versions and trash.",
    Nothing,
    h.Retention,
    problems=("no-such-library",),
)
SET_RETENTION = Route(
    "PUT",
    f"{LIBRARY}/retention",
    "Say how long a library keeps versions and trash (owners).",
    h.Retention,
    h.Retention,
    problems=WRITES,
    body_bytes_max=SMALL_BODY_BYTES,
)

ROUTES: tuple[Route[Any, Any], ...] = tuple(value for value in tuple(globals().values()) if isinstance(value, Route))
AT = Query("at", "As of this time (RFC 3339) or seq; now when left out.")
"""What the routes that look around take, besides."""
