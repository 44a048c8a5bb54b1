"""What callers of queues and of the topic may rely on (syncline/ports/{queues,topics}.py)."""

import asyncio

import pytest

from syncline.domain.errors import Broken
from syncline.ports import tracing
from syncline.ports.queues import MAX_BODY_BYTES, Message, Queue
from tests.conformance.conftest import Subject
from tests.conformance.local_aws import UPLOADS_DELAY_S, VISIBILITY_S
from tests.traces import traced

STANDARD = [queue for queue in Queue if queue is not Queue.COMMITS]


async def drain(subject: Subject, queue: Queue, *, at_least: int = 1) -> list[Message]:
    """Receive, without deleting, until ``at_least`` messages came and none more does."""
    got: list[Message] = []
    while new := await subject.meanwhile(subject.queues.receive(queue, wait_s=5 if len(got) < at_least else 0)):
        got += new
    return got


async def receive_one(subject: Subject, queue: Queue, wait_s: int = 10) -> Message:
    (message,) = await subject.meanwhile(subject.queues.receive(queue, limit=1, wait_s=wait_s))
    return message


@pytest.mark.parametrize("queue", STANDARD)
async def test_what_is_sent_is_received(subject, queues, queue):
    bodies = [b"", b"text", bytes(range(256)), b"base64:", b"base64:AAAA", b'{"Records":[]}', "ü".encode()]
    before_ms = subject.clock.now_ms()
    for body in bodies:
        await queues.send(queue, body)
    got = await drain(subject, queue, at_least=len(bodies))
    assert sorted(message.body for message in got) == sorted(bodies)
    assert {message.received for message in got} == {1}
    assert {message.group for message in got} == {""}
    assert all(before_ms - 1000 <= message.sent_at_ms <= subject.clock.now_ms() + 1000 for message in got)
    assert len({message.receipt for message in got}) == len(bodies)
    await queues.delete(queue, got)


async def test_queues_are_apart(subject, queues):
    await queues.send(Queue.SYNC, b"x")
    assert await queues.receive(Queue.NOTIFY, wait_s=0) == []
    assert (await receive_one(subject, Queue.SYNC)).body == b"x"


async def test_an_empty_queue_answers_after_the_wait(subject, queues):
    before_ms = subject.clock.now_ms()
    assert list(await subject.meanwhile(queues.receive(Queue.SYNC, wait_s=1))) == []
    assert subject.clock.now_ms() - before_ms >= 900
    assert list(await queues.receive(Queue.SYNC, wait_s=0)) == []


async def test_a_waiting_receiver_gets_what_is_sent_meanwhile(subject, queues):
    async def send_later() -> None:
        await subject.clock.sleep(0.5)
        await queues.send(Queue.SYNC, b"late")

    sending = asyncio.create_task(send_later())
    assert (await receive_one(subject, Queue.SYNC, wait_s=20)).body == b"late"
    await sending


@pytest.mark.parametrize("limit", [1, 3, 10])
async def test_a_receive_keeps_its_limit(subject, queues, limit):
    for n in range(12):
        await queues.send(Queue.SYNC, b"%d" % n)
    got = await subject.meanwhile(queues.receive(Queue.SYNC, limit=limit))
    assert 1 <= len(got) <= limit


@pytest.mark.parametrize("limit", [0, 11])
async def test_more_than_ten_at_once_is_broken(queues, limit):
    with pytest.raises(Broken):
        await queues.receive(Queue.SYNC, limit=limit, wait_s=0)


async def test_a_received_message_is_hidden_and_comes_again(subject, queues):
    await queues.send(Queue.SYNC, b"x")
    first = await receive_one(subject, Queue.SYNC)
    assert list(await queues.receive(Queue.SYNC, wait_s=0)) == []
    await subject.wait(VISIBILITY_S + 0.2)
    second = await receive_one(subject, Queue.SYNC)
    assert (second.body, second.received) == (b"x", 2)
    assert second.receipt != first.receipt
    assert second.sent_at_ms == first.sent_at_ms


