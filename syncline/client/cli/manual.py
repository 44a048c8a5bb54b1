"""docs/cli.md, made from the commands' own help: ``python -m syncline.client.cli.manual > docs/cli.md``."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from syncline.client.cli.app import CONTENTS, PROGRAM, load, root
from syncline.client.cli.calling import Call

WIDTH = 100

BEGINNING = """# The `syncline` command

This page is made from `syncline --help` and the help of each command (a test holds it to that; to renew it:
`python -m syncline.client.cli.manual > docs/cli.md`).

## In short

- **Paths.** `LIBRARY:PATH` names something in a library, by the library's name or id: `Shared:docs/plan.ods`, or
  `Shared:` for all of it. If two of your libraries have one name, or a name has a `:` in it, use the id.
  `LIBRARY:@NODE` names a file or folder by its own id, also one that was removed (`rm` tells it).
- **Nothing is lost.** The server keeps every version, so there are no questions asked; `rm` says how to bring a file
  back, `get` does not replace a local file whose content the library does not have.
- **Several clients.** `SYNCLINE_HOME` holds a client's whole state (its folder is private to you, mode 0700, the
  session in it 0600). Another folder is another client, signed in as whom you like.
- **Passwords** come from `SYNCLINE_PASSWORD` or are asked for; never from the command line, which others can see.

## For programs

`--json` works with every command: one JSON document on stdout. Errors are one JSON document on stderr, with the members
of RFC 9457 (`type`, `title`, `status`, `detail`) and besides `kind` (a stable slug), `hint` and `exit_code`. `watch
--json` writes one line per event: `{"event": "watching" | "pass" | "problem", "at_ms": …}`. Sizes are bytes there,
times Unix milliseconds (`_ms`) or nanoseconds (`_ns`).

What was done in part (exit code 5) answers the document with a `status` or `problem` for each file.
"""


def manual() -> str:
    """The whole page."""
    with _context(PROGRAM, root, None) as top:
        return "\n".join([BEGINNING, *_section("syncline", top, level=2), *_chapters(top)])


def _chapters(top: click.Context) -> Iterator[str]:
    for title, section in CONTENTS.items():
        yield f"## {title}\n"
        for name, entry in section.items():
            yield from _command(name, load(name, entry), top)


def _command(name: str, command: click.Command, above: click.Context) -> Iterator[str]:
    with _context(name, command, above) as context:
        yield from _section(context.command_path, context, level=3)
        if isinstance(command, click.Group):
            for inner, subcommand in command.commands.items():
                yield from _command(inner, subcommand, context)


def _section(path: str, context: click.Context, *, level: int) -> Iterator[str]:
    yield f"{'#' * level} `{path}`\n"
    yield f"```\n{context.get_help()}\n```\n"


def _context(name: str, command: click.Command, above: click.Context | None) -> click.Context:
    """A command's context as if it were about to be run, at a width that does not depend on a terminal."""
    settings = {**command.context_settings, "terminal_width": WIDTH, "max_content_width": WIDTH, "obj": Call()}
    return click.Context(command, parent=above, info_name=name, **settings)


if __name__ == "__main__":
    sys.stdout.write(manual())
