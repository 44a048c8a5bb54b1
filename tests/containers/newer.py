"""A newer version of Syncline, made from this tree: everything that processes exchange or keep has grown by a field.

It is what a minor version may do (docs/events.md, "The frame"), done at once to every message, every struct in a row,
in an object or in a sealed permit, and every body of the HTTP interface.
"""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

FIELD = "since_next"
VALUE = "next"
BODIES = Path("syncline/messages/api")
"""HTTP bodies; all other structs that travel are positional arrays."""
GROWING = (Path("syncline/messages"), Path("syncline/domain"), Path("syncline/store"), Path("services"))
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", "demo", ".hypothesis", "node_modules")

_VERSION = re.compile(r"^VERSION = \((\d+), (\d+)\)$", re.MULTILINE)


def make_newer(tree: Path, target: Path) -> int:
    """Copy ``tree`` to ``target`` and let it grow; how many structs did."""
    shutil.copytree(tree, target, ignore=LEFT_OUT, symlinks=True)
    grown = 0
    for path in sorted(path for folder in GROWING for path in (target / folder).rglob("*.py")):
        source = path.read_text()
        ends = list(_field_ends(source, bodies=BODIES in path.relative_to(target).parents))
        path.write_text(_with_next_minor(_with_field(source, ends)))
        grown += len(ends)
    return grown


def _field_ends(source: str, *, bodies: bool) -> Iterator[int]:
    """The last line of the last field of each struct that travels, from the last struct to the first."""
    for found in reversed([one for one in ast.parse(source).body if isinstance(one, ast.ClassDef)]):
        positional = any(keyword.arg == "array_like" for keyword in found.keywords)
        if not (positional or bodies) or found.name.startswith("_"):
            continue
        fields = [line for line in found.body if isinstance(line, ast.AnnAssign)]
        if fields:
            yield fields[-1].end_lineno or fields[-1].lineno


def _with_field(source: str, ends: list[int]) -> str:
    lines = source.splitlines(keepends=True)
    for end in ends:
        lines.insert(end, f'    {FIELD}: str = "{VALUE}"\n')
    return "".join(lines)


def _with_next_minor(source: str) -> str:
    return _VERSION.sub(lambda found: f"VERSION = ({found[1]}, {int(found[2]) + 1})", source)
