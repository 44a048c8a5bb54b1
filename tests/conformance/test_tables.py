"""What callers of tables may rely on (syncline/ports/tables.py)."""

import asyncio

import pytest

from syncline.domain.errors import Broken, ConditionFailed, Temporary
from syncline.ports.tables import (
    Absent,
    Below,
    Check,
    Delete,
    Equals,
    Exists,
    Key,
    Put,
    Row,
    Table,
    Tables,
    Update,
)

T = Table.VIEWS


async def fill(tables: Tables, pk: str, sks: list[str]) -> None:
    await tables.put_many(T, [{"pk": pk, "sk": sk, "at": n} for n, sk in enumerate(sks)])


async def sks(rows) -> list[str]:
    return [row["sk"] async for row in rows]


async def test_a_row_comes_back_as_it_was_written(tables, unique):
    row: Row = {
        "pk": unique,
        "sk": "ünïcode/\U0001f600",
        "text": "",
        "number": -(2**63),
        "large": 10**37 + 1,
        "round": 10**60,
        "yes": True,
        "no": False,
        "bytes": bytes(range(256)),
        "none": b"",
        "name": "reserved words are no trouble",
        "a.b-c": 1,
    }
    await tables.write(Put(T, row))
    got = await tables.get(T, Key(unique, "ünïcode/\U0001f600"))
    assert got == row
    assert {name: type(value) for name, value in got.items()} == {name: type(value) for name, value in row.items()}
    assert await tables.get(T, Key(unique, "ünïcode/\U0001f600"), eventual=True) == row


async def test_a_missing_row_is_none(tables, unique):
    assert await tables.get(T, Key(unique, "a")) is None
    assert await tables.get(Table.MAIL, Key(unique, "a")) is None


async def test_tables_are_apart(tables, unique):
    await tables.write(Put(Table.JOURNAL, {"pk": unique, "sk": "a", "in": "journal"}))
    assert await tables.get(Table.OUTCOMES, Key(unique, "a")) is None


async def test_a_put_replaces_the_whole_row(tables, unique):
    await tables.write(Put(T, {"pk": unique, "sk": "a", "old": 1}))
    await tables.write(Put(T, {"pk": unique, "sk": "a", "new": 2}))
    assert await tables.get(T, Key(unique, "a")) == {"pk": unique, "sk": "a", "new": 2}


async def test_what_was_returned_is_the_callers_own(tables, unique):
    mine = {"pk": unique, "sk": "a", "n": 1}
    await tables.write(Put(T, mine))
    mine["n"] = 2
    got = await tables.get(T, Key(unique, "a"))
    assert got["n"] == 1
    got["n"] = 3
    assert (await tables.get(T, Key(unique, "a")))["n"] == 1


async def test_rows_are_in_the_order_of_their_utf8_bytes(tables, unique):
    # UTF-16 would put the last two the other way round.
    wanted = ["A", "B", "a", "a!", "a0", "aa", "b", "ä", "€", "\uffee", "\U0001f600"]
    assert wanted == sorted(wanted, key=lambda sk: sk.encode())
    await fill(tables, unique, list(reversed(wanted)))
    assert await sks(tables.query(T, unique)) == wanted
    assert await sks(tables.query(T, unique, descending=True)) == wanted[::-1]


@pytest.mark.parametrize(
    ("first", "last", "wanted"),
    [
        ("", None, "abcde"),
        ("b", None, "bcde"),
        ("", "c", "abc"),
        ("b", "d", "bcd"),
        ("b!", "c~", "c"),
        ("c", "c", "c"),
        ("f", None, ""),
        ("d", "b", ""),
        ("", "", ""),
    ],
)
async def test_a_query_has_both_its_ends(tables, unique, first, last, wanted):
    await fill(tables, unique, list("abcde"))
    await fill(tables, unique + "x", list("abcde"))
    assert await sks(tables.query(T, unique, first=first, last=last)) == list(wanted)
    back = tables.query(T, unique, first=first, last=last, descending=True, eventual=True)
    assert await sks(back) == list(wanted)[::-1]


