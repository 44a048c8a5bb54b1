"""HTTP serving: the application factory with what every service's requests share, and the part that listens.

Every request gets an id (``X-Request-Id``, taken over when it comes from outside in a harmless form), a log line
without query (it may hold names), and metrics by route; every error becomes a problem document.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web
from aiohttp.hdrs import METH_ALL

from syncline.domain.errors import Refused, SynclineError, Temporary
from syncline.domain.traceparent import TRACEPARENT
from syncline.ports import tracing
from syncline.ports.tracing import SpanKind
from syncline.serving import problems
from syncline.serving.contexts import OutsideContexts
from syncline.serving.logging import bind_context, clear_context, get_logger
from syncline.serving.metrics import CONTENT_TYPE, Metrics

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ReadyCheck = Callable[[], Awaitable[object]]

METRICS: web.AppKey[Metrics] = web.AppKey("metrics", Metrics)
PUBLIC_URL: web.AppKey[str] = web.AppKey("public_url", str)
CONTEXTS: web.AppKey[OutsideContexts] = web.AppKey("contexts", OutsideContexts)
DRAINING: web.AppKey[asyncio.Event] = web.AppKey("draining", asyncio.Event)
"""Set when the service takes leave: requests that are held open should answer now."""

REQUEST: web.RequestKey[str] = web.RequestKey("request", str)
"""The request's id."""

REQUEST_ID = "X-Request-Id"
READY_CHECK_S_MAX = 3.0
KEEPALIVE_S = 125.0  # longer than the load balancer's idle time-out (120 s), or it meets closed connections
LAME_DUCK_S = 1.0
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
UNLOGGED = ("/healthz", "/readyz", "/metrics")
"""Routes that ask how the service is: not worth a line, and no measure of its work."""


def make_app(
    metrics: Metrics, *, public_url: str = "", ready: Mapping[str, ReadyCheck] | None = None
) -> web.Application:
    """An application with ``/healthz``, ``/readyz`` and ``/metrics``, to which a service adds its routes.

    ``ready`` names what the service needs; each check raises while it is away. ``public_url`` (without a slash at
    its end) is where people reach the service; problem types start with it.
    """
    # The last bound on bodies; `read_body` holds each route to its own, tighter one.
    app = web.Application(middlewares=[_trace, _observe, _problems], client_max_size=64 * 1024 * 1024)
    app[METRICS] = metrics
    app[PUBLIC_URL] = public_url
    app[CONTEXTS] = OutsideContexts()
    app[DRAINING] = asyncio.Event()
    app.router.add_get("/healthz", _healthz)
    app.router.add_get("/readyz", _readyz(dict(ready or {})))
    app.router.add_get("/metrics", _metrics)
    return app


class HttpServer:
    """The part of a service that listens. ``port`` 0 takes a free one; ``port`` says which after ``start``."""

    def __init__(self, app: web.Application, host: str, port: int, *, lame_duck_s: float = LAME_DUCK_S) -> None:
        self._app = app
        self._host = host
        self.port = port
        self._lame_duck_s = lame_duck_s
        self._closing = asyncio.Event()
        self._runner = web.AppRunner(
            app, handle_signals=False, access_log=None, keepalive_timeout=KEEPALIVE_S, shutdown_timeout=30.0
        )

    async def start(self) -> None:
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self.port, reuse_address=True)
        await site.start()
        self.port = int(self._runner.addresses[0][1])
        get_logger().info("listening", host=self._host, port=self.port)

    async def run(self) -> None:
        """Serve until drained: then go on a moment while the load balancer looks elsewhere, and finish requests."""
        await self._closing.wait()
        await asyncio.sleep(self._lame_duck_s)
        await self._runner.cleanup()

    async def drain(self) -> None:
        self._app[DRAINING].set()
        self._closing.set()

    async def stop(self) -> None:
        await self._runner.cleanup()


def remote_address(request: web.Request) -> str:
    """Who asks: the last entry of X-Forwarded-For, which the nearest hop wrote, else the connection's other end.

    Earlier entries are the asker's own words.
    """
    forwarded = ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")[-1].strip()
    return (forwarded or request.remote or "")[:64]


