"""A mail is linked to the commits it tells of, and says how long they took to get there."""

from __future__ import annotations

from syncline.ports import tracing
from tests.traces import linked_traces, traced
from tests.unit.notifier.world import WINDOW_S, World


async def test_a_mail_is_linked_to_its_commits_and_measured_from_the_oldest():
    world = World()
    alice, bob = await world.account("Alice"), await world.account("Bob")
    photos = await world.library("Photos", alice, bob)
    await world.follows.follow(photos.id, photos.id, bob)
    notifier = world.notifier()
    with traced() as traces:
        sent = []
        for name in ("a.jpg", "b.jpg"):
            with tracing.span(name):
                await photos.add(alice, name)
                sent.append(int(tracing.current_trace_id(), 16))
        await world.told(notifier, photos)
        await world.window_over(notifier)
        assert len(world.sent_to("Bob")) == 1
        assert linked_traces(traces.one("mail")) == sent
        assert "jpg" not in traces.one("mail").to_json()
    seconds = notifier.sender._stages._seconds.labels("mailed")
    assert seconds._sum.get() >= WINDOW_S
