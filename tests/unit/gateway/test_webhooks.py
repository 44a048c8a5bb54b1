"""Webhooks over HTTP: owners only, the secret once, nothing inside, no more than a few."""

from __future__ import annotations

from typing import Any

import pytest

from syncline.domain.webhooks import sign
from syncline.store.webhooks import WEBHOOKS_MAX, Webhooks
from tests.unit.gateway.mailroom import refused
from tests.unit.gateway.world import Person, World

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