@pytest.mark.parametrize("limit", [0, 1, 3, 5, 9])
async def test_a_query_ends_at_its_limit(tables, unique, limit):
    await fill(tables, unique, list("abcde"))
    assert await sks(tables.query(T, unique, limit=limit)) == list("abcde")[:limit]
    assert await sks(tables.query(T, unique, limit=limit, descending=True)) == list("edcba")[:limit]


async def test_a_query_goes_on_over_many_pages(tables, unique):
    rows = [{"pk": unique, "sk": f"{n:04}", "weight": b"x" * 20_000} for n in range(250)]  # 5 MB
    await tables.put_many(T, rows)
    assert [row async for row in tables.query(T, unique)] == rows
    assert [row async for row in tables.query(T, unique, descending=True, limit=120)] == rows[:-121:-1]
    assert await sks(tables.query(T, unique, first="0100", last="0199")) == [f"{n:04}" for n in range(100, 200)]


async def test_get_many_finds_what_there_is(tables, unique):
    rows = [{"pk": f"{unique}{n % 7}", "sk": f"{n}", "n": n} for n in range(230)]
    await tables.put_many(T, rows)
    keys = [Key(str(row["pk"]), str(row["sk"])) for row in rows]
    got = await tables.get_many(T, [*keys, *keys[:50], Key(unique, "missing")])
    assert got == dict(zip(keys, rows, strict=True))
    assert await tables.get_many(T, keys[:3], eventual=True) == dict(zip(keys[:3], rows, strict=False))
    assert await tables.get_many(T, []) == {}


async def test_get_many_of_more_than_one_answer_holds(tables, unique):
    rows = [{"pk": unique, "sk": f"{n}", "weight": b"x" * 390_000} for n in range(50)]  # 19 MB; DynamoDB stops at 16
    await tables.put_many(T, rows)
    assert len(await tables.get_many(T, [Key(unique, f"{n}") for n in range(50)])) == 50


async def test_put_many_replaces_and_may_be_repeated(tables, unique):
    await fill(tables, unique, [f"{n}" for n in range(60)])
    await fill(tables, unique, [f"{n}" for n in range(60)])
    assert len(await sks(tables.query(T, unique))) == 60
    await tables.put_many(T, [])


async def test_put_many_takes_no_key_twice(tables, unique):
    with pytest.raises(Broken):
        await tables.put_many(T, [{"pk": unique, "sk": "a"}, {"pk": unique, "sk": "a", "n": 1}])
    assert await tables.get(T, Key(unique, "a")) is None


async def test_an_update_sets_and_adds(tables, unique):
    key = Key(unique, "a")
    await tables.write(Update(T, key, set={"name": "x"}, add={"count": 5}))
    assert await tables.get(T, key) == {"pk": unique, "sk": "a", "name": "x", "count": 5}
    await tables.write(Update(T, key, set={"kept": True}, add={"count": -7}))
    assert await tables.get(T, key) == {"pk": unique, "sk": "a", "name": "x", "count": -2, "kept": True}


@pytest.mark.parametrize("update", [{}, {"set": {"sk": "b"}}, {"set": {"n": 1}, "add": {"n": 1}}, {"add": {"text": 1}}])
async def test_an_impossible_update_changes_nothing(tables, unique, update):
    row = {"pk": unique, "sk": "a", "text": "x"}
    await tables.write(Put(T, row))
    with pytest.raises(Broken):
        await tables.write(Update(T, Key(unique, "a"), **update))
    assert await tables.get(T, Key(unique, "a")) == row


async def test_a_delete_is_harmless_twice(tables, unique):
    await fill(tables, unique, ["a", "b"])
    await tables.write(Delete(T, Key(unique, "a")))
    await tables.write(Delete(T, Key(unique, "a")))
    assert await sks(tables.query(T, unique)) == ["b"]


