"""The exit codes of the command, and which error gets which."""

from __future__ import annotations

from enum import IntEnum

from syncline.domain.errors import Refused, Temporary


class Exit(IntEnum):
    """What the process ends with. ``MEANING`` says it in words; docs/cli.md shows them."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    NOT_SIGNED_IN = 3
    TRY_LATER = 4
    PARTLY = 5
    INTERRUPTED = 130
    PIPE_CLOSED = 141
    TERMINATED = 143


MEANING: dict[Exit, str] = {
    Exit.OK: "done",
    Exit.REFUSED: "something was refused, or differs (compare, verify)",
    Exit.USAGE: "the command was not understood",
    Exit.NOT_SIGNED_IN: "not signed in: syncline login EMAIL",
    Exit.TRY_LATER: "the server cannot be reached, or the folder is busy: try again later",
    Exit.PARTLY: "partly done; what was not is named",
    Exit.INTERRUPTED: "interrupted with Ctrl-C (143: by SIGTERM); nothing is left half-written",
}

_BUSY = "busy"
_WRONG_PASSWORD = "sign-in-failed"


def exit_of(error: Exception) -> Exit:
    """The exit code an error ends the command with."""
    if isinstance(error, Temporary):
        return Exit.TRY_LATER
    if isinstance(error, Refused):
        if error.kind == _BUSY:
            return Exit.TRY_LATER
        if error.status == 401 and error.kind != _WRONG_PASSWORD:
            return Exit.NOT_SIGNED_IN
    return Exit.REFUSED
