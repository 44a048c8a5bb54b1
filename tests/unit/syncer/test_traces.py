"""Who was held is linked to what woke them, also by another syncer; and how long that took."""

from __future__ import annotations

from syncline.messages.library_moved import LibraryMoved, encode
from syncline.ports import tracing
from syncline.ports.queues import Queue
from syncline.serving.http import METRICS
from tests.traces import linked_traces, trace_of, traced
from tests.unit.syncer.world import World
from tests.unit.writing import INCARNATION

LATER_S = 3


async def test_a_wake_up_belongs_to_the_commits_trace_in_every_syncer():
    world = World()
    with traced() as traces:
        alice = await world.account("Alice")
        photos = await world.library("Photos", alice)
        hearing, holding = await world.syncer(), await world.syncer()
        now = await holding.holding.heads(alice, "", 0)

        async def wait() -> None:
            with tracing.span("GET /v1/sync/heads"):
                await holding.holding.heads(alice, now.token, 50)

        held = world.background(wait())
        await world.clock.run_for(0.01)
        with tracing.span("alice's"):
            commit = await photos.add(alice, "a.jpg")
            trace = int(tracing.current_trace_id(), 16)
            moved = LibraryMoved(photos.id, photos.seq, INCARNATION, commit.at_ms)
            await world.queues.send(Queue.SYNC, encode(moved))
        world.clock.advance(LATER_S)
        await hearing.consumer.run_once()
        await world.clock.run_for(0.01)
        await held
        assert [trace_of(span) for span in traces.named("wake")] == [trace]
        assert linked_traces(traces.one("held")) == [trace]
        assert trace_of(traces.one("held")) != trace
    woken = hearing.app[METRICS].registry.get_sample_value(
        "syncline_syncer_commit_stage_seconds_sum", {"stage": "woken"}
    )
    assert woken is not None
    assert woken >= LATER_S
    await world.close()


async def test_a_publication_of_before_is_heard_as_ever():
    world = World()
    alice = await world.account("Alice")
    photos = await world.library("Photos", alice)
    syncer = await world.syncer()
    await photos.add(alice, "a.jpg")
    await world.published(photos)
    assert await syncer.consumer.run_once() == 1
    await world.close()
