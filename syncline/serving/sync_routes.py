"""The syncer's routes as data: the syncer serves them, the gateway's OpenAPI document lists them."""

from __future__ import annotations

from syncline.messages import api as m
from syncline.serving.routes import Nothing, Query, Route

HEADS_WAIT_S_MAX = 50
CHANGES_MAX = 10_000
COMPARE_BODY_BYTES = 64 * 1024 * 1024

HEADS = Route(
    "GET",
    "/v1/sync/heads",
    "Which libraries moved; held until one does or `wait` seconds have passed.",
    Nothing,
    m.Heads,
    query=(
        Query("since", "The token of the last answer; answers at once when left out."),
        Query("wait", "Seconds to wait at most.", "integer", 0, HEADS_WAIT_S_MAX),
    ),
    service="syncer",
)
CHANGES = Route(
    "GET",
    "/v1/sync/libraries/{library}/changes",
    "The changes after a cursor, newest state per node.",
    Nothing,
    m.Changes,
    problems=("no-such-library", "bad-cursor", "cursor-gone"),
    query=(
        Query("cursor", "Where the last page ended; from the beginning when left out."),
        Query("limit", "About so many changes on a page.", "integer", 1, CHANGES_MAX),
    ),
    service="syncer",
)
SNAPSHOT = Route(
    "GET",
    "/v1/sync/libraries/{library}/snapshot",
    "The whole tree as one download, to start from.",
    Nothing,
    m.Snapshot,
    problems=("no-such-library", "no-snapshot"),
    service="syncer",
)
COMPARE = Route(
    "POST",
    "/v1/sync/libraries/{library}/compare",
    "What is newer, missing, extra or different on the server.",
    m.CompareRequest,
    m.CompareAnswer,
    problems=("no-such-library", "bad-name", "bad-path"),
    body_bytes_max=COMPARE_BODY_BYTES,
    service="syncer",
)

SYNC_ROUTES = (HEADS, CHANGES, SNAPSHOT, COMPARE)
