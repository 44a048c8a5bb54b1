"""Webhooks over HTTP: owners only, the secret once, nothing inside, no more than a few."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from services.notifier.app import Notifier, Ports, make_notifier
from syncline.domain.webhooks import sign
from syncline.memory.mail import MemoryMailer
from syncline.ports.tables import Delete, Key, Table
from syncline.store.webhooks import WEBHOOKS_MAX, Webhooks
from tests.unit.gateway.mailroom import refused
from tests.unit.gateway.world import LINK_KEYS, Person, World

URL = "https://hooks.example.org/in/s3cret"


async def add(person: Person, library: str, url: str = URL) -> Any:
    status, made = await person.ask("POST", f"/v1/libraries/{library}/webhooks", {"url": url})
    assert status == 201, made
    return made


async def listed(person: Person, library: str) -> Any:
    return (await person.ask("GET", f"/v1/libraries/{library}/webhooks"))[1]["webhooks"]


async def test_an_owner_adds_lists_and_removes_one(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    await alice.put(library, "before", b"0")
    made = await add(alice, library)
    hook = made["webhook"]
    assert (hook["url"], hook["made_by"], hook["delivered_seq"]) == (URL, alice.account, 1)
    assert await listed(alice, library) == [hook]
    assert made["secret"] not in str(await listed(alice, library))
    [stored] = await Webhooks(world.tables).of_library(library)
    assert (stored.secret, stored.known) == (made["secret"], 1)
    assert sign(made["secret"], 1, b"") == sign(stored.secret, 1, b"")
    path = f"/v1/libraries/{library}/webhooks/{hook['id']}"
    assert (await alice.ask("DELETE", path))[0] == 204
    assert await listed(alice, library) == []
    assert await refused(alice, "DELETE", path) == (404, "no-such-webhook")
    assert await refused(alice, "DELETE", f"{path}x") == (404, "no-such-webhook")


async def test_two_have_two_secrets(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    assert (await add(alice, library))["secret"] != (await add(alice, library))["secret"]


@pytest.mark.parametrize("role", ["editor", "viewer", None])
async def test_nobody_but_owners_sees_or_changes_them(world: World, role: str | None) -> None:
    alice, bob = await world.person("alice"), await world.person("bob")
    library = await alice.library()
    made = await add(alice, library)
    if role is not None:
        await alice.ask("POST", f"/v1/libraries/{library}/members", {"email": bob.email, "role": role})
    expected = (404, "no-such-library") if role is None else (403, "not-allowed")
    path = f"/v1/libraries/{library}/webhooks"
    assert await refused(bob, "GET", path) == expected
    assert await refused(bob, "POST", path, {"url": URL}) == expected
    assert await refused(bob, "DELETE", f"{path}/{made['webhook']['id']}") == expected
    assert len(await listed(alice, library)) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.org/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://169.254.169.254/",
        "https://[",
        "x" * 9,
    ],
)
async def test_an_address_that_can_be_none_is_refused(world: World, url: str) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    assert await refused(alice, "POST", f"/v1/libraries/{library}/webhooks", {"url": url}) == (422, "bad-webhook")
    assert await listed(alice, library) == []


async def test_a_library_has_only_so_many(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    for _ in range(WEBHOOKS_MAX):
        made = await add(alice, library)
    path = f"/v1/libraries/{library}/webhooks"
    assert await refused(alice, "POST", path, {"url": URL}) == (409, "too-many-webhooks")
    await alice.ask("DELETE", f"{path}/{made['webhook']['id']}")
    await add(alice, library)


async def test_the_audit_log_tells_who_added_which_host_and_no_secret(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    made = await add(alice, library)
    await alice.ask("DELETE", f"/v1/libraries/{library}/webhooks/{made['webhook']['id']}")
    _, log = await alice.ask("GET", f"/v1/libraries/{library}/audit")
    told = {entry["action"]: entry for entry in log["entries"] if entry["action"].startswith("webhook.")}
    assert set(told) == {"webhook.add", "webhook.remove"}
    assert told["webhook.add"]["details"] == {"host": "hooks.example.org", "webhook": made["webhook"]["id"]}
    assert told["webhook.remove"]["details"] == {"webhook": made["webhook"]["id"]}
    assert "s3cret" not in str(log)
    assert made["secret"] not in str(log)


class Told:
    """A ``Poster`` that is answered 200."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        self.bodies.append(msgspec.json.decode(body))
        return 200


