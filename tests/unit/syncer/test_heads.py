"""Held requests: what wakes them, what does not, and what happens when there are too many."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.syncer.app import Syncer
from services.syncer.heads import token_of
from services.syncer.hub import HELD_PER_ACCOUNT_MAX
from syncline.domain.errors import Refused
from syncline.domain.rights import Role
from syncline.messages import api
from syncline.messages.library_moved import WAKE_CHANNEL, LibraryMoved
from syncline.ports.queues import Queue
from syncline.store.journal import Head
from tests.unit.syncer.world import World
from tests.unit.writing import INCARNATION, Writer


class Scene:
    def __init__(self, world: World, alice: str, bob: str, photos: Writer) -> None:
        self.world, self.alice, self.bob, self.photos = world, alice, bob, photos


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    world = World()
    alice, bob = await world.account("Alice"), await world.account("Bob")
    photos = await world.library("Photos", alice, bob)
    yield Scene(world, alice, bob, photos)
    await world.close()


async def held(scene: Scene, syncer: Syncer, *, wait_s: int = 50) -> tuple[asyncio.Task[api.Heads], str]:
    """A request of Bob's that is held now, and the token it waits on."""
    token = (await syncer.holding.heads(scene.bob, "", 0)).token
    task = scene.world.background(syncer.holding.heads(scene.bob, token, wait_s))
    await scene.world.clock.run_for(0.01)
    assert not task.done()
    return task, token


async def moment(scene: Scene) -> None:
    """Time for what happened to be heard, but for no timer of ours."""
    await scene.world.clock.run_for(0.1)


async def test_without_a_token_the_answer_comes_at_once(scene: Scene) -> None:
    syncer = await scene.world.syncer()
    heads = await syncer.holding.heads(scene.bob, "", 50)
    assert [(h.library, h.seq) for h in heads.heads] == [(scene.photos.id, 0)]
    await scene.photos.add(scene.alice, "a.jpg")
    moved = await syncer.holding.heads(scene.bob, heads.token, 50)
    assert [h.seq for h in moved.heads] == [1]
    assert moved.token != heads.token


async def test_a_request_is_woken_by_the_queue_of_its_own_process(scene: Scene) -> None:
    scene.world.cache.away = True
    syncer = await scene.world.syncer()
    task, token = await held(scene, syncer)
    await scene.photos.add(scene.alice, "a.jpg")
    await scene.world.published(scene.photos)
    await syncer.consumer.run_once()
    await moment(scene)
    assert task.done()
    assert [h.seq for h in task.result().heads] == [1]
    assert task.result().token != token


async def test_a_request_is_woken_over_redis_when_another_process_got_the_message(scene: Scene) -> None:
    one, other = await scene.world.syncer(), await scene.world.syncer()
    task, _ = await held(scene, one)
    await scene.photos.add(scene.alice, "a.jpg")
    await scene.world.published(scene.photos)
    await other.consumer.run_once()
    await moment(scene)
    assert task.done()
    assert [h.seq for h in task.result().heads] == [1]


async def test_without_redis_a_move_that_another_process_heard_of_is_seen_by_reading(scene: Scene) -> None:
    one, other = await scene.world.syncer(), await scene.world.syncer()
    await scene.world.clock.run_for(3)
    scene.world.cache.away = True
    task, _ = await held(scene, one)
    await scene.photos.add(scene.alice, "a.jpg")
    await scene.world.published(scene.photos)
    await other.consumer.run_once()
    await moment(scene)
    assert not task.done()
    await scene.world.clock.run_for(6)
    assert task.done()
    assert [h.seq for h in task.result().heads] == [1]


async def test_when_redis_is_back_wake_ups_come_over_it_again(scene: Scene) -> None:
    scene.world.cache.away = True
    one, other = await scene.world.syncer(), await scene.world.syncer()
    await scene.world.clock.run_for(5)
    assert not one.hub.hears_redis
    scene.world.cache.away = False
    await scene.world.clock.run_for(5)
    assert one.hub.hears_redis
    task, _ = await held(scene, one)
    await scene.photos.add(scene.alice, "a.jpg")
    await scene.world.published(scene.photos)
    await other.consumer.run_once()
    await moment(scene)
    assert task.done()


