"""People at a terminal: each with a home of their own."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from syncline.client.cli.app import run

PASSWORD = "correct horse battery"


class Program:
    """What click's runner runs: the command as the shell would."""

    name = "syncline"

    def main(self, args: list[str], prog_name: str, **_: Any) -> None:
        sys.exit(run(args))


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def problem(self) -> Any:
        return json.loads(self.err)


def say(environment: Mapping[str, str], *words: str, typed: str | None = None) -> Said:
    result = CliRunner().invoke(Program(), list(words), env=environment, input=typed)  # type: ignore[arg-type]
    return Said(result.exit_code, result.stdout, result.stderr)


class Person:
    def __init__(self, name: str, server: str, folder: Path) -> None:
        self.name = name
        self.email = f"{name}@example.org"
        self.home = folder / "homes" / name
        self.environment = {
            "SYNCLINE_HOME": str(self.home),
            "SYNCLINE_SERVER": server,
            "SYNCLINE_PASSWORD": PASSWORD,
            "SYNCLINE_DEBUG": "",
        }

    def tries(self, *words: str, typed: str | None = None) -> Said:
        """What came of a command, whatever it was."""
        return say(self.environment, *words, typed=typed)

    def does(self, *words: str) -> str:
        """What a command that must succeed said to people; on stderr it said nothing."""
        said = self.tries(*words)
        assert (said.code, said.err) == (0, ""), said
        return said.out

    def asks(self, *words: str) -> Any:
        """The document that a command that must succeed answered."""
        said = self.tries(*words, "--json")
        assert (said.code, said.err) == (0, ""), said
        return said.json

    def is_refused(self, kind: str, *words: str, code: int = 1) -> str:
        """A command is refused, alike for people (one line, answered) and for programs."""
        told = self.tries(*words)
        assert told.code == code, told
        assert told.out == ""
        assert told.err.startswith("syncline: ")
        assert told.err.count("\n") == 1
        assert "Traceback" not in told.err
        document = self.tries(*words, "--json")
        assert document.code == code, document
        assert document.out == ""
        assert document.problem["kind"] == kind
        assert document.problem["exit_code"] == code
        return told.err
