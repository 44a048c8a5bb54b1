"""What the code asks of AWS for each piece of work, counted as it runs: the table that ``syncline-admin cost`` reckons
with (``syncline/admin/costs/calls.json``).

``python -m tests.unit.admin.counted`` writes it anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import structlog

from services.metadata.app import parts
from services.notifier.app import Notifier, Ports as NotifierPorts, make_notifier
from services.syncer.app import Ports as SyncerPorts, Syncer, make_syncer
from services.syncer.archiver import ARCHIVE_S, Archiver
from services.syncer.tidying import REPLACED_KEPT_S
from syncline.admin.costs.calls import PATH, REST_S, Work
from syncline.memory.counting import CountingObjects, CountingQueues, CountingTables, Counts
from syncline.memory.rows import row_size_bytes
from syncline.memory.tables import MemoryTables
from syncline.ports.tables import Table
from syncline.serving.metrics import Metrics
from syncline.serving.pulse import Pulse, measures_of_requests
from tests.unit.gateway.test_costs import cost_of
from tests.unit.gateway.world import running_world
from tests.unit.metadata import test_costs as metadata
from tests.unit.metadata.world import KEYS, World as MetadataWorld
from tests.unit.notifier.world import LINK_KEYS, PUBLIC_URL, WINDOW_S, World as NotifierWorld
from tests.unit.syncer.world import TOKEN_KEYS, World as SyncerWorld, headers_of, http
from tests.unit.writing import Writer

OTHERS = 20
CLIENTS = 10
SEGMENT = 512
ROW_OVERHEAD_BYTES = 100
"""What DynamoDB adds to each row where it charges for storage (developer guide, "Estimating table size")."""

COUNTED: dict[str, Callable[[], Awaitable[Work]]] = {}


def piece(name: str) -> Callable[[Callable[[], Awaitable[Work]]], Callable[[], Awaitable[Work]]]:
    def add(count: Callable[[], Awaitable[Work]]) -> Callable[[], Awaitable[Work]]:
        COUNTED[name] = count
        return count

    return add


def work_of(counts: Counts, share: float = 1, stored_bytes: float = 0) -> Work:
    calls = {name: round(count * share, 4) for name, count in sorted(counts.calls.items()) if count}
    return Work(calls, round(counts.read_units * share, 4), round(counts.write_units * share, 4), stored_bytes)


# -- gateway


@piece("permit for a file")
async def permit() -> Work:
    return work_of(await cost_of("permit for 1 file", OTHERS))


@piece("permits for 100 files")
async def permits() -> Work:
    return work_of(await cost_of("permits for 100 files", OTHERS))


@piece("commit accepted")
async def commit() -> Work:
    return work_of(await cost_of("commit", OTHERS))


@piece("read credential")
async def read_credential() -> Work:
    return work_of(await cost_of("download credential", OTHERS))


@piece("session refreshed")
async def refreshed() -> Work:
    counts = Counts()
    async with running_world(counts=counts) as world:
        alice = await world.person("alice")
        counts.reset()
        status, _, _ = await world.ask(
            "POST", "/v1/sessions/refresh", {"refresh_token": alice.session["refresh_token"]}
        )
        assert status == 200
        return work_of(counts)


@piece("gateway at rest")
async def gateway_at_rest() -> Work:
    world, counts, metrics = SyncerWorld(), Counts(), Metrics("gateway")
    measures = measures_of_requests(metrics)
    pulse = Pulse(metrics, CountingTables(world.tables, counts), world.clock, measures, instance="one")
    return await at_rest(counts, world, [pulse.run()])


# -- metadata


@piece("new file committed")
async def new_file() -> Work:
    return work_of(await metadata.one_file(OTHERS), stored_bytes=await stored_bytes_of(1))


@piece("new version committed")
async def new_version() -> Work:
    return work_of(await metadata.one_update(OTHERS), stored_bytes=await stored_bytes_of(1))


@piece("100 new files committed")
async def hundred_files() -> Work:
    return work_of(await metadata.hundred_files(OTHERS), stored_bytes=await stored_bytes_of(100))


@piece("10 events of committed files")
async def events() -> Work:
    return work_of(await metadata.events(OTHERS))


@piece("metadata at rest")
async def metadata_at_rest() -> Work:
    world, counts = await MetadataWorld().begin(), Counts()
    work = parts(
        tables=CountingTables(world.tables, counts),
        objects=CountingObjects(world.objects, counts),
        queues=CountingQueues(world.queues, counts),
        topic=world.topic,
        cache=world.cache,
        clock=world.clock,
        keys=KEYS,
        metrics=Metrics("metadata"),
        sweep_interval_s=REST_S,
        free_after_s=30 * 86_400,
    )
    return await at_rest(counts, world, [part.run() for part in work])


async def stored_bytes_of(files: int) -> float:
    """What stays in the tables for a command with so many new files, its outcome (kept 30 days) left out."""
    world = await MetadataWorld().begin()
    worker = world.worker()
    await world.add(await world.upload("first"))
    await worker.drain()
    before = stored_bytes(world.tables)
    await world.add(*[await world.upload(f"file {n:04}.txt") for n in range(files)])
    await worker.drain()
    return round(stored_bytes(world.tables) - before, -2)


def stored_bytes(tables: MemoryTables) -> int:
    return sum(
        row_size_bytes(row) + ROW_OVERHEAD_BYTES
        for (table, _), partition in tables._partitions.items()
        if table in (Table.JOURNAL, Table.VIEWS)
        for row in partition.rows.values()
    )


# -- syncer


@piece("move heard of by the syncer")
async def heard() -> Work:
    world, counts = SyncerWorld(), Counts()
    library, alice = await a_library(world)
    syncer = counting_syncer(world, counts)
    for n in range(2):
        await library.add(alice, f"{n}.txt")
        await world.published(library)
        counts.reset()
        assert await syncer.consumer.run_once() == 1
    return work_of(counts)


@piece("commit archived by itself")
async def archived() -> Work:
    """The mean over a segment, each commit in a turn of its own, until what was replaced is deleted a day later."""
    world, counts = SyncerWorld(), Counts()
    library, alice = await a_library(world)
    syncer = counting_syncer(world, Counts())
    tables, objects = CountingTables(world.tables, counts), CountingObjects(world.objects, counts)
    archiver = Archiver(tables, objects, world.clock, Metrics("archiver"))
    await archiver.archive_due()
    counts.reset()
    await archiver.archive_due()
    idle_turn = work_of(counts)
    counts.reset()
    for n in range(SEGMENT + 1):
        if n == SEGMENT:
            world.clock.advance(REPLACED_KEPT_S + ARCHIVE_S)
        await library.add(alice, f"{n}.txt")
        await world.published(library)
        await syncer.consumer.run_once()
        assert await archiver.archive_due() == 1
        world.clock.advance(ARCHIVE_S)
    turns = SEGMENT + 1
    counts.read_units -= idle_turn.read_units * turns
    for name, count in idle_turn.calls.items():
        counts.calls[name] -= int(count * turns)
    return work_of(counts, 1 / turns)


@piece("changes read")
async def changes() -> Work:
    world, counts = SyncerWorld(), Counts()
    library, alice = await a_library(world)
    syncer = counting_syncer(world, counts)
    await library.add(alice, "first.txt")
    async with http(syncer) as client:
        path, cursor = f"/v1/sync/libraries/{library.id}/changes", ""
        for n in range(2):
            await library.add(alice, f"{n}.txt")
            counts.reset()
            answer = await client.get(path, params={"cursor": cursor}, headers=headers_of(world, alice))
            assert answer.status == 200
            cursor = (await answer.json())["cursor"]
    return work_of(counts)


@piece("heads held for 50 s")
async def held() -> Work:
    """One client's share of ten that wait at one syncer: each in a library of its own and in one with all others."""
    world, counts = SyncerWorld(), Counts()
    accounts = [await world.account(f"Client {n}") for n in range(CLIENTS)]
    await world.library("all", *accounts)
    for n, account in enumerate(accounts):
        await world.library(f"own {n}", account)
    syncer = counting_syncer(world, counts)
    world.background(syncer.hub.run())
    await world.clock.run_for(1)
    async with http(syncer) as client:

        async def ask(account: str, since: str) -> str:
            parameters = {"since": since, "wait": "50"}
            answer = await client.get("/v1/sync/heads", params=parameters, headers=headers_of(world, account))
            assert answer.status == 200
            return str((await answer.json())["token"])

        tokens = [await ask(account, "") for account in accounts]
        counts.reset()
        asking = [asyncio.create_task(ask(*pair)) for pair in zip(accounts, tokens, strict=True)]
        while len(syncer.hub._holds) < CLIENTS:  # noqa: ASYNC110 - nobody tells when a request is held
            await asyncio.sleep(0.001)
        await world.clock.run_for(51)
        assert await asyncio.gather(*asking) == tokens
    await world.close()
    return work_of(counts, 1 / CLIENTS)


