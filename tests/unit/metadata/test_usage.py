"""Bytes counted: after a year of anything the counter says what lies in the bucket and what the journal names."""

from __future__ import annotations

import random
from contextlib import suppress

import msgspec
import pytest

from syncline.domain.commands import AddVersion, CopyVersion, Permit, Remove, Request, Withdraw
from syncline.domain.errors import Temporary
from syncline.domain.facts import version_records
from syncline.domain.ids import id_from_bytes
from syncline.domain.nodes import Location
from syncline.domain.permits import object_key, parse_key, write_prefix
from syncline.memory.faults import FaultPlan, FaultyObjects, FaultyQueues, FaultyTables
from syncline.ports.tables import Delete, Table
from syncline.store.grants import LAST_AFTER_S, PERMIT_ALLOWANCE_S, GrantRecord
from syncline.store.recounting import Recounting
from syncline.store.usage import Usage, usage_key
from tests.unit.metadata.steps import At, Died, stepped_worker
from tests.unit.metadata.sweeping import CREDENTIAL_S, emptied, sweep
from tests.unit.metadata.world import ALICE, LAPTOP, LIBRARY, Worker, World

DAY_S = 24 * 3_600
DAYS = 365
QUIET_S = LAST_AFTER_S + DAY_S
"""After so long without anybody every grant is done."""


