"""What people wrote is kept out of logs: names of files, folders and people, and addresses.

Our own lines hold ids alone. What may hold more is the text of an error, which quotes what it is about; there
everything in quotes and every address is left out, unless it is made of ids.
"""

from __future__ import annotations

import re

LEFT_OUT = "…"
LINE_CHARACTERS_MAX = 4_000
"""A line of an error's text is cut there."""

_QUOTED = re.compile(r"""(?<!\w)(?:'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)")(?!\w)""")
_ADDRESS = re.compile(r"[^\s'\"<>(),;:@]{1,64}@[^\s'\"<>(),;:@]{1,255}")
_ID = r"[a-z2-7]{20}"
_OF_IDS = re.compile(rf"(?:[a-z]{{1,16}}[/#])?{_ID}(?:[/#](?:{_ID}|[0-9]{{1,12}}))*")
_GROUP = re.compile(r"(?:\s*[|+-]+ ?)*")
"""What stands before each line of an exception group's traceback."""


def discreet(text: str) -> str:
    """The text without what it quotes."""
    return _ADDRESS.sub(f"{LEFT_OUT}@{LEFT_OUT}", _QUOTED.sub(_of_ids, text[:LINE_CHARACTERS_MAX]))


def discreet_traceback(text: str) -> str:
    """The same of a traceback, whose lines of code stay as they are."""
    return "\n".join(line if _is_code(line) else discreet(line) for line in text.split("\n"))


def _is_code(line: str) -> bool:
    prefix = _GROUP.match(line)
    return line[prefix.end() if prefix else 0 :].startswith("  ")


def _of_ids(quoted: re.Match[str]) -> str:
    inner = quoted[1] if quoted[1] is not None else quoted[2]
    return quoted[0] if _OF_IDS.fullmatch(inner) else f"'{LEFT_OUT}'"
