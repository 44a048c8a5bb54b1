"""The operator's command: its table of contents, and its one way out."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

import click

from syncline.admin.answers import MEANING, Exit, report
from syncline.admin.calling import Call, json_option
from syncline.admin.ports import OpenPorts
from syncline.client.cli.calling import Terminated

PROGRAM = "syncline-admin"
COMMANDS_PACKAGE = "syncline.admin.commands"


class Entry(NamedTuple):
    """Where a command or group of commands is, and its help in one line; loaded only when it is used."""

    module: str
    summary: str


CONTENTS: dict[str, Entry] = {
    "health": Entry("health", "Say at a glance how the stack is, and which alarms go off."),
    "accounts": Entry("accounts", "List, show, create, lock and remove accounts."),
    "libraries": Entry("libraries", "List and show libraries and their members."),
    "journal": Entry("journal", "Read a library's journal: who changed what, and when."),
    "queues": Entry("queues", "Say how many messages and dead letters wait."),
    "dead-letters": Entry("queues", "List, redrive and purge dead letters."),
    "set-aside": Entry("queues", "List rows that the notifier has set aside, and put them back."),
    "check": Entry("checking", "Compare views with journals, and look whether all bytes are there."),
    "rebuild": Entry("rebuilding", "Make a library again from the bucket alone."),
    "export": Entry("exporting", "Write a library with all its files as one ZIP archive."),
    "retention": Entry("retention", "Say how long a library keeps versions and trash, or put it on hold."),
    "usage": Entry("records", "Say how many bytes a library holds; count again."),
    "quota": Entry("records", "Set how many bytes a library or an account may hold."),
    "audit": Entry("records", "Show who did what."),
    "cost": Entry("costing", "Reckon the monthly bill of AWS for a load."),
}


class Contents(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(CONTENTS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return load(cmd_name, CONTENTS[cmd_name]) if cmd_name in CONTENTS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, one.summary) for name, one in CONTENTS.items()], col_spacing=4)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(int(code)), meaning) for code, meaning in MEANING.items()], col_spacing=4)


HELP = """Look after a Syncline stack: its libraries, tables, bucket and queues.

It works with an operator's own AWS identity, on the stack that the environment names (docs/operations.md). For an
embedded stack that environment is written to DATA/secrets/admin.env:

\b
  . demo/secrets/admin.env
  syncline-admin check
"""

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def load(name: str, entry: Entry) -> click.Command:
    """The command ``name``: the object of that name (``_`` for ``-``) in its module."""
    loaded = getattr(importlib.import_module(f"{COMMANDS_PACKAGE}.{entry.module}"), name.replace("-", "_"))
    assert isinstance(loaded, click.Command)
    return loaded


@click.command(PROGRAM, cls=Contents, help=HELP, context_settings=SETTINGS)
@click.version_option(package_name="syncline", message="%(prog)s %(version)s")
@click.pass_context
def root(context: click.Context) -> None:
    context.ensure_object(Call)


root.params.append(json_option())


def run(open_ports: OpenPorts, arguments: Sequence[str] | None = None) -> int:
    """Run the command on the stack that ``open_ports`` opens; its exit code. Every error becomes one line here."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    call = Call(open_ports)
    try:
        code = _invoke(words, call)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        _silence_stdout()
        return Exit.PIPE_CLOSED
    except (click.Abort, KeyboardInterrupt):
        return Exit.INTERRUPTED
    except Terminated:
        return Exit.TERMINATED
    except Exception as error:  # noqa: BLE001 - the last stop before the shell
        return report(error, json=call.json or "--json" in words)


def _invoke(words: list[str], call: Call) -> int:
    try:
        with root.make_context(PROGRAM, words, obj=call) as context:
            root.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    return Exit.OK


def _silence_stdout() -> None:
    """Whoever read our output has gone; the interpreter shall not complain about it when it flushes at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