async def test_while_redis_is_heard_nobody_polls(scene: Scene) -> None:
    syncer = await scene.world.syncer()
    await scene.world.clock.run_for(5)
    await held(scene, syncer)
    before = scene.world.tables.journal_batches
    await scene.world.clock.run_for(8)  # shorter than the membership is read again
    assert scene.world.tables.journal_batches == before


async def test_without_redis_one_reading_serves_everyone_who_waits(scene: Scene) -> None:
    scene.world.cache.away = True
    syncer = await scene.world.syncer()
    for _ in range(10):
        await held(scene, syncer)
    before = scene.world.tables.journal_batches
    await scene.world.clock.run_for(8.5)
    assert scene.world.tables.journal_batches - before <= 5


async def test_a_request_that_nothing_woke_answers_the_same_when_its_time_is_over(scene: Scene) -> None:
    syncer = await scene.world.syncer()
    task, token = await held(scene, syncer, wait_s=30)
    await scene.world.clock.run_for(29)
    assert not task.done()
    await scene.world.clock.run_for(1)
    assert task.done()
    assert task.result().token == token


async def test_nobody_is_held_longer_than_fifty_seconds(scene: Scene) -> None:
    syncer = await scene.world.syncer()
    task, _ = await held(scene, syncer, wait_s=3_600)
    await scene.world.clock.run_for(50)
    assert task.done()


async def test_other_libraries_old_news_and_repeated_news_wake_nobody(scene: Scene) -> None:
    await scene.photos.add(scene.alice, "a.jpg")
    plans = await scene.world.library("Plans", scene.alice)
    syncer = await scene.world.syncer()
    task, _ = await held(scene, syncer)
    before = scene.world.tables.journal_batches
    await plans.add(scene.alice, "x.txt")
    for library in (plans, scene.photos, scene.photos):
        await scene.world.published(library)
    await syncer.consumer.run_once()
    await moment(scene)
    assert not task.done()
    assert scene.world.tables.journal_batches == before


async def test_a_library_one_was_added_to_wakes(scene: Scene) -> None:
    syncer = await scene.world.syncer()
    task, _ = await held(scene, syncer)
    plans = await scene.world.library("Plans", scene.alice, scene.bob)
    scene.world.cache.away = True  # so nobody tells
    await scene.world.clock.run_for(11)
    assert task.done()
    assert plans.id in {h.library for h in task.result().heads}


async def test_a_library_one_was_removed_from_wakes(scene: Scene) -> None:
    syncer = await scene.world.syncer()
    task, _ = await held(scene, syncer)
    await scene.world.directory.set_member(scene.photos.id, scene.bob, None)
    scene.world.cache.away = True  # so nobody tells
    await scene.world.clock.run_for(11)
    assert task.done()
    assert task.result().heads == []


async def test_someone_without_libraries_is_held_too_and_woken_by_the_first(scene: Scene) -> None:
    carol = await scene.world.account("Carol")
    syncer = await scene.world.syncer()
    token = (await syncer.holding.heads(carol, "", 0)).token
    task = scene.world.background(syncer.holding.heads(carol, token, 50))
    await scene.world.clock.run_for(5)
    assert not task.done()
    await scene.world.directory.set_member(scene.photos.id, carol, Role.VIEWER)
    scene.world.cache.away = True  # so nobody tells
    await scene.world.clock.run_for(11)
    assert task.done()


async def test_a_move_while_the_heads_are_read_is_not_missed(scene: Scene) -> None:
    """The race between reading and waiting, at every turn of the loop."""
    syncer = await scene.world.syncer()
    for turns in range(30):
        token = (await syncer.holding.heads(scene.bob, "", 0)).token
        task = scene.world.background(syncer.holding.heads(scene.bob, token, 50))
        for _ in range(turns):
            await asyncio.sleep(0)
        await scene.photos.add(scene.alice, f"{turns}.jpg")
        await scene.world.published(scene.photos)
        await syncer.consumer.run_once()
        await moment(scene)
        assert task.done(), f"missed after {turns} turns"


