"""Webhooks: told once each time where that is possible, tried for a day, disabled with notice, never told inside."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from services.notifier.app import Notifier, Ports, make_notifier
from services.notifier.delivering import CHANGES_MAX, NOT_OWNED
from services.notifier.due import RETRY_S
from services.notifier.hooks import GIVE_UP_MS, LEASE_MS
from services.notifier.reaching import HttpsPoster, Poster
from syncline.domain.cursors import decode_cursor
from syncline.domain.errors import Temporary
from syncline.domain.rights import Role
from syncline.domain.webhooks import is_public, sign
from syncline.messages.webhook_delivery import SIGNATURE_HEADER, WEBHOOK_HEADER
from syncline.ports.tables import Tables
from syncline.store.incarnations import Incarnations, Lineage
from syncline.store.segments import Origin
from syncline.store.webhooks import Webhook, Webhooks
from tests.unit.notifier.world import LINK_KEYS, PUBLIC_URL, Crash, CrashingTables, World, body_of, rows
from tests.unit.writing import INCARNATION, Writer, made_id

URL = "https://hooks.example.org/in/s3cret"
SECRET = "whsec_test"
HOOK = made_id("hook")


class Receiver:
    """Answers with ``status``; ``failing`` is why it does not answer at all."""

    def __init__(self) -> None:
        self.status = 200
        self.failing = ""
        self.told: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.bodies: list[bytes] = []
        self.held: asyncio.Event | None = None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        assert url == URL
        if self.held is not None:
            await self.held.wait()
        if self.failing:
            raise Temporary(self.failing)
        self.told.append(msgspec.json.decode(body))
        self.bodies.append(body)
        self.headers.append(headers)
        return self.status

    @property
    def ranges(self) -> list[tuple[int, int]]:
        return [(one["from_seq"], one["to_seq"]) for one in self.told]


class Hooked:
    """A library of Alice's with a webhook, and a notifier."""

    def __init__(self) -> None:
        self.world = World()
        self.receiver = Receiver()
        self.webhooks = Webhooks(self.world.tables)
        self.notifier = self.another()

    def another(self, *, tables: Tables | None = None, poster: Poster | None = None) -> Notifier:
        return make_notifier(
            Ports(
                tables or self.world.tables,
                self.world.queues,
                self.world.mailer,
                self.world.clock,
                poster=poster or self.receiver,
            ),
            link_keys=LINK_KEYS,
            public_url=PUBLIC_URL,
            mail_from="Syncline <mail@sync.example.org>",
            window_s=10,
        )

    async def ready(self, url: str = URL) -> Hooked:
        self.alice = await self.world.account("Alice")
        self.bob = await self.world.account("Bob")
        self.library: Writer = await self.world.library("Shared", self.alice, self.bob)
        await self.webhooks.add(
            Webhook(HOOK, self.library.id, url, SECRET, self.alice, 1, INCARNATION, delivered=0, known=0)
        )
        return self

    async def hook(self) -> Webhook:
        found = await self.webhooks.get(self.library.id, HOOK)
        assert found is not None
        return found[0]

    async def moved(self, *names: str) -> None:
        for name in names:
            await self.library.add(self.bob, name)
        await self.world.told(self.notifier, self.library)

    async def later(self, seconds: float) -> None:
        self.world.clock.advance(seconds)
        await self.notifier.deliverer.round()

    async def letters(self) -> list[str]:
        while await self.notifier.letters.run_once():
            pass
        return [sent.to for sent in self.world.mailer.sent]


