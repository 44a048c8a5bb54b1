"""The command's table of contents, and its one way out: every error becomes a line and an exit code here."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import click

from syncline.client.cli.calling import Call, Terminated, common_options
from syncline.client.cli.exits import MEANING, Exit
from syncline.client.cli.failures import report
from syncline.otlp import configure_tracing

PROGRAM = "syncline"
COMMANDS_PACKAGE = "syncline.client.cli.commands"


class Entry(NamedTuple):
    """Where a command is, and its help in one line: the module is loaded only when the command is used."""

    module: str
    summary: str


CONTENTS: dict[str, dict[str, Entry]] = {
    "Account": {
        "register": Entry("accounts", "Create an account and sign in."),
        "login": Entry("accounts", "Sign in on this device."),
        "logout": Entry("accounts", "Sign this device out."),
        "whoami": Entry("accounts", "Show who is signed in, where, on which device."),
        "devices": Entry("devices", "List the devices you are signed in on, and sign them out."),
        "password": Entry("password", "Set another password."),
        "account": Entry("account", "Change the address of your account, or remove it."),
    },
    "Libraries": {
        "library": Entry("libraries", "Create, list and share libraries."),
        "group": Entry("groups", "Make groups of people, to share libraries with all of them."),
        "invitations": Entry("invitations", "List, revoke and accept invitations to libraries."),
        "usage": Entry("records", "Show how many bytes libraries hold, and may."),
        "audit": Entry("records", "Show who did what in a library, or with your account."),
    },
    "Files in a library": {
        "ls": Entry("browsing", "List a folder of a library, or your libraries."),
        "put": Entry("sending", "Send files and folders to a library."),
        "get": Entry("fetching", "Fetch a file or a folder from a library."),
        "mkdir": Entry("changing", "Make folders in a library."),
        "mv": Entry("changing", "Move or rename files and folders in a library."),
        "rm": Entry("changing", "Remove files and folders from a library."),
        "history": Entry("versions", "List the versions of a file."),
        "trash": Entry("past", "List what was removed from a library, or from this disk."),
        "restore": Entry("past", "Bring back what was removed, or an older version."),
        "rewind": Entry("past", "Make a folder as it was at a time."),
        "purge": Entry("purging", "Give up for ever what is in the trash, or old versions."),
    },
    "Mail": {
        "follow": Entry("following", "Get mail when something changes."),
        "unfollow": Entry("following", "Get no more mail about it."),
        "follows": Entry("following", "List what you follow."),
        "mail": Entry("mail", "Say how often and of what you want mail."),
        "followers": Entry("followers", "Let people without an account follow a library."),
    },
    "Folders kept in sync": {
        "link": Entry("linking", "Keep a library in a folder of this machine."),
        "unlink": Entry("linking", "Stop keeping a folder in sync; all files stay."),
        "select": Entry("selecting", "Choose which folders of a library are on this disk."),
        "sync": Entry("syncing", "Bring folders and libraries together, once."),
        "start": Entry("running", "Keep all linked folders in sync from now on, in the background."),
        "stop": Entry("running", "End the daemon."),
        "watch": Entry("syncing", "Keep folders in sync until stopped."),
        "pause": Entry("pausing", "Leave folders alone for a while."),
        "resume": Entry("pausing", "Go on with folders that were paused."),
        "limit": Entry("pausing", "Show or set how fast bytes may go."),
        "service": Entry("service", "Have the daemon started at every login."),
        "status": Entry("looking", "Show what is linked, and what is still to do."),
        "conflicts": Entry("conflicts", "List conflict copies, and settle them."),
        "log": Entry("logs", "Show what was done to a file, when and why."),
        "verify": Entry("verifying", "Read every file of a linked folder and check it against the library."),
        "compare": Entry("looking", "Have the server compare a folder with its library by checksum."),
        "doctor": Entry("doctor", "Check everything, and say what to do about what is not well."),
    },
}


class Contents(click.Group):
    """The group of all commands, in sections, loaded one by one."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for section in CONTENTS.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for section in CONTENTS.values():
            if cmd_name in section:
                return load(cmd_name, section[cmd_name])
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, section in CONTENTS.items():
            with formatter.section(title):
                formatter.write_dl([(name, entry.summary) for name, entry in section.items()], col_spacing=4)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(int(code)), meaning) for code, meaning in MEANING.items()], col_spacing=4)
        with formatter.section("Environment"):
            formatter.write_dl(list(ENVIRONMENT.items()), col_spacing=4)


ENVIRONMENT = {
    "SYNCLINE_HOME": "the folder with this client's whole state; another folder is another client",
    "SYNCLINE_SERVER": "the server's address, as --server",
    "SYNCLINE_PASSWORD": "the password, asked for when not set",
    "SYNCLINE_NEW_PASSWORD": "the new one for password reset and password change, asked for when not set",
    "SYNCLINE_DEBUG": "1 shows the traceback of an error",
}

HELP = """Share libraries of files and keep folders in sync.

A library is a tree of files shared by its members. LIBRARY:PATH names something in it, by the library's name or id:
Shared:docs/plan.ods, or Shared: for all of it. Nothing is ever lost: the server keeps every version.

\b
  syncline register alice@example.org --name Alice --server https://files.example.org
  syncline library create Shared
  syncline link Shared ~/Shared
  syncline start
"""

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def load(name: str, entry: Entry) -> click.Command:
    """The command ``name``: the object of that name (``_`` for ``-``) in its module."""
    loaded = getattr(importlib.import_module(f"{COMMANDS_PACKAGE}.{entry.module}"), name)
    assert isinstance(loaded, click.Command)
    return loaded


@click.command(PROGRAM, cls=Contents, help=HELP, context_settings=SETTINGS)
@click.version_option(package_name="syncline", message="%(prog)s %(version)s")
@click.pass_context
def root(context: click.Context) -> None:
    context.ensure_object(Call)


root.params += common_options()


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command and answer its exit code. Everything said is on stdout and stderr when it returns."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    json = "--json" in _options(words)
    try:
        configure_tracing("client", optional=True)
        code = _invoke(words)
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
        return report(error, json=json)


def _invoke(words: list[str]) -> int:
    try:
        with root.make_context(PROGRAM, words) as context:
            root.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    return Exit.OK


def _options(words: Sequence[str]) -> Iterator[str]:
    """The words before ``--``."""
    for word in words:
        if word == "--":
            return
        yield word


def _silence_stdout() -> None:
    """Whoever read our output has gone; the interpreter shall not complain about it when it flushes at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
