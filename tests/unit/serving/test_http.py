"""The application factory: problem documents, request ids, readiness, metrics, leaving."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer, make_mocked_request

from syncline.domain.errors import Broken, ConditionFailed, NotFound, Refused, Temporary
from syncline.serving.bodies import prefers_msgpack
from syncline.serving.http import HttpServer, make_app, remote_address
from syncline.serving.metrics import Metrics


def raising(error: BaseException) -> Any:
    async def handler(_request: web.Request) -> web.Response:
        raise error

    return handler


async def get(app: web.Application, path: str, **more: Any) -> tuple[int, Any, Any]:
    async with TestClient(TestServer(app)) as client:
        response = await client.get(path, **more)
        body = await response.read()
        decoded = msgspec.json.decode(body) if "json" in response.content_type else body
        return response.status, decoded, response.headers


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (Refused("no-such-node", "Not there.", status=404, hint="look"), 404, "no-such-node"),
        (Temporary("secret host away"), 503, "temporarily-unavailable"),
        (ConditionFailed("secret"), 503, "temporarily-unavailable"),
        (NotFound("secret"), 404, "not-found"),
        (Broken("secret"), 500, "internal"),
        (ZeroDivisionError("secret"), 500, "internal"),
        (web.HTTPRequestEntityTooLarge(1, 2), 413, "body-too-large"),
        (web.HTTPUpgradeRequired(), 426, "malformed-request"),
    ],
)
async def test_every_error_is_a_problem_document(error: Exception, status: int, kind: str) -> None:
    app = make_app(Metrics("t"), public_url="https://x.test")
    app.router.add_get("/it", raising(error))
    got, problem, headers = await get(app, "/it", headers={"X-Request-Id": "abcdefgh-1"})
    assert got == status
    assert headers["Content-Type"] == "application/problem+json"
    assert (problem["type"], problem["status"]) == (f"https://x.test/problems/{kind}", status)
    assert problem["title"]
    assert problem["request"] == headers["X-Request-Id"] == "abcdefgh-1"
    assert "secret" not in str(problem)
    assert ("Retry-After" in headers) == (status == 503)
    if isinstance(error, Refused):
        assert (problem["detail"], problem["hint"]) == ("Not there.", "look")


async def test_unknown_paths_and_methods_are_problems_too() -> None:
    app = make_app(Metrics("t"))
    app.router.add_post("/it", raising(Broken("")))
    status, problem, _ = await get(app, "/nowhere")
    assert (status, problem["type"]) == (404, "/problems/not-found")
    status, problem, headers = await get(app, "/it")
    assert (status, problem["type"], headers["Allow"]) == (405, "/problems/method-not-allowed", "POST")


@pytest.mark.parametrize("given", ["", "short", "x" * 65, "a b c d e f", "<script>aaaa"])
async def test_harmful_request_ids_are_not_taken_over(given: str) -> None:
    _, _, headers = await get(make_app(Metrics("t")), "/healthz", headers={"X-Request-Id": given})
    assert headers["X-Request-Id"] != given
    assert len(headers["X-Request-Id"]) == 16


async def test_ready_says_what_is_away() -> None:
    async def fine() -> None: ...

    async def away() -> None:
        raise Temporary("away")

    async def hanging() -> None:
        await asyncio.Event().wait()

    status, body, _ = await get(make_app(Metrics("t"), ready={"tables": fine}), "/readyz")
    assert (status, body) == (200, {"ready": True, "checks": {"tables": True}})
    app = make_app(Metrics("t"), ready={"tables": fine, "queues": away, "other": hanging})
    status, body, _ = await get(app, "/readyz")
    assert (status, body) == (503, {"ready": False, "checks": {"tables": True, "queues": False, "other": False}})
    status, _, _ = await get(make_app(Metrics("t"), ready={"queues": away}), "/healthz")
    assert status == 200


async def test_requests_are_counted_by_route_not_by_path() -> None:
    metrics = Metrics("t")
    app = make_app(metrics)
    app.router.add_get("/things/{thing}", raising(Refused("x", "", status=404)))
    async with TestClient(TestServer(app)) as client:
        for thing in ("a", "b", "c"):
            await client.get(f"/things/{thing}")
        await client.get("/else/where")
        text = await (await client.get("/metrics")).text()
    assert 'syncline_t_requests_total{method="GET",route="/things/{thing}",status="404"} 3.0' in text
    assert 'route="unknown",status="404"} 1.0' in text
    assert "/things/a" not in text
    assert "/else" not in text


async def test_a_server_that_leaves_finishes_its_requests() -> None:
    app = make_app(Metrics("t"))
    begun, finish = asyncio.Event(), asyncio.Event()

    async def slow(_request: web.Request) -> web.Response:
        begun.set()
        await finish.wait()
        return web.Response(text="done")

    app.router.add_get("/slow", slow)
    server = HttpServer(app, "127.0.0.1", 0, lame_duck_s=0.3)
    await server.start()
    running = asyncio.create_task(server.run())
    base = f"http://127.0.0.1:{server.port}"
    async with aiohttp.ClientSession() as session:
        asked = asyncio.create_task(session.get(f"{base}/slow"))
        await begun.wait()
        await server.drain()
        # The load balancer is told before the door closes, and keeps no connection for later.
        ready = await session.get(f"{base}/readyz")
        assert (ready.status, ready.headers["Connection"]) == (503, "close")
        finish.set()
        response = await asked
        assert (response.status, await response.text()) == (200, "done")
    await asyncio.wait_for(running, 10)
    await server.stop()
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"{base}/healthz")


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("application/msgpack", True),
        ("application/x-msgpack;q=0.9, application/json;q=0.5", True),
        ("application/msgpack;q=0.5, application/json", False),
        ("application/msgpack;q=0", False),
        ("application/msgpack;q=x", False),
        ("text/html, application/MSGPACK", True),
        (",;=,;", False),
    ],
)
def test_accept_chooses_the_form(accept: str, expected: bool) -> None:
    headers = {"Accept": accept} if accept else {}
    assert prefers_msgpack(make_mocked_request("GET", "/", headers=headers)) is expected


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [("203.0.113.9", "203.0.113.9"), ("1.2.3.4, 203.0.113.9", "203.0.113.9"), ("evil,, 203.0.113.9 ", "203.0.113.9")],
)
def test_only_the_nearest_hop_is_believed(forwarded: str, expected: str) -> None:
    request = make_mocked_request("GET", "/", headers={"X-Forwarded-For": forwarded})
    assert remote_address(request) == expected


async def test_an_askers_own_words_make_no_time_series() -> None:
    metrics = Metrics("t")
    app = make_app(metrics)
    async with TestClient(TestServer(app)) as client:
        for method in ("PROPFIND", "MKCOL"):
            await client.request(method, "/nowhere/Budget.ods")
    text = metrics.exposition().decode()
    assert not any(word in text for word in ("PROPFIND", "MKCOL", "Budget"))
    assert 'syncline_t_requests_total{method="other",route="unknown",status="404"} 2.0' in text