HERE: dict[str, str | int | bool | bytes] = {"n": 5, "text": "x", "flag": True, "bytes": b"b"}
HOLDS = [
    (Exists(), True),
    (Absent(), False),
    (Equals({}), True),
    (Equals({"n": 5}), True),
    (Equals({"n": 5, "text": "x", "flag": True, "bytes": b"b"}), True),
    (Equals({"n": 6}), False),
    (Equals({"n": "5"}), False),
    (Equals({"flag": 1}), False),
    (Equals({"n": 5, "text": "y"}), False),
    (Equals({"missing": 0}), False),
    (Below("n", 6), True),
    (Below("n", 5), False),
    (Below("missing", 0), True),
    (Below("text", 10), False),
]


@pytest.mark.parametrize(("when", "holds"), HOLDS)
@pytest.mark.parametrize("how", ["put", "update", "delete", "transact"])
async def test_conditions_on_a_row(tables, unique, when, holds, how):
    key = Key(unique, "a")
    before = {"pk": unique, "sk": "a", **HERE}
    await tables.write(Put(T, before))
    operation = {
        "put": Put(T, {"pk": unique, "sk": "a"}, when),
        "update": Update(T, key, set={"text": "new"}, when=when),
        "delete": Delete(T, key, when),
        "transact": Check(T, key, when),
    }[how]
    after: Row | None
    if how == "transact":
        done = tables.transact([operation])
        after = before
    else:
        done = tables.write(operation)
        after = {
            "put": {"pk": unique, "sk": "a"},
            "update": before | {"text": "new"},
            "delete": None,
        }[how]
    if holds:
        await done
        assert await tables.get(T, key) == after
    else:
        with pytest.raises(ConditionFailed) as failed:
            await done
        assert failed.value.index == 0
        assert await tables.get(T, key) == before


@pytest.mark.parametrize(
    ("when", "holds"),
    [(Absent(), True), (Exists(), False), (Equals({"n": 5}), False), (Equals({}), False), (Below("n", 1), True)],
)
async def test_conditions_on_no_row(tables, unique, when, holds):
    put = Put(T, {"pk": unique, "sk": "a"}, when)
    if holds:
        await tables.write(put)
    else:
        with pytest.raises(ConditionFailed):
            await tables.write(put)
    assert (await tables.get(T, Key(unique, "a")) is not None) == holds


async def test_a_transaction_takes_effect_whole(tables, unique):
    await tables.write(Put(Table.JOURNAL, {"pk": unique, "sk": "head", "seq": 4}))
    await tables.write(Put(T, {"pk": unique, "sk": "gone"}))
    await tables.transact(
        [
            Update(Table.JOURNAL, Key(unique, "head"), set={"seq": 5}, when=Equals({"seq": 4})),
            Put(Table.JOURNAL, {"pk": unique, "sk": "0005", "body": b"x"}, Absent()),
            Put(Table.OUTCOMES, {"pk": unique, "sk": "command"}, Absent()),
            Delete(T, Key(unique, "gone")),
            Check(T, Key(unique, "other"), Absent()),
        ]
    )
    assert (await tables.get(Table.JOURNAL, Key(unique, "head")))["seq"] == 5
    assert await tables.get(Table.JOURNAL, Key(unique, "0005"))
    assert await tables.get(Table.OUTCOMES, Key(unique, "command"))
    assert await tables.get(T, Key(unique, "gone")) is None


@pytest.mark.parametrize("broken", range(4))
async def test_a_transaction_with_a_failed_condition_changes_nothing(tables, unique, broken):
    for n in range(4):
        await tables.write(Put(T, {"pk": unique, "sk": f"{n}", "n": 1 if n == broken else 0}))
    when = Equals({"n": 0})
    operations = [
        Put(T, {"pk": unique, "sk": "0", "n": 9}, when),
        Update(T, Key(unique, "1"), add={"n": 9}, when=when),
        Delete(T, Key(unique, "2"), when),
        Check(T, Key(unique, "3"), when),
    ]
    before = [row async for row in tables.query(T, unique)]
    with pytest.raises(ConditionFailed) as failed:
        await tables.transact(operations)
    assert failed.value.index == broken
    assert [row async for row in tables.query(T, unique)] == before