async def test_a_deleted_message_never_comes_again(subject, queues):
    for n in range(3):
        await queues.send(Queue.SYNC, b"%d" % n)
    got = await drain(subject, Queue.SYNC, at_least=3)
    await queues.delete(Queue.SYNC, [message for message in got if message.body != b"1"])
    await subject.wait(VISIBILITY_S + 0.2)
    assert [message.body for message in await drain(subject, Queue.SYNC)] == [b"1"]


async def test_many_are_deleted_at_once(subject, queues):
    for n in range(25):
        await queues.send(Queue.SYNC, b"%d" % n)
    await queues.delete(Queue.SYNC, await drain(subject, Queue.SYNC, at_least=25))
    await subject.wait(VISIBILITY_S + 0.2)
    assert list(await queues.receive(Queue.SYNC, wait_s=0)) == []
    await queues.delete(Queue.SYNC, [])


@pytest.mark.parametrize("queue", [Queue.SYNC, Queue.COMMITS])
async def test_what_is_gone_is_deleted_and_hidden_harmlessly(subject, queues, queue):
    order = {"group": "g", "dedup": "gone"} if queue is Queue.COMMITS else {}
    await queues.send(queue, b"x", **order)
    message = await receive_one(subject, queue)
    await queues.delete(queue, [message])
    await queues.delete(queue, [message])
    await queues.hide(queue, message, 5)


async def test_hiding_for_nothing_delivers_again_at_once(subject, queues):
    await queues.send(Queue.SYNC, b"x")
    await queues.hide(Queue.SYNC, await receive_one(subject, Queue.SYNC), 0)
    assert (await receive_one(subject, Queue.SYNC, wait_s=1)).received == 2


async def test_hiding_longer_than_the_visibility(subject, queues):
    await queues.send(Queue.SYNC, b"x")
    await queues.hide(Queue.SYNC, await receive_one(subject, Queue.SYNC), VISIBILITY_S + 2)
    await subject.wait(VISIBILITY_S + 0.5)
    assert list(await queues.receive(Queue.SYNC, wait_s=0)) == []
    assert (await receive_one(subject, Queue.SYNC)).body == b"x"


async def test_uploads_are_delayed(subject, queues):
    await queues.send(Queue.UPLOADS, b"later")
    await queues.send(Queue.DIRECT, b"now")
    assert (await receive_one(subject, Queue.DIRECT, wait_s=1)).body == b"now"
    assert list(await queues.receive(Queue.UPLOADS, wait_s=0)) == []
    await subject.wait(UPLOADS_DELAY_S + 0.2)
    assert (await receive_one(subject, Queue.UPLOADS)).body == b"later"


async def test_a_group_comes_in_order_and_one_batch_at_a_time(subject, queues, unique):
    for n in range(4):
        await queues.send(Queue.COMMITS, b"a%d" % n, group=f"{unique}a", dedup=f"{unique}a{n}")
    await queues.send(Queue.COMMITS, b"b0", group=f"{unique}b", dedup=f"{unique}b0")
    first = await receive_one(subject, Queue.COMMITS)
    assert (first.body, first.group) == (b"a0", f"{unique}a")
    # While it is hidden, the rest of its group waits; other groups do not.
    others = await drain(subject, Queue.COMMITS)
    assert [message.body for message in others] == [b"b0"]
    await queues.delete(Queue.COMMITS, [first, *others])
    seen: list[bytes] = []
    while len(seen) < 3:
        message = await receive_one(subject, Queue.COMMITS)
        await queues.delete(Queue.COMMITS, [message])
        seen.append(message.body)
    assert seen == [b"a1", b"a2", b"a3"]


async def test_a_group_keeps_its_order_after_a_failure(subject, queues, unique):
    for n in range(2):
        await queues.send(Queue.COMMITS, b"%d" % n, group=unique, dedup=f"{unique}{n}")
    await queues.hide(Queue.COMMITS, await receive_one(subject, Queue.COMMITS), 0)
    again = await receive_one(subject, Queue.COMMITS)
    assert (again.body, again.received) == (b"0", 2)


