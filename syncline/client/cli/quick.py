"""The short road of ``sync`` and ``status``: when a daemon runs they only ask it, so nothing else is loaded.

Whatever is not plain (other options, no daemon, another version of it) takes the long road, click's.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from syncline.client.daemon.asking import Lost, NoDaemon, ask
from syncline.client.daemon.place import home_path

FLAGS = {
    "sync": {"--json", "--quiet", "-q", "--allow-removals"},
    "status": {"--json", "--quiet", "-q"},
}
INTERRUPTED = 130
PIPE_CLOSED = 141
TRY_LATER = 4
CLEAR_LINE = "\r\x1b[K"


def quick(words: Sequence[str]) -> int | None:
    """Do what ``words`` ask for through the daemon; the exit code, or None for the long road."""
    if not words or words[0] not in FLAGS:
        return None
    flags = {word for word in words[1:] if word.startswith("-")}
    if not flags <= FLAGS[words[0]]:
        return None
    try:
        folders = [os.path.abspath(word) for word in words[1:] if not word.startswith("-")]
    except FileNotFoundError:
        return None  # the current folder is gone
    return through_daemon(
        words[0],
        folders,
        as_json="--json" in flags,
        quiet=bool(flags & {"--quiet", "-q"}),
        server=os.environ.get("SYNCLINE_SERVER", ""),
        allow_removals="--allow-removals" in flags,
    )


def through_daemon(
    what: str, folders: Sequence[str], *, as_json: bool, quiet: bool, server: str, allow_removals: bool = False
) -> int | None:
    """Ask the daemon for ``sync`` or ``status`` and show what it says; the exit code, or None when none runs.

    ``server`` is the one that was asked for, or "".
    """
    request: dict[str, Any] = {"ask": what, "folders": list(folders), "server": server}
    shows_progress = what == "sync" and sys.stderr.isatty() and not quiet and not as_json
    if what == "sync":
        request |= {"allow_removals": allow_removals, "progress": shows_progress}
    else:
        request["color"] = sys.stdout.isatty() and not as_json
    try:
        last = ask(home_path(os.environ), request, hear=_show_progress if shows_progress else None)
        if shows_progress:
            sys.stderr.write(CLEAR_LINE)
        if last.get("problem", {}).get("kind") == "other-version":
            return None
        return show(last, as_json=as_json, quiet=quiet)
    except NoDaemon:
        return None
    except Lost as error:
        print(f"syncline: {error}. Try again later.", file=sys.stderr)
        return TRY_LATER
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED


def show(last: dict[str, Any], *, as_json: bool, quiet: bool) -> int:
    """Write what the daemon answered as the command itself would have (output.py, failures.py); the exit code."""
    if "problem" in last:
        problem = last["problem"]
        told = (
            json.dumps(problem, ensure_ascii=False, separators=(",", ":")) if as_json else f"syncline: {last['said']}"
        )
        print(told, file=sys.stderr)
        return int(problem["exit_code"])
    answer = last["answer"]
    if as_json:
        print(json.dumps(answer["document"], ensure_ascii=False, indent=2))
    else:
        if answer["text"] and not (quiet and answer["chatty"]):
            print(answer["text"])
        for complaint in answer["complaints"]:
            print(f"syncline: {complaint}", file=sys.stderr)
    sys.stdout.flush()
    return int(answer["exit"])


def _show_progress(line: dict[str, Any]) -> None:
    said = line.get("said", "")
    sys.stderr.write(f"{CLEAR_LINE}{said}")
    sys.stderr.flush()