@web.middleware
async def _trace(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A span for each request, in the trace that its asker names. Routes, not paths: these hold ids and names."""
    route = _route_name(request)
    if route in UNLOGGED or not tracing.is_on():
        return await handler(request)
    parent = request.app[CONTEXTS].take(request.headers.get(TRACEPARENT, ""))
    method = _method_name(request)
    attributes = {"http.request.method": method, "http.route": route}
    with tracing.span(f"{method} {route}", SpanKind.SERVER, parent=parent, attributes=attributes) as span:
        response = await handler(request)
        span.set({"http.response.status_code": response.status})
        if response.status >= 500:
            span.fail(str(response.status))
        return response


@web.middleware
async def _observe(request: web.Request, handler: Handler) -> web.StreamResponse:
    given = request.headers.get(REQUEST_ID, "")
    request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
    request[REQUEST] = request_id
    clear_context()
    bind_context(request=request_id)
    metrics = request.app[METRICS]
    route, method = _route_name(request), _method_name(request)
    began = time.monotonic()
    status = "cancelled"  # the asker went away
    metrics.requests_in_flight.inc()
    try:
        response = await handler(request)
        status = str(response.status)
        if request.app[DRAINING].is_set():
            response.force_close()  # the next request on this connection might come too late
        if not response.prepared:
            response.headers[REQUEST_ID] = request_id
            response.headers["X-Content-Type-Options"] = "nosniff"
        return response
    finally:
        took = time.monotonic() - began
        metrics.requests_in_flight.dec()
        metrics.requests.labels(method, route, status).inc()
        metrics.request_seconds.labels(method, route).observe(took)
        if route not in UNLOGGED:
            get_logger().info("request", method=method, route=route, status=status, ms=round(took * 1000))


@web.middleware
async def _problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    facts: dict[str, object]
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        kind, detail = problems.of_http_status(error.status)
        status, facts = error.status, {}
        allowed = error.headers.get("Allow")
    except Exception as error:  # noqa: BLE001 (every error must become a problem document)
        kind, status, detail, facts = problems.problem_of(error)
        allowed = None
        _log_problem(error, kind, status)
    response = problems.problem_response(
        kind, status, detail, public_url=request.app[PUBLIC_URL], request=request[REQUEST], facts=facts
    )
    if request.content.exception() is not None:
        response.force_close()  # where the next request would begin is anybody's guess
    if allowed:
        response.headers["Allow"] = allowed
    return response


def _log_problem(error: Exception, kind: str, status: int) -> None:
    log = get_logger()
    if not isinstance(error, SynclineError):
        log.error("request-failed", kind=kind, exc_info=error)
    elif status >= 500 and kind != "draining":  # to take leave is no failure
        log.error("request-failed", kind=kind, error=type(error).__name__, reason=str(error)[:500])
    else:
        log.info("request-refused", kind=kind)


def _method_name(request: web.Request) -> str:
    """One of HTTP's own: whoever asks chooses the word, and each would be a time series for ever."""
    return request.method if request.method in METH_ALL else "other"


def _route_name(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource else "unknown"


async def _healthz(_request: web.Request) -> web.Response:
    return web.json_response({"alive": True})


def _readyz(checks: dict[str, ReadyCheck]) -> Handler:
    async def ready(request: web.Request) -> web.Response:
        if request.app[DRAINING].is_set():
            raise Refused("draining", "This instance is shutting down.", status=503, retry_after_s=1)
        states = dict(zip(checks, await asyncio.gather(*map(_check, checks.values())), strict=True))
        return web.json_response(
            {"ready": all(states.values()), "checks": states}, status=200 if all(states.values()) else 503
        )

    return ready


async def _check(check: ReadyCheck) -> bool:
    try:
        await asyncio.wait_for(check(), READY_CHECK_S_MAX)
    except (SynclineError, TimeoutError, OSError) as error:
        if not isinstance(error, Temporary | TimeoutError):
            get_logger().error("not-ready", reason=str(error)[:500])
        return False
    return True


async def _metrics(request: web.Request) -> web.Response:
    return web.Response(body=request.app[METRICS].exposition(), headers={"Content-Type": CONTENT_TYPE})
