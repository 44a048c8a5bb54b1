"""What ``status`` says of one linked folder, whoever has looked at it."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import indent
from typing import Any

import click
import msgspec

from syncline.client.cli.exits import Exit
from syncline.client.cli.folders import folder_text
from syncline.client.cli.output import columns, name_text
from syncline.client.engine import Engine, Link
from syncline.client.remote_tree import holdable
from syncline.client.settling import conflicts_in

NAMED_MAX = 20


class Seen(msgspec.Struct, frozen=True):
    """What status has to say of one link."""

    document: dict[str, Any]
    text: str
    exit: Exit = Exit.OK


def look_text(link: Link, rows: Sequence[tuple[str, str]], details: list[str], conflicts: list[str]) -> str:
    lines = details + [f"conflict copy: {name_text(path)}" for path in conflicts]
    rows = [*rows, *([("conflicts", f"{len(conflicts)}; to settle: syncline conflicts")] if conflicts else [])]
    if len(lines) > NAMED_MAX:
        lines = [*lines[:NAMED_MAX], f"and {len(lines) - NAMED_MAX} more (--json names all)"]
    body = "\n".join([columns(rows), *lines])
    return click.style(folder_text(link), bold=True) + "\n" + indent(body, "  ")


def conflict_paths(engine: Engine, link: Link) -> list[str]:
    """Paths of the conflict copies in the library, as far as this client has read it."""
    return [conflict.path for conflict in conflicts_in(holdable(engine.index.remote(link))[0])]
