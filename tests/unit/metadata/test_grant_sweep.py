"""The sweep over grants: what landed and became no version is committed; what never can is not tried again."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from services.metadata.grant_sweep import (
    ENDED_AFTER_S,
    ENDED_S_MAX,
    GIVE_UP_AFTER_S,
    next_entry,
)
from syncline.domain.checksums import SINGLE_PUT_MAX_BYTES
from syncline.domain.commands import Withdraw
from syncline.domain.permits import seal_permit
from syncline.memory.counting import CountingObjects, CountingTables, Counts
from syncline.ports.queues import Queue
from syncline.ports.tables import Put, Row, Table
from syncline.store.grants import LAST_AFTER_S, Entry, Grants, hour_of
from syncline.store.sweeps import Sweeps
from tests.unit.metadata.sweeping import CREDENTIAL_S, DIRECT_GRANT, a_grant, emptied, some_id, sweep
from tests.unit.metadata.world import (
    BOB,
    DESKTOP,
    FORGERS_KEYS,
    GRANT,
    KEYS,
    LIBRARY,
    SWEEP_S,
    Worker,
    World,
    altered,
)

DAY_S = 24 * 3_600


async def index_of(world: World) -> list[tuple[str, str]]:
    """The hours and grants that the sweep still has to look at."""
    keys = [(pk.split("#"), sk) for pk, sk in world.rows(Table.DIRECTORY) if pk.startswith("grants#")]
    return sorted((hour, grant) for [_, hour, *_], grant in keys)


async def days_go_by(world: World, worker: Worker, days: float, *, step_s: int = 3_600) -> None:
    for _ in range(int(days * DAY_S) // step_s):
        world.clock.advance(step_s)
        await worker.sweep.once()
        await worker.drain()


class TestHealing:
    async def test_an_event_that_was_never_sent(self, world: World):
        await a_grant(world)
        await world.upload("plan.txt")
        await emptied(world)
        worker = await sweep(world)
        assert await world.names() == ["plan.txt"]
        assert worker.swept("objects", "sent") == 1
        await world.whole()

    async def test_a_plain_tool_under_direct(self, world: World):
        await a_grant(world, direct=True)
        permit = await world.permit(b"content", name="plan.txt", direct=True)
        await world.put(permit, b"content")
        await emptied(world)
        await sweep(world)
        assert await world.names() == ["plan.txt"]

    async def test_a_queue_of_commands_emptied_by_mistake(self, world: World):
        """The queue itself would drop the same command for five minutes more; the sweep's has an id of its own."""
        await a_grant(world)
        await world.upload("plan.txt")
        await world.worker().once(Queue.UPLOADS)
        assert await world.left_on(Queue.COMMITS) == 1
        await emptied(world)
        await sweep(world)
        assert await world.names() == ["plan.txt"]
        await world.whole()

    async def test_a_queue_emptied_again_and_again(self, world: World):
        await a_grant(world)
        await world.upload("plan.txt")
        worker = world.worker()
        for _ in range(5):
            world.clock.advance(SWEEP_S)
            await worker.sweep.once()
            await emptied(world)
        await sweep(world)
        assert await world.names() == ["plan.txt"]

    async def test_hundreds_of_objects_of_several_grants(self, world: World):
        grants = [some_id(f"grant {n}") for n in range(3)]
        for grant in grants:
            await a_grant(world, grant)
        for n in range(1_100):
            permit = await world.permit(b"%d" % n, name=f"{n:04}")
            grant = grants[n % 3]
            await world.put(altered(permit, grant=grant, key=permit.key.replace(GRANT, grant)), b"%d" % n)
        await emptied(world)
        worker = await sweep(world, rounds=2)
        assert await world.names() == [f"{n:04}" for n in range(1_100)]
        assert worker.swept("objects", "sent") == 1_100, "the second round finds them in the views"
        await world.whole()

    async def test_a_later_version_waits_for_the_files_own(self, world: World):
        await a_grant(world)
        await a_grant(world, DIRECT_GRANT)
        first = await world.permit(b"one", name="plan.txt")
        second = await world.permit(b"two", node=first.node, base=first.id)
        await world.put(second, b"two")
        await emptied(world)
        worker = await sweep(world)
        assert await world.commits() == []
        assert worker.swept("objects", "early") == 1
        other = altered(first, grant=DIRECT_GRANT, key=first.key.replace(GRANT, DIRECT_GRANT))
        await world.put(other, b"one")
        await emptied(world)
        await sweep(world, worker, rounds=3)
        [node] = (await world.tree()).children(LIBRARY)
        assert node.version is not None
        assert node.version.id == second.id
        await world.whole()

    async def test_what_has_just_landed_is_left_to_the_ordinary_roads(self, world: World):
        """Or the sweep would tear apart what a client is about to commit as one."""
        await a_grant(world)
        await world.upload("plan.txt")
        await emptied(world)
        worker = world.worker()
        world.clock.advance(SWEEP_S - 1)
        await worker.sweep.once()
        await worker.drain()
        assert await world.names() == []
        await sweep(world, worker)
        assert await world.names() == ["plan.txt"]

    async def test_a_large_upload_that_was_begun_long_before_it_landed(self, world: World):
        """Of a multipart upload S3 says when it was begun: what is settled up to then must not hide it."""
        await a_grant(world)
        await world.add(await world.upload("small"))
        worker = world.worker()
        await worker.drain()
        content = bytes(SINGLE_PUT_MAX_BYTES)
        permit = await world.permit(content, name="large")
        begun_s = world.clock.now_ms() // 1000
        await sweep(world, worker, rounds=6)
        assert (await Sweeps(world.tables).swept([GRANT]))[GRANT] > begun_s
        await world.put(permit, content)
        [(info, body)] = world.objects._versions[permit.key]
        world.objects._versions[permit.key] = [(msgspec.structs.replace(info, last_modified=begun_s), body)]
        await emptied(world)
        await sweep(world, worker)
        assert await world.names() == ["large", "small"]

    async def test_what_arrives_long_after_the_credential_ended_is_found_by_the_last_look(self, world: World):
        await a_grant(world)
        worker = await sweep(world, rounds=40)
        permit = altered(await world.permit(b"slow", name="slow"), expires_at=world.clock.now_ms() // 1000 + DAY_S)
        await world.put(permit, b"slow")
        await emptied(world)
        await sweep(world, worker, rounds=3)
        assert await world.names() == []
        await days_go_by(world, worker, 1.5)
        assert await world.names() == ["slow"]
        assert await index_of(world) == []

    async def test_bytes_overwritten_by_a_plain_tool_are_committed_as_they_are_now(self, world: World):
        await a_grant(world, direct=True)
        permit = await world.permit(b"content", name="plan.txt", direct=True)
        await world.put(permit, b"content")
        await world.put(permit, b"content")
        await emptied(world)
        await sweep(world)
        [commit] = await world.commits()
        version = commit.changes[0].node.version
        assert version is not None
        assert version.location.s3_version == (await world.objects.head(permit.key)).s3_version


class TestNotTriedForEver:
    @pytest.mark.parametrize(
        "what", ["forged", "none", "other content", "too late", "withdrawn", "no rights", "no library"]
    )
    async def test_what_can_never_become_a_version_is_settled(self, world: World, what: str):
        await a_grant(world)
        permit = await world.permit(b"content", name="plan", account=BOB, device=DESKTOP)
        sealed = {"forged": seal_permit(permit, FORGERS_KEYS), "none": ""}.get(what, seal_permit(permit, KEYS))
        if what == "too late":
            sealed = seal_permit(altered(permit, expires_at=world.clock.now_ms() // 1000 - 1), KEYS)
        await world.put(permit, b"CONTENT" if what == "other content" else b"content", sealed=sealed)
        if what == "withdrawn":
            await world.ask(Withdraw(permit.id), account=BOB, device=DESKTOP)
            await world.worker().once(Queue.COMMITS)
        if what == "no rights":
            await world.directory.set_member(LIBRARY, BOB, None)
        if what == "no library":
            world.tables._partitions.pop((Table.JOURNAL, f"head#{LIBRARY}"))
        await emptied(world)
        counts = Counts()
        worker = Worker(world, objects=CountingObjects(world.objects, counts))
        await sweep(world, worker, rounds=4)
        sent, looked = worker.swept("objects", "sent"), counts.calls["HeadObject"]
        assert sent == (1 if what == "no rights" else 0)
        await sweep(world, worker, rounds=10)
        assert (worker.swept("objects", "sent"), counts.calls["HeadObject"]) == (sent, looked)
        await days_go_by(world, worker, 2)
        assert worker.swept("objects", "sent") == sent
        assert await index_of(world) == []
        assert worker.swept("grants", "done") == 1
        if what != "no library":
            assert all(not commit.changes for commit in await world.commits())

    async def test_a_version_of_a_file_that_never_comes_is_given_up_in_the_end(self, world: World):
        await a_grant(world)
        permit = await world.permit(b"two", node=world.new_id(), base=world.new_id())
        await world.put(permit, b"two")
        await emptied(world)
        counts = Counts()
        worker = Worker(world, objects=CountingObjects(world.objects, counts))
        await days_go_by(world, worker, 1)
        counts.reset()
        await days_go_by(world, worker, GIVE_UP_AFTER_S / DAY_S + 7)
        assert await index_of(world) == []
        assert worker.swept("grants", "given-up") == 1
        assert counts.calls["ListObjectsV2"] < 12, "with pauses that grow"

    async def test_a_stranger_under_the_prefix_is_passed_over(self, world: World):
        grant = await a_grant(world)
        await world.objects.put(grant.prefix + "notes", b"mine")
        await world.objects.put(grant.prefix + "a/b", b"mine")
        worker = await sweep(world, rounds=2)
        await days_go_by(world, worker, 2)
        assert await index_of(world) == []
        assert await world.commits() == []


class TestGrantsLife:
    async def test_a_grant_is_done_when_credential_and_permits_have_ended(self, world: World):
        grant = await a_grant(world)
        await world.add(await world.upload("plan.txt"))
        worker = world.worker()
        await worker.drain()
        await sweep(world, worker, rounds=(CREDENTIAL_S + ENDED_AFTER_S) // SWEEP_S + 1)
        hour = hour_of(grant.expires_at + LAST_AFTER_S)
        assert await index_of(world) == [(str(hour), GRANT)]
        looked = worker.swept("grants", "looked")
        await days_go_by(world, worker, 1)
        assert worker.swept("grants", "looked") == looked, "nobody looks until then"
        await days_go_by(world, worker, 0.2)
        assert await index_of(world) == []
        assert not [key for key in world.rows(Table.DIRECTORY) if key[0].startswith("sweep#grant#")]
        assert await Sweeps(world.tables).first_hour() == hour_of(world.clock.now_ms() // 1000) - 1

    async def test_a_renewed_grant_is_looked_at_as_long_as_it_is_renewed(self, world: World):
        opened_at_ms = world.clock.now_ms()
        worker = world.worker()
        for n in range(12):
            await a_grant(world, opened_at_ms=opened_at_ms)
            await sweep(world, worker, rounds=10)
            await world.upload(f"file {n:02}")
            await emptied(world)
        await sweep(world, worker, rounds=2)
        assert await world.names() == [f"file {n:02}" for n in range(12)]
        await sweep(world, worker, rounds=60)
        assert len(await index_of(world)) == 1, "the entries of its earlier credentials are gone"
        await days_go_by(world, worker, 2)
        assert await index_of(world) == []

    async def test_a_grant_renewed_while_it_waits_for_its_last_look(self, world: World):
        grant = await a_grant(world)
        worker = await sweep(world, rounds=30)
        await days_go_by(world, worker, 0.5)
        renewed = await a_grant(world, opened_at_ms=grant.opened_at_ms)
        await world.upload("plan.txt")
        await emptied(world)
        await sweep(world, worker, rounds=2)
        assert await world.names() == ["plan.txt"]
        await days_go_by(world, worker, (LAST_AFTER_S + 7_200) / DAY_S)
        assert await index_of(world) == []
        assert hour_of(world.clock.now_ms() // 1000) >= hour_of(renewed.expires_at + LAST_AFTER_S)

    async def test_after_a_week_without_metadata_all_is_found(self, world: World):
        await world.worker().sweep.once()
        for n in range(3):
            await a_grant(world, some_id(f"grant {n}"))
            permit = await world.permit(b"x", name=f"{n}")
            grant = some_id(f"grant {n}")
            await world.put(altered(permit, grant=grant, key=permit.key.replace(GRANT, grant)), b"x")
            world.clock.advance(2 * DAY_S)
        await emptied(world)
        await sweep(world, rounds=2)
        assert await world.names() == ["0", "1", "2"]

    async def test_an_entry_without_its_grant_goes(self, world: World):
        grant = await a_grant(world)
        world.tables._partitions.pop((Table.DIRECTORY, f"grant#{grant.id}"))
        await sweep(world)
        assert await index_of(world) == []

    async def test_damaged_data_of_one_grant_keeps_no_other_from_being_healed(self, world: World):
        await a_grant(world, some_id("bad"))
        await a_grant(world)
        await world.upload("plan.txt")
        await emptied(world)
        for row in world.rows_in_place(f"grant#{some_id('bad')}"):
            row["body"] = b"damaged"
        with pytest.raises(Exception, match="unknown format"):
            await Grants(world.tables).get(some_id("bad"))
        worker = await sweep(world)
        assert await world.names() == ["plan.txt"]
        assert worker.swept("grants", "failed") == 1
        assert len(await index_of(world)) == 2, "it stays to be found"

    def test_the_schedule(self):
        ends_at = 1_000 * 3_600
        entry = Entry(1_000, GRANT, ends_at, last=False)
        last = Entry(hour_of(ends_at + LAST_AFTER_S), GRANT, ends_at, last=True)
        assert next_entry(entry, True, ends_at) == entry
        assert next_entry(entry, True, ends_at + ENDED_AFTER_S) == last
        assert next_entry(entry, False, ends_at + ENDED_AFTER_S) == entry
        assert next_entry(entry, False, ends_at + ENDED_S_MAX) == last
        assert next_entry(last, True, ends_at + LAST_AFTER_S) is None
        assert next_entry(last, False, ends_at + GIVE_UP_AFTER_S) is None
        now_s, looks = ends_at + LAST_AFTER_S, 0
        later: Entry | None = last
        while (later := next_entry(last, False, now_s)) is not None:
            assert later.hour > hour_of(now_s)
            now_s, looks = later.hour * 3_600, looks + 1
        assert looks < 10


async def test_two_workers_sweep_at_once_without_harm(world: World):
    await a_grant(world)
    for n in range(50):
        await world.upload(f"{n:02}")
    await emptied(world)
    world.clock.advance(SWEEP_S)
    workers = [world.worker() for _ in range(3)]
    for _ in range(2):
        # Not by turns: all of them do the whole of it.
        await asyncio.gather(*(job.round() for worker in workers for job in worker.sweep._jobs))
        await asyncio.gather(*(worker.drain() for worker in workers))
        world.clock.advance(SWEEP_S)
    assert await world.names() == [f"{n:02}" for n in range(50)]
    versions = [change.node.id for commit in await world.commits() for change in commit.changes]
    assert len(versions) == len(set(versions)) == 50
    await world.whole()


async def test_workers_take_turns(world: World):
    await a_grant(world)
    workers = [world.worker() for _ in range(4)]
    for _ in range(5):
        await asyncio.gather(*(worker.sweep.once() for worker in workers))
        world.clock.advance(SWEEP_S)
    assert sum(worker.swept("grants", "looked") for worker in workers) == 5


OLD = 100_000


async def test_a_hundred_thousand_old_grants_and_libraries_cost_nothing(world: World):
    """What a round costs is for what is new alone."""
    few, many = await cost_of_a_round(world, old=0), await cost_of_a_round(await World().begin(), old=OLD)
    assert (many.calls, many.read_units, many.write_units) == (few.calls, few.read_units, few.write_units)
    assert few.requests < 64
    assert few.calls["ListObjectsV2"] == few.calls["HeadObject"] == 1


async def cost_of_a_round(world: World, *, old: int) -> Counts:
    """One lost object, among grants that are settled and libraries at rest."""
    await sweep(world)
    for n in range(old):
        rows: dict[Table, Row] = {
            Table.DIRECTORY: {"pk": f"grant#old {n}", "sk": "grant", "body": b"old"},
            Table.JOURNAL: {"pk": f"head#old {n}", "sk": "head", "seq": 7, "epoch": 1, "incarnation": "inc"},
            Table.VIEWS: {"pk": f"applied#old {n}", "sk": "applied", "seq": 7},
        }
        # Not by way of the port: a turn of the loop for each row would take a while.
        world.tables._take_effect([Put(table, row) for table, row in rows.items()])
    await a_grant(world)
    await world.upload("lost")
    await emptied(world)
    counts = Counts()
    tables, objects = CountingTables(world.tables, counts), CountingObjects(world.objects, counts)
    worker = Worker(world, tables=tables, objects=objects)
    world.clock.advance(SWEEP_S)
    await worker.sweep.once()
    assert worker.swept("objects", "sent") == 1
    return counts