def notifier_of(world: World, poster: Told) -> Notifier:
    return make_notifier(
        Ports(world.tables, world.queues, MemoryMailer(), world.clock, poster=poster),
        link_keys=LINK_KEYS,
        public_url="http://syncline.test",
        mail_from="Syncline <mail@syncline.test>",
        window_s=10,
    )


async def disable(world: World, library: str, *, problem: str = "HTTP status 500") -> None:
    webhooks = Webhooks(world.tables)
    [hook] = await webhooks.of_library(library)
    found = await webhooks.get(library, hook.id)
    assert found is not None
    now_ms = world.clock.now_ms()
    disabled = msgspec.structs.replace(
        hook, disabled_at_ms=now_ms, problem=problem, due_at_ms=now_ms, failing_since_ms=1, attempts=9
    )
    await webhooks.change(hook, disabled, found[1])


async def test_an_owner_enables_one_that_was_disabled_and_it_hears_what_it_missed(world: World) -> None:
    alice, bob = await world.person("alice"), await world.person("bob")
    library = await alice.library()
    hook = (await add(alice, library))["webhook"]
    path = f"/v1/libraries/{library}/webhooks/{hook['id']}/enable"
    assert await alice.ask("POST", path) == (200, hook)  # it is told already
    await disable(world, library)
    await alice.put(library, "missed", b"0")
    await alice.share(library, bob, "editor")
    assert await refused(bob, "POST", path) == (403, "not-allowed")
    await alice.share(library, bob, "owner")
    assert await bob.ask("POST", path) == (200, {**hook, "made_by": bob.account})
    [stored] = await Webhooks(world.tables).of_library(library)
    assert (stored.delivered, stored.known, stored.attempts) == (0, 1, 0)
    told = Told()
    await notifier_of(world, told).deliverer.round()
    assert [(one["from_seq"], one["to_seq"], one["changes"][0]["name"]) for one in told.bodies] == [(1, 1, "missed")]
    assert await refused(alice, "POST", path.replace(hook["id"], "x" * 20)) == (404, "no-such-webhook")
    entries = (await alice.ask("GET", f"/v1/libraries/{library}/audit"))[1]["entries"]
    assert "webhook.enable" in {entry["action"] for entry in entries}


async def test_one_that_missed_nothing_waits_for_the_next_commit(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    hook = (await add(alice, library))["webhook"]
    await disable(world, library)
    await alice.ask("POST", f"/v1/libraries/{library}/webhooks/{hook['id']}/enable")
    [stored] = await Webhooks(world.tables).of_library(library)
    assert (stored.disabled_at_ms, stored.due_at_ms, stored.problem) == (0, 0, "")


async def test_the_limit_holds_when_many_are_added_at_once(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    path = f"/v1/libraries/{library}/webhooks"
    answers = await asyncio.gather(*(alice.ask("POST", path, {"url": URL}) for _ in range(2 * WEBHOOKS_MAX)))
    assert Counter(status for status, _ in answers) == {201: WEBHOOKS_MAX, 409: WEBHOOKS_MAX}
    hooks = await listed(alice, library)
    assert len(hooks) == WEBHOOKS_MAX
    removals = await asyncio.gather(*(alice.ask("DELETE", f"{path}/{hooks[0]['id']}") for _ in range(3)))
    assert sorted(status for status, _ in removals) == [204, 404, 404]
    await add(alice, library)
    assert await refused(alice, "POST", path, {"url": URL}) == (409, "too-many-webhooks")


async def test_webhooks_older_than_their_count_are_counted_too(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    path, uncounted = f"/v1/libraries/{library}/webhooks", Delete(Table.MAIL, Key(f"webhooks#{library}", "!count"))
    for _ in range(WEBHOOKS_MAX):
        made = await add(alice, library)
    await world.tables.write(uncounted)
    assert await refused(alice, "POST", path, {"url": URL}) == (409, "too-many-webhooks")
    await world.tables.write(uncounted)
    await alice.ask("DELETE", f"{path}/{made['webhook']['id']}")
    await add(alice, library)
    assert await refused(alice, "POST", path, {"url": URL}) == (409, "too-many-webhooks")
