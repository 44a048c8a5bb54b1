"""The figures are those of DynamoDB's developer guide."""

import pytest

from syncline.domain.errors import ConditionFailed
from syncline.memory import ManualClock, MemoryObjects, MemoryQueues, MemoryTables
from syncline.memory.counting import CountingObjects, CountingQueues, CountingTables, Counts
from syncline.memory.rows import row_size_bytes, value_size_bytes
from syncline.ports.objects import ObjectStore
from syncline.ports.queues import Queue, Queues
from syncline.ports.tables import Absent, Check, Delete, Key, Put, Table, Tables, Update, Value

T = Table.VIEWS


@pytest.fixture
def counts() -> Counts:
    return Counts()


@pytest.fixture
def tables(counts) -> Tables:
    return CountingTables(MemoryTables(), counts)


def row_of(size_bytes: int, sk: str = "b"):
    """A row of exactly this size: ``pk`` and ``sk`` take 4 + 1 + 1, ``x`` its name and the rest."""
    row: dict[str, Value] = {"pk": "a", "sk": sk, "x": b"x" * (size_bytes - 6 - len(sk))}
    assert row_size_bytes(row) == size_bytes
    return row


@pytest.mark.parametrize(
    ("value", "size_bytes"),
    [
        ("", 0),
        ("abc", 3),
        ("ü", 2),
        (b"\0\0", 2),
        (True, 1),
        (0, 1),
        (7, 2),
        (27, 2),
        (-27, 3),
        (461, 3),
        (1000, 2),
        (10**30, 2),
    ],
)
def test_sizes_of_values(value, size_bytes):
    assert value_size_bytes(value) == size_bytes


@pytest.mark.parametrize(("size_bytes", "units"), [(20, 1), (1024, 1), (1025, 2), (10 * 1024, 10)])
async def test_a_write_costs_a_unit_per_started_kb(tables, counts, size_bytes, units):
    await tables.write(Put(T, row_of(size_bytes)))
    assert (counts.write_units, counts.calls) == (units, {"PutItem": 1})
    counts.reset()
    await tables.transact([Put(T, row_of(size_bytes, "c")), Check(T, Key("a", "none"), Absent())])
    assert (counts.write_units, counts.calls) == (2 * units + 2, {"TransactWriteItems": 1})
    counts.reset()
    await tables.write(Delete(T, Key("a", "b")))
    assert counts.write_units == units


async def test_an_overwrite_costs_by_the_larger(tables, counts):
    await tables.write(Put(T, row_of(5000)))
    counts.reset()
    await tables.write(Update(T, Key("a", "b"), set={"x": b""}))
    assert counts.write_units == 5
    counts.reset()
    await tables.put_many(T, [row_of(3000), row_of(100, "c")])
    assert (counts.write_units, counts.calls) == (4, {"BatchWriteItem": 1})


async def test_a_failed_condition_costs(tables, counts):
    await tables.write(Put(T, row_of(3000)))
    counts.reset()
    with pytest.raises(ConditionFailed):
        await tables.write(Put(T, row_of(20), Absent()))
    assert counts.write_units == 3


@pytest.mark.parametrize(("size_bytes", "units"), [(20, 1), (4096, 1), (4097, 2), (40_000, 10)])
async def test_a_read_costs_a_unit_per_started_4_kb(tables, counts, size_bytes, units):
    await tables.write(Put(T, row_of(size_bytes)))
    counts.reset()
    await tables.get(T, Key("a", "b"))
    assert (counts.read_units, counts.calls) == (units, {"GetItem": 1})
    await tables.get(T, Key("a", "b"), eventual=True)
    assert counts.read_units == 1.5 * units
    await tables.get(T, Key("a", "missing"))
    assert counts.read_units == 1.5 * units + 1


async def test_many_rows_are_read_each_for_itself_but_queried_together(tables, counts):
    await tables.put_many(T, [row_of(500, f"{n:03}") for n in range(120)])
    assert counts.calls == {"BatchWriteItem": 5}
    counts.reset()
    await tables.get_many(T, [Key("a", f"{n:03}") for n in range(120)])
    assert (counts.read_units, counts.calls) == (120, {"BatchGetItem": 2})
    counts.reset()
    assert len([row async for row in tables.query(T, "a")]) == 120
    assert (counts.read_units, counts.calls) == (15, {"Query": 1})
    counts.reset()
    taken = 0
    async for _ in tables.query(T, "a"):
        taken += 1
        if taken == 10:
            break
    assert (counts.read_units, counts.requests) == (2, 1)
    counts.reset()
    assert [row async for row in tables.query(T, "none", eventual=True)] == []
    assert (counts.read_units, counts.requests) == (0.5, 1)


async def test_calls_of_queues_and_objects_are_counted(counts):
    clock = ManualClock()
    queues: Queues = CountingQueues(MemoryQueues(clock), counts)
    objects: ObjectStore = CountingObjects(MemoryObjects(clock), counts)
    await queues.send(Queue.SYNC, b"x")
    await queues.delete(Queue.SYNC, await queues.receive(Queue.SYNC, wait_s=0))
    await objects.put("a", b"x")
    await objects.get("a")
    assert [key async for key in objects.list_keys("")] == ["a"]
    assert counts.calls == {
        "SendMessage": 1,
        "ReceiveMessage": 1,
        "DeleteMessageBatch": 1,
        "PutObject": 1,
        "HeadObject": 1,
        "GetObject": 1,
        "ListObjectsV2": 1,
    }
