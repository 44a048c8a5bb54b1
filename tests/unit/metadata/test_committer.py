"""The committer: one outcome per command, views and publications that follow, rights at head."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from services.metadata.committer import NOT_ALLOWED
from services.metadata.landing import NOT_LANDED
from syncline.domain.commands import Command, CopyVersion, MakeFolder, Move, Remove, Withdraw
from syncline.domain.rights import Role
from syncline.messages import commit_changes, outcome_ready
from syncline.messages.commit_changes import CommitChanges
from syncline.messages.library_moved import LibraryMoved
from syncline.ports.queues import Queue
from syncline.store.directory import LibraryRecord
from tests.unit.metadata.world import ALICE, BOB, DESKTOP, LAPTOP, LIBRARY, World, altered, in_order, statuses


async def test_a_file_is_committed_seen_in_the_views_and_published(world: World):
    permit = await world.upload("plan.txt")
    command = await world.add(permit)
    await world.worker().once(Queue.COMMITS)
    outcome = await world.outcome(command)
    assert statuses(outcome) == ["applied"]
    assert outcome.results[0].version == permit.id
    snapshot = await world.trees.at_head(LIBRARY)
    node = await snapshot.find("plan.txt")
    assert node is not None
    assert node.version is not None
    assert node.version.location.key == permit.key
    assert node.version.location.s3_version == (await world.objects.head(permit.key)).s3_version
    assert await world.published() == [LibraryMoved(LIBRARY, 1, "inc")]
    assert await world.left_on(Queue.COMMITS) == 0
    await world.whole()


async def test_the_outcome_is_told_to_who_waits_for_it(world: World):
    permit = await world.upload("plan.txt")
    command = await world.add(permit)
    async with world.cache.subscribe(outcome_ready.channel(command.id)) as messages:
        await world.worker().once(Queue.COMMITS)
        told = outcome_ready.decode(await anext(messages))
    assert told == await world.outcome(command)


async def test_all_is_well_without_the_cache(world: World):
    world.cache.away = True
    command = await world.add(await world.upload("plan.txt"))
    await world.worker().once(Queue.COMMITS)
    assert statuses(await world.outcome(command)) == ["applied"]
    await world.whole()


async def test_commands_of_one_batch_are_committed_in_order_and_published_together(world: World):
    folder = world.new_id()
    made = await world.ask(MakeFolder(folder, LIBRARY, "papers"))
    permit = await world.upload("a", parent=folder)
    added = await world.add(permit)
    moved = await world.ask(Move(permit.node, 2, folder, "b"))
    await world.worker().once(Queue.COMMITS)
    assert [(await world.outcome(command)).seq for command in (made, added, moved)] == [1, 2, 3]
    assert await world.names(folder) == ["b"]
    assert await world.published() == [LibraryMoved(LIBRARY, 3, "inc")]
    await world.whole()


async def test_a_repeated_command_gets_its_first_answer_and_is_published_again(world: World):
    command = await world.add(await world.upload("plan.txt"))
    worker = world.worker()
    await worker.once(Queue.COMMITS)
    first = await world.outcome(command)
    await world.published()
    await world.send(command, dedup="again")
    async with world.cache.subscribe(outcome_ready.channel(command.id)) as messages:
        await worker.once(Queue.COMMITS)
        assert outcome_ready.decode(await anext(messages)) == first
    assert len(await world.commits()) == 1
    assert await world.published() == [LibraryMoved(LIBRARY, 1, "inc")]


async def test_a_command_twice_in_one_batch_is_decided_once(world: World):
    command = await world.ask(Withdraw(world.new_id()))
    await world.send(command, dedup="again")
    await world.worker().once(Queue.COMMITS)
    assert len(await world.commits()) == 1
    assert await world.left_on(Queue.COMMITS) == 0


async def test_a_permit_makes_one_version_however_often_and_by_whichever_command(world: World):
    permit = await world.upload("plan.txt")
    commands = [await world.add(permit) for _ in range(5)]
    for worker in (world.worker(), world.worker()):
        await worker.once(Queue.COMMITS)
        commands.append(await world.add(permit))
    await world.worker().once(Queue.COMMITS)
    answers = [statuses(await world.outcome(command)) for command in commands]
    assert answers == [["applied"], *[["unchanged"]] * (len(commands) - 1)]
    assert [change.node.version for commit in await world.commits() for change in commit.changes if change.node.version]
    assert len(await world.commits()) == 1
    await world.whole()


async def test_a_replay_after_the_file_went_on_adds_nothing(world: World):
    first = await world.upload("plan.txt", b"one")
    await world.add(first)
    second = await world.upload("", b"two", node=first.node, base=first.id)
    await world.add(second)
    await world.add(first)
    await world.worker().once(Queue.COMMITS)
    tree = await world.tree()
    node = tree.node(first.node)
    assert node is not None
    assert node.version is not None
    assert node.version.id == second.id
    assert len(await world.commits()) == 2
    await world.whole()


async def test_without_effect_there_is_an_outcome_and_no_publication(world: World):
    command = await world.ask(Remove(world.new_id(), 0, False))
    await world.worker().once(Queue.COMMITS)
    assert statuses(await world.outcome(command)) == ["refused"]
    assert await world.commits() == []
    assert await world.published() == []


class TestLanding:
    async def test_bytes_that_did_not_land_become_no_version(self, world: World):
        here, missing = await world.upload("here"), await world.permit(b"content", name="missing")
        command = await world.add(missing, here)
        await world.worker().once(Queue.COMMITS)
        outcome = await world.outcome(command)
        assert [(result.status.value, result.reason) for result in outcome.results] == [
            ("refused", NOT_LANDED),
            ("applied", ""),
        ]
        assert await world.names() == ["here"]

    async def test_other_bytes_than_permitted_become_no_version(self, world: World):
        permit = await world.permit(b"content", name="plan")
        await world.put(permit, b"CONTENT")
        command = await world.add(permit)
        await world.worker().once(Queue.COMMITS)
        assert (await world.outcome(command)).results[0].reason == "permit-mismatch"

    async def test_bytes_in_time_are_good_however_late_they_are_seen(self, world: World):
        permit = await world.upload("plan")
        world.clock.advance(30 * 24 * 3600)
        command = await world.add(permit)
        await world.worker().once(Queue.COMMITS)
        assert statuses(await world.outcome(command)) == ["applied"]

    async def test_bytes_too_late_are_not(self, world: World):
        permit = await world.permit(b"content", name="plan")
        world.clock.advance(901)
        await world.put(permit, b"content")
        command = await world.add(permit)
        await world.worker().once(Queue.COMMITS)
        assert (await world.outcome(command)).results[0].reason == "permit-expired"

    async def test_a_permit_of_another_library_is_refused(self, world: World):
        permit = altered(await world.upload("plan"), library="m" * 20)
        command = await world.add(permit)
        await world.worker().once(Queue.COMMITS)
        assert (await world.outcome(command)).results[0].reason == "permit-other-library"


class TestRights:
    @pytest.mark.parametrize("role", [None, Role.VIEWER])
    async def test_rights_lost_on_the_way_are_lost(self, world: World, role: Role | None):
        permit = await world.upload("plan", account=BOB, device=DESKTOP)
        command = await world.add(permit, account=BOB, device=DESKTOP)
        await world.directory.set_member(LIBRARY, BOB, role)
        await world.worker().once(Queue.COMMITS)
        outcome = await world.outcome(command)
        assert outcome.refused == NOT_ALLOWED
        assert [result.reason for result in outcome.results] == [NOT_ALLOWED]
        assert await world.commits() == []
        await world.objects.head(permit.key)  # the bytes stay

    async def test_a_change_of_other_members_costs_a_look_and_nothing_else(self, world: World):
        command = await world.add(await world.upload("plan"))
        await world.directory.set_member(LIBRARY, BOB, None)
        await world.worker().once(Queue.COMMITS)
        assert statuses(await world.outcome(command)) == ["applied"]

    async def test_rights_lost_while_deciding_are_lost(self, world: World):
        """The members change after the committer has looked and before it appends: the append fails, it looks again."""
        permit = await world.upload("plan", account=BOB, device=DESKTOP)
        command = await world.add(permit, account=BOB, device=DESKTOP)
        worker = world.worker()
        committing = asyncio.ensure_future(worker.once(Queue.COMMITS))
        head = None
        while head is None or head.epoch == 2:
            # Whenever the other got to, in the end one of the two was first.
            await asyncio.sleep(0)
            await world.directory.set_member(LIBRARY, BOB, None)
            head = await world.journal.head(LIBRARY)
        await committing
        outcome = await world.outcome(command)
        commits = await world.commits()
        assert (outcome.refused == NOT_ALLOWED) == (commits == [])

    async def test_a_role_given_back_is_good_again(self, world: World):
        command = await world.add(await world.upload("plan", account=BOB, device=DESKTOP), account=BOB, device=DESKTOP)
        await world.directory.set_member(LIBRARY, BOB, None)
        await world.directory.set_member(LIBRARY, BOB, Role.EDITOR)
        await world.worker().once(Queue.COMMITS)
        assert statuses(await world.outcome(command)) == ["applied"]


class TestPoison:
    async def test_garbage_reaches_the_dead_letters_with_its_reason(self, world: World):
        await world.queues.send(Queue.COMMITS, b"garbage", group=LIBRARY, dedup="x")
        command = await world.add(await world.upload("plan"))
        await world.worker().once(Queue.COMMITS)
        [reason] = await world.set_aside(Queue.COMMITS)
        assert "not a CommitChanges" in reason
        assert statuses(await world.outcome(command)) == ["applied"], "its neighbours are committed"
        assert await world.left_on(Queue.COMMITS) == 0

    async def test_a_command_for_no_library_is_set_aside(self, world: World):
        await world.send(Command("c" * 20, "m" * 20, ALICE, LAPTOP, 1, 1, (Withdraw("p" * 20),)))
        await world.worker().once(Queue.COMMITS)
        [reason] = await world.set_aside(Queue.COMMITS)
        assert reason.startswith("no-such-library")
        assert await world.left_on(Queue.COMMITS) == 0

    async def test_damage_in_the_journal_is_reported_not_passed_over(self, world: World):
        await world.ask(Withdraw(world.new_id()))
        await world.worker().once(Queue.COMMITS)
        for row in world.rows_in_place("journal#"):
            row["body"] = b"\x02damage"
        world.rows_in_place("applied#")[0]["seq"] = 0
        await world.ask(Withdraw(world.new_id()))
        await world.worker().once(Queue.COMMITS)
        [reason] = await world.set_aside(Queue.COMMITS)
        assert reason.startswith("Broken: Damaged Commit")


class TestLargeCommands:
    async def test_a_command_in_s3_is_fetched(self, world: World):
        head = await world.journal.head(LIBRARY)
        assert head is not None
        requests = tuple(MakeFolder(world.new_id(), LIBRARY, f"folder {n}") for n in range(1_000))
        command = Command("c" * 20, LIBRARY, ALICE, LAPTOP, 1, head.epoch, requests)
        key = f"commands/{LIBRARY}/{command.id}"
        await world.objects.put(key, msgspec.msgpack.encode(command))
        body = commit_changes.encode(CommitChanges(None, key))
        await world.queues.send(Queue.COMMITS, body, group=LIBRARY, dedup=command.id)
        await world.worker().once(Queue.COMMITS)
        assert statuses(await world.outcome(command)) == ["applied"] * 1_000
        await world.whole()

    async def test_a_body_that_is_gone_or_garbage_is_set_aside(self, world: World):
        await world.objects.put("commands/garbage", b"\xc1")
        for key in ("commands/gone", "commands/garbage"):
            body = commit_changes.encode(CommitChanges(None, key))
            await world.queues.send(Queue.COMMITS, body, group=LIBRARY, dedup=key)
        await world.worker().once(Queue.COMMITS)
        reasons = await world.set_aside(Queue.COMMITS)
        assert [reason.split(":")[0] for reason in reasons] == ["command-missing", "Unreadable"]

    async def test_more_requests_than_allowed_are_refused_whole(self, world: World):
        command = await world.ask(*(Withdraw(world.new_id()) for _ in range(1_001)))
        await world.worker().once(Queue.COMMITS)
        assert (await world.outcome(command)).refused == "too-many-requests"


async def test_a_conflict_copy_is_called_after_the_device(world: World):
    permit = await world.upload("plan.txt", b"one")
    await world.add(permit)
    mine = await world.upload("", b"mine", node=permit.node, base=permit.id)
    await world.add(mine)
    theirs = await world.upload("", b"theirs", node=permit.node, base=permit.id, account=BOB, device=DESKTOP)
    command = await world.add(theirs, account=BOB, device=DESKTOP)
    await world.worker().once(Queue.COMMITS)
    assert statuses(await world.outcome(command)) == ["conflict"]
    assert await world.names() == ["plan (conflict 2026-01-01 bob-desktop).txt", "plan.txt"]


async def test_copies_of_existing_content_need_no_bytes(world: World):
    permit = await world.upload("plan.txt")
    await world.add(permit)
    copy = CopyVersion(
        world.new_id(), permit.id, world.new_id(), True, LIBRARY, "copy.txt", "", 7, permit.checksum, 1, False
    )
    command = await world.ask(copy)
    await world.worker().once(Queue.COMMITS)
    assert statuses(await world.outcome(command)) == ["applied"]
    tree = await world.tree()
    assert [node.version.location.key for node in tree.children(LIBRARY) if node.version] == [permit.key] * 2


async def test_many_conflicts_in_one_command_are_decided_in_few_rounds(world: World):
    first = [await world.upload(f"file {n}", b"one") for n in range(60)]
    await world.add(*first)
    theirs = [await world.upload(f"file {n}", b"two", account=BOB, device=DESKTOP) for n in range(60)]
    await world.worker().once(Queue.COMMITS)
    command = await world.add(*theirs, account=BOB, device=DESKTOP)
    await world.worker().once(Queue.COMMITS)
    assert statuses(await world.outcome(command)) == ["conflict"] * 60
    assert len(await world.names()) == 120
    await world.whole()


async def test_libraries_do_not_wait_for_one_another(world: World):
    others = [f"m{n:019}".replace("0", "a").replace("1", "b") for n in range(2)]
    for library in others:
        await world.directory.create_library(LibraryRecord(library, "Other", 1), ALICE, "inc")
    commands = [
        await world.ask(MakeFolder(world.new_id(), library, "folder"), library=library)
        for library in (LIBRARY, *others)
    ]
    await world.worker().once(Queue.COMMITS)
    assert [statuses(await world.outcome(command)) for command in commands] == [["applied"]] * 3
    for library in others:
        assert in_order(await world.commits(library))


async def test_a_worker_that_was_away_catches_up(world: World):
    one, other = world.worker(), world.worker()
    for n in range(6):
        worker = (one, other, other, other, one, one)[n]
        command = await world.add(await world.upload(f"file {n}"))
        await worker.once(Queue.COMMITS)
        assert (await world.outcome(command)).seq == n + 1
        await world.whole()
