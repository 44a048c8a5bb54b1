"""The operator says how long a library keeps what is no more current."""

from __future__ import annotations

import asyncio
import json

import pytest

from syncline.admin.answers import Exit
from syncline.admin.app import run
from syncline.store.retentions import Retentions, Rules
from tests.unit.admin.test_records import ask, begun
from tests.unit.metadata.world import LIBRARY


def test_rules_are_set_with_yes_and_a_hold_without(capsys: pytest.CaptureFixture[str]):
    world = begun()
    assert run(world.open_ports, ["retention", LIBRARY, "--trash-days", "90"]) == Exit.NEEDS_YES
    assert asyncio.run(Retentions(world.tables).rules(LIBRARY)) == Rules()
    assert run(world.open_ports, ["retention", LIBRARY, "--trash-days", "90", "--yes"]) == Exit.OK
    assert run(world.open_ports, ["retention", LIBRARY, "--hold"]) == Exit.OK
    assert run(world.open_ports, ["retention", LIBRARY, "--no-hold"]) == Exit.NEEDS_YES
    assert asyncio.run(Retentions(world.tables).rules(LIBRARY)) == Rules(trash_days=90, hold=True)
    capsys.readouterr()
    assert run(world.open_ports, ["retention", LIBRARY, "--json"]) == Exit.OK
    assert json.loads(capsys.readouterr().out)["trash_days"] == 90
    acts = [one["details"] for one in ask(world, capsys, "audit", "--library", LIBRARY)["entries"]]
    assert {"trash_days": 90} in acts
    assert {"hold": 1} in acts
    assert len(acts) == 2
    assert run(world.open_ports, ["retention", "z" * 20]) == Exit.REFUSED
