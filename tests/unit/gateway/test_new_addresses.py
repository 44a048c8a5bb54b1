"""A change of address: both addresses must say yes, and nobody learns who else has an account."""

from __future__ import annotations

import pytest

from syncline.domain.capabilities import ADDRESS_LIFE_S
from tests.unit.gateway.mailroom import Mailroom, refused, sign_in, strangers, token_in
from tests.unit.gateway.world import PASSWORD, Person, World

NEW = "alice@example.com"
CONFIRM = "/v1/address-changes/confirm"


async def asked(alice: Person, mail: Mailroom, new: str = NEW) -> tuple[str, str]:
    """The tokens that the old and the new address got."""
    assert (await alice.ask("POST", "/v1/me/address", {"email": new, "password": PASSWORD}))[0] == 202
    await mail.deliver()
    return token_in(mail.letters(alice.email)[-1]), token_in(mail.letters(new)[-1])


@pytest.mark.parametrize("new_first", [False, True])
async def test_the_address_changes_when_both_have_confirmed(world: World, new_first: bool) -> None:
    alice = await world.person("alice")
    mail = Mailroom(world)
    tokens = await asked(alice, mail)
    first, second = reversed(tokens) if new_first else tokens
    for _ in range(2):  # saying yes twice is no second voice
        _, answer, _ = await world.ask("POST", CONFIRM, {"token": first})
        assert answer == {"done": False}
    assert await sign_in(world, NEW) == (401, "sign-in-failed")
    _, answer, _ = await world.ask("POST", CONFIRM, {"token": second})
    assert answer == {"done": True}
    assert await sign_in(world, NEW) == (201, "")
    assert await sign_in(world, alice.email) == (401, "sign-in-failed")
    assert (await alice.ask("GET", "/v1/me"))[1]["account"]["email"] == NEW, "its devices stay signed in"
    assert "was changed" in str((await mail.last(alice.email))["Subject"])
    assert await strangers(world, "POST", CONFIRM, {"token": second}) == (410, "link-used")


async def test_the_old_address_is_free_again(world: World) -> None:
    alice = await world.person("alice")
    for token in await asked(alice, Mailroom(world)):
        assert (await world.ask("POST", CONFIRM, {"token": token}))[0] == 200
    assert (await world.person("alice")).account != alice.account


async def test_a_link_to_a_new_password_sent_to_the_old_address_is_dead(world: World) -> None:
    alice = await world.person("alice")
    mail = Mailroom(world)
    reset = await mail.reset_token(alice.email)
    for token in await asked(alice, mail):
        await world.ask("POST", CONFIRM, {"token": token})
    body = {"token": reset, "password": "a wholly new password"}
    assert await strangers(world, "POST", "/v1/password-resets/use", body) == (410, "link-used")


async def test_links_end_and_a_later_change_replaces_an_earlier_one(world: World) -> None:
    alice = await world.person("alice")
    mail = Mailroom(world)
    earlier = await asked(alice, mail)
    later = await asked(alice, mail, "alice@example.net")
    for token in earlier:
        assert await strangers(world, "POST", CONFIRM, {"token": token}) == (410, "link-used")
    assert (await world.ask("POST", CONFIRM, {"token": later[0]}))[0] == 200
    world.clock.advance(ADDRESS_LIFE_S)
    assert await strangers(world, "POST", CONFIRM, {"token": later[1]}) == (410, "link-expired")
    assert await sign_in(world, alice.email) == (201, "")


async def test_an_address_that_is_taken_is_refused_only_to_who_reads_it(world: World) -> None:
    alice, bob = await world.person("alice"), await world.person("bob")
    mail = Mailroom(world)
    answers = []
    for new in (bob.email, "nobody@example.org"):
        body = {"email": new, "password": PASSWORD}
        status, answer = await alice.ask("POST", "/v1/me/address", body)
        answers.append((status, answer))
    assert answers[0] == answers[1] == (202, b"")
    old, new_token = await asked(alice, mail, bob.email)
    assert (await world.ask("POST", CONFIRM, {"token": old}))[0] == 200
    assert await strangers(world, "POST", CONFIRM, {"token": new_token}) == (409, "email-taken")
    assert (await bob.ask("GET", "/v1/me"))[1]["account"]["email"] == bob.email


async def test_it_takes_the_password(world: World) -> None:
    alice = await world.person("alice")
    body = {"email": NEW, "password": "not the password"}
    assert await refused(alice, "POST", "/v1/me/address", body) == (403, "wrong-password")
    body = {"email": alice.email, "password": PASSWORD}
    assert (await refused(alice, "POST", "/v1/me/address", body))[0] == 422
    mail = Mailroom(world)
    await mail.deliver()
    assert mail.mailer.sent == []


async def test_the_page_asks_first(world: World) -> None:
    alice = await world.person("alice")
    old, new = await asked(alice, Mailroom(world))
    status, page, _ = await world.ask("GET", f"/v1/address?token={old}")
    assert status == 200
    assert NEW.encode() in page
    await world.ask("GET", f"/v1/address?token={new}")
    assert await sign_in(world, NEW) == (401, "sign-in-failed"), "a visit alone changes nothing"
    for token in (old, new):
        assert (await world.ask("POST", f"/v1/address?token={token}"))[0] == 200
    assert await sign_in(world, NEW) == (201, "")
