"""Registering, signing in, refreshing, signing out."""

import pytest

from services.gateway import accounts, limits
from services.gateway.passwords import Passwords
from syncline.domain.errors import Temporary
from syncline.store.directory import Directory
from tests.unit.gateway.world import PASSWORD, World


async def test_an_account_signs_in_and_is_told_who_it_is(world: World) -> None:
    alice = await world.person("alice")
    status, me = await alice.ask("GET", "/v1/me")
    assert status == 200
    assert me["account"] == {"id": alice.account, "email": "alice@example.org", "name": "alice"}
    assert me["device_name"] == "laptop"


async def test_an_address_is_one_account_however_it_is_written(world: World) -> None:
    await world.person("alice")
    body = {"email": " ALICE@Example.org", "password": PASSWORD, "name": "A"}
    status, problem, _ = await world.ask("POST", "/v1/accounts", {**body, "email": "ALICE@Example.org"})
    assert (status, problem["type"]) == (409, "http://syncline.test/problems/email-taken")


@pytest.mark.parametrize(
    ("member", "value"),
    [("name", "a\nBcc: x"), ("name", "  "), ("email", "a@b\x01"), ("email", "<a@b>"), ("email", "@b"), ("email", "a")],
)
async def test_what_would_break_mail_is_refused(world: World, member: str, value: str) -> None:
    body = {"email": "a@b", "password": PASSWORD, "name": "A", member: value}
    status, problem, _ = await world.ask("POST", "/v1/accounts", body)
    assert status == 422
    assert problem["at"] == f"$.{member}"


async def test_wrong_password_and_unknown_address_get_one_answer(world: World) -> None:
    await world.person("alice")
    answers = []
    for email in ("alice@example.org", "nobody@example.org"):
        body = {"email": email, "password": "wrong password", "device_name": "x"}
        status, problem, _ = await world.ask("POST", "/v1/sessions", body)
        problem.pop("request")
        answers.append((status, problem))
    assert answers[0] == answers[1]
    assert answers[0][0] == 401
    assert answers[0][1]["type"].endswith("/sign-in-failed")


