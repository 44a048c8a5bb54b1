"""The operator asks how the stack is, whatever of it is broken."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from syncline.admin.answers import Exit
from syncline.admin.app import run
from syncline.admin.commands import health
from syncline.admin.ports import Ports
from syncline.domain.errors import Broken, Temporary
from syncline.domain.figures import SERVICES, State
from syncline.domain.health import Instance
from syncline.memory.queues import MemoryQueues
from syncline.memory.tables import MemoryTables
from syncline.ports.queues import Queue
from syncline.ports.tables import Key, Row, Table, Update
from syncline.store.pulses import Pulses
from tests.unit.admin.world import Operated

MEASURES = {
    "gateway": {"requests": 120.0, "answers_5xx": 0.0, "request_p99_s": 0.25},
    "metadata": {"commits": 7.0, "commit_p99_s": 0.125, "views_behind_s": 0.0, "queue_commits_age_s": 2.5},
    "syncer": {"held_requests": 3.0},
    "notifier": {"mails_sent": 4.0, "mail_late_s": 0.0},
}


class AwayTables(MemoryTables):
    """Away where ``away`` says so."""

    def __init__(self, away: Callable[[Table, str], bool]) -> None:
        super().__init__()
        self.away: Callable[[Table, str], bool] = lambda table, pk: False
        self.will_be_away = away

    async def query(self, table: Table, pk: str, **more: Any) -> AsyncIterator[Row]:
        if self.away(table, pk):
            raise Temporary(f"Query {table.value}: no answer")
        async for row in super().query(table, pk, **more):
            yield row


class MissingQueue(MemoryQueues):
    async def depth(self, queue: Queue) -> int:
        if queue is Queue.NOTIFY:
            raise Broken("Ask for the depth of notify: QueueDoesNotExist")
        return await super().depth(queue)


class Opened:
    """What the command runs on: each service with one instance that is well."""

    def __init__(self, *, tables: MemoryTables | None = None) -> None:
        self.world = Operated()
        if tables is not None:
            self.world.tables = tables

        async def begin() -> None:
            for service in SERVICES:
                await self.beat(service)

        asyncio.run(begin())

    async def beat(self, service: str, name: str = "", state: State = State.READY, age_s: int = 5) -> None:
        now_ms = self.world.clock.now_ms()
        at_ms = now_ms - age_s * 1000
        told = Instance(service, name or f"{service}-1", "1.2", state, now_ms - 7_200_000, at_ms, MEASURES[service])
        await Pulses(self.world.tables).beat(told)

    @asynccontextmanager
    async def ports(self) -> AsyncIterator[Ports]:
        yield self.world.ports()

    def ask(self, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
        code = run(self.ports, ["health", *words])
        return code, capsys.readouterr().out

    def told(self, capsys: pytest.CaptureFixture[str]) -> tuple[int, Any]:
        code, out = self.ask(capsys, "--json")
        return code, json.loads(out)


def test_all_is_well(capsys: pytest.CaptureFixture[str]):
    opened = Opened()
    code, text = opened.ask(capsys)
    assert code == Exit.OK
    assert text.startswith("All is well.")
    lines = {words[0]: words[1:] for words in map(str.split, text.splitlines()) if words}
    assert lines["gateway"] == ["1", "ready", "1.2", "2", "h", "5", "s", "120", "0", "0.25", "s"]
    assert lines["commits"] == ["7", "in", "15", "min,", "p99", "0.125", "s"]
    assert lines["mail"] == ["4", "sent", "in", "15", "min,", "0", "s", "late"]
    code, document = opened.told(capsys)
    assert (code, document["well"], document["alarms"], document["unseen"]) == (Exit.OK, True, [], [])
    (commits,) = [one for one in document["queues"] if one["queue"] == "commits"]
    assert commits == {"queue": "commits", "waiting": 0, "oldest_s": 2.5, "dead_letters": 0}
    assert [one["service"] for one in document["services"]] == list(SERVICES)
    assert document["services"][0]["instances"][0]["measures"] == MEASURES["gateway"]


def test_an_alarm_is_told_with_its_runbook(capsys: pytest.CaptureFixture[str]):
    opened = Opened()

    async def dead_letter() -> None:
        await opened.world.queues.send(Queue.LETTERS, b"garbage")
        (message,) = await opened.world.queues.receive(Queue.LETTERS, wait_s=0)
        await opened.world.queues.set_aside(Queue.LETTERS, message, "Unreadable")
        await opened.beat("syncer", state=State.DRAINING)

    asyncio.run(dead_letter())
    code, text = opened.ask(capsys)
    assert code == Exit.DIFFERS
    assert text.startswith(
        "2 alarms, 1 of them urgent.\n\npage    No instance of syncer is ready: 0 instances (at least 1)"
    )
    assert "What to do: docs/operations.md#dead-letters" in text
    assert "1 draining" in text
    code, document = opened.told(capsys)
    assert [one["name"] for one in document["alarms"]] == ["service-gone-syncer", "dead-letters-letters"]
    assert (code, document["alarms"][1]["figure"]) == (Exit.DIFFERS, 1)


def test_lost_instances_are_named(capsys: pytest.CaptureFixture[str]):
    opened = Opened()
    asyncio.run(opened.beat("gateway", "gateway-2", age_s=200))
    code, text = opened.ask(capsys)
    assert code == Exit.DIFFERS
    assert "1 ready, 1 lost" in text
    assert [one["name"] for one in opened.told(capsys)[1]["services"][0]["lost"]] == ["gateway-2"]


def everything(_table: Table, _pk: str) -> bool:
    return True


def pulses_of_gateway(_table: Table, pk: str) -> bool:
    return pk == "pulse#gateway"


def mail(table: Table, _pk: str) -> bool:
    return table is Table.MAIL


@pytest.mark.parametrize(
    ("away", "unseen"),
    [
        (everything, [*(f"the pulses of {service}" for service in SERVICES), "rows set aside"]),
        (pulses_of_gateway, ["the pulses of gateway"]),
        (mail, ["rows set aside"]),
    ],
)
def test_what_is_away_is_said_and_hides_nothing_else(
    capsys: pytest.CaptureFixture[str], away: Callable[[Table, str], bool], unseen: list[str]
):
    tables = AwayTables(away)
    opened = Opened(tables=tables)
    tables.away = away
    code, document = opened.told(capsys)
    assert code == Exit.TRY_LATER
    assert [one["what"] for one in document["unseen"]] == unseen
    assert not document["well"]
    assert len(document["queues"]) == len(Queue)
    code, text = opened.ask(capsys)
    assert text.startswith("Not all could be seen.")
    assert f"unseen  {unseen[0]}: Query" in text


def test_a_queue_that_is_not_there(capsys: pytest.CaptureFixture[str]):
    opened = Opened()
    opened.world.queues = MissingQueue(opened.world.clock)
    code, document = opened.told(capsys)
    assert code == Exit.TRY_LATER
    assert [one["what"] for one in document["unseen"]] == ["the queue notify"]
    assert [one["waiting"] for one in document["queues"] if one["queue"] == "notify"] == [None]


def test_a_pulse_that_cannot_be_read(capsys: pytest.CaptureFixture[str]):
    opened = Opened()
    damage = Update(Table.DIRECTORY, Key("pulse#syncer", "syncer-1"), set={"measures": b"?"})
    asyncio.run(opened.world.tables.write(damage))
    code, document = opened.told(capsys)
    assert (code, [one["what"] for one in document["unseen"]]) == (Exit.TRY_LATER, ["the pulses of syncer"])


def test_watching_looks_again(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """The third look is cut off by Ctrl-C."""
    opened = Opened()
    looks = 0

    @asynccontextmanager
    async def ports() -> AsyncIterator[Ports]:
        async with opened.ports() as open_ports:
            yield open_ports

    class Interrupting(MemoryQueues):
        async def depth(self, queue: Queue) -> int:
            nonlocal looks
            looks += queue is Queue.UPLOADS
            if looks == 3:
                raise KeyboardInterrupt
            return await super().depth(queue)

    monkeypatch.setattr(health, "WATCH_S", 0.0)
    opened.world.queues = Interrupting(opened.world.clock)
    assert run(ports, ["health", "--watch", "--json"]) == Exit.INTERRUPTED
    assert capsys.readouterr().out.count('"well": true') == 2