@piece("syncer at rest")
async def syncer_at_rest() -> Work:
    world, counts = SyncerWorld(), Counts()
    syncer = counting_syncer(world, counts)
    return await at_rest(
        counts, world, [syncer.pulse.run(), syncer.hub.run(), syncer.archiver.run(), syncer.consumer.run()]
    )


def counting_syncer(world: SyncerWorld, counts: Counts) -> Syncer:
    ports = SyncerPorts(
        CountingTables(world.tables, counts),
        CountingObjects(world.objects, counts),
        CountingQueues(world.queues, counts),
        world.cache,
        world.clock,
    )
    return make_syncer(ports, token_keys=TOKEN_KEYS, public_url=PUBLIC_URL)


async def a_library(world: SyncerWorld | NotifierWorld) -> tuple[Writer, str]:
    alice, bob = await world.account("Alice"), await world.account("Bob")
    return await world.library("Photos", alice, bob), alice


# -- notifier


@piece("move that nobody follows")
async def nobody_follows() -> Work:
    world, counts = NotifierWorld(), Counts()
    library, alice = await a_library(world)
    notifier = counting_notifier(world, counts)
    for n in range(2):
        await library.add(alice, f"{n}.txt")
        counts.reset()
        await world.told(notifier, library)
    return work_of(counts)


