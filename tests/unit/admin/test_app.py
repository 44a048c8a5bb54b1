"""The operator's command as a whole: help, errors, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import click
import pytest

from syncline.admin.answers import Exit, require_yes
from syncline.admin.app import CONTENTS, load, run
from syncline.admin.calling import Answer, Call, command
from syncline.admin.ports import Ports
from syncline.domain.errors import Broken, Refused, Temporary


@asynccontextmanager
async def nowhere() -> AsyncIterator[Ports]:
    raise Temporary("The stack is away.")
    yield


@pytest.mark.parametrize("name", CONTENTS)
def test_every_command_of_the_table_is_there_and_has_help(name):
    loaded = load(name, CONTENTS[name])
    assert isinstance(loaded, click.Command)
    assert loaded.help


def test_help_opens_no_stack(capsys):
    assert run(nowhere, ["--help"]) == Exit.OK
    told = capsys.readouterr().out
    assert all(name in told for name in CONTENTS)


def test_an_unknown_command_is_a_usage_error(capsys):
    assert run(nowhere, ["--json", "make-coffee"]) == Exit.USAGE
    assert json.loads(capsys.readouterr().err)["kind"] == "usage"


def test_a_stack_that_is_away_is_worth_another_try(capsys):
    assert run(nowhere, ["check", "--json"]) == Exit.TRY_LATER
    assert json.loads(capsys.readouterr().err)["kind"] == "try-later"


def test_what_loses_data_needs_yes():
    require_yes(True, "All is lost.")
    with pytest.raises(Refused, match=r"All is lost\. Say --yes"):
        require_yes(False, "All is lost.")


def test_json_is_understood_before_and_after_the_command(capsys):
    @command("hello", examples=["hello"])
    async def hello(call: Call) -> Answer:
        """Say hello."""
        return Answer({"hello": call.json}, "hello")

    for words in (["--json"], []):
        assert hello.main(words, obj=Call(nowhere), standalone_mode=False) == Exit.OK
    out = capsys.readouterr().out
    assert '"hello": true' in out
    assert out.endswith("hello\n")


def test_without_the_environment_it_says_what_is_missing():
    program = [sys.executable, "-m", "syncline.admin", "check"]
    done = subprocess.run(program, env={"PATH": "/usr/bin"}, capture_output=True, text=True)
    assert done.returncode == Exit.REFUSED
    assert "AWS_DEFAULT_REGION is not set" in done.stderr
    assert "Traceback" not in done.stderr


async def test_a_call_without_a_stack_says_so():
    with pytest.raises(Broken):
        Call().ports()
