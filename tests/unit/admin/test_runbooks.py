"""The runbooks in docs/operations.md: one for each kind of alarm, and what they say to type and to look for exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from syncline.admin.app import CONTENTS, load
from syncline.domain.alarms import ALARMS, Alarm, Severity

TREE = Path(__file__).resolve().parents[3]
PARTS = ("**People notice**", "**Look**", "**Do**", "**Over**")
PLACEHOLDERS = {"QUEUE": "commits", "LIBRARY": "l" * 20, "ACCOUNT": "a" * 20}


def chapter(name: str) -> str:
    """What stands under a heading of the second level."""
    text = (TREE / "docs/operations.md").read_text()
    return text.partition(f"\n## {name}\n")[2].partition("\n## ")[0]


RUNBOOKS = {
    part.partition("\n")[0].strip(): part.partition("\n")[2] for part in chapter("Runbooks").split("\n### ")[1:]
}
SAID = "\n".join([chapter("Health"), *RUNBOOKS.values()])
COMMANDS = sorted(set(re.findall(r"syncline-admin [a-z][^`\n]*", SAID)))


def test_each_kind_of_alarm_has_one_runbook_and_each_runbook_an_alarm():
    headings = re.findall(r"^### (.*)$", chapter("Runbooks"), re.MULTILINE)
    assert sorted(headings) == sorted({alarm.kind for alarm in ALARMS})


@pytest.mark.parametrize("alarm", ALARMS, ids=lambda alarm: alarm.name)
def test_a_runbook_says_all_there_is_to_know(alarm: Alarm):
    said = RUNBOOKS[alarm.kind]
    assert [part for part in PARTS if said.count(f"- {part}") != 1 and alarm.kind != "queue-old"] == []
    urgency = {one.severity for one in ALARMS if one.kind == alarm.kind}
    assert set(re.findall(rf"\*\*({'|'.join(Severity)})\b", said.lower())) == urgency
    assert ("On AWS only." in said) == alarm.on_aws_only
    assert alarm.runbook == f"docs/operations.md#{alarm.kind}"


def test_its_places_in_the_docs_are_there():
    text = (TREE / "docs/operations.md").read_text()
    headings = {
        re.sub(r"[^\w -]", "", one).strip().lower().replace(" ", "-") for one in re.findall(r"^#+ (.*)$", text, re.M)
    }
    assert [link for link in re.findall(r"\]\(#([\w-]+)\)", SAID) if link not in headings] == []


@pytest.mark.parametrize("line", COMMANDS)
def test_its_commands_can_be_typed(line: str):
    line = re.split(r"  +", line)[0]
    name, *arguments = [PLACEHOLDERS.get(word, word) for word in shlex.split(line)[1:]]
    command: click.Command = load(name, CONTENTS[name])
    while isinstance(command, click.Group):
        child, *arguments = arguments
        command = command.commands[child]
    if arguments != ["--help"]:
        with command.make_context(name, arguments):
            pass  # parsed: nothing is left over, nothing is unknown


def test_what_it_says_to_look_for_in_the_logs_is_logged():
    source = "\n".join(
        path.read_text() for folder in ("services", "syncline") for path in (TREE / folder).rglob("*.py")
    )
    named = set(re.findall(r"`([a-z]+(?:-[a-z]+)+)`", SAID)) - {alarm.kind for alarm in ALARMS}
    assert len(named) > 10
    assert [name for name in sorted(named) if f'"{name}"' not in source] == []


def test_its_metrics_are_counted():
    source = "\n".join(
        path.read_text() for folder in ("services", "syncline") for path in (TREE / folder).rglob("*.py")
    )
    named = set(re.findall(r"`syncline_(?:SERVICE|metadata|syncer|notifier|gateway)_(\w+)`", SAID))
    assert len(named) > 3
    assert [name for name in sorted(named) if f'"{name.removesuffix("_total")}"' not in source] == []
