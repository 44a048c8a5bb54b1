"""What the operator's command says, and what it ends with."""

from __future__ import annotations

import os
import sys
import traceback
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import click

from syncline.client.cli.output import json_line, json_text, one_line
from syncline.domain.errors import Broken, NotFound, Refused, Temporary

DEBUG_VARIABLE = "SYNCLINE_DEBUG"
NEEDS_YES = "needs-yes"


class Exit(IntEnum):
    """Exit codes; ``MEANING`` says them in words."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    NEEDS_YES = 3
    TRY_LATER = 4
    DIFFERS = 5
    INTERRUPTED = 130
    PIPE_CLOSED = 141
    TERMINATED = 143


MEANING: dict[Exit, str] = {
    Exit.OK: "done, or all is well",
    Exit.REFUSED: "refused, or something is broken; the line says what",
    Exit.USAGE: "the command was not understood",
    Exit.NEEDS_YES: "it would lose or replace data: say --yes if that is meant",
    Exit.TRY_LATER: "the stack cannot be reached, or is busy: try again later",
    Exit.DIFFERS: "a check found something wrong that is not mended, or an alarm goes off",
    Exit.INTERRUPTED: "interrupted with Ctrl-C (143: by SIGTERM)",
}


@dataclass(frozen=True)
class Answer:
    """``document`` for --json, ``text`` for people. ``aside``: on stderr, since stdout carries what was asked for."""

    document: object
    text: str = ""
    exit: Exit = Exit.OK
    aside: bool = False


def show(answer: Answer, *, json: bool) -> None:
    if json:
        click.echo(json_text(answer.document), err=answer.aside)
    elif answer.text:
        click.echo(answer.text, err=answer.aside)


def require_yes(yes: bool, what: str) -> None:
    """Raises ``Refused`` unless ``--yes`` was said. ``what`` is a sentence: what would be lost."""
    if not yes:
        raise Refused(NEEDS_YES, f"{what} Say --yes if that is meant.", status=409)


def report(error: Exception, *, json: bool) -> Exit:
    """Tell about an error on stderr; the exit code. ``SYNCLINE_DEBUG=1`` shows the traceback too."""
    if os.environ.get(DEBUG_VARIABLE, "") not in ("", "0"):
        traceback.print_exception(error, file=sys.stderr)
    problem = problem_of(error)
    click.echo(json_line(problem) if json else f"syncline-admin: {one_line(problem['detail'])}", err=True)
    return Exit(problem["exit_code"])


def problem_of(error: Exception) -> dict[str, Any]:
    """RFC 9457 members of an error, with ``kind`` and ``exit_code`` besides."""
    kind, detail, code = _told(error)
    facts = error.facts if isinstance(error, Refused) else {}
    told = {"type": f"/problems/{kind}", "kind": kind, "detail": detail, "exit_code": int(code)}
    return {**facts, **told}


def _told(error: Exception) -> tuple[str, str, Exit]:
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None)
        see = f" See: {context.command_path} --help" if context is not None else ""
        return "usage", error.format_message() + see, Exit.USAGE
    if isinstance(error, Refused):
        return error.kind, error.detail, Exit.NEEDS_YES if error.kind == NEEDS_YES else Exit.REFUSED
    if isinstance(error, NotFound):
        return "not-found", str(error), Exit.REFUSED
    if isinstance(error, Temporary):
        return "try-later", f"{error} Try again later.", Exit.TRY_LATER
    if isinstance(error, Broken):
        return "broken", f"{error} ({DEBUG_VARIABLE}=1 shows more.)", Exit.REFUSED
    return "failed", f"{type(error).__name__}: {error}", Exit.REFUSED
