"""Alarms about what is behind, mail, and the surroundings: each goes off by its cause, and is quiet again after it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from services.metadata.move_sweep import GIVE_UP_AFTER_S
from services.notifier.sending import GIVE_UP_MS
from syncline.domain.alarms import MAILS_LEAST
from syncline.domain.figures import PULSE_S, WINDOW_S
from syncline.domain.rights import Role
from syncline.messages import send_letter
from syncline.messages.send_letter import SendLetter
from syncline.ports.mail import SendRate
from syncline.ports.queues import Queue
from syncline.ports.tables import Put, Table
from syncline.store.aside import Aside
from syncline.store.follows import Follows
from tests.unit.alarms.world import SWEEP_S, Stack, a_stack, goes_off
from tests.unit.metadata.steps import Died, stepped_worker
from tests.unit.metadata.sweeping import a_grant, emptied, some_id
from tests.unit.metadata.world import BOB, LIBRARY
from tests.unit.notifier.test_returns import bounce, complaint

HOUR_S = 3_600


# -- what is behind


@goes_off("views-behind")
async def test_views_that_cannot_be_brought_up():
    async with a_stack() as stack:
        await stack.stop("metadata")
        await stack.add(await stack.upload("plan.txt"))
        with pytest.raises(Died):
            await stepped_worker(stack, dies_before_the_views).once(Queue.COMMITS)
        await emptied(stack)
        (row,) = stack.rows_in_place(f"journal#{LIBRARY}")
        body, row["body"] = row["body"], b"damaged"
        stack.start("metadata")
        await stack.pass_time(WINDOW_S)
        assert "views-behind" in await stack.firing()
        row["body"] = body
        await stack.pass_time(3_600)
        assert "views-behind" not in await stack.firing()


async def dies_before_the_views(called: str) -> None:
    if called == "before put_many":
        raise Died


@goes_off("news-behind")
async def test_a_consumer_of_the_topic_that_never_hears():
    async with a_stack() as stack:
        await stack.stop("notifier")
        await stack.add(await stack.upload("plan.txt"))
        await stack.pass_time(HOUR_S + SWEEP_S)
        assert await stack.firing() == ["service-gone-notifier", "news-behind"]
        stack.start("notifier")
        await stack.pass_time(2 * SWEEP_S)
        await stack.pass_time(PULSE_S)
        assert "news-behind" not in await stack.firing()


@goes_off("sweep-failing")
async def test_a_sweep_that_cannot_list_the_bucket():
    async with a_stack() as stack:
        await a_grant(stack)
        stack.breaks("objects")
        await stack.pass_time(4 * SWEEP_S + PULSE_S)
        assert await stack.firing() == ["sweep-failing"]
        stack.mends("objects")
        await stack.pass_time(SWEEP_S + PULSE_S)
        assert await stack.firing() == []


@goes_off("given-up")
async def test_followers_that_could_not_be_told_for_a_fortnight():
    async with a_stack() as stack:
        for service in ("notifier", "syncer"):
            await stack.stop(service)
        await stack.add(await stack.upload("plan.txt"))
        await stack.pass_time(1)
        stack.clock.advance(GIVE_UP_AFTER_S)
        await stack.pass_time(2 * SWEEP_S)
        assert "given-up" in await stack.firing()
        await stack.pass_time(WINDOW_S + PULSE_S)
        assert "given-up" not in await stack.firing()


@goes_off("archive-behind")
async def test_a_bucket_that_takes_no_archive():
    async with a_stack() as stack:
        stack.breaks("objects")
        await stack.directory.set_member(LIBRARY, BOB, Role.VIEWER)
        await stack.pass_time(6 * 60 + PULSE_S)
        assert "archive-behind" in await stack.firing()
        stack.mends("objects")
        await stack.pass_time(200)
        assert await stack.firing() == []


# -- mail


async def a_change_to_tell(stack: Stack) -> None:
    await Follows(stack.tables).follow(LIBRARY, LIBRARY, BOB)
    await stack.add(await stack.upload("plan.txt"))
    await stack.pass_time(10)


@goes_off("mail-late")
async def test_ses_is_away_for_longer():
    async with a_stack() as stack:
        stack.breaks("mail")
        await a_change_to_tell(stack)
        await stack.pass_time(120 + 900 + PULSE_S)
        assert await stack.firing() == ["mail-late"]
        stack.mends("mail")
        await stack.pass_time(HOUR_S)
        assert len(stack.mailer.sent) == 1
        assert await stack.firing() == []


@goes_off("mail-given-up")
async def test_ses_is_away_for_three_days():
    async with a_stack() as stack:
        stack.breaks("mail")
        await a_change_to_tell(stack)
        await stack.pass_time(120)
        stack.clock.advance(GIVE_UP_MS / 1000)
        await stack.pass_time(HOUR_S / 6)
        assert "mail-given-up" in await stack.firing()
        stack.mends("mail")
        await stack.pass_time(WINDOW_S + PULSE_S)
        assert await stack.firing() == []


async def letters(stack: Stack, count: int) -> None:
    """Letters to as many people, until so many were sent."""
    not_after = stack.clock.now_ms() // 1000 + 10**6
    for n in range(len(stack.mailer.sent), count):
        letter = SendLetter(some_id(f"letter {n}"), "password-changed", f"{n}@example.org", {}, "en", not_after)
        await stack.queues.send(Queue.LETTERS, send_letter.encode(letter))
    await stack.pass_time(2 * PULSE_S)
    assert len(stack.mailer.sent) == count


@pytest.mark.parametrize(("returned", "name"), [(bounce, "bounces"), (complaint, "complaints")])
@goes_off("bounces")
@goes_off("complaints")
async def test_mail_that_comes_back(returned: Callable[[str], str], name: str):
    async with a_stack() as stack:
        await letters(stack, MAILS_LEAST)
        assert await stack.firing() == []
        for n in range(2):
            await stack.queues.send(Queue.BOUNCES, returned(f"{n}@example.org").encode())
        await stack.pass_time(PULSE_S)
        assert await stack.firing() == [name]
        await stack.pass_time(WINDOW_S)
        assert await stack.firing() == []


@goes_off("mail-quota")
async def test_the_mail_of_a_day_is_nearly_used_up():
    async with a_stack(allowed=SendRate(1_000, 30, 100)) as stack:
        await letters(stack, 5)
        assert await stack.firing() == []
        await letters(stack, 12)
        assert await stack.firing() == ["mail-quota"]


@goes_off("rows-aside")
async def test_a_row_of_mail_that_nobody_can_read():
    async with a_stack() as stack:
        await stack.tables.write(Put(Table.MAIL, {"pk": "due#0", "sk": "000000000000001#garbage"}))
        await stack.pass_time(10)
        assert await stack.firing() == ["rows-aside"]
        (aside,) = await Aside(stack.tables).all(2)
        assert aside.row["sk"] == "000000000000001#garbage"


# -- surroundings


@goes_off("cache-away")
async def test_redis_is_gone():
    async with a_stack() as stack:
        stack.breaks("cache")
        await stack.pass_time(4 * PULSE_S)
        assert await stack.firing() == ["cache-away"]
        stack.mends("cache")
        await stack.pass_time(PULSE_S)
        assert await stack.firing() == []
