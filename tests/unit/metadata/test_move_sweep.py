"""The sweep over moves: views behind the journal, publications lost, mail that would never have gone out."""

from __future__ import annotations

import pytest

from services.metadata.move_sweep import GIVE_UP_AFTER_S, PAUSE_S_MAX, due_at_ms
from syncline.domain.commands import AddVersion
from syncline.domain.errors import Broken
from syncline.domain.rights import Role
from syncline.memory.counting import CountingTables, Counts
from syncline.memory.faults import FaultPlan, FaultyTopic
from syncline.memory.mail import MemoryMailer
from syncline.ports.queues import Queue
from syncline.ports.tables import Table
from syncline.store.directory import AccountRecord, LibraryRecord
from syncline.store.follows import Follows
from syncline.store.moves import Move
from tests.unit.metadata.steps import At, Died, stepped_worker
from tests.unit.metadata.sweeping import Hearers, emptied, heard, moves_of, some_id, sweep
from tests.unit.metadata.world import ALICE, BOB, LIBRARY, SWEEP_S, Worker, World


async def committed(world: World, name: str = "plan.txt", *, dies_before: str = "") -> None:
    """A file, committed by a worker that dies before its first call of this name."""

    async def step(called: str) -> None:
        if called == f"before {dies_before}":
            raise Died

    await world.add(await world.upload(name))
    worker = stepped_worker(world, step)
    if not dies_before:
        await worker.once(Queue.COMMITS)
        return
    with pytest.raises(Died):
        await worker.once(Queue.COMMITS)


async def test_commits_that_everyone_has_heard_of_leave_no_trace(world: World):
    await committed(world)
    assert moves_of(world) == [LIBRARY]
    await Hearers(world).listen()
    worker = await sweep(world)
    assert moves_of(world) == []
    assert worker.swept("libraries", "published") == worker.swept("libraries", "views") == 0


@pytest.mark.parametrize("dies_before", ["put_many", "write", "publish"])
async def test_a_worker_that_died_after_the_append_and_its_message_with_it(world: World, dies_before: str):
    await committed(world, dies_before=dies_before)
    await emptied(world)
    worker = await sweep(world)
    assert worker.swept("libraries", "views") == (dies_before != "publish")
    await world.whole()
    await Hearers(world).listen()
    assert await heard(world) == 1
    await sweep(world, worker, rounds=2)
    assert moves_of(world) == []
    assert worker.swept("libraries", "published") == 1


async def followed(world: World) -> None:
    """Bob follows the library."""
    await world.directory.create_account(AccountRecord(BOB, "bob@example.org", "Bob", "", 1))
    await world.directory.create_account(AccountRecord(ALICE, "alice@example.org", "Alice", "", 1))
    await Follows(world.tables).follow(LIBRARY, LIBRARY, BOB)


async def test_a_publication_that_did_not_reach_the_notifier_still_becomes_a_mail(world: World):
    await followed(world)
    hearers = Hearers(world)
    await committed(world, "lost.txt")
    await emptied(world)
    await sweep(world)
    await hearers.listen()
    world.clock.advance(120)
    await hearers.notifier.sender.round()
    [sent] = hearers.mailer.sent
    body = sent.message.get_body(("plain",))
    assert body is not None
    assert "lost.txt" in body.get_content()
    await sweep(world, rounds=20)
    await hearers.listen()
    world.clock.advance(120)
    await hearers.notifier.sender.round()
    assert len(hearers.mailer.sent) == 1
    assert moves_of(world) == []


async def gathers_and_sends(world: World, hearers: Hearers) -> None:
    await hearers.notifier.consumer.run_once()
    world.clock.advance(120)
    await hearers.notifier.sender.round()


async def test_a_notifier_killed_at_any_step_and_its_queue_emptied():
    """Neither the message nor the worker comes back: what was not gathered is told again, open windows are sent."""
    steps = At()
    world = await World().begin()
    await followed(world)
    await committed(world)
    await gathers_and_sends(world, Hearers(world, step=steps))
    assert steps.steps[-1].endswith("transact")
    sent_at = steps.steps.index("after send") + 1
    for stop_at in range(1, len(steps.steps) + 1):
        world = await World().begin()
        await followed(world)
        await committed(world)
        mailer = MemoryMailer()
        with pytest.raises(Died):
            await gathers_and_sends(world, Hearers(world, mailer=mailer, step=At(stop_at)))
        await emptied(world)
        heirs = Hearers(world, mailer=mailer)
        worker = world.worker()
        for _ in range(8):
            await sweep(world, worker)
            await heirs.listen()
            world.clock.advance(120)
            await heirs.notifier.sender.round()
        # Only a death after SES took the mail and before that was noted sends it again.
        assert len(mailer.sent) == (2 if sent_at <= stop_at < len(steps.steps) else 1), steps.steps[stop_at - 1]
        assert len({sent.message["Message-ID"] for sent in mailer.sent}) == 1
        assert moves_of(world) == []


