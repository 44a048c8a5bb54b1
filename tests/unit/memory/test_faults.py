import pytest

from syncline.domain.errors import Temporary
from syncline.memory import (
    ManualClock,
    MemoryCache,
    MemoryCredentials,
    MemoryMailer,
    MemoryObjects,
    MemoryQueues,
    MemoryTables,
    MemoryTopic,
)
from syncline.memory.faults import (
    Fault,
    FaultPlan,
    FaultyCache,
    FaultyCredentials,
    FaultyMailer,
    FaultyObjects,
    FaultyQueues,
    FaultyTables,
    FaultyTopic,
)
from syncline.ports.cache import Cache
from syncline.ports.credentials import CredentialIssuer
from syncline.ports.mail import Mailer
from syncline.ports.objects import ObjectStore
from syncline.ports.queues import Queue, Queues
from syncline.ports.tables import Key, Put, Table, Tables
from syncline.ports.topics import ChangesTopic

T = Table.VIEWS


def row(n: int) -> dict[str, str | int | bool | bytes]:
    return {"pk": "a", "sk": f"{n:03}"}


async def written(tables: Tables) -> list[str]:
    return [str(r["sk"]) async for r in tables.query(T, "a")]


def test_the_wrappers_are_ports():
    plan, clock = FaultPlan(0), ManualClock()
    queues: Queues = FaultyQueues(MemoryQueues(clock), plan)
    tables: Tables = FaultyTables(MemoryTables(), plan)
    objects: ObjectStore = FaultyObjects(MemoryObjects(clock, queues), plan)
    topic: ChangesTopic = FaultyTopic(MemoryTopic(queues), plan)
    cache: Cache = FaultyCache(MemoryCache(clock), plan)
    mailer: Mailer = FaultyMailer(MemoryMailer(), plan)
    issuer: CredentialIssuer = FaultyCredentials(MemoryCredentials(clock), plan)
    assert all((queues, tables, objects, topic, cache, mailer, issuer))


async def test_before_the_effect_nothing_has_happened():
    inner = MemoryTables()
    tables = FaultyTables(inner, FaultPlan(1, before=1))
    with pytest.raises(Temporary):
        await tables.write(Put(T, row(1)))
    with pytest.raises(Temporary):
        await tables.transact([Put(T, row(1))])
    with pytest.raises(Temporary):
        await tables.put_many(T, [row(1)])
    with pytest.raises(Temporary):
        [r async for r in tables.query(T, "a")]
    assert await written(inner) == []


async def test_after_the_effect_it_has_and_the_caller_does_not_know():
    inner = MemoryTables()
    tables = FaultyTables(inner, FaultPlan(1, after=1))
    with pytest.raises(Temporary):
        await tables.write(Put(T, row(1)))
    with pytest.raises(Temporary):
        await tables.transact([Put(T, row(2))])
    assert await written(inner) == ["001", "002"]


async def test_a_broken_batch_has_written_a_part():
    inner = MemoryTables()
    with pytest.raises(Temporary):
        await FaultyTables(inner, FaultPlan(1, after=1)).put_many(T, [row(n) for n in range(10)])
    assert len(await written(inner)) == 5


async def strikes(seed: int) -> list[bool]:
    tables = FaultyTables(MemoryTables(), FaultPlan(seed, before=0.2, after=0.2))
    struck = []
    for n in range(100):
        try:
            await tables.write(Put(T, row(n)))
            struck.append(False)
        except Temporary:
            struck.append(True)
    return struck


async def test_a_seed_gives_the_same_faults_again():
    first = await strikes(7)
    assert first == await strikes(7)
    assert first != await strikes(8)
    assert 20 <= sum(first) <= 60


async def test_turned_off_it_heals():
    plan = FaultPlan(1, before=1)
    tables = FaultyTables(MemoryTables(), plan)
    plan.on = False
    await tables.write(Put(T, row(1)))
    assert await tables.get(T, Key("a", "001"))
    assert not plan.struck


async def test_messages_come_twice():
    plan, inner = FaultPlan(1, twice=1), MemoryQueues(ManualClock())
    await FaultyQueues(inner, plan).send(Queue.SYNC, b"x")
    await FaultyTopic(MemoryTopic(inner), plan).publish(b"y")
    await FaultyQueues(inner, plan).send(Queue.COMMITS, b"x", group="g", dedup="d")
    assert sorted(m.body for m in await inner.receive(Queue.SYNC, wait_s=0)) == [b"x", b"x", b"y", b"y"]
    assert len(await inner.receive(Queue.COMMITS, wait_s=0)) == 1
    assert plan.struck == {("queues.send", Fault.TWICE): 1, ("topic.publish", Fault.TWICE): 1}


async def test_a_faulty_cache_forgets_and_never_raises():
    inner = MemoryCache(ManualClock())
    await inner.put("kept", b"x", ttl_s=10)
    cache = FaultyCache(inner, FaultPlan(1, before=1))
    await cache.put("key", b"x", ttl_s=10)
    await cache.drop(["kept"])
    await cache.publish("channel", b"x")
    assert await cache.get("kept") is None
    assert await cache.count("key", window_s=1) is None
    assert await inner.get("kept") == b"x"
    assert await inner.get("key") is None