async def test_a_transaction_takes_a_hundred(tables, unique):
    puts = [Put(T, {"pk": unique, "sk": f"{n:03}"}, Absent()) for n in range(101)]
    with pytest.raises(Broken):
        await tables.transact(puts)
    assert await sks(tables.query(T, unique)) == []
    await tables.transact(puts[:100])
    assert len(await sks(tables.query(T, unique))) == 100


async def test_a_transaction_is_of_distinct_rows_and_not_empty(tables, unique):
    with pytest.raises(Broken):
        await tables.transact([Put(T, {"pk": unique, "sk": "a"}), Check(T, Key(unique, "a"), Absent())])
    with pytest.raises(Broken):
        await tables.transact([])
    assert await tables.get(T, Key(unique, "a")) is None


async def test_of_transactions_on_one_row_each_sees_the_others(tables, unique):
    key = Key(unique, "head")
    await tables.write(Put(T, {"pk": unique, "sk": "head", "seq": 0}))

    async def append(worker: int) -> None:
        done = 0
        while done < 5:
            seq = int((await tables.get(T, key))["seq"])
            try:
                await tables.transact(
                    [
                        Update(T, key, set={"seq": seq + 1}, when=Equals({"seq": seq})),
                        Put(T, {"pk": unique, "sk": f"{seq + 1:04}", "by": worker}, Absent()),
                    ]
                )
                done += 1
            except (ConditionFailed, Temporary):
                await asyncio.sleep(0)

    await asyncio.gather(*(append(worker) for worker in range(6)))
    assert (await tables.get(T, key))["seq"] == 30
    commits = [row async for row in tables.query(T, unique, last="9999")]
    assert [row["sk"] for row in commits] == [f"{n:04}" for n in range(1, 31)]
    assert sorted(row["by"] for row in commits) == sorted([*range(6)] * 5)


async def test_of_conditional_writes_on_one_row_one_wins(tables, unique):
    async def claim(worker: int) -> bool:
        try:
            await tables.write(Put(T, {"pk": unique, "sk": "claim", "by": worker}, Absent()))
        except ConditionFailed:
            return False
        return True

    won = await asyncio.gather(*(claim(worker) for worker in range(10)))
    assert sum(won) == 1
    assert (await tables.get(T, Key(unique, "claim")))["by"] == won.index(True)


async def test_additions_at_the_same_time_all_count(tables, unique):
    key = Key(unique, "a")
    await asyncio.gather(*(tables.write(Update(T, key, add={"n": 1})) for _ in range(20)))
    assert (await tables.get(T, key))["n"] == 20


@pytest.mark.parametrize(
    "row",
    [
        {"pk": "", "sk": "a"},
        {"pk": "a", "sk": ""},
        {"pk": "a"},
        {"pk": "a", "sk": 1},
        {"pk": "a", "sk": "s" * 1025},
        {"pk": "p" * 2049, "sk": "a"},
        {"pk": "a", "sk": "a", "x": 1.5},
        {"pk": "a", "sk": "a", "x": None},
        {"pk": "a", "sk": "a", "x": ["a"]},
        {"pk": "a", "sk": "a", "x": 10**38 + 1},
        {"pk": "a", "sk": "a", "x": b"x" * 400 * 1024},
    ],
    ids=lambda row: ",".join(f"{name}={str(value)[:8]}" for name, value in row.items()),
)
async def test_what_no_table_takes_is_broken(tables, row):
    with pytest.raises(Broken):
        await tables.write(Put(T, row))
    with pytest.raises(Broken):
        await tables.put_many(T, [row])


async def test_a_row_of_nearly_400_kb_is_taken(tables, unique):
    row = {"pk": unique, "sk": "a", "x": b"x" * (400 * 1024 - 40)}
    await tables.write(Put(T, row))
    assert await tables.get(T, Key(unique, "a")) == row


async def test_a_transaction_over_4_mb_is_broken(tables, unique):
    puts = [Put(T, {"pk": unique, "sk": f"{n}", "x": b"x" * 390_000}) for n in range(11)]
    with pytest.raises(Broken):
        await tables.transact(puts)
    assert await sks(tables.query(T, unique)) == []
