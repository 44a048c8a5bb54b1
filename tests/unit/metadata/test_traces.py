"""A commit is made, and remembered, in the trace of whoever asked for it; and how long each stage took."""

from __future__ import annotations

from typing import Any

import pytest

from syncline.domain.commands import MakeFolder
from syncline.domain.permits import MAX_SEALED_BYTES, METADATA_NAME, seal_permit
from syncline.domain.traceparent import TRACEPARENT, trace_id_of
from syncline.ports import tracing
from syncline.ports.queues import Queue
from syncline.serving.contexts import OutsideContexts
from tests.traces import NONE, id_of, linked_traces, parent_of, trace_of, traced
from tests.unit.metadata.world import KEYS, LIBRARY, Worker, World

CONTEXT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def ask(world: World, name: str) -> str:
    """A folder asked for in a trace of its own; the trace."""
    with tracing.span(name):
        await world.ask(MakeFolder(world.new_id(), LIBRARY, name))
        return tracing.current_trace_id()


async def traces_of_commits(world: World) -> list[str]:
    return [trace_id_of(commit.trace) for commit in await world.commits()]


def stage(worker: Worker, name: str) -> Any:
    """(how many, how many s together)."""
    metrics = worker.metrics.registry
    return tuple(
        metrics.get_sample_value(f"syncline_metadata_commit_stage_seconds_{part}", {"stage": name}) or 0.0
        for part in ("count", "sum")
    )


async def test_commands_of_one_batch_are_committed_each_in_its_own_trace(world: World):
    with traced() as traces:
        asked = [await ask(world, name) for name in ("one", "two")]
        await world.worker().drain()
        assert await traces_of_commits(world) == asked
        spans = traces.named("commit")
        assert [f"{trace_of(span):032x}" for span in spans] == asked
        assert [parent_of(span) for span in spans] == [id_of(traces.one(name)) for name in ("one", "two")]
        assert linked_traces(spans[1]) == [int(asked[0], 16)], "to the batch, which goes on in the first trace"
        # Who hears of it later is in the first trace, too.
        (message,) = await world.queues.receive(Queue.SYNC, wait_s=0)
        assert trace_id_of(message.trace) == asked[0]


async def test_a_commit_that_nobody_records_keeps_no_trace(world: World):
    await world.ask(MakeFolder(world.new_id(), LIBRARY, "untraced"))
    await world.worker().drain()
    with traced(NONE):
        await ask(world, "unsampled")
        await world.worker().drain()
    assert [commit.trace for commit in await world.commits()] == ["", ""]


async def landed(world: World, name: str, context: str) -> None:
    """Bytes put by a client that says it was in this context, and dies."""
    permit = await world.permit(b"content", name=name)
    await world.objects.put(
        permit.key, b"content", metadata={METADATA_NAME: seal_permit(permit, KEYS), TRACEPARENT: context}
    )


async def test_what_landed_goes_on_in_the_trace_of_its_client(world: World):
    with traced() as traces:
        await landed(world, "a.txt", CONTEXT)
        await world.worker().drain()
        assert await traces_of_commits(world) == [trace_id_of(CONTEXT)]
        assert parent_of(traces.one("landed")) == int(CONTEXT[36:52], 16)


@pytest.mark.parametrize("context", ["", "rubbish", "x" * 5_000, CONTEXT + "\n{}", "00-" + "0" * 32 + CONTEXT[35:]])
async def test_what_is_no_context_does_no_harm(world: World, context: str):
    with traced():
        await landed(world, "a.txt", context)
        await world.worker().drain()
    assert await world.names() == ["a.txt"]
    (trace,) = await traces_of_commits(world)
    assert len(trace) == 32
    assert trace != trace_id_of(CONTEXT)


async def test_of_a_client_that_wants_everything_recorded_not_everything_is(world: World):
    worker = world.worker()
    worker.intake._arrivals._contexts = OutsideContexts(per_s=2, monotonic=lambda: 0.0)
    with traced() as traces:
        for n in range(5):
            await landed(world, f"{n}.txt", f"00-{n + 1:032x}-00f067aa0ba902b7-01")
            await worker.once(Queue.UPLOADS)
        await worker.drain()
        assert [trace_of(span) for span in traces.named("landed")] == [1, 2]
    assert await traces_of_commits(world) == [f"{1:032x}", f"{2:032x}", "", "", ""]


async def test_the_stages_of_a_changes_way_are_measured(world: World):
    worker = world.worker()
    await landed(world, "a.txt", "")
    world.clock.advance(7)
    await worker.once(Queue.UPLOADS)
    assert stage(worker, "seen") == (1, pytest.approx(7, abs=1))
    world.clock.advance(3)
    await worker.once(Queue.COMMITS)
    assert stage(worker, "committed") == (1, pytest.approx(3))
    assert stage(worker, "applied")[0] == 1
    # The same events again are nothing new.
    await world.queues.send(Queue.UPLOADS, b'{"Records": []' + b', "Event": "s3:TestEvent"}')
    await worker.drain()
    assert stage(worker, "seen")[0] == stage(worker, "committed")[0] == stage(worker, "applied")[0] == 1


def test_the_longest_permit_leaves_room_for_a_context():
    # S3 counts the bytes of names and values, at most 2 KB; with every prefix it still fits.
    prefix = "x-amz-meta-"
    metadata = {METADATA_NAME: "p" * MAX_SEALED_BYTES, TRACEPARENT: CONTEXT}
    assert sum(len(prefix) + len(name) + len(value) for name, value in metadata.items()) <= 2_048
