"""Registration in its three modes, and invitations: what a link is good for, and for whom."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher

from services.gateway.passwords import Passwords
from syncline.domain.capabilities import INVITATION_LIFE_S
from syncline.domain.registration import Registration
from syncline.store.directory import AccountRecord, Directory
from tests.unit.gateway.mailroom import Mailroom, kind_of, refused, sign_in, strangers, text_of
from tests.unit.gateway.world import PASSWORD, Person, World, running_world

EVE = "eve@example.org"


async def invite(alice: Person, library: str, email: str = EVE, role: str = "editor") -> dict[str, object]:
    status, member = await alice.ask("POST", f"/v1/libraries/{library}/members", {"email": email, "role": role})
    assert status == 200, member
    return dict(member)


async def register(world: World, email: str = EVE, invitation: str = "") -> tuple[int, str]:
    body = {"email": email, "password": PASSWORD, "name": "Eve", "invitation": invitation}
    return await strangers(world, "POST", "/v1/accounts", body)


async def test_who_has_no_account_is_invited_and_becomes_a_member_by_registering(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library("Papers")
    invited = await invite(alice, library, role="viewer")
    assert (invited["invited"], invited["account"], invited["role"]) == (True, "", "viewer")
    mail = Mailroom(world)
    letter = await mail.last(EVE)
    assert "alice invites you to Papers" in str(letter["Subject"])
    assert await register(world, invitation=await mail.token(EVE)) == (201, "")
    eve = await world.sign_in(EVE)
    _, libraries = await eve.ask("GET", "/v1/libraries")
    assert [(one["name"], one["role"]) for one in libraries["libraries"]] == [("Papers", "viewer")]
    _, left = await alice.ask("GET", f"/v1/libraries/{library}/invitations")
    assert left == {"invitations": []}


async def test_one_link_brings_everything_the_address_was_invited_to(world: World) -> None:
    alice, bob = await world.person("alice"), await world.person("bob")
    papers, plans = await alice.library("Papers"), await bob.library("Plans")
    await invite(alice, papers)
    await invite(bob, plans, role="viewer")
    assert await register(world, invitation=await Mailroom(world).token(EVE)) == (201, "")
    _, libraries = await (await world.sign_in(EVE)).ask("GET", "/v1/libraries")
    assert {one["id"]: one["role"] for one in libraries["libraries"]} == {papers: "editor", plans: "viewer"}


async def test_registering_without_the_link_brings_nothing(world: World) -> None:
    """Addresses are not checked then: whoever says to be eve must not get what was meant for her."""
    alice = await world.person("alice")
    library = await alice.library()
    await invite(alice, library)
    assert await register(world) == (201, "")
    mallory = await world.sign_in(EVE)
    _, libraries = await mallory.ask("GET", "/v1/libraries")
    assert libraries == {"libraries": []}
    # Eve opens her link: it does not help the one who took her address.
    token = await Mailroom(world).token(EVE)
    path = f"/v1/invitation?token={token}"
    status, page, _ = await world.ask("GET", path)
    assert (status, b"You have an account" in page) == (200, True)
    status, page, _ = await world.ask("POST", path, data={"password": "eve's own password"})
    assert status == 401
    assert b"set a new password" in page
    assert (await mallory.ask("GET", f"/v1/libraries/{library}"))[0] == 404
    # She takes the account over by mail, and has the library.
    reset = await Mailroom(world).reset_token(EVE)
    body = {"token": reset, "password": "eve's own password"}
    assert (await world.ask("POST", "/v1/password-resets/use", body))[0] == 204
    assert (await mallory.ask("GET", "/v1/me"))[0] == 401
    assert (await world.ask("POST", path, data={"password": "eve's own password"}))[0] == 200
    session = {"email": EVE, "password": "eve's own password", "device_name": "x"}
    _, signed_in, _ = await world.ask("POST", "/v1/sessions", session)
    assert (await Person(world, signed_in).ask("GET", f"/v1/libraries/{library}"))[0] == 200


async def test_a_link_is_for_its_own_address(world: World) -> None:
    alice, mallory = await world.person("alice"), await world.person("mallory")
    library = await alice.library()
    await invite(alice, library)
    token = await Mailroom(world).token(EVE)
    assert await register(world, "mallory2@example.org", token) == (403, "invitation-for-another")
    answer = await refused(mallory, "POST", "/v1/invitations/accept", {"token": token})
    assert answer == (403, "invitation-for-another")
    assert (await mallory.ask("GET", f"/v1/libraries/{library}"))[0] == 404


async def test_somebody_with_an_account_accepts_signed_in(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    await invite(alice, library)
    await register(world)
    eve = await world.sign_in(EVE)
    token = await Mailroom(world).token(EVE)
    status, accepted = await eve.ask("POST", "/v1/invitations/accept", {"token": token})
    assert (status, accepted) == (200, {"libraries": [library]})
    assert await refused(eve, "POST", "/v1/invitations/accept", {"token": token}) == (410, "invitation-gone")


async def test_an_accepted_invitation_takes_nothing_away(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    await invite(alice, library, role="viewer")
    await register(world)
    eve = await world.sign_in(EVE)
    await alice.share(library, eve, "owner")
    token = await Mailroom(world).token(EVE)
    assert (await eve.ask("POST", "/v1/invitations/accept", {"token": token}))[0] == 200
    _, got = await eve.ask("GET", f"/v1/libraries/{library}")
    assert got["role"] == "owner"


async def test_a_link_ends_and_a_revoked_one_at_once(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    await invite(alice, library)
    mail = Mailroom(world)
    token = await mail.token(EVE)
    _, listed = await alice.ask("GET", f"/v1/libraries/{library}/invitations")
    [invitation] = listed["invitations"]
    assert (invitation["email"], invitation["role"], invitation["inviter"]) == (EVE, "editor", alice.account)
    path = f"/v1/libraries/{library}/invitations/{invitation['id']}"
    assert (await alice.ask("DELETE", path))[0] == 204
    assert await refused(alice, "DELETE", path) == (404, "no-such-invitation")
    assert await register(world, invitation=token) == (410, "invitation-gone")
    await invite(alice, library)
    token = await mail.token(EVE)
    world.clock.advance(INVITATION_LIFE_S)
    assert await register(world, invitation=token) == (410, "link-expired")
    _, listed = await (await world.sign_in(alice.email)).ask("GET", f"/v1/libraries/{library}/invitations")
    assert listed == {"invitations": []}


async def test_only_owners_see_and_revoke_and_only_their_own(world: World) -> None:
    alice, bob = await world.person("alice"), await world.person("bob")
    library, other = await alice.library(), await bob.library()
    await alice.share(library, bob, "editor")
    await invite(alice, library)
    _, listed = await alice.ask("GET", f"/v1/libraries/{library}/invitations")
    invitation = listed["invitations"][0]["id"]
    assert await refused(bob, "GET", f"/v1/libraries/{library}/invitations") == (403, "not-allowed")
    path = f"/v1/libraries/{library}/invitations/{invitation}"
    assert await refused(bob, "DELETE", path) == (403, "not-allowed")
    path = f"/v1/libraries/{other}/invitations/{invitation}"
    assert await refused(bob, "DELETE", path) == (404, "no-such-invitation")


async def test_inviting_again_changes_the_role_and_sends_one_letter_in_a_while(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    mail = Mailroom(world)
    for role in ("viewer", "editor", "viewer"):
        await invite(alice, library, role=role)
    await mail.deliver()
    assert len(mail.letters(EVE)) == 1
    world.clock.advance(11 * 60)
    await invite(alice, library, role="owner")
    await mail.deliver()
    assert len(mail.letters(EVE)) == 2
    _, listed = await alice.ask("GET", f"/v1/libraries/{library}/invitations")
    assert [one["role"] for one in listed["invitations"]] == ["owner"]


async def test_where_one_must_be_invited_nobody_registers_without() -> None:
    async with running_world(deciding=False, registration=Registration.INVITED) as world:
        assert await register(world) == (403, "registration-closed")
        # The first account comes from an operator; here it is stored by hand.
        alice = await stored(world, "alice@example.org")
        library = await alice.library("Papers")
        await invite(alice, library)
        token = await Mailroom(world).token(EVE)
        assert await register(world, invitation="x") == (404, "bad-link")
        assert await register(world, invitation=token) == (201, "")
        assert await sign_in(world, EVE) == (201, "")


async def test_where_registration_is_closed_nobody_is_invited() -> None:
    async with running_world(deciding=False, registration=Registration.CLOSED) as world:
        alice = await stored(world, "alice@example.org")
        library = await alice.library()
        assert await register(world) == (403, "registration-closed")
        body = {"email": EVE, "role": "editor"}
        assert await refused(alice, "POST", f"/v1/libraries/{library}/members", body) == (404, "no-such-account")
        mail = Mailroom(world)
        await mail.deliver()
        assert mail.mailer.sent == []


async def test_the_page_registers(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library("Papers <script>")
    await invite(alice, library)
    mail = Mailroom(world)
    path = f"/v1/invitation?token={await mail.token(EVE)}"
    status, page, _ = await world.ask("GET", path)
    assert status == 200
    assert b"alice invites eve@example.org" in page
    assert b"<script>" not in page
    status, page, _ = await world.ask("POST", path, data={"name": "Eve", "password": "short"})
    assert (status, b"<form" in page) == (422, True)
    assert (await world.ask("POST", path, data={"name": "Eve", "password": PASSWORD}))[0] == 200
    eve = await world.sign_in(EVE)
    assert (await eve.ask("GET", f"/v1/libraries/{library}"))[0] == 200
    assert (await world.ask("GET", path))[0] == 410


async def test_a_registration_cut_short_goes_on_with_the_link(world: World) -> None:
    """The account was made, joining failed: the link still works with the password that was set."""
    alice = await world.person("alice")
    library = await alice.library()
    await invite(alice, library)
    token = await Mailroom(world).token(EVE)
    assert await register(world) == (201, "")
    path = f"/v1/invitation?token={token}"
    assert (await world.ask("POST", path, data={"password": PASSWORD}))[0] == 200
    eve = await world.sign_in(EVE)
    assert (await eve.ask("GET", f"/v1/libraries/{library}"))[0] == 200


@pytest.mark.parametrize("path", ["/v1/invitation", "/v1/reset", "/v1/address"])
@pytest.mark.parametrize("token", ["", "x", "é", "a" * 600])
async def test_a_page_says_when_its_link_is_none(world: World, path: str, token: str) -> None:
    for method in ("GET", "POST"):
        status, page, _ = await world.ask(method, path, params={"token": token})
        assert status in (404, 422)
        assert kind_of(page) in ("", "invalid-query")


async def test_what_letters_say_is_harmless(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library("https://evil.example/ click <b>here</b>")
    await invite(alice, library)
    letter = await Mailroom(world).last(EVE)
    html = letter.get_body(("html",))
    assert html is not None
    assert "<b>here" not in str(html.get_content())
    assert "\n" not in str(letter["Subject"])
    assert "http://syncline.test/v1/invitation?lang=en&token=" in text_of(letter)


async def stored(world: World, email: str) -> Person:
    """An account that an operator made."""
    hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    password_hash = await Passwords(hasher).hash(PASSWORD)
    await Directory(world.tables).create_account(AccountRecord(world.new_id(), email, "alice", password_hash, 0))
    return await world.sign_in(email)