class Year:
    """A gateway that permits, clients that do what they like, and workers that die."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.chance = random.Random(seed)
        self.usage = Usage(world.tables)
        self.plan = FaultPlan(seed, before=0.003, after=0.003)
        self.faulty = FaultyTables(world.tables, self.plan)
        self.permits: list[tuple[Permit, bytes]] = []
        self.grants: list[GrantRecord] = []
        self.committed: list[Permit] = []
        self.worker = self.fresh_worker()

    def fresh_worker(self) -> Worker:
        world = self.world
        objects, queues = FaultyObjects(world.objects, self.plan), FaultyQueues(world.queues, self.plan)
        return Worker(world, tables=self.faulty, objects=objects, queues=queues)

    async def permit(self) -> None:
        """What ``POST …/uploads`` does, whose answer may be lost on either side of the transaction."""
        now_ms = self.world.clock.now_ms()
        renewable = [grant for grant in self.grants[-3:] if now_ms - grant.opened_at_ms < DAY_S * 1000]
        if renewable and self.chance.random() < 0.4:
            grant = self.chance.choice(renewable)
            grant = msgspec.structs.replace(grant, expires_at=now_ms // 1000 + CREDENTIAL_S)
        else:
            name, direct = self.world.new_id(), self.chance.random() < 0.2
            prefix = write_prefix(LIBRARY, name, direct)
            grant = GrantRecord(name, LIBRARY, ALICE, LAPTOP, prefix, direct, now_ms, now_ms // 1000 + CREDENTIAL_S)
        contents = [self.chance.randbytes(self.chance.randrange(0, 400)) for _ in range(self.chance.randint(1, 5))]
        with suppress(Temporary):
            assert await Usage(self.faulty).open(grant, sum(map(len, contents)))
            self.grants.append(grant)
            for content in contents:
                self.permits.append((await self._sealed(grant, content), content))

    async def _sealed(self, grant: GrantRecord, content: bytes) -> Permit:
        made = await self.world.permit(content, name=f"{len(self.permits)}", direct=grant.direct)
        key = object_key(LIBRARY, grant.id, made.id, grant.direct)
        return msgspec.structs.replace(made, grant=grant.id, key=key, expires_at=grant.expires_at + PERMIT_ALLOWANCE_S)

    async def land(self) -> None:
        """Bytes arrive while the credential lives; some permits are never used, some objects carry none."""
        now_s = self.world.clock.now_ms() // 1000
        alive = [one for one in self.permits if one[0].expires_at - PERMIT_ALLOWANCE_S > now_s]
        for permit, content in self.chance.sample(alive, min(len(alive), 3)):
            forged = self.chance.random() < 0.1
            await self.world.put(permit, content + b"x" if forged else content, sealed="" if forged else None)
            if self.chance.random() < 0.5:
                await self.world.add(permit)
            if permit.key.startswith("direct/") and self.chance.random() < 0.5:
                # A plain tool overwrites what it has sent: both are paid for.
                await self.world.put(permit, content + b"and more")
            self.permits.remove((permit, content))
            self.committed.append(permit)

    async def change(self) -> None:
        """Copies, removals, withdrawals, and the same commit again."""
        if not self.committed:
            return
        permit = self.chance.choice(self.committed)
        head = await self.world.journal.head(LIBRARY)
        assert head is not None
        copy = CopyVersion(
            self.world.new_id(), permit.id, self.world.new_id(), True, LIBRARY, self.world.new_id(), "",
            permit.size_bytes, permit.checksum, 1, False,
        )  # fmt: skip
        requests: list[Request] = [AddVersion(permit), copy, Remove(permit.node, head.seq, False), Withdraw(permit.id)]
        await self.world.ask(self.chance.choice(requests))

    async def work(self) -> None:
        """Workers do some of what is waiting, fail, die in the middle, or find their queues emptied."""
        if self.chance.random() < 0.1:
            await emptied(self.world)
        if self.chance.random() < 0.3:
            dying = stepped_worker(self.world, At(self.chance.randrange(1, 60)), with_queues=False)
            with suppress(Died, BaseExceptionGroup):
                await dying.sweep.once()
                await dying.drain()
            self.worker = self.fresh_worker()
        with suppress(Temporary):
            await self.worker.sweep.once()
        with suppress(Temporary, BaseExceptionGroup):
            await self.worker.drain()

    async def live(self, days: int) -> None:
        acts = [self.permit, self.land, self.land, self.change, self.work]
        for _ in range(days):
            for _ in range(4):
                await self.chance.choice(acts)()
                self.world.clock.advance(self.chance.choice([1, 60, 600, 1_200]))
            self.world.clock.advance(DAY_S / 2)
            await self.work()


async def listed_bytes(world: World) -> int:
    sizes = 0
    for room in ("objects", "direct"):
        async for listed in world.objects.list_versions(f"{room}/{LIBRARY}/"):
            sizes += listed.size_bytes
    return sizes


async def named_and_orphaned_bytes(world: World) -> tuple[int, int]:
    """The bytes of every location the journal names once, and those of object versions that it does not name."""
    named: dict[tuple[str, str], int] = {}
    for commit in await world.commits():
        for _, record in version_records(commit):
            if record.version is not None:
                location = record.version.location
                named[location.key, location.s3_version] = record.version.size_bytes
    orphaned = 0
    for room in ("objects", "direct"):
        async for listed in world.objects.list_versions(f"{room}/{LIBRARY}/"):
            assert parse_key(listed.key) is not None
            orphaned += 0 if (listed.key, listed.s3_version) in named else listed.size_bytes
    return sum(named.values()), orphaned


async def recounted(world: World) -> int:
    return await Recounting(world.tables, world.objects).recount(LIBRARY, now_s=world.clock.now_ms() // 1000)


@pytest.mark.parametrize("seed", range(4))
async def test_after_a_year_the_count_is_what_is_there(seed: int):
    world = await World().begin()
    year = Year(world, seed)
    await year.live(DAYS)
    year.plan.on = False
    year.worker = year.fresh_worker()
    for _ in range(3):
        world.clock.advance(QUIET_S)
        await sweep(world, year.worker, rounds=2)
    counted = (await year.usage.of_library(LIBRARY)).bytes
    named, orphaned = await named_and_orphaned_bytes(world)
    assert named > 0
    assert orphaned > 0
    assert counted == named + orphaned == await listed_bytes(world), f"seed {seed}"
    assert await recounted(world) == counted


@pytest.mark.parametrize("seed", range(2))
async def test_a_recount_in_the_middle_of_work_changes_nothing_in_the_end(seed: int):
    world = await World().begin()
    year = Year(world, seed)
    for _ in range(30):
        await year.live(2)
        if year.chance.random() < 0.2:
            # The tables have lost the count, and all it was made of is still going on.
            await world.tables.write(Delete(Table.DIRECTORY, usage_key(LIBRARY)))
        await recounted(world)
    year.plan.on = False
    year.worker = year.fresh_worker()
    for _ in range(3):
        world.clock.advance(QUIET_S)
        await sweep(world, year.worker, rounds=2)
    assert (await year.usage.of_library(LIBRARY)).bytes == await listed_bytes(world), f"seed {seed}"


class TestSettling:
    async def grant(self, world: World, asked_bytes: int, opened_ms: int = 0) -> GrantRecord:
        now_ms = world.clock.now_ms()
        name = id_from_bytes(b"a grant of the tests")
        opened = opened_ms or now_ms
        prefix, ends_at = write_prefix(LIBRARY, name, False), now_ms // 1000 + CREDENTIAL_S
        grant = GrantRecord(name, LIBRARY, ALICE, LAPTOP, prefix, False, opened, ends_at)
        assert await Usage(world.tables).open(grant, asked_bytes)
        return grant

    async def test_what_never_landed_is_given_back_once_no_credential_is_alive(self):
        world = await World().begin()
        usage = Usage(world.tables)
        grant = await self.grant(world, 1_000)
        await world.objects.put(f"{grant.prefix}{world.new_id()}", b"x" * 300)
        await sweep(world)
        assert (await usage.of_library(LIBRARY)).bytes == 1_000
        world.clock.advance(CREDENTIAL_S + 7 * 3_600)
        await sweep(world)
        assert (await usage.of_library(LIBRARY)).bytes == 300

    async def test_what_lands_under_a_renewed_credential_is_counted_in_the_end(self):
        world = await World().begin()
        usage = Usage(world.tables)
        grant = await self.grant(world, 1_000)
        world.clock.advance(CREDENTIAL_S + 7 * 3_600)
        await sweep(world)
        assert (await usage.of_library(LIBRARY)).bytes == 0
        await self.grant(world, 0, grant.opened_at_ms)
        await world.objects.put(f"{grant.prefix}{world.new_id()}", b"x" * 700)
        world.clock.advance(QUIET_S)
        await sweep(world, rounds=2)
        assert (await usage.of_library(LIBRARY)).bytes == 700

    async def test_permits_given_out_while_a_grant_is_settled_stay_counted(self):
        world = await World().begin()
        usage = Usage(world.tables)
        grant = await self.grant(world, 1_000)
        counted = await usage.counted(grant)
        assert counted == 1_000
        await self.grant(world, 500, grant.opened_at_ms)
        assert not await usage.settle(grant, counted, 0)
        assert (await usage.of_library(LIBRARY)).bytes == 1_500
        world.clock.advance(60)
        await self.grant(world, 0, grant.opened_at_ms)
        assert await usage.counted(grant) is None

    async def test_a_quota_is_never_passed_however_many_ask_at_once(self):
        world = await World().begin()
        usage = Usage(world.tables)
        now_ms = world.clock.now_ms()
        opened = [
            await usage.open(
                GrantRecord(world.new_id(), LIBRARY, ALICE, LAPTOP, "p/", False, now_ms, now_ms // 1000), 300,
                quota_bytes=1_000,
            )
            for _ in range(5)
        ]  # fmt: skip
        assert opened == [True, True, True, False, False]
        assert (await usage.of_library(LIBRARY)).bytes == 900

    async def test_what_landed_before_anything_was_counted_is_counted_at_first_use(self):
        world = await World().begin()
        usage = Usage(world.tables)
        await world.tables.write(Delete(Table.DIRECTORY, usage_key(LIBRARY)))
        for n in range(3):
            await world.objects.put(object_key(LIBRARY, world.new_id(), world.new_id(), n == 2), b"x" * 100)
        grant = await self.grant(world, 50)
        await world.objects.put(f"{grant.prefix}{world.new_id()}", b"x" * 40)
        world.clock.advance(CREDENTIAL_S + 7 * 3_600)
        await sweep(world, rounds=2)
        assert (await usage.of_library(LIBRARY)).bytes == 340
        assert await recounted(world) == 340

    async def test_bytes_freed_before_their_grant_is_settled_are_not_counted_as_gone_twice(self):
        world = await World().begin()
        usage = Usage(world.tables)
        grant = await self.grant(world, 600)
        kept = await world.objects.put(f"{grant.prefix}{world.new_id()}", b"x" * 600)
        await world.objects.delete_version(kept.key, kept.s3_version)
        await usage.freed(LIBRARY, Location(kept.key, kept.s3_version, 0, 600), now_ms=world.clock.now_ms())
        for _ in range(2):
            world.clock.advance(QUIET_S)
            await sweep(world)
        assert (await usage.of_library(LIBRARY)).bytes == 0

    async def test_what_was_freed_is_counted_as_gone_once(self):
        world = await World().begin()
        grant = await self.grant(world, 1_000)
        usage, where = Usage(world.tables), Location(f"{grant.prefix}{world.new_id()}", "v1", 0, 600)
        world.clock.advance(CREDENTIAL_S + QUIET_S)
        for _ in range(3):
            await usage.freed(LIBRARY, where, now_ms=world.clock.now_ms())
        assert (await usage.of_library(LIBRARY)).bytes == 400
