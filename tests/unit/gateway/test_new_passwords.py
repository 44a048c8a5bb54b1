"""New passwords: by mail and by the old one; what a link is good for, and what nobody may learn."""

from __future__ import annotations

import base64

import msgspec
import pytest

from services.gateway.limits import LETTERS_PER_EMAIL
from syncline.domain.capabilities import RESET_LIFE_S, FileCapability, InvitationCapability, seal_capability
from syncline.memory.counting import Counts
from syncline.messages.send_letter import decode
from syncline.ports.queues import Queue
from tests.unit.gateway.mailroom import Mailroom, refused, sign_in, strangers, text_of
from tests.unit.gateway.world import LINK_KEYS, World, running_world

NEW = "a wholly new password"


async def use(world: World, token: str, password: str = NEW) -> tuple[int, str]:
    return await strangers(world, "POST", "/v1/password-resets/use", {"token": token, "password": password})


async def test_a_link_in_a_mail_sets_a_password_and_signs_every_device_out(world: World) -> None:
    alice = await world.person("alice")
    other = await world.sign_in(alice.email)
    mail = Mailroom(world)
    token = await mail.reset_token(alice.email)
    assert (await use(world, token))[0] == 204
    for device in (alice, other):
        assert await refused(device, "GET", "/v1/me") == (401, "device-revoked")
        body = {"refresh_token": device.session["refresh_token"]}
        assert await strangers(world, "POST", "/v1/sessions/refresh", body) == (401, "device-revoked")
    assert await sign_in(world, alice.email) == (401, "sign-in-failed")
    assert await sign_in(world, alice.email, NEW) == (201, "")
    assert "was changed" in str((await mail.last(alice.email))["Subject"])


async def test_a_link_works_once(world: World) -> None:
    alice = await world.person("alice")
    token = await Mailroom(world).reset_token(alice.email)
    assert (await use(world, token))[0] == 204
    assert await use(world, token, "another new one") == (410, "link-used")
    assert await sign_in(world, alice.email, NEW) == (201, "")


async def test_of_two_links_the_first_used_ends_the_other(world: World) -> None:
    alice = await world.person("alice")
    mail = Mailroom(world)
    first, second = await mail.reset_token(alice.email), await mail.reset_token(alice.email)
    assert (await use(world, second))[0] == 204
    assert await use(world, first) == (410, "link-used")


async def test_a_link_ends(world: World) -> None:
    alice = await world.person("alice")
    token = await Mailroom(world).reset_token(alice.email)
    world.clock.advance(RESET_LIFE_S)
    assert await use(world, token) == (410, "link-expired")
    assert await sign_in(world, alice.email) == (201, "")


async def test_a_link_is_of_no_use_after_the_password_or_the_address_changed(world: World) -> None:
    alice = await world.person("alice")
    mail = Mailroom(world)
    token = await mail.reset_token(alice.email)
    change = {"password": "correct horse battery", "new_password": "set in between"}
    assert (await alice.ask("POST", "/v1/me/password", change))[0] == 204
    assert await use(world, token) == (410, "link-used")


@pytest.mark.parametrize("spoil", ["flip", "cut", "garbage", "empty", "file", "invitation", "foreign"])
async def test_a_forged_link_is_refused(world: World, spoil: str) -> None:
    alice = await world.person("alice")
    token = await Mailroom(world).reset_token(alice.email)
    now_s = world.clock.now_ms() // 1000
    wire = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    wire[30] ^= 1

    class Foreign(msgspec.Struct, frozen=True):
        id: str
        secret: bytes

    spoiled = {
        "flip": base64.urlsafe_b64encode(bytes(wire)).decode().rstrip("="),
        "cut": token[:-4],
        "garbage": "x" * 100,
        "empty": "",
        "file": seal_capability(FileCapability(alice.account, "l" * 20, "n" * 20, now_s + 60), LINK_KEYS),
        "invitation": seal_capability(InvitationCapability("i" * 20, now_s + 60), LINK_KEYS),
        "foreign": seal_capability(InvitationCapability("i" * 20, now_s + 60), [Foreign("l1", b"z" * 32)]),
    }
    assert await use(world, spoiled[spoil]) == (404, "bad-link")
    assert await sign_in(world, alice.email) == (201, "")


async def test_nobody_learns_whether_an_address_has_an_account(world: World) -> None:
    alice = await world.person("alice")
    answers, sent = [], []
    for email in (alice.email, "nobody@example.org"):
        status, body, response = await world.ask("POST", "/v1/password-resets", {"email": email})
        answers.append((status, body, response.headers.get("Content-Type")))
        [message] = await world.queues.receive(Queue.LETTERS, wait_s=0)
        sent.append(msgspec.structs.replace(decode(message.body), id="", to="", not_after=0))
    assert answers[0] == answers[1]
    assert sent[0] == sent[1]