async def test_while_a_consumer_is_away_it_is_told_less_and_less_often(world: World):
    await committed(world)
    await emptied(world)
    worker = await sweep(world, rounds=24 * 60)
    assert 8 <= worker.swept("libraries", "published") <= 12
    assert moves_of(world) == [LIBRARY]
    await Hearers(world).listen()
    await sweep(world, worker, rounds=PAUSE_S_MAX // SWEEP_S)
    assert moves_of(world) == []


async def test_a_consumer_that_fails_for_ever_is_given_up(world: World):
    await committed(world)
    worker = world.worker()
    for _ in range(GIVE_UP_AFTER_S // 3_600 + 8):
        world.clock.advance(3_600)
        await worker.sweep.once()
        await emptied(world)
    assert worker.swept("libraries", "given-up") == 1
    assert moves_of(world) == []
    assert worker.swept("libraries", "published") < 80


async def test_a_library_that_moves_on_is_found_at_its_newest_commit(world: World):
    await committed(world, "one", dies_before="publish")
    world.clock.advance(SWEEP_S - 1)
    await committed(world, "two", dies_before="put_many")
    await emptied(world)
    worker = await sweep(world)
    await world.whole()
    await Hearers(world).listen()
    assert await heard(world) == 2
    assert worker.swept("libraries", "published") == 1


async def test_a_topic_that_is_away_is_told_when_it_is_back(world: World):
    await committed(world, dies_before="publish")
    await emptied(world)
    plan = FaultPlan(1, before=1.0)
    worker = await sweep(world, Worker(world, topic=FaultyTopic(world.topic, plan)), rounds=3)
    assert await world.left_on(Queue.NOTIFY) == 0
    plan.on = False
    await sweep(world, worker)
    assert await world.left_on(Queue.NOTIFY) == 1


async def test_a_library_that_is_gone_is_let_go(world: World):
    await committed(world)
    world.tables._partitions.pop((Table.JOURNAL, f"head#{LIBRARY}"))
    await sweep(world)
    assert moves_of(world) == []


async def test_a_damaged_journal_keeps_no_other_library_from_being_healed(world: World):
    await committed(world, dies_before="put_many")
    other = some_id("other")
    await world.directory.create_library(LibraryRecord(other, "Other", 1), ALICE, "inc")
    await world.directory.set_member(other, BOB, Role.EDITOR)
    permit = await world.permit(b"x", name="fine", parent=other, library=other)
    await world.put(permit, b"x")
    await world.ask(AddVersion(permit), library=other)
    for row in world.rows_in_place(f"journal#{LIBRARY}"):
        row["body"] = b"damaged"
    await world.worker().once(Queue.COMMITS)
    await emptied(world)
    worker = await sweep(world)
    assert worker.swept("libraries", "failed") == 1
    assert worker.swept("libraries", "published") == 1
    assert LIBRARY in moves_of(world), "it stays to be found"
    with pytest.raises(Broken):
        await world.commits()


async def test_many_libraries_are_looked_at_in_batches(world: World):
    await sweep(world)  # the first one looks for grants in all hours
    libraries = [some_id(f"library {n}") for n in range(200)]
    for library in libraries:
        await world.directory.create_library(LibraryRecord(library, "Busy", 1), ALICE, "inc")
        permit = await world.permit(b"x", name="file", parent=library, library=library)
        await world.put(permit, b"x")
        await world.ask(AddVersion(permit), library=library)
    await world.worker().drain()
    await Hearers(world).listen()
    counts = Counts()
    worker = Worker(world, tables=CountingTables(world.tables, counts))
    world.clock.advance(SWEEP_S)
    await worker.sweep.once()
    assert moves_of(world) == []
    assert counts.calls["DeleteItem"] == 200
    assert counts.requests - counts.calls["DeleteItem"] < 300
    assert counts.read_units < 3 * 200 + 300


def test_the_pauses():
    fresh = Move(LIBRARY, 1, "inc", 1_000_000)
    assert due_at_ms(fresh, 60) == 1_060_000
    told = [due_at_ms(Move(LIBRARY, 1, "inc", 0, told_ms=0, tries=tries), 60) // 1000 for tries in range(1, 30)]
    assert told[:3] == [120, 240, 480]
    assert told[-1] == PAUSE_S_MAX
    assert told == sorted(told)
