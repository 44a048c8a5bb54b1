"""The operator looks at queues, redrives dead letters and purges them."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from syncline.admin.answers import Exit
from syncline.admin.app import run
from syncline.ports.queues import Queue
from syncline.ports.tables import Key, Put, Row, Table
from syncline.store.aside import Aside, AsideRow
from tests.unit.admin.test_accounts import refused
from tests.unit.admin.test_records import ask, begun
from tests.unit.admin.world import Operated
from tests.unit.metadata.world import LIBRARY


def with_letters(queue: Queue, count: int, body: bytes = b"letter") -> Operated:
    async def begin() -> Operated:
        world = await Operated().begin()
        for n in range(count):
            order = {"group": LIBRARY, "dedup": f"letter {n}"} if queue is Queue.COMMITS else {}
            await world.queues.send(queue, body + b" %d" % n if body == b"letter" else body, **order)
            (message,) = await world.queues.receive(queue, limit=1, wait_s=0)
            await world.queues.set_aside(queue, message, f"bad letter {n}")
        return world

    return asyncio.run(begin())


def dead(world: Operated, capsys: pytest.CaptureFixture[str], queue: Queue) -> tuple[int, int]:
    for one in ask(world, capsys, "queues")["queues"]:
        if one["queue"] == queue.value:
            return one["waiting"], one["dead_letters"]
    raise AssertionError(queue)


def test_every_queue_is_counted(capsys: pytest.CaptureFixture[str]):
    world = with_letters(Queue.BOUNCES, 2)
    asyncio.run(world.queues.send(Queue.LETTERS, b"x"))
    counted = ask(world, capsys, "queues")["queues"]
    assert [one["queue"] for one in counted] == [queue.value for queue in Queue]
    assert dead(world, capsys, Queue.BOUNCES) == (0, 2)
    assert dead(world, capsys, Queue.LETTERS) == (1, 0)


@pytest.mark.parametrize(
    ("body", "readable"),
    [
        (b'{"Records": []}', {"Records": []}),
        (msgspec.msgpack.encode([1, "moved"]), [1, "moved"]),
        (b"plain text", "plain text"),
        (b"\xff\xfe\x00", {"base64": "//4A"}),
    ],
)
def test_dead_letters_are_listed_readably(capsys: pytest.CaptureFixture[str], body: bytes, readable: object):
    world = with_letters(Queue.SYNC, 1, body)
    for _ in range(2):  # looking takes nothing away
        (letter,) = ask(world, capsys, "dead-letters", "list", "sync")["letters"]
        assert (letter["reason"], letter["body"]) == ("bad letter 0", readable)


def test_more_dead_letters_than_one_call_takes_are_redriven(capsys: pytest.CaptureFixture[str]):
    world = with_letters(Queue.COMMITS, 23)
    waiting = dead(world, capsys, Queue.COMMITS)[0]
    assert ask(world, capsys, "dead-letters", "redrive", "commits", "--limit", "12")["redriven"] == 12
    assert dead(world, capsys, Queue.COMMITS) == (waiting + 12, 11)
    answer = ask(world, capsys, "dead-letters", "redrive", "commits")
    assert (answer["redriven"], answer["left"]) == (11, 0)
    entries = ask(world, capsys, "audit")["entries"]
    assert [one["action"] for one in entries] == ["dead-letters.redrive"] * 2
    assert sorted(one["details"]["letters_max"] for one in entries) == [11, 12]


def test_a_purge_needs_yes_and_keeps_the_reasons(capsys: pytest.CaptureFixture[str]):
    world = with_letters(Queue.NOTIFY, 11)
    assert refused(world, capsys, "dead-letters", "purge", "notify") == (Exit.NEEDS_YES, "needs-yes")
    assert dead(world, capsys, Queue.NOTIFY)[1] == 11
    assert ask(world, capsys, "dead-letters", "purge", "notify", "--yes")["purged"] == 11
    assert dead(world, capsys, Queue.NOTIFY)[1] == 0
    acts = {one["action"]: one["details"] for one in ask(world, capsys, "audit")["entries"]}
    assert acts["dead-letters.purge"] == {"queue": "notify", "letters_max": 11}
    assert "bad letter 3" in acts["dead-letters.purged"]["reasons"]


def test_an_unknown_queue_is_a_usage_error(capsys: pytest.CaptureFixture[str]):
    assert run(begun().open_ports, ["dead-letters", "list", "coffee"]) == Exit.USAGE


def test_rows_set_aside_are_seen_and_put_back(capsys: pytest.CaptureFixture[str]):
    world = with_letters(Queue.BOUNCES, 0)
    store = Aside(world.tables)
    row: Row = {"pk": "memberdue#0", "sk": LIBRARY, "epoch": 3, "body": b"\xff"}

    async def damage() -> None:
        await world.tables.write(Put(Table.DIRECTORY, row))
        assert await store.put(AsideRow(Table.DIRECTORY, row, "Announcer", "damaged", 1))

    asyncio.run(damage())
    assert ask(world, capsys, "queues")["set_aside"] == 1
    assert run(world.open_ports, ["queues"]) == Exit.OK
    assert "1 row set aside; see: syncline-admin set-aside list" in capsys.readouterr().out
    [one] = ask(world, capsys, "set-aside", "list")["rows"]
    assert (one["part"], one["reason"], one["row"]) == ("Announcer", "damaged", {**row, "body": {"base64": "/w=="}})
    assert run(world.open_ports, ["set-aside", "list"]) == Exit.OK
    assert f"memberdue#0 {LIBRARY}" in capsys.readouterr().out
    assert ask(world, capsys, "set-aside", "retry") == {"put_back": 1, "left": 0}
    assert asyncio.run(world.tables.get(Table.DIRECTORY, Key("memberdue#0", LIBRARY))) == row
    assert ask(world, capsys, "set-aside", "list")["rows"] == []
    assert [one["action"] for one in ask(world, capsys, "audit")["entries"]] == ["set-aside.retry"]
