"""Routes as data: one table both registers the handlers and makes the OpenAPI document.

A handler takes a ``Call`` and the body its route declares, and answers what the route declares, so the type checker
holds code and document together.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import msgspec
from aiohttp import web

from syncline.domain.errors import Refused
from syncline.domain.ids import is_id
from syncline.serving.auth import Caller, authenticate, no_such_library
from syncline.serving.bodies import BODY_BYTES_MAX, answer, read_body
from syncline.serving.http import remote_address
from syncline.serving.limits import RATE_LIMITS, rate_of

B = TypeVar("B")
A = TypeVar("A")
SMALL_BODY_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Query:
    """One query parameter. ``kind`` is "string" or "integer"; an integer lies between ``minimum`` and ``maximum``."""

    name: str
    meaning: str
    kind: str = "string"
    minimum: int = 0
    maximum: int = 2**63 - 1
    required: bool = False


@dataclass(frozen=True, slots=True)
class Route(Generic[B, A]):
    """What is served under one method and path: ``body`` and ``answer`` are None where there is none.

    ``summary`` is one line. ``problems`` are the slugs of this route beyond those that any request may meet.
    ``also`` are further statuses with what they mean. ``signed_in`` false: anybody may ask.
    ``body_optional``: a request without a body means the body with nothing in it.
    """

    method: str
    path: str
    summary: str
    body: type[B]
    answer: type[A]
    status: int = 200
    problems: tuple[str, ...] = ()
    also: tuple[tuple[int, str], ...] = ()
    query: tuple[Query, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    signed_in: bool = True
    body_bytes_max: int = BODY_BYTES_MAX
    body_optional: bool = False
    service: str = "gateway"

    @property
    def has_body(self) -> bool:
        return self.body is not Nothing


class Nothing(msgspec.Struct):
    """No body, or no answer."""


class Call:
    """One request to a route."""

    def __init__(self, request: web.Request, route: Route[Any, Any], caller: Caller | None) -> None:
        self.request = request
        self.route = route
        self._caller = caller

    @property
    def caller(self) -> Caller:
        """Who asks. Only on routes that need a sign-in."""
        assert self._caller is not None, "the route does not ask for a sign-in"
        return self._caller

    @property
    def library(self) -> str:
        """The path's library id. Raises ``Refused("no-such-library")`` for what cannot be one."""
        library = self.request.match_info["library"]
        if not is_id(library):
            raise no_such_library()
        return library

    def id(self, name: str, kind: str) -> str:
        """An id from the path. Raises ``Refused(kind)`` (404) for what cannot be one."""
        value = self.request.match_info[name]
        if not is_id(value):
            raise Refused(kind, "There is nothing under this id.", status=404)
        return value

    def text(self, name: str) -> str:
        """A query parameter, "" when it was not given. Raises ``Refused("invalid-query")``."""
        value = self.request.query.get(name, "")
        if not value and self._declared(name).required:
            raise Refused("invalid-query", f"The parameter {name} is missing.", status=422, at=name)
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Refused("invalid-query", f"The parameter {name} is no UTF-8.", status=422, at=name) from None
        return value

    def number(self, name: str, default: int) -> int:
        """An integer query parameter within its declared bounds. Raises ``Refused("invalid-query")``."""
        declared = self._declared(name)
        text = self.request.query.get(name)
        if text is None:
            return default
        low, high = declared.minimum, declared.maximum
        # Python refuses to read thousands of digits; 19 are enough for any bound.
        if not (text.isascii() and text.isdigit() and len(text) <= 19 and low <= int(text) <= high):
            detail = f"The parameter {name} is an integer from {low} to {high}."
            raise Refused("invalid-query", detail, status=422, at=name)
        return int(text)

    def _declared(self, name: str) -> Query:
        return next(query for query in self.route.query if query.name == name)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A route with what serves it."""

    route: Route[Any, Any]
    handle: Callable[[web.Request], Awaitable[web.StreamResponse]]


def bind(route: Route[B, A], handler: Callable[[Call, B], Awaitable[A | web.StreamResponse]]) -> Endpoint:
    """An endpoint that checks the sign-in first, then reads the body, then asks ``handler``.

    The handler may answer a whole response of its own (redirects, pages, 202).
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        caller = await _admit(request, route)
        body = await _body_of(request, route)
        call = Call(request, route, caller)
        auditor = request.app.get(AUDITOR)
        answered = await (handler(call, body) if auditor is None else auditor.run(call, body, handler))
        if isinstance(answered, web.StreamResponse):
            return answered
        if isinstance(answered, Nothing):
            return web.Response(status=route.status)
        return answer(request, answered, route.status)  # type: ignore[arg-type]

    return Endpoint(route, handle)


class Audits(Protocol):
    async def run(self, call: Call, body: Any, handler: Callable[[Call, Any], Awaitable[Any]]) -> Any:
        """What the handler answers, once what was done is written down."""
        ...


AUDITOR: web.AppKey[Audits] = web.AppKey("auditor", Audits)


async def _admit(request: web.Request, route: Route[Any, Any]) -> Caller | None:
    """Who asks, within the rate limits: the address's first, so that guessing tokens is bounded too."""
    limits = request.app.get(RATE_LIMITS)
    rate = rate_of(route.method, route.path, signed_in=route.signed_in)
    if limits is not None:
        await limits.check_address(request, rate, remote_address(request))
    if not route.signed_in:
        return None
    caller = await authenticate(request)
    if limits is not None:
        await limits.check_caller(request, rate, caller.account, caller.device)
    return caller


async def _body_of(request: web.Request, route: Route[B, A]) -> B:
    if route.has_body and (request.body_exists or not route.body_optional):
        return await read_body(request, route.body, bytes_max=route.body_bytes_max)
    return route.body()


def register(app: web.Application, endpoints: Sequence[Endpoint]) -> None:
    """Serve these endpoints; a GET answers HEAD too."""
    for endpoint in endpoints:
        route = endpoint.route
        if route.method == "GET":
            app.router.add_get(route.path, endpoint.handle, allow_head=True)
        else:
            app.router.add_route(route.method, route.path, endpoint.handle)