async def test_a_webhook_is_told_of_what_changed_signed_and_with_a_cursor() -> None:
    hooked = await Hooked().ready()
    await hooked.moved("a", "b")
    await hooked.later(0)
    [told] = hooked.receiver.told
    assert (told["library"], told["webhook"], told["from_seq"], told["to_seq"]) == (hooked.library.id, HOOK, 1, 2)
    assert [(c["effect"], c["name"], c["account"]) for c in told["changes"]] == [
        ("added", "a", hooked.bob),
        ("added", "b", hooked.bob),
    ]
    assert told["more"] is False
    cursor = decode_cursor(told["cursor"])
    assert (cursor.incarnation, cursor.seq) == (INCARNATION, 0)
    [headers], [body] = hooked.receiver.headers, hooked.receiver.bodies
    assert headers[WEBHOOK_HEADER] == HOOK
    assert headers[SIGNATURE_HEADER] == sign(SECRET, hooked.world.clock.now_ms() // 1000, body)
    await hooked.later(LEASE_MS / 1000)
    await hooked.moved()
    await hooked.later(0)
    assert hooked.receiver.ranges == [(1, 2)]
    await hooked.moved("c")
    await hooked.later(0)
    assert hooked.receiver.ranges == [(1, 2), (3, 3)]
    assert rows(hooked.world.tables, "webhookdue#") == []


async def test_a_flood_is_told_in_part_and_says_so() -> None:
    hooked = await Hooked().ready()
    await hooked.library.add_all(hooked.bob, [f"n{n}" for n in range(CHANGES_MAX)])
    await hooked.moved("one-more")
    await hooked.later(0)
    [told] = hooked.receiver.told
    assert (len(told["changes"]), told["more"], told["to_seq"]) == (CHANGES_MAX, True, 2)


@pytest.mark.parametrize("status", [199, 301, 302, 307, 400, 404, 410, 429, 500, 503])
async def test_any_answer_but_success_is_tried_again_after_a_growing_pause(status: int) -> None:
    hooked = await Hooked().ready()
    hooked.receiver.status = status
    await hooked.moved("a")
    await hooked.later(0)
    for tries, pause_s in enumerate(RETRY_S[:4], start=1):
        await hooked.later(pause_s - 1)
        assert len(hooked.receiver.told) == tries
        assert (await hooked.hook()).problem == f"HTTP status {status}"
        await hooked.later(1)
        assert len(hooked.receiver.told) == tries + 1
    hooked.receiver.status = 204
    await hooked.later(RETRY_S[4])
    hook = await hooked.hook()
    assert (hook.delivered, hook.attempts, hook.failing_since_ms, hook.problem, hook.due_at_ms) == (1, 0, 0, "", 0)


async def test_what_comes_while_it_fails_is_told_with_the_rest() -> None:
    hooked = await Hooked().ready()
    hooked.receiver.failing = "no answer within 10 s"
    await hooked.moved("a")
    await hooked.later(0)
    assert (await hooked.hook()).problem == "no answer within 10 s"
    await hooked.moved("b")
    hooked.receiver.failing = ""
    await hooked.later(RETRY_S[0])
    assert hooked.receiver.ranges == [(1, 2)]


async def test_after_a_day_it_is_disabled_and_the_owners_get_one_letter() -> None:
    hooked = await Hooked().ready()
    carol = await hooked.world.account("Carol")
    await hooked.world.directory.set_member(hooked.library.id, carol, Role.OWNER)
    hooked.receiver.failing = "no connection"
    await hooked.moved("a")
    await hooked.later(0)
    since_ms = (await hooked.hook()).failing_since_ms
    while not (await hooked.hook()).disabled_at_ms:
        assert await hooked.letters() == []
        await hooked.later(((await hooked.hook()).due_at_ms - hooked.world.clock.now_ms()) / 1000)
    assert (await hooked.hook()).disabled_at_ms == since_ms + GIVE_UP_MS
    await hooked.later(0)
    assert sorted(await hooked.letters()) == ["alice@example.org", "carol@example.org"]
    text = body_of(hooked.world.mailer.sent[0].message)
    assert "Shared" in text
    assert "hooks.example.org" in text
    assert "s3cret" not in text
    hooked.receiver.failing = ""
    await hooked.moved("b")
    await hooked.later(GIVE_UP_MS / 1000)
    assert (hooked.receiver.told, len(await hooked.letters())) == ([], 2)
    assert rows(hooked.world.tables, "webhookdue#") == []


async def test_a_success_within_the_day_begins_the_day_anew() -> None:
    hooked = await Hooked().ready()
    for _ in range(2):
        hooked.receiver.failing = "no connection"
        await hooked.moved(f"n{hooked.library.seq}")
        await hooked.later(0)
        await hooked.later(GIVE_UP_MS / 1000 - 3600)
        hooked.receiver.failing = ""
        await hooked.later(3599)
    assert not (await hooked.hook()).disabled_at_ms
    assert hooked.receiver.ranges == [(1, 1), (2, 2)]


async def test_of_many_workers_one_delivers() -> None:
    hooked = await Hooked().ready()
    workers = [hooked.another() for _ in range(4)]
    await hooked.moved("a")
    hooked.receiver.held = asyncio.Event()
    rounds = [asyncio.create_task(worker.deliverer.round()) for worker in (*workers, *workers)]
    for _ in range(50):
        await asyncio.sleep(0)
    hooked.receiver.held.set()
    await asyncio.gather(*rounds)
    assert hooked.receiver.ranges == [(1, 1)]


async def test_a_worker_that_is_slower_than_its_lease_settles_nothing_of_another_s() -> None:
    hooked = await Hooked().ready()
    slow = Receiver()
    slow.held = asyncio.Event()
    await hooked.moved("a")
    late = asyncio.create_task(hooked.another(poster=slow).deliverer.round())
    for _ in range(50):
        await asyncio.sleep(0)
    hooked.receiver.status = 500
    await hooked.later(LEASE_MS / 1000)
    after = await hooked.hook()
    assert after.problem == "HTTP status 500"
    slow.held.set()
    await late
    assert await hooked.hook() == after


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", [1, 2])
async def test_a_worker_that_dies_anywhere_leaves_it_due(at: int, after: bool) -> None:
    hooked = await Hooked().ready()
    await hooked.moved("a")
    dying = CrashingTables(hooked.world.tables, at, after=after)
    with pytest.raises(Crash):
        await hooked.another(tables=dying).deliverer.round()
    await hooked.later(LEASE_MS / 1000)
    assert (await hooked.hook()).delivered == 1
    # Twice only when it died between the answer and saying so.
    assert hooked.receiver.ranges == [(1, 1)] * (2 if (at, after) == (2, False) else 1)


async def test_one_that_was_removed_is_told_nothing_and_leaves_nothing() -> None:
    hooked = await Hooked().ready()
    await hooked.moved("a")
    await hooked.webhooks.remove(hooked.library.id, HOOK)
    await hooked.later(0)
    assert hooked.receiver.told == []
    assert [row for row in rows(hooked.world.tables, "webhook") if not row.endswith("!count")] == []


async def test_one_whose_maker_owns_the_library_no_more_is_disabled_before_it_is_told() -> None:
    hooked = await Hooked().ready()
    await hooked.world.directory.set_member(hooked.library.id, hooked.bob, Role.OWNER)
    await hooked.world.directory.set_member(hooked.library.id, hooked.alice, Role.EDITOR)
    await hooked.moved("a")
    await hooked.later(0)
    await hooked.later(0)
    assert hooked.receiver.told == []
    assert (await hooked.hook()).problem == NOT_OWNED
    assert await hooked.letters() == ["bob@example.org"]


async def test_after_a_rebuild_it_is_told_from_where_the_journals_part() -> None:
    hooked = await Hooked().ready()
    await hooked.moved("a", "b", "c")
    await hooked.later(0)
    hook = await hooked.hook()
    before = msgspec.structs.replace(hook, incarnation="before", delivered=9, known=9)
    await hooked.webhooks.change(hook, before, await _rev(hooked))
    await Incarnations(hooked.world.tables).record(hooked.library.id, INCARNATION, Lineage(1, (Origin("before", 2),)))
    await hooked.moved("d")
    await hooked.later(0)
    assert hooked.receiver.ranges == [(1, 3), (3, 4)]


async def _rev(hooked: Hooked) -> int:
    found = await hooked.webhooks.get(hooked.library.id, HOOK)
    assert found is not None
    return found[1]


# -- posting, to a server of our own ----------------------------------------------------------------------------------


class Names(AbstractResolver):
    """Resolves every host to these addresses."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Nothing is open."""


class Site:
    """A server on 127.0.0.1: counts, answers, redirects to itself, or never answers."""

    def __init__(self) -> None:
        self.got: list[tuple[str, bytes, Mapping[str, str]]] = []
        self.port = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.got.append((request.path, await request.read(), request.headers.copy()))
        if request.path == "/away":
            return web.Response(status=302, headers={"Location": f"http://127.0.0.1:{self.port}/inside"})
        if request.path == "/never":
            await asyncio.sleep(60)
        if request.path == "/endless":
            response = web.StreamResponse()
            await response.prepare(request)
            while True:
                await response.write(b"x" * 65_536)
        return web.Response(status=202)


@asynccontextmanager
async def site() -> AsyncIterator[Site]:
    made, app = Site(), web.Application()
    app.router.add_route("*", "/{path:.*}", made.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        listening = web.TCPSite(runner, "127.0.0.1", 0)
        await listening.start()
        made.port = runner.addresses[0][1]
        yield made
    finally:
        await runner.cleanup()


def inside(**more: Any) -> HttpsPoster:
    """A poster that is allowed what tests need."""
    return HttpsPoster(rule=lambda address: address == "127.0.0.1", schemes=("http",), **more)


async def test_a_delivery_arrives_whole_and_its_signature_fits() -> None:
    async with site() as server:
        hooked = await Hooked().ready(f"http://127.0.0.1:{server.port}/in?x=1")
        notifier = hooked.another(poster=inside())
        await hooked.moved("a")
        await notifier.deliverer.round()
        [(path, body, headers)] = server.got
    assert path == "/in"
    assert headers["Content-Type"] == "application/json"
    at_s = int(headers[SIGNATURE_HEADER].partition(",")[0].removeprefix("t="))
    assert headers[SIGNATURE_HEADER] == sign(SECRET, at_s, body)
    assert msgspec.json.decode(body)["changes"][0]["name"] == "a"
    assert (await hooked.hook()).delivered == 1


async def test_a_redirect_is_not_followed() -> None:
    async with site() as server:
        assert await inside().post(f"http://127.0.0.1:{server.port}/away", b"{}", {}) == 302
        assert [path for path, _, _ in server.got] == ["/away"]


async def test_an_endless_answer_and_none_end_in_time() -> None:
    async with site() as server:
        assert await inside().post(f"http://127.0.0.1:{server.port}/endless", b"{}", {}) == 200
        with pytest.raises(Temporary, match="no answer within"):
            await inside(timeout_s=0.2).post(f"http://127.0.0.1:{server.port}/never", b"{}", {})


@pytest.mark.parametrize(
    "addresses", [("127.0.0.1",), ("8.8.8.8", "127.0.0.1"), ("::ffff:127.0.0.1",), ("169.254.169.254",)]
)
async def test_a_name_that_leads_inside_is_not_connected_to(addresses: tuple[str, ...]) -> None:
    async with site() as server:
        poster = HttpsPoster(rule=is_public, schemes=("http",), resolver=Names(*addresses))
        with pytest.raises(Temporary, match="no address on the open internet"):
            await poster.post(f"http://hooks.example.org:{server.port}/", b"{}", {})
        assert server.got == []


async def test_a_name_is_connected_to_where_it_was_judged_to_lead() -> None:
    async with site() as server:
        poster = inside(resolver=Names("127.0.0.1"))
        assert await poster.post(f"http://hooks.example.org:{server.port}/", b"{}", {}) == 202


@pytest.mark.parametrize("host", ["127.0.0.1", "0x7f000001", "[::ffff:127.0.0.1]", "localhost"])
async def test_an_address_itself_is_judged_however_it_is_written(host: str) -> None:
    async with site() as server:
        judged: list[str] = []

        def rule(address: str) -> bool:
            judged.append(address)
            return is_public(address)

        with pytest.raises(Temporary):
            await HttpsPoster(rule=rule, schemes=("http",)).post(f"http://{host}:{server.port}/", b"{}", {})
        assert judged
        assert server.got == []


@pytest.mark.parametrize("host", ["127.0.0.1.", "127.1", "2130706433", "0177.0.0.1"])
async def test_an_address_in_a_form_of_its_own_is_none(host: str) -> None:
    async with site() as server:
        with pytest.raises(Temporary, match="no valid address"):
            await inside().post(f"http://{host}:{server.port}/", b"{}", {})
        assert server.got == []


async def test_nothing_is_told_over_http() -> None:
    async with site() as server:
        with pytest.raises(Temporary, match="https only"):
            await HttpsPoster(rule=lambda _: True).post(f"http://127.0.0.1:{server.port}/", b"{}", {})
        assert server.got == []