async def test_a_repeated_dedup_id_is_dropped_even_after_its_delete(subject, queues, unique):
    await queues.send(Queue.COMMITS, b"first", group="g", dedup=unique)
    await queues.send(Queue.COMMITS, b"repeated", group="g", dedup=unique)
    await queues.send(Queue.COMMITS, b"other group", group="h", dedup=unique)
    got = await drain(subject, Queue.COMMITS, at_least=2)
    assert sorted(message.body for message in got) == [b"first", b"other group"]
    await queues.delete(Queue.COMMITS, got)
    await queues.send(Queue.COMMITS, b"again", group="g", dedup=unique)
    assert list(await subject.meanwhile(queues.receive(Queue.COMMITS, wait_s=1))) == []


@pytest.mark.parametrize("queue", [Queue.NOTIFY, Queue.COMMITS])
async def test_after_five_receives_a_message_is_dead(subject, queues, queue, unique):
    order = {"group": unique, "dedup": unique} if queue is Queue.COMMITS else {}
    await queues.send(queue, b"poison", **order)
    for n in range(1, 6):
        message = await receive_one(subject, queue)
        assert message.received == n
        await queues.hide(queue, message, 0)
    assert list(await subject.meanwhile(queues.receive(queue, wait_s=1))) == []
    ((dead, reason),) = await queues.dead_letters(queue)
    assert (dead.body, reason) == (b"poison", "")


@pytest.mark.parametrize("queue", list(Queue))
async def test_what_can_never_succeed_is_set_aside_with_its_reason(subject, queues, queue, unique):
    order = {"group": unique, "dedup": unique} if queue is Queue.COMMITS else {}
    await queues.send(queue, b"\x00bad", **order)
    message = await receive_one(subject, queue)
    await queues.set_aside(queue, message, "bad-permit: it was signed by nobody ü")
    await subject.wait(VISIBILITY_S + 0.2)
    assert list(await queues.receive(queue, wait_s=0)) == []
    for _ in range(3):  # looking takes nothing away
        ((dead, reason),) = await queues.dead_letters(queue)
        assert (dead.body, reason) == (b"\x00bad", "bad-permit: it was signed by nobody ü")
        assert dead.group == message.group


async def test_any_reason_can_be_given(subject, queues):
    for reason in ("", "\x00\ud800 control\x07", "long" * 5000):
        await queues.send(Queue.SYNC, b"x")
        await queues.set_aside(Queue.SYNC, await receive_one(subject, Queue.SYNC), reason)
    assert len(await queues.dead_letters(Queue.SYNC)) == 3


async def test_depth_counts_what_waits(subject, queues):
    assert await queues.depth(Queue.SYNC) == 0
    for _ in range(4):
        await queues.send(Queue.SYNC, b"x")
    assert await queues.depth(Queue.SYNC) == 4
    await queues.delete(Queue.SYNC, await drain(subject, Queue.SYNC, at_least=4))
    assert await queues.depth(Queue.SYNC) == 0


