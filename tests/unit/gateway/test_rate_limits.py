"""Rate limits over HTTP: counted for device, account and address, told in every answer, bounded without the cache."""

from __future__ import annotations

import asyncio

import pytest

from syncline.client.http import pause_s
from syncline.domain.errors import Broken
from syncline.memory.cache import MemoryCache
from syncline.memory.clock import ManualClock
from syncline.serving import limits
from syncline.serving.limits import DEFAULTS, LOCAL_KEYS_MAX, Limit, Rate, Windows, rate_of, rates_from
from tests.unit.gateway.world import running_world


async def test_every_answer_tells_what_is_left_and_what_holds():
    async with running_world(rates={"read-device": 5, "read-account": 100}) as world:
        alice = await world.person("alice")
        _, _, response = await world.ask("GET", "/v1/me", token=alice.token)
        assert response.headers["RateLimit-Policy"] == '"read-account";q=100;w=60, "read-device";q=5;w=60'
        name, left, reset = response.headers["RateLimit"].split(";")
        assert (name, left) == ('"read-device"', "r=4")
        assert 0 < int(reset.removeprefix("t=")) <= 60


async def test_a_device_that_asks_too_much_waits_while_another_goes_on():
    async with running_world(rates={"read-device": 5}) as world:
        alice = await world.person("alice")
        other = await world.sign_in(alice.email)
        # Twice as many as go, since a window may end between them.
        answers = [await world.ask("GET", "/v1/me", token=alice.token) for _ in range(11)]
        refused = next(answer for answer in answers if answer[0] == 429)
        assert refused[1]["type"].endswith("/too-many-requests")
        assert 0 < int(refused[2].headers["Retry-After"]) <= 60
        assert refused[2].headers["RateLimit"].startswith('"read-device";r=0;t=')
        assert (await world.ask("GET", "/v1/me", token=other.token))[0] == 200
        assert (await world.ask("POST", "/v1/libraries", {"name": "Papers"}, token=alice.token))[0] == 201
        world.clock.advance(60)
        assert (await world.ask("GET", "/v1/me", token=alice.token))[0] == 200


async def test_an_account_is_held_however_many_devices_it_has():
    async with running_world(rates={"read-account": 5}) as world:
        alice, bob = await world.person("alice"), await world.person("bob")
        devices = [alice, *[await world.sign_in(alice.email) for _ in range(3)]]
        answers = [(await device.ask("GET", "/v1/me"))[0] for device in devices * 3]
        assert 429 in answers
        assert (await bob.ask("GET", "/v1/me"))[0] == 200


async def test_guessing_tokens_is_bounded_by_address():
    async with running_world(rates={"read-address": 5}) as world:
        answers = [(await world.ask("GET", "/v1/me", token="x.y.z"))[0] for _ in range(11)]
        assert set(answers) == {401, 429}
        elsewhere = {"X-Forwarded-For": "192.0.2.7"}
        assert (await world.ask("GET", "/v1/me", token="x.y.z", headers=elsewhere))[0] == 401


async def test_without_the_cache_each_instance_still_counts():
    async with running_world(rates={"read-device": 5}) as world:
        alice = await world.person("alice")
        world.cache.away = True
        answers = [(await alice.ask("GET", "/v1/me"))[0] for _ in range(11)]
        assert set(answers) == {200, 429}


async def test_what_is_counted_here_is_bounded():
    cache = MemoryCache(ManualClock())
    cache.away = True
    windows = Windows(cache, ManualClock())
    limit = Limit("read-device", 2)
    for n in range(LOCAL_KEYS_MAX + 500):
        await windows.count(limit, str(n))
    assert len(windows._local) == LOCAL_KEYS_MAX
    assert (await windows.count(limit, str(LOCAL_KEYS_MAX))).used == 2, "the newest are kept"
    assert (await windows.count(limit, "0")).used == 1, "the oldest was forgotten"


async def test_counts_of_all_instances_are_one():
    clock = ManualClock()
    cache = MemoryCache(clock)
    one, two = Windows(cache, clock), Windows(cache, clock)
    limit = Limit("write-account", 10)
    await asyncio.gather(*(windows.count(limit, "alice") for windows in (one, two) * 3))
    assert (await one.count(limit, "alice")).used == 7


def test_kinds_of_routes():
    assert rate_of("GET", "/v1/libraries", signed_in=True) is Rate.READ
    assert rate_of("POST", "/v1/libraries/{library}/commits", signed_in=True) is Rate.WRITE
    assert rate_of("POST", "/v1/libraries/{library}/downloads", signed_in=True) is Rate.DOWNLOAD
    assert rate_of("POST", "/v1/sync/libraries/{library}/compare", signed_in=True) is Rate.READ
    assert rate_of("POST", "/v1/sessions", signed_in=False) is Rate.OPEN


def test_settings_change_some_limits_and_lift_others():
    rates = rates_from("write-device=7, read-address=0")
    assert (rates["write-device"], rates["read-address"], rates["read-device"]) == (7, 0, DEFAULTS["read-device"])
    for wrong in ("write=7", "write-device", "write-device=-1"):
        with pytest.raises(Broken):
            rates_from(wrong)


def test_the_client_waits_as_long_as_it_is_told():
    assert pause_s(1, "31") == 31
    assert pause_s(1, str(limits.WINDOW_S)) >= limits.WINDOW_S, "no window is longer than a client will wait"
