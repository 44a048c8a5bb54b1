"""export: a library as one ZIP archive."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click

from syncline.admin.calling import Answer, Call, command, require_yes, yes_option
from syncline.admin.exporting import Exported, Exporting, Progress
from syncline.admin.recording import record
from syncline.client.cli.output import counted, size_text
from syncline.client.cli.times import PAST_OR_SEQ
from syncline.domain.errors import Broken

STDOUT = "-"
TOLD_EVERY_S = 1.0


@command(
    "export",
    examples=[
        "syncline-admin export 3kq7hd5m2xw4pnbvz6ta --output papers.zip",
        'syncline-admin export 3kq7hd5m2xw4pnbvz6ta --at "yesterday 14:00" | aws s3 cp - s3://backups/papers.zip',
    ],
)
@click.argument("library")
@click.option("--at", type=PAST_OR_SEQ, default="", help="As it was at a time (yesterday 14:00) or seq.")
@click.option("--output", "-o", default=STDOUT, metavar="FILE", help="Where to write; -, the default, is stdout.")
@yes_option
async def export(call: Call, library: str, at: str, output: str, yes: bool) -> Answer:
    """Write a library with all its files as one ZIP archive.

    The files lie below files/, with their times, executable bits, symbolic links and empty folders; manifest.jsonl at
    the end names each with its checksum. Every file is checked while it is read: when one is missing or is not what
    the journal says, the export fails, says which, and leaves no archive that could be taken for whole.
    """
    with _opened(output, yes=yes) as out:
        async with call.ports() as ports:
            exporting = Exporting(ports, library)
            head, snapshot = await exporting.open(at)
            await record(ports, "library.export", library=library, details={"seq": snapshot.seq})
            with _told(silent=call.json) as progress:
                exported = await exporting.write(head, snapshot, out, progress)
    return Answer(exported, _text(exported), aside=output == STDOUT)


@contextmanager
def _opened(output: str, *, yes: bool) -> Iterator[BinaryIO]:
    """Where the archive goes. A file gets its name only when all of it is on the disk."""
    if output == STDOUT:
        if sys.stdout.isatty():
            raise click.UsageError("A terminal shows no archive: say --output FILE, or send it on.")
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(output)
    if path.exists():
        require_yes(yes, f"{output} is there already and would be replaced.")
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        part.replace(path)
    except OSError as error:
        raise Broken(f"{output} cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _told(*, silent: bool) -> Iterator[Progress]:
    """Says on a terminal how far it has come."""
    if silent or not sys.stderr.isatty():
        yield lambda files, size_bytes: None
        return
    told_at = time.monotonic()

    def tell(files: int, size_bytes: int) -> None:
        nonlocal told_at
        if time.monotonic() - told_at >= TOLD_EVERY_S:
            told_at = time.monotonic()
            click.echo(f"\r\x1b[K{counted(files, 'file')}, {size_text(size_bytes)}", nl=False, err=True)

    try:
        yield tell
    finally:
        click.echo("\r\x1b[K", nl=False, err=True)


def _text(exported: Exported) -> str:
    lines = [
        f"{counted(exported.files, 'file')} and {counted(exported.folders, 'folder')}, "
        f"{size_text(exported.size_bytes)}, as of {exported.seq}: all as the journal says"
    ]
    if exported.given_up:
        lines.append(f"{counted(exported.given_up, 'file')} left out: retention has given up the content since")
    if exported.links_out:
        lines.append(f"{counted(exported.links_out, 'symbolic link')} out of the library, written as plain files")
    return "\n".join(lines)