async def test_asking_for_a_link_takes_as_long_for_everybody() -> None:
    """No row is read for it, and one written, of the audit log: nothing takes longer for an address that is known."""
    counts = Counts()
    async with running_world(deciding=False, counts=counts) as world:
        await world.person("alice")
        for email in ("alice@example.org", "nobody@example.org"):
            before = counts.calls.copy()
            assert (await world.ask("POST", "/v1/password-resets", {"email": email}))[0] == 202
            assert counts.calls - before == {"PutItem": 1, "SendMessage": 1}


async def test_no_letter_goes_to_who_has_no_account(world: World) -> None:
    mail = Mailroom(world)
    await world.ask("POST", "/v1/password-resets", {"email": "nobody@example.org"})
    await mail.deliver()
    assert mail.mailer.sent == []


@pytest.mark.parametrize("cache_away", [False, True])
async def test_an_address_is_not_flooded(world: World, cache_away: bool) -> None:
    alice = await world.person("alice")
    mail = Mailroom(world)
    world.cache.away = cache_away
    statuses = [
        (await world.ask("POST", "/v1/password-resets", {"email": alice.email}))[0] for _ in range(40)
    ]  # fmt: skip
    await mail.deliver()
    assert set(statuses) == {202, 429}
    assert len(mail.letters(alice.email)) == LETTERS_PER_EMAIL[0]


async def test_the_present_device_may_stay(world: World) -> None:
    alice = await world.person("alice")
    other = await world.sign_in(alice.email)
    token = await Mailroom(world).reset_token(alice.email)
    body = {"token": token, "password": NEW, "keep_this_device": True}
    assert (await alice.ask("POST", "/v1/password-resets/use", body))[0] == 204
    assert (await alice.ask("GET", "/v1/me"))[0] == 200
    assert (await other.ask("GET", "/v1/me"))[0] == 401
    body = {"refresh_token": alice.session["refresh_token"]}
    assert (await world.ask("POST", "/v1/sessions/refresh", body))[0] == 200


async def test_a_stranger_s_device_is_not_kept_by_another_s_link(world: World) -> None:
    alice, mallory = await world.person("alice"), await world.person("mallory")
    token = await Mailroom(world).reset_token(alice.email)
    body = {"token": token, "password": NEW, "keep_this_device": True}
    assert await refused(mallory, "POST", "/v1/password-resets/use", body) == (410, "link-used")
    assert await sign_in(world, alice.email) == (201, "")


async def test_the_old_password_sets_a_new_one(world: World) -> None:
    alice = await world.person("alice")
    other = await world.sign_in(alice.email)
    wrong = {"password": "not the password", "new_password": NEW}
    assert await refused(alice, "POST", "/v1/me/password", wrong) == (403, "wrong-password")
    right = {"password": "correct horse battery", "new_password": NEW}
    assert (await alice.ask("POST", "/v1/me/password", right))[0] == 204
    assert (await alice.ask("GET", "/v1/me"))[0] == 200
    assert (await other.ask("GET", "/v1/me"))[0] == 401
    again = {"password": NEW, "new_password": "and yet another", "keep_this_device": False}
    assert (await alice.ask("POST", "/v1/me/password", again))[0] == 204
    assert (await alice.ask("GET", "/v1/me"))[0] == 401


async def test_the_page_sets_a_password_and_a_visit_does_not(world: World) -> None:
    alice = await world.person("alice")
    token = await Mailroom(world).reset_token(alice.email)
    path = f"/v1/reset?token={token}"
    status, page, response = await world.ask("GET", path)
    assert (status, response.content_type) == (200, "text/html")
    assert b"alice@example.org" in page
    assert "no-referrer" in response.headers["Referrer-Policy"]
    assert await sign_in(world, alice.email) == (201, "")
    status, page, _ = await world.ask("POST", path, data={"password": "short"})
    assert status == 422
    assert b"<form" in page
    assert (await world.ask("POST", path, data={"password": NEW}))[0] == 200
    assert await sign_in(world, alice.email, NEW) == (201, "")
    assert (await world.ask("POST", path, data={"password": NEW}))[0] == 410
    assert (await world.ask("GET", path))[0] == 410


async def test_letters_come_in_the_asker_s_language(world: World) -> None:
    alice = await world.person("alice")
    mail = Mailroom(world)
    headers = {"Accept-Language": "de-AT, en;q=0.5"}
    await world.ask("POST", "/v1/password-resets", {"email": alice.email}, headers=headers)
    letter = await mail.last(alice.email)
    assert "Neues Passwort" in text_of(letter)


async def test_tokens_stay_off_the_queue(world: World) -> None:
    """Whoever reads the queue, or its dead letters, can do nothing with it: links are sealed where mail is sent."""
    alice = await world.person("alice")
    await world.ask("POST", "/v1/password-resets", {"email": alice.email})
    [message] = await world.queues.receive(Queue.LETTERS, wait_s=0)
    letter = decode(message.body)
    assert (letter.to, dict(letter.about)) == (alice.email, {})
