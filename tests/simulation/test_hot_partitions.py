"""Which keys get hot: the code's own keys and units under skewed loads, laid on models of DynamoDB and S3.

What is promised (docs/scale.md): 700 commits a second in all, the peak of a million people; in one library 1,000 people
online who see a commit a second. A shared key, one that no id spreads, has three times the room.
"""

from __future__ import annotations

import asyncio
import random
import re
from typing import NamedTuple

import pytest

from services.notifier.app import Ports as NotifierPorts, make_notifier
from services.syncer.app import Ports as SyncerPorts, make_syncer
from services.syncer.changes import CHANGES_DEFAULT, read_page
from syncline.domain.ids import id_from_bytes
from syncline.domain.permits import object_key
from syncline.memory.counting import CountingTables, Counts
from syncline.memory.mail import MemoryMailer
from syncline.memory.tables import MemoryTables
from syncline.ports.tables import Table
from syncline.store.directory import LibraryRecord
from syncline.store.follows import Follows
from syncline.store.grants import INDEX_SHARDS, GrantRecord, Grants
from syncline.store.journal import Journal
from syncline.store.usage import Usage
from syncline.store.views import Views
from tests.simulation.partitions import READS_MAX, WRITES_MAX, s3_ranges_needed, throttled
from tests.unit.metadata.world import ALICE, LAPTOP, LIBRARY, Worker, World
from tests.unit.notifier.world import LINK_KEYS, PUBLIC_URL, WINDOW_S, World as NotifierWorld
from tests.unit.syncer.world import TOKEN_KEYS, World as SyncerWorld, headers_of, http
from tests.unit.writing import Writer

SEED = 20261124
COMMITS_PER_S = 700
ONE_LIBRARY_COMMITS_PER_S = 1
MEMBERS_ONLINE = 1_000
ROOM = 3
MAILS_PER_S = 500
STS_PER_S = 600
"""What an account may ask STS for: no more grants than that are opened in a second."""
CREDENTIAL_S = 900

AN_ID = re.compile(r"(^|#)[a-z2-7]{20}(#|$)")


class Heat(NamedTuple):
    """Units a second of one partition key."""

    table: Table
    key: str
    reads: float
    writes: float

    @property
    def share(self) -> float:
        """Of what a partition is good for."""
        return max(self.reads / READS_MAX, self.writes / WRITES_MAX)

    @property
    def shared(self) -> bool:
        return AN_ID.search(self.key) is None


def heats(counts: Counts, times_per_s: float) -> list[Heat]:
    """The heat of each key when all that was counted happens so often in a second; the hottest first."""
    found = []
    for table, key in counts.read_of.keys() | counts.written_of.keys():
        reads, writes = counts.read_of.get((table, key), 0), counts.written_of.get((table, key), 0)
        found.append(Heat(table, key, reads * times_per_s, writes * times_per_s))
    return sorted(found, key=lambda heat: (-heat.share, heat.key))


def an_id(random_: random.Random) -> str:
    return id_from_bytes(random_.randbytes(13))


def refused(found: list[Heat], table: Table) -> list[float]:
    """What a model of the table refuses, split after split."""
    mine = [heat for heat in found if heat.table is table]
    return throttled({heat.key: heat.reads for heat in mine}, {heat.key: heat.writes for heat in mine})


# -- many libraries


async def zipf_commits(libraries: int, commits: int, random_: random.Random) -> Counts:
    """Permits, commits, archiving and telling, for commits in libraries of which few are busy."""
    world, counts = await World().begin(), Counts()
    ids = [an_id(random_) for _ in range(libraries)]
    for library in ids:
        await world.directory.create_library(LibraryRecord(library, "Papers", 1), ALICE, "inc")
    tables = CountingTables(world.tables, counts)
    chosen = random_.choices(ids, [1 / rank for rank in range(1, libraries + 1)], k=commits)
    usage, journal, at_s = Usage(tables), Journal(tables), world.clock.now_ms() // 1000
    for n, library in enumerate(chosen):
        grant = an_id(random_)
        await journal.head(library)
        record = GrantRecord(grant, library, ALICE, LAPTOP, "", False, at_s * 1000, at_s + CREDENTIAL_S)
        assert await usage.open(record, 7)
        await journal.head(library)
        await world.add(await world.upload(f"{n}.txt", library=library, parent=library), library=library)
    await Worker(world, tables=tables).drain()
    assert sum([head.seq for head in (await world.journal.heads(ids)).values()]) == commits
    await tell(world, tables)
    return counts


