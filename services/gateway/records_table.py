"""The routes about use and the audit log; ``table`` lists them with the others."""

from __future__ import annotations

from typing import Any

from syncline.messages import records as m
from syncline.serving.routes import Nothing, Query, Route

AUDIT_PAGE_MAX = 200

USAGE = Route(
    "GET",
    "/v1/libraries/{library}/usage",
    "How many bytes a library holds, and may.",
    Nothing,
    m.LibraryUse,
    problems=("no-such-library",),
)
MY_USAGE = Route(
    "GET",
    "/v1/me/usage",
    "How many bytes the libraries that the asker owns hold together, and may.",
    Nothing,
    m.AccountUse,
)

_PAGES = (
    Query("before", "The `next` of the page before; from the newest when left out."),
    Query("limit", "At most so many on a page.", "integer", 1, AUDIT_PAGE_MAX),
    Query("format", "`jsonl`: all of it as one stream, an entry a line, instead of a page."),
)
AUDIT = Route(
    "GET",
    "/v1/libraries/{library}/audit",
    "Who did what in a library and to it, newest first (owners).",
    Nothing,
    m.AuditPage,
    problems=("no-such-library", "not-allowed"),
    query=_PAGES,
)
MY_AUDIT = Route(
    "GET",
    "/v1/me/audit",
    "What the asker did, what was done to its account, and failed sign-ins, newest first.",
    Nothing,
    m.AuditPage,
    query=_PAGES,
)

ROUTES: tuple[Route[Any, Any], ...] = tuple(value for value in tuple(globals().values()) if isinstance(value, Route))
