"""Held requests and rights: members come and go, devices are signed out, told by Redis or not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from services.syncer.app import Syncer
from services.syncer.touches import Touches
from syncline.domain.rights import Role
from syncline.messages.accounts_touched import CHANNEL, AccountsTouched, encode
from tests.unit.syncer.test_heads import Scene, held, moment, scene
from tests.unit.syncer.world import headers_of, http
from tests.unit.writing import made_id

__all__ = ["scene"]


async def touch(scene: Scene, *accounts: str) -> None:
    """What the gateway publishes."""
    await scene.world.cache.publish(CHANNEL, encode(AccountsTouched(accounts)))
    await moment(scene)


async def test_a_library_one_was_added_to_wakes_at_once(scene: Scene) -> None:
    syncer = await scene.world.syncer()
    task, _ = await held(scene, syncer)
    plans = await scene.world.library("Plans", scene.alice, scene.bob)
    await touch(scene, scene.bob)
    assert task.done()
    assert plans.id in {h.library for h in task.result().heads}


async def test_every_syncer_is_told(scene: Scene) -> None:
    tasks = [(await held(scene, await scene.world.syncer()))[0] for _ in range(2)]
    await scene.world.directory.set_member(scene.photos.id, scene.bob, None)
    await touch(scene, scene.bob)
    assert [task.result().heads for task in tasks] == [[], []]


async def test_the_rights_of_others_wake_nobody(scene: Scene) -> None:
    syncer = await scene.world.syncer()
    task, _ = await held(scene, syncer)
    await scene.world.library("Plans", scene.alice, scene.bob)
    await touch(scene, scene.alice, "z" * 20)
    assert not task.done()


async def test_a_touch_without_a_change_wakes_nobody(scene: Scene) -> None:
    syncer = await scene.world.syncer()
    task, _ = await held(scene, syncer)
    await touch(scene, scene.bob)
    assert not task.done()


async def test_a_touch_between_reading_and_holding_is_not_missed(scene: Scene) -> None:
    """At every turn of the loop: the member is added, and told of, while the request is on its way to be held."""
    syncer = await scene.world.syncer()
    carol = await scene.world.account("Carol")
    for turns in range(30):
        token = (await syncer.holding.heads(carol, "", 0)).token
        task = scene.world.background(syncer.holding.heads(carol, token, 50))
        for _ in range(turns):
            await asyncio.sleep(0)
        role = Role.VIEWER if turns % 2 == 0 else None
        await scene.world.directory.set_member(scene.photos.id, carol, role)
        syncer.hub.touched([carol])
        await moment(scene)
        assert task.done(), f"missed after {turns} turns"


async def asked(scene: Scene, syncer: Syncer) -> tuple[Any, Any]:
    """Bob's held request over HTTP, and the client it comes from."""
    client = http(syncer)
    opened = await client.__aenter__()
    headers = headers_of(scene.world, scene.bob)
    first = await (await opened.get("/v1/sync/heads", headers=headers)).json()
    task = scene.world.background(opened.get(f"/v1/sync/heads?since={first['token']}&wait=50", headers=headers))
    await moment(scene)
    for _ in range(50):
        await asyncio.sleep(0.001)
    return task, client


async def ended(task: Any) -> Any:
    for _ in range(200):
        if task.done():
            break
        await asyncio.sleep(0.005)
    assert task.done()
    return task.result()


@pytest.mark.parametrize("told", [True, False])
async def test_a_device_that_is_signed_out_is_held_no_longer(scene: Scene, told: bool) -> None:
    syncer = await scene.world.syncer()
    task, client = await asked(scene, syncer)
    assert not task.done()
    await scene.world.directory.revoke_device(made_id(f"device {scene.bob}"), at_ms=0)
    if told:
        await touch(scene, scene.bob)
    else:
        scene.world.cache.away = True
        await scene.world.clock.run_for(11)
    response = await ended(task)
    assert response.status == 401
    assert (await response.json())["type"].endswith("/device-revoked")
    await client.__aexit__(None, None, None)


async def test_what_was_not_told_though_redis_is_there_is_found_by_the_next_request(scene: Scene) -> None:
    """The gateway died between its write and telling of it."""
    syncer = await scene.world.syncer()
    task, client = await asked(scene, syncer)
    await scene.world.directory.revoke_device(made_id(f"device {scene.bob}"), at_ms=0)
    await scene.world.clock.run_for(51)
    response = await ended(task)
    assert response.status == 200
    token = (await response.json())["token"]
    opened = response.request_info.url.with_query(since=token, wait=50)
    async with http(syncer) as again:
        refused = await again.get(opened.path_qs, headers=headers_of(scene.world, scene.bob))
        assert refused.status == 401
    await client.__aexit__(None, None, None)


async def test_waiting_costs_no_reads_while_redis_is_there(scene: Scene) -> None:
    syncer = await scene.world.syncer()
    await held(scene, syncer)
    before = scene.world.tables.journal_batches
    await scene.world.clock.run_for(45)
    assert scene.world.tables.journal_batches == before


async def test_a_signed_out_device_is_not_even_told_of_a_move(scene: Scene) -> None:
    syncer = await scene.world.syncer()
    task, client = await asked(scene, syncer)
    await scene.world.directory.revoke_device(made_id(f"device {scene.bob}"), at_ms=0)
    await scene.photos.add(scene.alice, "a.jpg")
    await scene.world.published(scene.photos)
    await syncer.consumer.run_once()
    assert (await ended(task)).status == 401
    await client.__aexit__(None, None, None)


async def test_garbage_on_the_channel_hurts_nobody(scene: Scene) -> None:
    syncer = await scene.world.syncer()
    task, _ = await held(scene, syncer)
    await scene.world.cache.publish(CHANNEL, b"garbage")
    await scene.world.library("Plans", scene.alice, scene.bob)
    await touch(scene, scene.bob)
    assert task.done()


def test_touches_are_remembered_and_forgetting_errs_on_the_safe_side() -> None:
    touches = Touches(accounts_max=2)
    mark = touches.mark
    touches.touch("a")
    assert touches.since("a", mark)
    assert not touches.since("b", mark)
    assert not touches.since("a", touches.mark)
    later = touches.mark
    for account in ("b", "c", "d"):
        touches.touch(account)
    assert touches.since("a", mark), "who was forgotten counts as touched"
    assert touches.since("z", later)
    assert not touches.since("z", touches.mark)