async def tell(world: World, tables: CountingTables) -> None:
    """What the syncer and the notifier do with what was published."""
    syncer = make_syncer(
        SyncerPorts(tables, world.objects, world.queues, world.cache, world.clock),
        token_keys=TOKEN_KEYS,
        public_url=PUBLIC_URL,
    )
    while await syncer.consumer.run_once():
        pass
    await syncer.archiver.archive_due()
    notifier = make_notifier(
        NotifierPorts(tables, world.queues, MemoryMailer(), world.clock, cache=world.cache),
        link_keys=LINK_KEYS,
        public_url=PUBLIC_URL,
        mail_from="mail@sync.example.org",
        window_s=WINDOW_S,
    )
    while await notifier.consumer.run_once():
        pass


@pytest.mark.slow
async def test_a_million_people_whose_libraries_are_busy_by_zipf() -> None:
    """By Zipf's law the busiest of 500 libraries gets a seventh of all: 100 commits a second."""
    commits = 1_000
    counts = await zipf_commits(500, commits, random.Random(SEED))
    found = heats(counts, COMMITS_PER_S / commits)
    shared = [heat for heat in found if heat.shared]
    print("hottest:", *found[:5], "hottest shared:", *shared[:5], sep="\n  ")
    assert found[0].share < 1, found[:5]
    assert shared[0].share * ROOM < 1, shared[:5]
    assert {heat.key.split("#")[0] for heat in shared} >= {"moved", "archive", "grants"}
    for table in (Table.JOURNAL, Table.VIEWS, Table.DIRECTORY, Table.OUTCOMES):
        by_split = refused(found, table)
        print(table, [round(units) for units in by_split])
        assert by_split[-1] == 0
        assert len(by_split) <= 4, "a new table takes a long time to serve this"


# -- one library


async def library_with_readers(commits: int, readers: int, random_: random.Random) -> tuple[Counts, Counts]:
    """(units of commits in one folder by many devices, units of one reader of one commit)."""
    world, counts = await World().begin(), Counts()
    tables = CountingTables(world.tables, counts)
    at_s = world.clock.now_ms() // 1000
    for n in range(commits):
        record = GrantRecord(
            an_id(random_), LIBRARY, ALICE, an_id(random_), "", False, at_s * 1000, at_s + CREDENTIAL_S
        )
        assert await Usage(tables).open(record, 7)
        await world.add(await world.upload(f"{n}.txt", device=an_id(random_)))
    await Worker(world, tables=tables).drain()
    await tell(world, tables)
    written, counts = counts, Counts()
    journal = Journal(CountingTables(world.tables, counts))
    for _ in range(readers):
        head = await journal.head(LIBRARY)  # to read the changes
        assert head is not None
        await read_page(journal, LIBRARY, head.seq - 1, head, CHANGES_DEFAULT)
        await journal.head(LIBRARY)  # for a credential to fetch the bytes with
    return written, counts


async def test_one_library_with_a_thousand_writers() -> None:
    """Everybody sees every commit. The head, and the newest segment of the journal, are what all of them read."""
    commits, readers = 300, 100
    written, read = await library_with_readers(commits, readers, random.Random(SEED))
    writing = heats(written, ONE_LIBRARY_COMMITS_PER_S / commits)
    reading = heats(read, ONE_LIBRARY_COMMITS_PER_S * MEMBERS_ONLINE / readers)
    found = together(writing, reading)
    print("hottest:", *found[:5], sep="\n  ")
    assert [heat.key for heat in found[:2]] == [f"head#{LIBRARY}", f"journal#{LIBRARY}#0"]
    assert found[0].share < 1, found[:3]
    # Without readers it could take far more; then the order of its commits is the bound, not a key.
    assert max(heat.share for heat in writing) * 30 < 1