async def test_a_move_between_a_reading_and_its_answer_is_not_missed(scene: Scene) -> None:
    syncer = await scene.world.syncer()
    token = (await syncer.holding.heads(scene.bob, "", 0)).token

    async def move() -> None:
        await scene.photos.add(scene.alice, "a.jpg")
        syncer.hub.moved(LibraryMoved(scene.photos.id, scene.photos.seq, INCARNATION), "queue")

    # The next reading is the one before holding, the one after it the first while held.
    scene.world.tables.after_batch[scene.world.tables.journal_batches + 2] = move
    task = scene.world.background(syncer.holding.heads(scene.bob, token, 50))
    await moment(scene)
    assert scene.world.tables.after_batch == {}
    assert task.done()
    assert [h.seq for h in task.result().heads] == [1]


async def test_draining_answers_everyone_at_once(scene: Scene) -> None:
    syncer = await scene.world.syncer()
    tasks = [(await held(scene, syncer))[0] for _ in range(5)]
    await syncer.hub.drain()
    await moment(scene)
    assert all(task.done() for task in tasks)
    again = await syncer.holding.heads(scene.bob, tasks[0].result().token, 50)
    assert again.token == tasks[0].result().token


async def test_too_many_held_requests_are_told_to_come_again(scene: Scene) -> None:
    syncer = await scene.world.syncer(held_max=3)
    token = ""
    tasks = []
    for _ in range(3):
        task, token = await held(scene, syncer)
        tasks.append(task)
    with pytest.raises(Refused) as refused:
        await syncer.holding.heads(scene.bob, token, 50)
    assert (refused.value.status, refused.value.facts["retry_after_s"]) == (503, 5)
    # Who need not wait is answered all the same, and a place that is free again is given.
    assert (await syncer.holding.heads(scene.bob, "", 50)).token == token
    tasks[0].cancel()
    await moment(scene)
    await held(scene, syncer)


async def test_one_account_cannot_take_all_places(scene: Scene) -> None:
    syncer = await scene.world.syncer()
    tasks, token = [], ""
    for _ in range(HELD_PER_ACCOUNT_MAX):
        task, token = await held(scene, syncer)
        tasks.append(task)
    with pytest.raises(Refused):
        await syncer.holding.heads(scene.bob, token, 50)
    hers = scene.world.background(syncer.holding.heads(scene.alice, token, 50))
    await moment(scene)
    assert not hers.done()
    for task in tasks:
        task.cancel()
    await moment(scene)
    await held(scene, syncer)


def test_a_token_says_everything_that_can_differ() -> None:
    """A restored library has another incarnation and perhaps the same seq."""
    heads = {"a": Head(1, 1, "i"), "b": Head(2, 1, "i")}
    others: list[dict[str, Head]] = [
        {"a": heads["a"]},
        heads | {"a": Head(2, 1, "i")},
        heads | {"a": Head(1, 1, "j")},
        heads | {"c": Head(1, 1, "i")},
    ]
    tokens = {token_of(each) for each in [heads, *others]}
    assert len(tokens) == 5
    assert token_of(dict(reversed(heads.items()))) == token_of(heads | {"a": Head(1, 7, "i")}) == token_of(heads)


async def test_garbage_on_redis_and_on_the_queue_hurts_nobody(scene: Scene) -> None:
    syncer = await scene.world.syncer()
    task, _ = await held(scene, syncer)
    await scene.world.cache.publish(WAKE_CHANNEL, b"garbage")
    await scene.world.queues.send(Queue.SYNC, b"garbage")
    await scene.photos.add(scene.alice, "a.jpg")
    await scene.world.published(scene.photos)
    await syncer.consumer.run_once()
    await moment(scene)
    assert task.done()
    assert len(await scene.world.queues.dead_letters(Queue.SYNC)) == 1
