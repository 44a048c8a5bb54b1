"""The operator sets quotas, counts again, and reads the audit log."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from syncline.admin.answers import Exit
from syncline.admin.app import run
from syncline.store.usage import Usage
from tests.unit.admin.world import Operated, a_life
from tests.unit.metadata.world import ALICE, LIBRARY


def ask(world: Operated, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    assert run(world.open_ports, [*words, "--json"]) == Exit.OK
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def begun() -> Operated:
    async def begin() -> Operated:
        world = await Operated().begin()
        await a_life(world)
        return world

    return asyncio.run(begin())


def test_a_quota_is_set_and_written_down(capsys: pytest.CaptureFixture[str]):
    world = begun()
    ask(world, capsys, "quota", "--library", LIBRARY, "1000")
    ask(world, capsys, "quota", "--account", ALICE, "5000")
    usage = Usage(world.tables)
    assert asyncio.run(usage.of_library(LIBRARY)).quota_bytes == 1_000
    assert asyncio.run(usage.account_quota(ALICE)) == 5_000
    entries = ask(world, capsys, "audit", "--library", LIBRARY)["entries"]
    assert [(one["action"], one["device"], one["details"]) for one in entries] == [
        ("quota.set", "operator", {"quota_bytes": 1_000})
    ]
    assert len(ask(world, capsys, "audit")["entries"]) == 2
    assert len(ask(world, capsys, "audit", "--account", ALICE)["entries"]) == 1


@pytest.mark.parametrize(
    ("said", "meant"),
    [("5G", 5 << 30), ("1.5T", 3 << 39), ("20 MiB", 20 << 20), ("500kb", 500 << 10), ("7", 7), ("0", 0)],
)
def test_a_quota_is_said_with_a_unit(capsys: pytest.CaptureFixture[str], said: str, meant: int):
    world = begun()
    assert ask(world, capsys, "quota", "--library", LIBRARY, said)["quota_bytes"] == meant
    assert asyncio.run(Usage(world.tables).of_library(LIBRARY)).quota_bytes == meant


@pytest.mark.parametrize("said", ["much", "", "5X", "1e9", "9999P", "1.2.3G", "٣G"])
def test_what_is_no_size_is_said_to_be_none(capsys: pytest.CaptureFixture[str], said: str):
    world = begun()
    assert run(world.open_ports, ["quota", "--library", LIBRARY, said]) == Exit.USAGE
    assert "5G" in (told := capsys.readouterr().err) or "no limit" in told
    assert asyncio.run(Usage(world.tables).of_library(LIBRARY)).quota_bytes is None


def test_counting_again_finds_what_the_bucket_holds(capsys: pytest.CaptureFixture[str]):
    world = begun()
    answer = ask(world, capsys, "usage", LIBRARY, "--recount")
    assert answer["used_bytes"] > 0
    assert answer["counted_before_bytes"] == 0
    assert ask(world, capsys, "usage", LIBRARY)["used_bytes"] == answer["used_bytes"]


def test_what_is_not_there_gets_no_quota(capsys: pytest.CaptureFixture[str]):
    world = begun()
    assert run(world.open_ports, ["quota", "--library", "x" * 20, "1"]) != Exit.OK
    assert run(world.open_ports, ["quota", "1"]) != Exit.OK


def test_a_rebuild_is_written_down(capsys: pytest.CaptureFixture[str]):
    world = begun()
    asyncio.run(world.archive())
    ask(world, capsys, "rebuild", LIBRARY, "--yes")
    entries = ask(world, capsys, "audit", "--library", LIBRARY)["entries"]
    assert [one["action"] for one in entries] == ["library.rebuild"]