async def test_a_commit_wakes_a_thousand_at_once() -> None:
    """They ask within a moment, and share their readings of the head and of the page."""
    world, counts = SyncerWorld(), Counts()
    accounts = [await world.account(f"Client {n}") for n in range(MEMBERS_ONLINE)]
    library = await world.library("all", *accounts)
    await library.add(accounts[0], "a.txt")
    ports = SyncerPorts(CountingTables(world.tables, counts), world.objects, world.queues, world.cache, world.clock)
    syncer = make_syncer(ports, token_keys=TOKEN_KEYS, public_url=PUBLIC_URL)
    async with http(syncer) as client:

        async def read(account: str) -> None:
            path = f"/v1/sync/libraries/{library.id}/changes"
            answer = await client.get(path, headers=headers_of(world, account))
            assert answer.status == 200
            await answer.read()

        await asyncio.gather(*map(read, accounts))
        counts.reset()
        await asyncio.gather(*map(read, accounts))
    found = [heat for heat in heats(counts, 1) if library.id in heat.key]
    print("hottest:", *found[:3], sep="\n  ")
    assert found[0].reads < MEMBERS_ONLINE / 2


def together(*loads: list[Heat]) -> list[Heat]:
    """Loads that happen at once; the hottest key first."""
    sums: dict[tuple[Table, str], tuple[float, float]] = {}
    for heat in (heat for load in loads for heat in load):
        reads, writes = sums.get((heat.table, heat.key), (0, 0))
        sums[heat.table, heat.key] = (reads + heat.reads, writes + heat.writes)
    return sorted((Heat(*key, *units) for key, units in sums.items()), key=lambda heat: -heat.share)


@pytest.mark.slow
async def test_a_folder_of_a_hundred_thousand_is_spread_over_its_buckets() -> None:
    world, counts = SyncerWorld(), Counts()
    alice = await world.account("Alice")
    library = await Writer(world.tables, world.clock, "Photos").create(alice)
    views = Views(CountingTables(world.tables, counts))
    for start in range(0, 100_000, 1_000):
        commit = await library.add_all(alice, [f"IMG_{n:06}.jpg" for n in range(start, start + 1_000)])
        await views.write(commit)
        library.commits.clear()
    buckets = [heat for heat in heats(counts, 1) if heat.key.startswith("folder#")]
    assert len(buckets) == 8
    assert max(one.writes for one in buckets) < 1.1 * sum(one.writes for one in buckets) / 8
    # The most that a second can add to one folder, and pages of it that can be read.
    assert 100_000 / max(one.writes for one in buckets) * WRITES_MAX > 7_000
    await views.advance(library.id, after=0, to=library.seq)
    counts.reset()
    assert len(await views.children(library.id, library.id, library.seq, after="IMG_050000", limit=1_000)) == 1_000
    pages_per_s = READS_MAX / max(heat.reads for heat in heats(counts, 1))
    assert pages_per_s > 100, heats(counts, 1)[:3]


# -- shared keys


