"""Requests to the service: tokens renewed once and kept before they are used, retries, problems as errors."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from aiohttp import web

from syncline.client.api import Api
from syncline.client.home import Home, SavedSession, SessionFile
from syncline.client.http import Transport, pause_s, problem_error, route_of
from syncline.domain.errors import Broken, Refused, Temporary
from syncline.messages import api as m

PROBLEM = "https://example.com/problems/"


@dataclass
class FakeGateway:
    """Knows one good access and refresh token at a time; a refresh token used twice is never good again."""

    access: int = 1
    refresh: int = 1
    revoked: bool = False
    refreshed: int = 0
    served: int = 0
    troubles: deque[web.Response | str] = field(default_factory=deque)
    saved_when_used: list[bool] = field(default_factory=list)
    tokens: SessionFile | None = None
    pending: int = 0
    keys: list[str] = field(default_factory=list)

    async def refresh_tokens(self, request: web.Request) -> web.Response:
        body = msgspec.msgpack.decode(await request.read(), type=m.Refresh)
        await asyncio.sleep(0.02)
        if body.refresh_token != f"refresh-{self.refresh}":
            self.revoked = True
        if self.revoked:
            return problem(401, "device-revoked")
        self.refreshed += 1
        self.refresh += 1
        self.access += 1
        return answer(session(self.access, self.refresh))

    async def me(self, request: web.Request) -> web.Response:
        if self.troubles:
            trouble = self.troubles.popleft()
            if isinstance(trouble, web.Response):
                return trouble
            assert request.transport
            request.transport.abort()
            return web.Response()
        if request.headers["Authorization"] != f"Bearer access-{self.access}":
            return problem(401, "bad-token")
        if self.tokens is not None:
            saved = self.tokens.load()
            self.saved_when_used.append(saved is not None and saved.refresh_token == f"refresh-{self.refresh}")
        self.served += 1
        return answer(m.Me(account=ACCOUNT, device="d", device_name="laptop"))

    async def make_library(self, request: web.Request) -> web.Response:
        self.served += 1
        assert request.transport
        request.transport.abort()
        return web.Response()

    async def commit(self, request: web.Request) -> web.Response:
        self.keys.append(request.headers["Idempotency-Key"])
        return self.outcome_now()

    async def outcome(self, _: web.Request) -> web.Response:
        return self.outcome_now()

    def outcome_now(self) -> web.Response:
        self.pending -= 1
        done = self.pending < 0
        return answer(m.CommitAnswer(command="c", done=done, seq=7 if done else 0), 200 if done else 202)


ACCOUNT = m.Account(id="a", email="a@example.com", name="Alice")


def session(access: int, refresh: int) -> m.Session:
    return m.Session(
        account=ACCOUNT,
        device="d",
        device_name="laptop",
        access_token=f"access-{access}",
        expires_in_s=900,
        refresh_token=f"refresh-{refresh}",
    )


def answer(body: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.msgpack.encode(body), content_type="application/msgpack")


def problem(status: int, slug: str, **members: object) -> web.Response:
    body = {"type": PROBLEM + slug, "title": slug, "status": status, "detail": f"because of {slug}", **members}
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/problem+json")


@dataclass
class Bench:
    gateway: FakeGateway
    server: str
    tokens: SessionFile
    api: Api

    def sign_in(self, *, access_until: float) -> None:
        self.tokens.save(
            SavedSession(
                server=self.server,
                account="a",
                email="a@example.com",
                account_name="Alice",
                device="d",
                device_name="laptop",
                refresh_token="refresh-1",
                access_token="access-1",
                access_until=access_until,
            )
        )


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    gateway = FakeGateway()
    app = web.Application()
    app.router.add_post("/v1/sessions/refresh", gateway.refresh_tokens)
    app.router.add_get("/v1/me", gateway.me)
    app.router.add_post("/v1/libraries", gateway.make_library)
    app.router.add_post("/v1/libraries/lib/commits", gateway.commit)
    app.router.add_get("/v1/libraries/lib/commits/c", gateway.outcome)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server
    server = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"  # type: ignore[attr-defined]
    tokens = SessionFile(Home(tmp_path / "home"))
    async with Api(server, tokens, transport=Transport(server, tokens, tries=3)) as api:
        bench = Bench(gateway, server, tokens, api)
        bench.sign_in(access_until=time.time() + 900)
        yield bench
    await runner.cleanup()


async def test_a_good_token_is_used_as_it_is(bench: Bench) -> None:
    await bench.api.me()
    assert (bench.gateway.served, bench.gateway.refreshed) == (1, 0)


async def test_many_requests_renew_once_and_keep_the_new_token_before_using_it(bench: Bench) -> None:
    bench.sign_in(access_until=0)
    bench.gateway.tokens = bench.tokens
    await asyncio.gather(*(bench.api.me() for _ in range(10)))
    assert (bench.gateway.served, bench.gateway.refreshed, bench.gateway.revoked) == (10, 1, False)
    assert all(bench.gateway.saved_when_used)


async def test_two_processes_of_one_home_renew_once(bench: Bench) -> None:
    bench.sign_in(access_until=0)
    async with Api(bench.server, bench.tokens) as other:
        await asyncio.gather(bench.api.me(), other.me(), bench.api.me(), other.me())
    assert (bench.gateway.refreshed, bench.gateway.revoked) == (1, False)


async def test_a_token_the_service_no_longer_takes_is_renewed(bench: Bench) -> None:
    bench.gateway.access = 5
    await bench.api.me()
    assert (bench.gateway.served, bench.gateway.refreshed) == (1, 1)


async def test_a_revoked_device_must_sign_in_again(bench: Bench) -> None:
    bench.gateway.revoked = True
    bench.sign_in(access_until=0)
    with pytest.raises(Refused) as refused:
        await bench.api.me()
    assert (refused.value.kind, refused.value.status) == ("device-revoked", 401)


async def test_nobody_signed_in(bench: Bench) -> None:
    bench.tokens.clear()
    with pytest.raises(Refused) as refused:
        await bench.api.me()
    assert refused.value.kind == "not-signed-in"


async def test_trouble_is_waited_out(bench: Bench) -> None:
    bench.gateway.troubles += [problem(503, "busy"), "drop"]
    await bench.api.me()
    assert bench.gateway.served == 1


async def test_tries_are_bounded(bench: Bench) -> None:
    bench.gateway.troubles += [problem(429, "slow-down") for _ in range(10)]
    with pytest.raises(Temporary, match="slow-down"):
        await bench.api.me()
    assert len(bench.gateway.troubles) == 7


async def test_what_must_not_happen_twice_is_not_repeated(bench: Bench) -> None:
    with pytest.raises(Temporary):
        await bench.api.create_library("Shared")
    assert bench.gateway.served == 1


async def test_an_outcome_is_asked_for_until_it_is_known(bench: Bench) -> None:
    bench.gateway.pending = 3
    answered = await bench.api.commit("lib", m.CommitBody(requests=[]), key="the key")
    assert (answered.done, answered.seq, bench.gateway.keys) == (True, 7, ["the key"])


async def test_a_service_that_is_away(tmp_path: Path) -> None:
    tokens = SessionFile(Home(tmp_path))
    async with Api("x", tokens, transport=Transport("http://127.0.0.1:1", tokens, tries=2)) as api:
        with pytest.raises(Temporary, match="cannot be reached"):
            await api.sign_up("a@example.com", "password", "Alice")


def test_problems_become_errors() -> None:
    gone = problem_error(
        410,
        "application/problem+json",
        b'{"type":"https://x/problems/cursor-gone","title":"t","status":410,"detail":"d","start":"/s","request":"r"}',
    )
    assert isinstance(gone, Refused)
    assert (gone.kind, gone.status, gone.detail, gone.facts) == (
        "cursor-gone",
        410,
        "d",
        {"start": "/s", "request": "r"},
    )
    assert isinstance(problem_error(502, "text/html", b"<html>"), Temporary)
    plain = problem_error(404, "text/plain", b"not found")
    assert isinstance(plain, Refused)
    assert plain.kind == "http-404"


@pytest.mark.parametrize(
    ("tries", "retry_after", "low", "high"),
    [(1, "", 0.1, 0.2), (50, "", 5, 10), (1, "7", 7, 7), (1, "100000", 60, 60), (1, "Mon, 23 Nov", 0.1, 0.2)],
)
def test_pauses_grow_and_are_bounded(tries: int, retry_after: str, low: float, high: float) -> None:
    assert all(low <= pause_s(tries, retry_after) <= high for _ in range(50))


def test_the_session_is_private_and_damage_is_told(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    tokens = SessionFile(home)
    assert tokens.load() is None
    tokens.save(
        SavedSession(
            server="s", account="a", email="e", account_name="n", device="d", device_name="l", refresh_token="r"
        )
    )
    assert home.session_path.stat().st_mode & 0o777 == 0o600
    assert home.path.stat().st_mode & 0o777 == 0o700
    home.session_path.write_text("{")
    with pytest.raises(Broken, match="sign in again"):
        tokens.load()


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v1/libraries/abcdefghijklmnopqrst/uploads", "/v1/libraries/{}/uploads"),
        ("/v1/me", "/v1/me"),
        ("/v1/links/eyJhbGciOi.J9", "/v1/links/{}"),
        ("/v1/people/erna@example.org", "/v1/people/{}"),
        ("/v1/x/Gehaltsliste.ods/y", "/v1/x/{}/y"),
    ],
)
def test_a_route_is_told_without_what_it_names(path: str, route: str) -> None:
    assert route_of(path) == route
