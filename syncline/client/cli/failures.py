"""What goes wrong, told in one line (or as a JSON problem) and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping
from typing import Any

import click

from syncline.client.cli.exits import Exit, exit_of
from syncline.client.cli.output import json_line, one_line
from syncline.domain.errors import Broken, NotFound, Refused, SynclineError, Temporary

DEBUG_VARIABLE = "SYNCLINE_DEBUG"

HINTS = {
    "not-signed-in": "Run: syncline login EMAIL",
    "token-expired": "Run: syncline login EMAIL",
    "device-revoked": "Run: syncline login EMAIL",
    "refresh-failed": "Run: syncline login EMAIL",
    "email-taken": "Run: syncline login EMAIL",
    "no-such-library": "Run: syncline library list",
    "no-such-account": "They have to register first: syncline register EMAIL --name NAME",
    "not-linked": "Run: syncline link LIBRARY DIR (syncline status lists what is linked)",
    "invitation-gone": "Ask whoever invited you for another one",
    "link-used": "Ask for another one: syncline password reset EMAIL",
    "still-owns": "Run: syncline account remove --hand-to EMAIL --yes",
    "large-removal": "If it is meant: syncline sync DIR --allow-removals",
}
"""What to do about it, where the message does not say so by itself."""


def report(error: Exception, *, json: bool) -> Exit:
    """Tell about an error on stderr and answer the exit code. ``SYNCLINE_DEBUG=1`` shows the traceback too."""
    if os.environ.get(DEBUG_VARIABLE, "") not in ("", "0"):
        traceback.print_exception(error, file=sys.stderr)
    problem = problem_of(error)
    click.echo(json_line(problem) if json else f"syncline: {problem_text(problem)}", err=True)
    return Exit(problem["exit_code"])


def problem_text(problem: Mapping[str, Any]) -> str:
    """A problem in one line, with what to do."""
    detail, hint = str(problem["detail"]), str(problem.get("hint", ""))
    return one_line(f"{detail}\n{hint}" if hint and hint not in detail else detail)


def problem_of(error: Exception) -> dict[str, Any]:
    """RFC 9457 members of an error, with ``kind``, ``hint`` and ``exit_code`` besides."""
    if isinstance(error, click.ClickException):
        return _usage_problem(error)
    kind, detail, facts = _told(error)
    problem: dict[str, Any] = {
        **facts,
        "type": f"/problems/{kind}",
        "title": kind.replace("-", " ").capitalize(),
        "kind": kind,
        "detail": detail,
        "exit_code": int(exit_of(error)),
    }
    if isinstance(error, Refused):
        problem["status"] = error.status
    if kind in HINTS:
        problem["hint"] = HINTS[kind]
    return problem


def _told(error: Exception) -> tuple[str, str, dict[str, Any]]:
    """(kind, detail, further facts)"""
    if isinstance(error, Refused):
        return error.kind, error.detail, {k: v for k, v in error.facts.items() if _is_plain(v)}
    if isinstance(error, Temporary):
        return "try-later", _ended(str(error)) + " Try again later.", {}
    if isinstance(error, NotFound):
        return "not-found", str(error), {}
    if isinstance(error, Broken):
        return "broken", _ended(str(error)) + f" If this goes on, report it; {DEBUG_VARIABLE}=1 shows more.", {}
    if isinstance(error, SynclineError):
        return "failed", str(error), {}
    if isinstance(error, OSError):
        named = os.fsdecode(error.filename) + ": " if isinstance(error.filename, str | bytes) else ""
        return "os-error", f"{named}{error.strerror or error}.", {}
    told = f"Something unforeseen happened ({type(error).__name__}: {error})."
    return "internal", f"{told} Please report it; {DEBUG_VARIABLE}=1 shows where.", {}


def _usage_problem(error: click.ClickException) -> dict[str, Any]:
    detail = _ended(error.format_message())
    context = getattr(error, "ctx", None)
    if context is not None:
        detail += f" See: {context.command_path} --help"
    code = Exit.USAGE if isinstance(error, click.UsageError) else Exit.REFUSED
    return {"type": "/problems/usage", "title": "Usage", "kind": "usage", "detail": detail, "exit_code": int(code)}


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else text + "."


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float | bool | list | dict | None)