async def test_a_flood_of_grants_in_one_hour() -> None:
    random_, grants = random.Random(SEED), 5_000
    counts, at_s = Counts(), 1_800_000_000
    usage = Usage(CountingTables(MemoryTables(), counts))
    for _ in range(grants):
        record = GrantRecord(an_id(random_), an_id(random_), "", "", "", False, at_s * 1000, at_s + CREDENTIAL_S)
        assert await usage.open(record, 1)
    found = heats(counts, STS_PER_S / grants)
    index = [heat for heat in found if heat.shared]
    print("hottest:", *found[:3], sep="\n  ")
    assert len(index) == INDEX_SHARDS
    assert index[0].share * ROOM < 1
    in_one = sum(heat.writes for heat in index)
    assert in_one > WRITES_MAX, "one partition key an hour would not do, which is why there are several"
    entries = [
        entry async for batch in Grants(usage._tables).entries((at_s + CREDENTIAL_S) // 3_600) for entry in batch
    ]
    assert len(entries) == grants


async def test_windows_that_are_due_in_the_same_minute() -> None:
    """2,000 followers of one library, told by one mail each."""
    followers = 2_000
    world, counts = NotifierWorld(), Counts()
    alice = await world.account("Alice")
    names = [f"F{n}" for n in range(followers)]
    accounts = [await world.account(name) for name in names]
    library = await world.library("News", alice, *accounts)
    for account in accounts:
        await Follows(world.tables).follow(library.id, library.id, account)
    notifier = make_notifier(
        NotifierPorts(CountingTables(world.tables, counts), world.queues, world.mailer, world.clock, cache=world.cache),
        link_keys=LINK_KEYS,
        public_url=PUBLIC_URL,
        mail_from="mail@sync.example.org",
        window_s=WINDOW_S,
    )
    await library.add(alice, "a.txt")
    await world.told(notifier, library)
    world.clock.advance(WINDOW_S)
    found = heats(counts, MAILS_PER_S / followers)
    due = [heat for heat in found if heat.key.startswith("due#")]
    print("hottest:", *found[:5], sep="\n  ")
    assert len(due) == 16
    assert due[0].share * ROOM < 1


async def test_everybody_waits_for_the_same_library() -> None:
    """A company of 50,000 devices online, all of them in one library, and each in one of its own."""
    devices, online, held_s = 40, 50_000, 50
    world, counts = SyncerWorld(), Counts()
    accounts = [await world.account(f"Client {n}") for n in range(devices)]
    everybody = await world.library("all", *accounts)
    for n, account in enumerate(accounts):
        await world.library(f"own {n}", account)
    ports = SyncerPorts(CountingTables(world.tables, counts), world.objects, world.queues, world.cache, world.clock)
    syncer = make_syncer(ports, token_keys=TOKEN_KEYS, public_url=PUBLIC_URL)
    world.background(syncer.hub.run())
    await world.clock.run_for(1)
    async with http(syncer) as client:

        async def ask(account: str, **parameters: str) -> str:
            answer = await client.get("/v1/sync/heads", params=parameters, headers=headers_of(world, account))
            assert answer.status == 200
            return str((await answer.json())["token"])

        tokens = {account: await ask(account) for account in accounts}
        counts.reset()
        for account, token in tokens.items():  # one after another: as dear as can be, nobody shares a reading
            asking = world.background(ask(account, since=token, wait="1"))
            while not syncer.hub._holds:  # noqa: ASYNC110 - nobody tells when a request is held
                await asyncio.sleep(0.001)
            await world.clock.run_for(2)
            assert await asking == token
    await world.close()
    found = heats(counts, online / held_s / devices)
    print("hottest:", *found[:4], sep="\n  ")
    assert everybody.id in found[0].key
    assert found[0].share < 0.7
    assert max(heat.share for heat in found if everybody.id not in heat.key) < 0.1


# -- the models themselves, and S3


def test_the_model_splits_what_is_hot_and_never_one_key() -> None:
    load = {f"key {n}": 20.0 for n in range(1_000)}  # 20,000 write units a second
    by_split = throttled({}, load)
    assert by_split[0] == pytest.approx(16_000)
    assert by_split == sorted(by_split, reverse=True)
    assert by_split[-1] == 0
    assert throttled({}, {"one": 2_000.0}) == [1_000]
    assert throttled({"one": 4_000.0, "other": 2_900.0}, {})[-1] == 1_000
    assert throttled({"one": 2_900.0}, {"one": 900.0}) == [0]


@pytest.mark.parametrize("what", ["busy libraries", "one library", "one grant"])
def test_s3_can_spread_what_is_written(what: str) -> None:
    """20,000 objects a second, however they are skewed: ids are random from their first character."""
    random_ = random.Random(SEED)
    libraries = [an_id(random_) for _ in range(200 if what == "busy libraries" else 1)]
    weights = [1 / rank for rank in range(1, len(libraries) + 1)]
    grants = {library: [an_id(random_) for _ in range(1 if what == "one grant" else 50)] for library in libraries}
    keys = []
    for library in random_.choices(libraries, weights, k=20_000):
        keys.append(object_key(library, random_.choice(grants[library]), an_id(random_)))
    needed = s3_ranges_needed(keys, 20_000, splits_max=16)
    assert needed is not None
    assert needed <= 16


def test_s3_cannot_split_what_is_written_under_one_key() -> None:
    assert s3_ranges_needed(["journal/a"] * 1, 20_000, splits_max=1_000) is None
