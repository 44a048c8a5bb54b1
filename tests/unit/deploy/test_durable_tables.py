"""MiniStack's own DynamoDB over the log: after a kill every row is what it was when its writer was answered."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

from tests.unit.deploy.local_tables import GONE, TABLE, Local, fresh_dynamodb, key, row

TREE = Path(__file__).resolve().parents[3]
KILLS = 6
LIVES_S = (0.1, 0.6)


async def test_every_kind_of_write_is_there_again(tmp_path):
    async with Local(tmp_path / "log") as local:
        await local.create()
        for name in "abcdefg":
            assert await local.put(name, "first") == 200
        await local.ask("DeleteItem", TableName=TABLE, Key=key("a"))
        update = {"UpdateExpression": "SET #v = :v ADD n :one", "ExpressionAttributeNames": {"#v": "value"}}
        values = {":v": {"S": "updated"}, ":one": {"N": "1"}}
        await local.ask("UpdateItem", TableName=TABLE, Key=key("b"), **update, ExpressionAttributeValues=values)
        batch = [{"PutRequest": {"Item": row("c", "batch")}}, {"DeleteRequest": {"Key": key("d")}}]
        await local.ask("BatchWriteItem", RequestItems={TABLE: batch})
        transaction = [
            {"Put": {"TableName": TABLE, "Item": row("e", "transaction")}},
            {"Delete": {"TableName": TABLE, "Key": key("f")}},
            {"Update": {"TableName": TABLE, "Key": key("g"), **update, "ExpressionAttributeValues": values}},
        ]
        assert (await local.ask("TransactWriteItems", TransactItems=transaction))[0] == 200
        expected = {"b": "updated", "c": "batch", "e": "transaction", "g": "updated"}
        assert await local.rows() == expected
        _, whole = await local.ask("Scan", TableName=TABLE)
        for bases in range(2):
            async with local.killed(tmp_path / f"copy-{bases}") as again:
                assert await again.rows() == expected
                assert (await again.ask("Scan", TableName=TABLE))[1] == whole
                _, told = await again.ask("DescribeTable", TableName=TABLE)
                assert told["Table"]["ItemCount"] == len(expected)
            await local.tables.rebase()


async def test_what_is_refused_changes_nothing(tmp_path):
    async with Local(tmp_path / "log") as local:
        await local.create()
        await local.put("a", "first")
        absent = {"ConditionExpression": "attribute_not_exists(pk)"}
        assert await local.put("a", "second", **absent) == 400
        failing = [
            {"Put": {"TableName": TABLE, "Item": row("b", "new")}},
            {"Put": {"TableName": TABLE, "Item": row("a", "second"), **absent}},
        ]
        assert (await local.ask("TransactWriteItems", TransactItems=failing))[0] == 400
        async with local.killed(tmp_path / "copy") as again:
            assert await again.rows() == {"a": "first"}


async def test_definitions_and_times_to_live_are_there_again(tmp_path):
    async with Local(tmp_path / "log") as local:
        await local.create()
        ttl = {"Enabled": True, "AttributeName": "expires_at"}
        await local.ask("UpdateTimeToLive", TableName=TABLE, TimeToLiveSpecification=ttl)
        await local.create("other")
        await local.put("a", "kept")
        async with local.killed(tmp_path / "copy") as again:
            _, told = await again.ask("DescribeTimeToLive", TableName=TABLE)
            assert told["TimeToLiveDescription"] == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}
            assert (await again.ask("ListTables"))[1]["TableNames"] == ["other", TABLE]
            assert await again.create() == 400, "it is there"


async def test_a_table_deleted_and_made_again_is_empty(tmp_path):
    async with Local(tmp_path / "log") as local:
        await local.create()
        await local.put("a", "old")
        await local.tables.rebase()
        await local.ask("DeleteTable", TableName=TABLE)
        await local.create()
        await local.put("b", "new")
        async with local.killed(tmp_path / "copy") as again:
            assert await again.rows() == {"b": "new"}


async def test_nobody_sees_what_the_disk_has_not(tmp_path):
    """A reader that meets another's write waits for it to be on the disk, like its writer."""
    async with Local(tmp_path / "log") as local:
        await local.create()
        flushes = local.log.flushes
        writing = asyncio.create_task(local.put("a", "seen"))
        await asyncio.sleep(0)
        assert not writing.done()
        assert await local.rows() == {"a": "seen"}
        assert local.log.flushes == flushes + 1
        assert await writing == 200


async def test_what_the_log_cannot_keep_is_not_done(tmp_path):
    async with Local(tmp_path / "log") as local:
        status, told = await local.ask("ExecuteTransaction", TransactStatements=[])
        assert (status, told["__type"]) == (400, "UnknownOperationException")


async def test_tables_that_were_saved_before_there_was_a_log_are_taken_over(tmp_path):
    saved = tmp_path / "dynamodb.json"
    async with Local(tmp_path / "first") as local:
        await local.create()
        await local.put("a", "old")
        tables = [((a, r, n), table) for (a, r, n), table in local.module._tables.all_items()]
    old = fresh_dynamodb()
    store = type(old._tables)()
    for place, table in tables:
        store.set_scoped(*place, table)
    saved.write_text("{}")
    taking = Local(tmp_path / "log", saved)
    taking._load = lambda _: {"tables": store}  # type: ignore[method-assign]
    async with taking as local:
        assert await local.rows() == {"a": "old"}
        await local.put("b", "new")
        assert not saved.exists()
        async with local.killed(tmp_path / "copy") as again:
            assert await again.rows() == {"a": "old", "b": "new"}


def test_killed_at_any_moment_while_bases_are_made(tmp_path):
    """Many writers, some removing; each life goes on from what the last one left."""
    chance = random.Random(1)
    promised: dict[str, set[str]] = {}
    bases: set[str] = set()
    for seed in range(KILLS):
        said = said_until_killed(tmp_path, seed, chance.uniform(*LIVES_S))
        for word, pk, value in said:
            # A kill leaves what was answered last, or what was being written then.
            promised[pk] = {value} if word == "!" else promised.get(pk, {GONE}) | {value}
        bases |= {path.name for path in tmp_path.glob("*.base")}
        found = asyncio.run(found_in(tmp_path))
        wrong = {
            pk: (found.get(pk, GONE), values) for pk, values in promised.items() if found.get(pk, GONE) not in values
        }
        assert wrong == {}, f"after life {seed}"
        assert set(found) <= set(promised)
        promised = {pk: {found.get(pk, GONE)} for pk in promised}
    assert len(bases) >= KILLS / 2


def said_until_killed(folder: Path, seed: int, seconds: float) -> list[list[str]]:
    """What a life said that was killed so long after its first answer."""
    command = [sys.executable, "-m", "tests.unit.deploy.local_tables", str(folder), str(seed)]
    with subprocess.Popen(command, cwd=TREE, stdout=subprocess.PIPE, text=True) as life:
        assert life.stdout is not None
        first = life.stdout.readline()
        timer = threading.Timer(seconds, life.kill)
        timer.start()
        lines = [first, *life.stdout]
        timer.join()
    assert life.returncode == -signal.SIGKILL
    return [line.split() for line in lines if line.endswith("\n")]


async def found_in(folder: Path) -> dict[str, str]:
    async with Local(folder) as local:
        return await local.rows()
