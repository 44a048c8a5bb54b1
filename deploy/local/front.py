"""The front door: one address for gateway and syncer, as the load balancer gives in production.

    python -m deploy.local.front PORT GATEWAY_PORT METADATA_PORT SYNCER_PORT NOTIFIER_PORT

`/v1/sync/*` goes to the syncer, everything else to the gateway; bodies stream both ways and a client
that goes away takes its upstream request with it. `/readyz` tells whether all four services are ready.
"""

from __future__ import annotations

import asyncio
import re
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from deploy.definition import SERVICES
from deploy.local.place import HOST

# As the load balancer's: a held request of 50 s passes.
IDLE_SECONDS_MAX = 120.0
CONNECT_SECONDS_MAX = 5.0
READY_SECONDS_MAX = 3.0
DRAIN_SECONDS = 3.0
CONNECTIONS_MAX = 2048
CHUNK_BYTES = 256 * 1024
HEADER_BYTES_MAX = 16 * 1024
SYNC_PREFIX = "/v1/sync/"
REQUEST_ID = "X-Request-Id"

_REQUEST_ID_FORM = re.compile(r"[A-Za-z0-9._-]{8,64}")
# What aiohttp's client would say for itself; an added Accept-Encoding would change the answer.
_NEVER_ADDED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


@dataclass(frozen=True, slots=True)
class Upstreams:
    """Where the services listen, by their names."""

    urls: Mapping[str, str]

    def of(self, path: str) -> str:
        return self.urls["syncer" if path.startswith(SYNC_PREFIX) else "gateway"]


class FrontDoor:
    """Passes requests on; holds one pool of connections for all of them."""

    def __init__(self, upstreams: Upstreams, session: aiohttp.ClientSession):
        self._upstreams = upstreams
        self._session = session

    async def ready(self, _: web.Request) -> web.Response:
        """200 when all four services are ready, else 503; both name each service's state."""
        names = list(self._upstreams.urls)
        ready = await asyncio.gather(*(self._is_ready(self._upstreams.urls[name]) for name in names))
        states = {name: "ready" if yes else "not ready" for name, yes in zip(names, ready, strict=True)}
        return web.json_response(states, status=200 if all(ready) else 503)

    async def inside_only(self, _: web.Request) -> web.Response:
        """Metrics are for the inside."""
        return _problem(404, "not found", "Nothing is served here.")

    async def pass_on(self, request: web.Request) -> web.StreamResponse:
        request_id = _request_id(request)
        url = URL(self._upstreams.of(request.path) + request.raw_path, encoded=True)
        try:
            async with self._session.request(
                request.method,
                url,
                headers=_forwarded(request, request_id),
                data=request.content.iter_chunked(CHUNK_BYTES) if request.body_exists else None,
                allow_redirects=False,
                skip_auto_headers=_NEVER_ADDED,
            ) as upstream:
                return await _answer(request, upstream, request_id)
        except TimeoutError:
            return _problem(504, "gateway timeout", "The service did not answer in time.")
        except aiohttp.ClientConnectionError:
            return _problem(502, "bad gateway", "The service cannot be reached; try again soon.")

    async def _is_ready(self, url: str) -> bool:
        timeout = aiohttp.ClientTimeout(total=READY_SECONDS_MAX)
        try:
            async with self._session.get(f"{url}/readyz", timeout=timeout) as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False


@asynccontextmanager
async def front_app(upstreams: Upstreams) -> AsyncIterator[web.Application]:
    """The front door as an aiohttp application, with its pool of connections open."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS_MAX, sock_read=IDLE_SECONDS_MAX)
    async with aiohttp.ClientSession(
        timeout=timeout,
        auto_decompress=False,
        connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX),
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        door = FrontDoor(upstreams, session)
        app = web.Application()
        app.router.add_get("/readyz", door.ready)
        app.router.add_route("*", "/metrics", door.inside_only)
        app.router.add_route("*", "/{path:.*}", door.pass_on)
        yield app


async def serve(port: int, upstreams: Upstreams) -> None:
    """Serve on `port` until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with front_app(upstreams) as app:
        # Cancelling a handler whose client has gone is what closes the request upstream.
        runner = web.AppRunner(
            app,
            handle_signals=False,
            handler_cancellation=True,
            access_log=None,
            keepalive_timeout=IDLE_SECONDS_MAX,
            shutdown_timeout=DRAIN_SECONDS,
            max_field_size=HEADER_BYTES_MAX,
            max_line_size=HEADER_BYTES_MAX,
        )
        await runner.setup()
        await web.TCPSite(runner, HOST, port).start()
        await stop.wait()
        await runner.cleanup()


async def _answer(request: web.Request, upstream: aiohttp.ClientResponse, request_id: str) -> web.StreamResponse:
    response = web.StreamResponse(status=upstream.status, reason=upstream.reason, headers=_end_to_end(upstream.headers))
    response.headers[REQUEST_ID] = request_id
    await response.prepare(request)
    # From here on a failure can only cut the connection, which tells the client that the body is not whole.
    async for chunk in upstream.content.iter_any():
        await response.write(chunk)
    await response.write_eof()
    return response


def _request_id(request: web.Request) -> str:
    given = request.headers.get(REQUEST_ID, "")
    return given if _REQUEST_ID_FORM.fullmatch(given) else uuid.uuid4().hex


def _problem(status: int, title: str, detail: str) -> web.Response:
    problem = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return web.json_response(problem, status=status, content_type="application/problem+json")


def _forwarded(request: web.Request, request_id: str) -> CIMultiDict[str]:
    headers = _end_to_end(request.headers)
    headers["X-Forwarded-For"] = ", ".join(filter(None, (request.headers.get("X-Forwarded-For"), request.remote)))
    headers["X-Forwarded-Proto"] = request.scheme
    headers[REQUEST_ID] = request_id
    return headers


def _end_to_end(headers: Mapping[str, str]) -> CIMultiDict[str]:
    named = {name.strip().lower() for name in headers.get("Connection", "").split(",")}
    return CIMultiDict(
        (name, value)
        for name, value in headers.items()
        if name.lower() not in _HOP_BY_HOP and name.lower() not in named
    )


if __name__ == "__main__":
    front_port, *service_ports = map(int, sys.argv[1:])
    services = zip(SERVICES, service_ports, strict=True)
    asyncio.run(serve(front_port, Upstreams({name: f"http://{HOST}:{port}" for name, port in services})))
