"""How answers look: tables, sizes and times for people, one JSON document for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import click

from syncline.client.cli.exits import Exit

KIBI = 1024
UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
GAP = "  "


@dataclass(frozen=True)
class Answer:
    """What a command has to say: ``document`` for --json, ``text`` for people.

    ``chatty`` text only confirms what was asked for; --quiet leaves it out. ``complaints`` go to stderr, a line each
    (in the JSON document they are members already).
    """

    document: object
    text: str = ""
    exit: Exit = Exit.OK
    chatty: bool = False
    complaints: Sequence[str] = field(default=())


def show(answer: Answer, *, json: bool, quiet: bool) -> None:
    """Write an answer to stdout, its complaints to stderr."""
    if json:
        click.echo(json_text(answer.document))
        return
    if answer.text and not (quiet and answer.chatty):
        click.echo(answer.text)
    for complaint in answer.complaints:
        click.echo(f"syncline: {one_line(complaint)}", err=True)


def json_text(document: object) -> str:
    import msgspec  # not needed for --help

    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def json_line(document: object) -> str:
    import msgspec

    return msgspec.json.encode(document).decode()


def size_text(size_bytes: int) -> str:
    """A size for people, in binary units: ``512 B``, ``1.5 KiB``, ``23 MiB``."""
    size = float(size_bytes)
    for unit in UNITS:
        if size < KIBI or unit == UNITS[-1]:
            break
        size /= KIBI
    return f"{size:.0f} {unit}" if unit == "B" or size >= 9.95 else f"{size:.1f} {unit}"


def time_text(at_s: float) -> str:
    """Unix seconds as the local time, to the minute."""
    try:
        return datetime.fromtimestamp(at_s, tz=UTC).astimezone().strftime("%Y-%m-%d %H:%M")
    except (OverflowError, ValueError, OSError):
        return "?"  # any 64-bit number can be a file's mtime


def name_text(text: str) -> str:
    """A name as it is safe to show: what a terminal might obey is escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def one_line(text: str) -> str:
    return " ".join(name_text(line.strip()) for line in text.splitlines() if line.strip())


def counted(number: int, one: str, many: str = "") -> str:
    """``1 file``, ``2 files``."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def columns(rows: Sequence[Sequence[str]], *, header: Sequence[str] = (), right: frozenset[int] = frozenset()) -> str:
    """Rows aligned in columns, the last one ragged. ``right``: the columns set flush right."""
    from rich.cells import cell_len  # names may be wider than they are long

    table = [list(header), *rows] if header and rows else list(rows)
    if not table:
        return ""
    widths = [max(cell_len(row[i]) for row in table) for i in range(len(table[0]))]

    def cell(text: str, i: int) -> str:
        space = " " * (widths[i] - cell_len(text))
        if i in right:
            return space + text
        return text if i == len(widths) - 1 else text + space

    lines = [GAP.join(cell(text, i) for i, text in enumerate(row)).rstrip() for row in table]
    if header and rows:
        lines[0] = click.style(lines[0], dim=True)
    return "\n".join(lines)
