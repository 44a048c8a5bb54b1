"""The front door: which service gets what, and that nothing is changed or held back on the way."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from yarl import URL

from deploy.definition import SERVICES
from deploy.local.front import Upstreams, front_app

LARGE = 3 * 2**20


@dataclass
class Service:
    """A stand-in for one service that tells what it got."""

    name: str
    ready: bool = True
    url: str = ""
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    held: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/readyz":
            return web.Response(status=200 if self.ready else 503)
        if request.path.endswith("/hold"):
            self.held.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        if request.path.endswith("/stream"):
            return await self._stream(request)
        if request.path.endswith("/zip"):
            return web.Response(body=gzip.compress(b"x"), headers={"Content-Encoding": "gzip"})
        body = await request.read()
        told = {
            "service": self.name,
            "path": request.raw_path,
            "size": len(body),
            "headers": dict(request.headers),
        }
        return web.json_response(told, status=207, headers={"X-Own": "1", "Set-Cookie": "a=b"})

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first")
        await self.held.wait()
        await response.write(b"second")
        return response


@dataclass
class House:
    """A front door before four services."""

    url: str
    services: dict[str, Service]
    client: aiohttp.ClientSession


async def _serve(stack: AsyncExitStack, app: web.Application) -> str:
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return f"http://127.0.0.1:{runner.addresses[0][1]}"


@pytest_asyncio.fixture
async def house() -> AsyncIterator[House]:
    services = {name: Service(name) for name in SERVICES}
    async with AsyncExitStack() as stack:
        for service in services.values():
            app = web.Application(client_max_size=2 * LARGE)
            app.router.add_route("*", "/{path:.*}", service.answer)
            service.url = await _serve(stack, app)
        upstreams = Upstreams({name: service.url for name, service in services.items()})
        url = await _serve(stack, await stack.enter_async_context(front_app(upstreams)))
        client = await stack.enter_async_context(aiohttp.ClientSession(auto_decompress=False))
        yield House(url, services, client)


@pytest.mark.parametrize(
    ("path", "service"),
    [
        ("/v1/sync/heads?since=a%2Fb", "syncer"),
        ("/v1/libraries/x%2Fy/commits", "gateway"),
        ("/v1/synchronise", "gateway"),
        ("/", "gateway"),
    ],
)
async def test_paths_find_their_service_unchanged(house, path, service):
    async with house.client.get(URL(house.url + path, encoded=True)) as response:
        told = await response.json()
    assert (response.status, response.headers["X-Own"], response.headers["Set-Cookie"]) == (207, "1", "a=b")
    assert (told["service"], told["path"]) == (service, path)


async def test_headers_say_where_a_request_comes_from(house):
    sent = {"X-Forwarded-For": "203.0.113.9", "Connection": "X-Hop", "X-Hop": "1"}
    async with house.client.get(house.url, headers=sent, skip_auto_headers=["Accept-Encoding"]) as response:
        got = {name.lower(): value for name, value in (await response.json())["headers"].items()}
    assert got["x-forwarded-for"] == "203.0.113.9, 127.0.0.1"
    assert got["x-forwarded-proto"] == "http"
    assert got["host"] in house.url
    assert got["x-request-id"] == response.headers["X-Request-Id"]
    assert "x-hop" not in got
    assert "accept-encoding" not in got


async def test_a_request_id_from_outside_is_kept_if_harmless(house):
    for given, kept in (("trace-0123456789", True), ("bad id here", False), ("x" * 200, False)):
        async with house.client.get(house.url, headers={"X-Request-Id": given}) as response:
            assert (response.headers["X-Request-Id"] == given) is kept


async def test_bodies_pass_whole_and_as_they_are(house):
    async with house.client.post(house.url, data=b"x" * LARGE) as response:
        assert (await response.json())["size"] == LARGE
    async with house.client.get(house.url + "/zip") as response:
        assert response.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(await response.read()) == b"x"


async def test_an_answer_streams_while_it_is_made(house):
    async with house.client.get(house.url + "/stream") as response:
        assert await response.content.readexactly(5) == b"first"
        house.services["gateway"].held.set()
        assert await response.content.read() == b"second"


async def test_a_client_that_goes_away_takes_its_request_with_it(house):
    syncer = house.services["syncer"]
    request = asyncio.create_task(house.client.get(house.url + "/v1/sync/hold").__aenter__())
    await syncer.held.wait()
    request.cancel()
    await asyncio.wait_for(syncer.cancelled.wait(), 30)


async def test_ready_is_when_all_four_are(house):
    async with house.client.get(house.url + "/readyz") as response:
        assert (response.status, await response.json()) == (200, dict.fromkeys(SERVICES, "ready"))
    house.services["notifier"].ready = False
    async with house.client.get(house.url + "/readyz") as response:
        assert (response.status, (await response.json())["notifier"]) == (503, "not ready")


async def test_metrics_stay_inside(house):
    async with house.client.get(house.url + "/metrics") as response:
        assert response.status == 404


async def test_a_service_that_is_away_is_a_problem_document():
    async with AsyncExitStack() as stack:
        upstreams = Upstreams(dict.fromkeys(SERVICES, "http://127.0.0.1:1"))
        url = await _serve(stack, await stack.enter_async_context(front_app(upstreams)))
        client = await stack.enter_async_context(aiohttp.ClientSession())
        async with client.get(url) as response:
            assert (response.status, response.content_type) == (502, "application/problem+json")
        async with client.get(url + "/readyz") as response:
            assert response.status == 503