async def test_an_unknown_address_costs_a_verification_too(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    verified = []
    verify = Passwords._verify

    def counting(self: Passwords, password_hash: str, password: str) -> bool:
        verified.append(password_hash)
        return verify(self, password_hash, password)

    monkeypatch.setattr(Passwords, "_verify", counting)
    body = {"email": "nobody@example.org", "password": "wrong password", "device_name": "x"}
    await world.ask("POST", "/v1/sessions", body)
    assert len(verified) == 1


async def test_a_hash_with_old_parameters_is_renewed_at_sign_in(world: World) -> None:
    from argon2 import PasswordHasher

    alice = await world.person("alice")
    directory = Directory(world.tables)
    record = await directory.account(alice.account)
    assert record is not None
    older = PasswordHasher(time_cost=2, memory_cost=128, parallelism=1).hash(PASSWORD)
    await directory.set_password_hash(alice.account, record.password_hash, older)
    await world.sign_in(alice.email)
    renewed = await directory.account(alice.account)
    assert renewed is not None
    assert renewed.password_hash != older
    assert "m=64,t=1,p=1" in renewed.password_hash
    await world.sign_in(alice.email)


async def test_a_refresh_token_is_good_once(world: World) -> None:
    alice = await world.person("alice")
    first = alice.session["refresh_token"]
    status, second, _ = await world.ask("POST", "/v1/sessions/refresh", {"refresh_token": first})
    assert status == 200
    assert second["refresh_token"] != first
    assert second["device"] == alice.device
    world.clock.advance(accounts.REFRESH_GRACE_MS / 1000 + 1)
    status, problem, _ = await world.ask("POST", "/v1/sessions/refresh", {"refresh_token": first})
    assert (status, problem["type"].rsplit("/")[-1]) == (401, "refresh-failed")
    # It was used twice, so somebody else has it: the device is signed out, its newer tokens too.
    status, problem, _ = await world.ask("POST", "/v1/sessions/refresh", {"refresh_token": second["refresh_token"]})
    assert (status, problem["type"].rsplit("/")[-1]) == (401, "device-revoked")
    status, problem = await alice.ask("GET", "/v1/me")
    assert (status, problem["type"].rsplit("/")[-1]) == (401, "device-revoked")


async def test_a_lost_answer_to_a_refresh_is_given_again(world: World) -> None:
    alice = await world.person("alice")
    first = alice.session["refresh_token"]
    await world.ask("POST", "/v1/sessions/refresh", {"refresh_token": first})
    world.clock.advance(20)
    await world.ask("POST", "/v1/sessions/refresh", {"refresh_token": first})
    world.clock.advance(20)
    status, third, _ = await world.ask("POST", "/v1/sessions/refresh", {"refresh_token": first})
    assert status == 200
    status, _, _ = await world.ask("POST", "/v1/sessions/refresh", {"refresh_token": third["refresh_token"]})
    assert status == 200


async def test_a_guess_signs_nobody_out(world: World) -> None:
    alice = await world.person("alice")
    real = alice.session["refresh_token"]
    guesses = [f"{alice.device}.AAAA.BBBB", alice.device, real[:-1], real + "x", "", "ä", "." * 99]
    for guess in guesses:
        status, _, _ = await world.ask("POST", "/v1/sessions/refresh", {"refresh_token": guess})
        assert status == 401
    status, _, _ = await world.ask("POST", "/v1/sessions/refresh", {"refresh_token": real})
    assert status == 200


async def test_refresh_tokens_are_not_stored(world: World) -> None:
    alice = await world.person("alice")
    stored = repr([p.rows for p in world.tables._partitions.values()])
    assert alice.session["refresh_token"] not in stored
    assert alice.session["refresh_token"].split(".")[1] not in stored
    assert PASSWORD not in stored


async def test_signing_out_ends_this_device_only(world: World) -> None:
    alice = await world.person("alice")
    other = await world.sign_in(alice.email)
    assert (await alice.ask("GET", "/v1/me"))[0] == 200
    assert (await alice.ask("DELETE", "/v1/sessions/current"))[0] == 204
    assert (await alice.ask("GET", "/v1/me"))[0] == 401
    assert (await other.ask("GET", "/v1/me"))[0] == 200


async def test_sign_ins_are_limited_per_address_and_email(world: World) -> None:
    """Right ones too: they cost as much. Wrong ones are put off much sooner, see test_lockout."""
    window_s = limits.SIGN_INS_PER_BOTH[1]
    world.clock.advance(window_s - world.clock.now_ms() / 1000 % window_s + 1)
    await world.person("alice")
    body = {"email": "alice@example.org", "password": PASSWORD, "device_name": "x"}
    statuses = [(await world.ask("POST", "/v1/sessions", body))[0] for _ in range(limits.SIGN_INS_PER_BOTH[0] - 1)]
    assert set(statuses) == {201}
    status, problem, response = await world.ask("POST", "/v1/sessions", body)
    assert status == 429
    assert problem["type"].endswith("/too-many-requests")
    assert 0 < int(response.headers["Retry-After"]) <= limits.SIGN_INS_PER_BOTH[1]
    # Another address still gets in, and what the asker claims about earlier hops changes nothing.
    elsewhere = {"X-Forwarded-For": "203.0.113.7"}
    assert (await world.ask("POST", "/v1/sessions", body, headers=elsewhere))[0] == 201
    claimed = {"X-Forwarded-For": "198.51.100.1, 127.0.0.1"}
    assert (await world.ask("POST", "/v1/sessions", body, headers=claimed))[0] == 429
    world.clock.advance(limits.SIGN_INS_PER_BOTH[1])
    assert (await world.ask("POST", "/v1/sessions", body))[0] == 201


async def test_without_the_cache_people_sign_in(world: World) -> None:
    await world.person("alice")
    world.cache.away = True
    alice = await world.sign_in("alice@example.org")
    assert (await alice.ask("GET", "/v1/me"))[0] == 200
    body = {"email": alice.email, "password": PASSWORD, "device_name": "laptop"}
    # Twice as often as goes, since a window may end between.
    answers = [(await world.ask("POST", "/v1/sessions", body))[0] for _ in range(2 * limits.SIGN_INS_PER_BOTH[0] + 1)]
    assert set(answers) == {201, 429}, "each instance still counts for itself"


async def test_too_many_sign_ins_at_once_are_put_off() -> None:
    from argon2 import PasswordHasher

    from services.gateway.passwords import WAITING_MAX

    passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    passwords._waiting = WAITING_MAX
    with pytest.raises(Temporary):
        await passwords.hash("whatever it is")
