"""Devices: listed, and signed out with effect on the very next request, whatever the cache does."""

from __future__ import annotations

import pytest

from services.gateway import accounts
from syncline.store.directory import DeviceRecord, Directory
from tests.unit.gateway.mailroom import refused
from tests.unit.gateway.world import PASSWORD, World


async def test_devices_are_listed_with_the_one_that_asks(world: World) -> None:
    alice = await world.person("alice")
    other = await world.sign_in(alice.email)
    bob = await world.person("bob")
    _, listed = await alice.ask("GET", "/v1/devices")
    assert {(one["id"], one["this"]) for one in listed["devices"]} == {(alice.device, True), (other.device, False)}
    assert {one["name"] for one in listed["devices"]} == {"laptop"}
    _, of_bob = await bob.ask("GET", "/v1/devices")
    assert [one["id"] for one in of_bob["devices"]] == [bob.device]


@pytest.mark.parametrize("cache_away", [False, True])
async def test_a_device_signed_out_elsewhere_is_refused_at_its_next_request(world: World, cache_away: bool) -> None:
    alice = await world.person("alice")
    other = await world.sign_in(alice.email)
    for _ in range(3):
        assert (await other.ask("GET", "/v1/me"))[0] == 200
    world.cache.away = cache_away
    assert (await alice.ask("DELETE", f"/v1/devices/{other.device}"))[0] == 204
    assert await refused(other, "GET", "/v1/me") == (401, "device-revoked")
    body = {"refresh_token": other.session["refresh_token"]}
    assert (await world.ask("POST", "/v1/sessions/refresh", body))[0] == 401
    _, listed = await alice.ask("GET", "/v1/devices")
    assert [one["id"] for one in listed["devices"]] == [alice.device]
    assert (await alice.ask("DELETE", f"/v1/devices/{other.device}"))[0] == 204, "repeating is harmless"


async def test_nobody_signs_out_the_devices_of_others(world: World) -> None:
    alice, mallory = await world.person("alice"), await world.person("mallory")
    for device in (alice.device, "z" * 20, "nonsense"):
        assert await refused(mallory, "DELETE", f"/v1/devices/{device}") == (404, "no-such-device")
    assert (await alice.ask("GET", "/v1/me"))[0] == 200


async def test_a_device_of_an_earlier_password_is_signed_out_whenever_it_was_made(world: World) -> None:
    """Somebody who knew the old password does not stay signed in by being quick: the account was looked up before the
    password changed, the device is stored after it."""
    alice = await world.person("alice")
    directory = Directory(world.tables)
    record = await directory.account(alice.account)
    assert record is not None
    body = {"password": PASSWORD, "new_password": "something else now"}
    assert (await alice.ask("POST", "/v1/me/password", body))[0] == 204
    late = DeviceRecord("l" * 20, record.id, "late", "hash", "", world.clock.now_ms(), epoch=record.epoch)
    await directory.create_device(late)
    assert await directory.signed_in(record.id, late.id) is None
    assert await directory.signed_in(record.id, alice.device) is not None


async def test_of_too_many_devices_the_longest_unused_goes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "DEVICES_MAX", 3)
    alice = await world.person("alice")
    others = []
    for _ in range(2):
        world.clock.advance(1)
        others.append(await world.sign_in(alice.email))
    world.clock.advance(1)
    body = {"refresh_token": alice.session["refresh_token"]}
    assert (await world.ask("POST", "/v1/sessions/refresh", body))[0] == 200
    await world.sign_in(alice.email)
    assert (await others[0].ask("GET", "/v1/me"))[0] == 401
    assert (await others[1].ask("GET", "/v1/me"))[0] == 200
    assert (await alice.ask("GET", "/v1/me"))[0] == 200