@piece("move told to a follower")
async def told() -> Work:
    """Into a window that is open already."""
    _, counts = await followed(2)
    return work_of(counts)


@piece("mail of a window")
async def mailed() -> Work:
    """From the first move, which opens it, to the mail; the move itself is counted in."""
    (world, notifier), counts = await followed(1)
    world.clock.advance(WINDOW_S)
    due = await notifier.sender.find_due()
    counts_before = counts.read_units, dict(counts.calls)
    await notifier.sender.find_due()
    looked = counts.read_units - counts_before[0]
    queries = counts.calls["Query"] - counts_before[1]["Query"]
    for one in due:
        await notifier.sender.do(one)
    assert len(world.mailer.sent) == 1
    counts.read_units -= 2 * looked
    counts.calls["Query"] -= 2 * queries
    return work_of(counts)


@piece("notifier at rest")
async def notifier_at_rest() -> Work:
    world, counts = NotifierWorld(), Counts()
    notifier = counting_notifier(world, counts)
    loops = [notifier.pulse.run(), notifier.sender.run(), notifier.deliverer.run(), notifier.announcer.run()]
    consumers = [notifier.consumer.run(), notifier.letters.run(), notifier.returns.run()]
    return await at_rest(counts, world, [*loops, *consumers])


async def followed(moves: int) -> tuple[tuple[NotifierWorld, Notifier], Counts]:
    """What the last of so many moves cost, one person following the library."""
    world, counts = NotifierWorld(), Counts()
    library, alice = await a_library(world)
    [bob] = [member.account for member in await world.directory.members(library.id) if member.account != alice]
    await world.follows.follow(library.id, library.id, bob)
    notifier = counting_notifier(world, counts)
    for n in range(moves):
        await library.add(alice, f"{n}.txt")
        counts.reset()
        await world.told(notifier, library)
    return (world, notifier), counts


def counting_notifier(world: NotifierWorld, counts: Counts) -> Notifier:
    ports = NotifierPorts(
        CountingTables(world.tables, counts),
        CountingQueues(world.queues, counts),
        world.mailer,
        world.clock,
        cache=world.cache,
    )
    return make_notifier(
        ports, link_keys=LINK_KEYS, public_url=PUBLIC_URL, mail_from="mail@sync.example.org", window_s=WINDOW_S
    )


# -- all


async def at_rest(counts: Counts, world: Any, loops: list[Any]) -> Work:
    """What one process asks for in ``REST_S`` with nothing to do, once it has settled."""
    tasks = [asyncio.create_task(loop) for loop in loops]
    await world.clock.run_for(REST_S - 1)
    counts.reset()
    await world.clock.run_for(REST_S)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return work_of(counts)


async def count_all() -> dict[str, Work]:
    return {name: await count() for name, count in COUNTED.items()}


async def main() -> None:
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    PATH.write_bytes(msgspec.json.format(msgspec.json.encode(await count_all()), indent=2) + b"\n")


if __name__ == "__main__":
    asyncio.run(main())
