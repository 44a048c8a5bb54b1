"""The programs' logs: whole in DATA/logs, rotated at a size, and as readable lines on the terminal."""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from deploy.definition import SERVICES

LOG_BYTES_MAX = 5 * 2**20
LOG_FILES_MAX = 3
NAME_WIDTH = 8
VALUE_CHARACTERS_MAX = 200

LEVELS = ("debug", "info", "warning", "error", "critical")
_LEVEL_WORD = re.compile(r"\b(DEBUG|INFO|WARNING|ERROR|CRITICAL)\b")
_LEVEL_WORD_WITHIN = 60
# Valkey marks its farewell and its advice for production as warnings; neither concerns anyone here.
_VALKEY = re.compile(r"^\d+:[A-Z] ")
_OWN_PLACE = ("time", "timestamp", "level", "service", "event")
# Ids that join lines when something is looked into: in the files, not on the terminal.
_IN_FILES_ONLY = ("request", "account", "device", "logger")
# A line for each request, and what an instance tells every 30 s, say little to who watches; --verbose shows them.
_ROUTINE = re.compile(r'"event": ?"(request(-refused)?|pulse)"')
_COLOURS = {"warning": "33", "error": "31", "critical": "31;1"}


class RotatedLog:
    """A log file of at most LOG_BYTES_MAX, of which LOG_FILES_MAX older ones are kept (`.1` the newest)."""

    def __init__(self, path: Path):
        self._path = path
        self._file = path.open("ab")

    def write(self, line: bytes) -> None:
        if self._file.tell() + len(line) > LOG_BYTES_MAX:
            self._rotate()
        self._file.write(line + b"\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def _rotate(self) -> None:
        self._file.close()
        for number in range(LOG_FILES_MAX - 1, 0, -1):
            older = self._path.with_name(f"{self._path.name}.{number}")
            if older.exists():
                older.replace(self._path.with_name(f"{self._path.name}.{number + 1}"))
        self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        self._file = self._path.open("ab")


class Console:
    """Prints log lines and the stack's own words.

    ``quiet`` shows warnings and what is worse, ``verbose`` also each request and pulse.
    """

    def __init__(self, quiet: bool = False, verbose: bool = False, out: TextIO | None = None):
        self._out = out or sys.stdout
        self._verbose = verbose
        self._level_min = LEVELS.index("warning" if quiet else "info")
        self._coloured = self._out.isatty()

    def say(self, text: str) -> None:
        """Print what a person waits for, quiet or not."""
        print(text, file=self._out, flush=True)

    def log(self, program: str, line: str) -> None:
        """Print one line of a program's log, if its level is shown."""
        level, text = readable(program, line, datetime.now(UTC))
        if LEVELS.index(level) < self._level_min:
            return
        if level == "info" and not self._verbose and _ROUTINE.search(line):
            return
        if self._coloured and level in _COLOURS:
            text = f"\033[{_COLOURS[level]}m{text}\033[0m"
        print(text, file=self._out, flush=True)


def readable(program: str, line: str, now: datetime) -> tuple[str, str]:
    """The level and the one-line form of a log line, be it a JSON object or plain text.

    `17:14:05 gateway  warning  permit refused  library=… reason=…`
    """
    fields = _fields(line)
    if fields is None:
        level = _plain_level(program, line)
        return level, f"{now:%H:%M:%S} {program:<{NAME_WIDTH}} {level:<7}  {line}"
    level = str(fields.get("level", "info")).lower()
    level = level if level in LEVELS else "info"
    clock = str(fields.get("time") or fields.get("timestamp") or now.isoformat())[11:19]
    shown = {key: value for key, value in fields.items() if key not in (*_OWN_PLACE, *_IN_FILES_ONLY)}
    rest = "  ".join(f"{key}={_short(value)}" for key, value in shown.items())
    service = str(fields.get("service", program))
    text = f"{clock} {service:<{NAME_WIDTH}} {level:<7}  {fields.get('event', '')}  {rest}"
    return level, text.rstrip()


def _fields(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _plain_level(program: str, line: str) -> str:
    # A service logs JSON; what else it prints is its last words.
    if program in SERVICES or line.startswith("Traceback "):
        return "warning"
    if _VALKEY.match(line):
        return "debug"
    found = _LEVEL_WORD.search(line, 0, _LEVEL_WORD_WITHIN)
    return found.group(1).lower() if found else "info"


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    if len(text) > VALUE_CHARACTERS_MAX and "\n" not in text:
        return text[: VALUE_CHARACTERS_MAX - 1] + "…"
    return text