async def test_the_largest_body_is_taken_and_no_larger_one(subject, queues):
    body = bytes(range(256)) * (MAX_BODY_BYTES // 256)
    await queues.send(Queue.SYNC, body)
    assert (await receive_one(subject, Queue.SYNC)).body == body
    with pytest.raises(Broken):
        await queues.send(Queue.SYNC, body + b"x")


@pytest.mark.parametrize(
    ("queue", "order"),
    [
        (Queue.COMMITS, {}),
        (Queue.COMMITS, {"group": "g"}),
        (Queue.COMMITS, {"dedup": "d"}),
        (Queue.SYNC, {"group": "g"}),
        (Queue.SYNC, {"dedup": "d"}),
    ],
)
async def test_group_and_dedup_belong_to_commits(queues, queue, order):
    with pytest.raises(Broken):
        await queues.send(queue, b"x", **order)


async def test_a_publication_reaches_both_queues_raw(subject, queues):
    bodies = [b"\x93\x01\xffmoved", b'{"json": true}', b""]
    for body in bodies:
        await subject.topic.publish(body)
    for queue in (Queue.SYNC, Queue.NOTIFY):
        got = await drain(subject, queue, at_least=len(bodies))
        assert sorted(message.body for message in got) == sorted(bodies)


async def set_aside(subject: Subject, queue: Queue, body: bytes, group: str, reason: str) -> None:
    order = {"group": group, "dedup": f"{group}{body!r}"} if queue is Queue.COMMITS else {}
    await subject.queues.send(queue, body, **order)
    await subject.queues.set_aside(queue, await receive_one(subject, queue), reason)


@pytest.mark.parametrize("queue", list(Queue))
async def test_dead_letters_are_redriven(subject, queues, queue, unique):
    await set_aside(subject, queue, b"\x00again", unique, "bad day")
    assert await queues.dead_depth(queue) == 1
    ((dead, reason),) = await subject.meanwhile(queues.redrive(queue))
    assert (dead.body, reason) == (b"\x00again", "bad day")
    assert (await queues.dead_depth(queue), list(await queues.dead_letters(queue))) == (0, [])
    message = await receive_one(subject, queue)
    assert (message.body, message.received) == (b"\x00again", 1)
    assert bool(message.group) == (queue is Queue.COMMITS)
    assert message.group == dead.group


async def test_redriven_commits_keep_the_order_of_their_group(subject, queues, unique):
    for n in range(3):
        await set_aside(subject, Queue.COMMITS, b"%d" % n, unique, "bad day")
    assert len(await subject.meanwhile(queues.redrive(Queue.COMMITS))) == 3
    seen = []
    for _ in range(3):
        message = await receive_one(subject, Queue.COMMITS)
        await queues.delete(Queue.COMMITS, [message])
        seen.append(message.body)
    assert seen == [b"0", b"1", b"2"]


@pytest.mark.parametrize("queue", [Queue.NOTIFY, Queue.COMMITS])
async def test_what_is_redriven_may_die_again_and_be_redriven_again(subject, queues, queue, unique):
    await set_aside(subject, queue, b"x", unique, "the first reason")
    for _ in range(2):  # within the five minutes in which a repeated dedup id is dropped
        assert len(await subject.meanwhile(queues.redrive(queue))) == 1
        for _ in range(5):
            await queues.hide(queue, await receive_one(subject, queue), 0)
        assert list(await subject.meanwhile(queues.receive(queue, wait_s=1))) == []
        ((_, reason),) = await queues.dead_letters(queue)
        assert reason == "the first reason"


async def test_a_redrive_keeps_its_limit_and_an_empty_one_is_harmless(subject, queues):
    assert list(await subject.meanwhile(queues.redrive(Queue.SYNC))) == []
    for n in range(3):
        await set_aside(subject, Queue.SYNC, b"%d" % n, "", "")
    assert len(await subject.meanwhile(queues.redrive(Queue.SYNC, limit=2))) == 2
    assert await queues.dead_depth(Queue.SYNC) == 1
    with pytest.raises(Broken):
        await queues.redrive(Queue.SYNC, limit=11)


@pytest.mark.parametrize("queue", [Queue.SYNC, Queue.COMMITS])
async def test_discarded_dead_letters_are_gone(subject, queues, queue, unique):
    for n in range(2):
        await set_aside(subject, queue, b"%d" % n, f"{unique}{n}", f"reason {n}")
    gone = await subject.meanwhile(queues.discard_dead(queue))
    assert sorted(reason for _, reason in gone) == ["reason 0", "reason 1"]
    await subject.wait(VISIBILITY_S + 0.2)
    assert await queues.dead_depth(queue) == 0
    assert list(await queues.receive(queue, wait_s=0)) == []


async def test_a_message_carries_the_trace_it_was_sent_in(subject, queues):
    with traced():
        await queues.send(Queue.SYNC, b"outside")
        with tracing.span("sending"):
            context = tracing.current()
            await queues.send(Queue.LETTERS, b"within")
            await subject.topic.publish(b"published")
    (letter,) = await drain(subject, Queue.LETTERS)
    assert (letter.body, letter.trace) == (b"within", context)
    assert {message.body: message.trace for message in await drain(subject, Queue.NOTIFY)} == {b"published": context}
    found = {message.body: message.trace for message in await drain(subject, Queue.SYNC, at_least=2)}
    assert found == {b"outside": "", b"published": context}
    # It goes with the message to the dead letters and back.
    await queues.set_aside(Queue.LETTERS, letter, "why")
    ((_, _),) = await subject.meanwhile(queues.redrive(Queue.LETTERS))
    assert (await receive_one(subject, Queue.LETTERS)).trace == context
