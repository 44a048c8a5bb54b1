"""A notifier is killed at every call of gathering, claiming and sending; another one takes over."""

from __future__ import annotations

import pytest

from services.notifier.app import Notifier, Ports, make_notifier
from services.notifier.windows import LEASE_MS
from tests.unit.metadata.steps import At, Died, Stepped
from tests.unit.notifier.world import LINK_KEYS, PUBLIC_URL, WINDOW_S, World, rows

SENDING = "before send"
"""From here until the window says that it is done the mail may be out, and nobody knows."""


def stepped(world: World, step: At) -> Notifier:
    ports = Ports(Stepped(world.tables, step), Stepped(world.queues, step), Stepped(world.mailer, step), world.clock)
    return make_notifier(
        ports,
        link_keys=LINK_KEYS,
        public_url=PUBLIC_URL,
        mail_from="Syncline <mail@sync.example.org>",
        window_s=WINDOW_S,
    )


async def followed() -> World:
    """Bob and Carol follow what Alice does; two commits were published."""
    world = World()
    alice, bob, carol = [await world.account(name) for name in ("Alice", "Bob", "Carol")]
    photos = await world.library("Photos", alice, bob, carol)
    for follower in (bob, carol):
        await world.follows.follow(photos.id, photos.id, follower)
    for name in ("a.jpg", "b.jpg"):
        await photos.add(alice, name)
    await world.published(photos)
    return world


async def work(world: World, notifier: Notifier) -> None:
    while await notifier.consumer.run_once():
        pass
    await world.window_over(notifier)


async def test_killed_at_any_call_everybody_is_told_all_of_it() -> None:
    world, plan = await followed(), At()
    await work(world, stepped(world, plan))
    assert len(world.mailer.sent) == 2
    assert len(plan.steps) > 60
    first_sent = plan.steps.index(SENDING) + 1
    for stop_at in range(1, len(plan.steps) + 1):
        world = await followed()
        with pytest.raises(Died):
            await work(world, stepped(world, At(stop_at)))
        heir = world.notifier()
        for _ in range(4):
            world.clock.advance(LEASE_MS / 1000)
            while await heir.consumer.run_once():
                pass
            await heir.sender.round()
        for name in ("Bob", "Carol"):
            mails = world.sent_to(name)
            assert mails[0]["Subject"] == "Photos: 2 changes by Alice Example"
            assert len({str(mail["Message-ID"]) for mail in mails}) == 1
            assert len(mails) <= (1 if stop_at <= first_sent else 2)
        assert rows(world.tables, "due#") == []
