"""Quotas over HTTP: refused up front and in full, never after the upload."""

from __future__ import annotations

import asyncio

from syncline.store.usage import Quotas, Usage
from tests.unit.gateway.world import Person, running_world


async def ask(person: Person, library: str, *contents: bytes) -> tuple[int, dict[str, object]]:
    intents = [person.intent(content, parent=library, name=f"{n}") for n, content in enumerate(contents)]
    return await person.ask("POST", f"/v1/libraries/{library}/uploads", {"intents": intents})


async def test_what_has_no_room_is_refused_up_front_with_the_numbers():
    async with running_world(quotas=Quotas(library_bytes=1_000)) as world:
        alice = await world.person("alice")
        library = await alice.library()
        status, _ = await ask(alice, library, b"x" * 600)
        assert status == 200
        status, problem = await ask(alice, library, b"x" * 300, b"y" * 200)
        assert status == 507
        assert str(problem["type"]).endswith("/problems/quota-exceeded")
        numbers = (problem["used_bytes"], problem["quota_bytes"], problem["asked_bytes"])
        assert numbers == (600, 1_000, 500)
        status, _ = await ask(alice, library, b"x" * 400)
        assert status == 200
        status, _ = await ask(alice, library, b"")
        assert status == 200, "an empty file takes no room"


async def test_what_was_permitted_is_committed_though_the_quota_shrank_meanwhile():
    async with running_world() as world:
        alice = await world.person("alice")
        library = await alice.library()
        permitted = await alice.permit(library, b"x" * 600, parent=library, name="large")
        await Usage(world.tables).set_library_quota(library, 10)
        answer = await alice.commit(library, {"op": "add", "permit": permitted["permit"]})
        assert answer["results"][0]["status"] == "applied"
        status, _ = await ask(alice, library, b"x")
        assert status == 507


async def test_renewing_a_credential_takes_no_room():
    async with running_world(quotas=Quotas(library_bytes=600)) as world:
        alice = await world.person("alice")
        library = await alice.library()
        _, granted = await ask(alice, library, b"x" * 600)
        for _ in range(3):
            status, again = await alice.ask("POST", f"/v1/libraries/{library}/uploads", {"grant": granted["grant"]})
            assert (status, again["grant"], again["permits"]) == (200, granted["grant"], [])
        assert (await Usage(world.tables).of_library(library)).bytes == 600
        status, problem = await alice.ask("POST", f"/v1/libraries/{library}/uploads", {"intents": []})
        assert (status, problem["at"]) == (422, "$.intents")


async def test_copies_take_no_room():
    async with running_world(quotas=Quotas(library_bytes=600)) as world:
        alice = await world.person("alice")
        library = await alice.library()
        made = await alice.put(library, "one", b"x" * 600)
        copy = {"op": "copy", "source": made["version"], "parent": library, "name": "two"}
        answer = await alice.commit(library, copy | alice.intent(b"x" * 600))
        assert answer["results"][0]["status"] == "applied"
        status, used = await alice.ask("GET", f"/v1/libraries/{library}/usage")
        assert (status, used) == (200, {"library": library, "used_bytes": 600, "quota_bytes": 600})


async def test_a_quota_of_its_own_goes_before_the_common_one():
    async with running_world(quotas=Quotas(library_bytes=10, account_bytes=10)) as world:
        alice = await world.person("alice")
        library, usage = await alice.library(), Usage(world.tables)
        await usage.set_library_quota(library, 0)
        assert (await ask(alice, library, b"x" * 600))[0] == 507
        await usage.set_account_quota(alice.account, 1_000)
        assert (await ask(alice, library, b"x" * 600))[0] == 200
        assert (await ask(alice, library, b"x" * 600))[0] == 507


async def test_an_account_is_charged_for_all_it_owns_and_one_owner_with_room_is_enough():
    async with running_world(quotas=Quotas(account_bytes=1_000)) as world:
        alice, bob = await world.person("alice"), await world.person("bob")
        one, two = await alice.library("One"), await alice.library("Two")
        await alice.share(two, bob, "editor")
        assert (await ask(alice, one, b"x" * 700))[0] == 200
        status, problem = await ask(bob, two, b"x" * 700)
        assert (status, problem["quota_of"]) == (507, "account")
        assert (await ask(alice, two, b"x" * 200))[0] == 200
        status, mine = await alice.ask("GET", "/v1/me/usage")
        assert (mine["used_bytes"], mine["quota_bytes"]) == (900, 1_000)
        assert {use["library"]: use["used_bytes"] for use in mine["libraries"]} == {one: 700, two: 200}
        await alice.share(two, bob, "owner")
        assert (await ask(alice, two, b"x" * 700))[0] == 200
        assert (await bob.ask("GET", "/v1/me/usage"))[1]["used_bytes"] == 900


async def test_many_at_once_do_not_pass_the_quota():
    async with running_world(quotas=Quotas(library_bytes=1_000)) as world:
        alice = await world.person("alice")
        library = await alice.library()
        answers = await asyncio.gather(*(ask(alice, library, b"x" * 90) for _ in range(20)))
        assert sorted(status for status, _ in answers) == [200] * 11 + [507] * 9
        assert (await Usage(world.tables).of_library(library)).bytes == 990


async def test_strangers_learn_nothing_of_usage():
    async with running_world() as world:
        alice, eve = await world.person("alice"), await world.person("eve")
        library = await alice.library()
        assert (await eve.ask("GET", f"/v1/libraries/{library}/usage"))[0] == 404
