"""Failed attempts at passwords are put off, with the cache and without it; and the owner gets in all the same."""

from __future__ import annotations

import asyncio

import pytest

from services.gateway.limits import SIGN_INS_PER_ADDRESS
from services.gateway.lockout import Lockout, network_of
from syncline.domain.errors import Refused
from syncline.domain.lockouts import EMAIL, PAIR
from syncline.memory.cache import MemoryCache
from syncline.memory.clock import ManualClock
from syncline.memory.counting import Counts
from syncline.memory.tables import MemoryTables
from syncline.store.lockouts import Lockouts
from tests.unit.gateway.mailroom import Mailroom, refused, sign_in
from tests.unit.gateway.world import PASSWORD, World, running_world

HOME, AWAY = "203.0.113.7", "198.51.100.9"
WRONG = "not the password"


async def fail(world: World, email: str, times: int, address: str = AWAY) -> list[int]:
    return [(await sign_in(world, email, WRONG, address))[0] for _ in range(times)]


@pytest.mark.parametrize("cache_away", [False, True])
async def test_after_some_failures_attempts_are_put_off(world: World, cache_away: bool) -> None:
    await world.person("alice")
    world.cache.away = cache_away
    assert await fail(world, "alice@example.org", PAIR.free) == [401] * PAIR.free
    body = {"email": "alice@example.org", "password": PASSWORD, "device_name": "x"}
    status, problem, response = await world.ask("POST", "/v1/sessions", body, headers={"X-Forwarded-For": AWAY})
    assert (status, problem["type"].rsplit("/")[-1]) == (429, "too-many-requests")
    assert 0 < int(response.headers["Retry-After"]) <= PAIR.first_s
    world.clock.advance(PAIR.first_s + 1)
    assert (await sign_in(world, "alice@example.org", PASSWORD, AWAY))[0] == 201


@pytest.mark.parametrize("lose", ["loses what it holds", "goes away"])
async def test_a_cache_that_is_lost_lets_nobody_in_sooner(world: World, lose: str) -> None:
    await world.person("alice")
    await fail(world, "alice@example.org", PAIR.free)
    world.cache._values.clear()
    world.cache._counts.clear()
    world.cache.away = lose == "goes away"
    assert (await sign_in(world, "alice@example.org", PASSWORD, AWAY))[0] == 429


async def test_elsewhere_the_owner_gets_in(world: World) -> None:
    await world.person("alice")
    await fail(world, "alice@example.org", PAIR.free + 3)
    assert (await sign_in(world, "alice@example.org", PASSWORD, HOME))[0] == 201


async def test_an_attack_from_everywhere_keeps_the_owner_out_of_new_places_for_a_minute_at_most(world: World) -> None:
    await world.person("alice")
    assert (await sign_in(world, "alice@example.org", PASSWORD, HOME))[0] == 201
    world.cache.away = True  # the counts in the cache are another matter
    for n in range(EMAIL.free + 10):
        await sign_in(world, "alice@example.org", WRONG, f"192.0.2.{n}")
    assert (await sign_in(world, "alice@example.org", PASSWORD, "198.51.100.77"))[0] == 429
    # Where she was before, she signs in as if nothing happened.
    assert (await sign_in(world, "alice@example.org", PASSWORD, HOME))[0] == 201
    world.clock.advance(EMAIL.max_s + 1)
    assert (await sign_in(world, "alice@example.org", PASSWORD, "198.51.100.77"))[0] == 201


async def test_an_unknown_address_is_put_off_just_the_same(world: World) -> None:
    await world.person("alice")
    known = await fail(world, "alice@example.org", PAIR.free + 2)
    unknown = await fail(world, "nobody@example.org", PAIR.free + 2)
    assert known == unknown == [401] * PAIR.free + [429] * 2


async def test_an_unknown_address_costs_the_same_work() -> None:
    counts = Counts()
    async with running_world(deciding=False, counts=counts) as world:
        await world.person("alice")
        costs = []
        for email in ("alice@example.org", "nobody@example.org"):
            before = counts.calls.copy()
            assert (await sign_in(world, email, WRONG, AWAY))[0] == 401
            costs.append(counts.calls - before)
        assert costs[0] == costs[1]


async def test_success_begins_anew(world: World) -> None:
    await world.person("alice")
    for _ in range(3):
        await fail(world, "alice@example.org", PAIR.free - 1)
        assert (await sign_in(world, "alice@example.org", PASSWORD, AWAY))[0] == 201


async def test_a_password_asked_for_once_more_counts_too(world: World) -> None:
    alice = await world.person("alice")
    body = {"password": WRONG, "new_password": "another one entirely"}
    answers = [await refused(alice, "POST", "/v1/me/password", body) for _ in range(PAIR.free + 1)]
    assert answers == [(403, "wrong-password")] * PAIR.free + [(429, "too-many-requests")]
    # The device itself goes on.
    assert (await alice.ask("GET", "/v1/me"))[0] == 200


async def test_a_new_password_by_mail_forgives_the_failures_with_the_old_one(world: World) -> None:
    alice = await world.person("alice")
    token = await Mailroom(world).reset_token(alice.email)
    for _ in range(PAIR.free):
        assert (await sign_in(world, alice.email, WRONG))[0] == 401
    assert (await sign_in(world, alice.email, WRONG))[0] == 429
    body = {"token": token, "password": "a wholly new password"}
    assert (await world.ask("POST", "/v1/password-resets/use", body, headers={"X-Forwarded-For": "127.0.0.1"}))[
        0
    ] == 204
    assert (await sign_in(world, alice.email, "a wholly new password"))[0] == 201


async def test_attempts_at_once_are_not_all_free() -> None:
    """However many arrive before the first is answered, no more are allowed than one after another."""
    clock = ManualClock()
    lockout = Lockout(Lockouts(MemoryTables()), MemoryCache(clock), clock)

    async def attempt() -> bool:
        try:
            await lockout.attempt("alice@example.org", AWAY)
        except Refused:
            return False
        return True

    allowed = await asyncio.gather(*(attempt() for _ in range(50)))
    assert 1 <= sum(allowed) <= PAIR.free


async def test_one_address_is_bounded_whatever_it_tries(world: World) -> None:
    """Guessing one password at many e-mail addresses is a matter of the rate, which the cache counts."""
    window_s = SIGN_INS_PER_ADDRESS[1]
    world.clock.advance(window_s - world.clock.now_ms() / 1000 % window_s + 1)
    answers = [(await sign_in(world, f"{n}@example.org", WRONG, AWAY))[0] for n in range(SIGN_INS_PER_ADDRESS[0] + 1)]
    assert answers == [401] * SIGN_INS_PER_ADDRESS[0] + [429]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("", ""),
        ("unknown", "unknown"),
    ],
)
def test_whoever_has_one_ipv6_address_has_its_network(address: str, network: str) -> None:
    assert network_of(address) == network
