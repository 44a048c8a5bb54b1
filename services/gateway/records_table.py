"""The routes about use and the audit log; ``table`` lists them with the others."""

from __future__ import annotations

from typing import Any

from syncline.messages import records as m
from syncline.serving.routes import Nothing, Route

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

ROUTES: tuple[Route[Any, Any], ...] = tuple(value for value in tuple(globals().values()) if isinstance(value, Route))
