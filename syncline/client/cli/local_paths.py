"""Paths in linked folders: which link a file of this disk belongs to, and which node it is or was."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from syncline.client.api import Api
from syncline.client.cli.calling import Call
from syncline.client.cli.output import name_text
from syncline.client.cli.remote import REMOTE_PATH, RemotePath, find_library
from syncline.client.engine import Link
from syncline.client.index import Index
from syncline.domain.errors import Refused
from syncline.domain.paths import clean_path
from syncline.messages.api import Library


@dataclass(frozen=True)
class LocalPath:
    """``path`` is relative to the link's folder, with raw names; "" is that folder. ``node``: what was last agreed to
    be there, or the last that was, as the log tells; "" when nothing is known."""

    link: Link
    path: str
    node: str

    @property
    def shown(self) -> str:
        return name_text(os.path.join(self.link.path, self.path) if self.path else self.link.path)


def local_path(index: Index, path: Path) -> LocalPath:
    """Raises ``Refused("not-linked")``. The last name is not followed if it is a link; those above are."""
    real = Path(os.path.realpath(path.parent), path.name)
    for link in index.links():
        root = Path(link.path)
        if real.resolve() == root:
            return LocalPath(link, "", link.library)
        if root in real.parents:
            inside = real.relative_to(root).as_posix()
            return LocalPath(link, inside, index.node_at(link, inside))
    raise Refused("not-linked", f"{path} is in no linked folder. Run: syncline status", status=404)


class FileType(click.Path):
    """A file or folder of this machine, as an absolute path; it need not exist any more."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return Path(os.path.abspath(os.fsdecode(super().convert(value, param, ctx))))


FILE = FileType()


class EitherPathType(click.ParamType[RemotePath | Path]):
    """``LIBRARY:PATH``, or a path in a linked folder: what has no ":", or begins with "/", "." or "~"."""

    name = "PATH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> RemotePath | Path:
        if isinstance(value, RemotePath | Path):
            return value
        text = str(value)
        if ":" in text and not text.startswith(("/", ".", "~")):
            return REMOTE_PATH.convert(text, param, ctx)
        return Path(os.path.abspath(os.path.expanduser(text)))


EITHER_PATH = EitherPathType()


async def meant(call: Call, api: Api, path: RemotePath | Path) -> tuple[Library, RemotePath]:
    """The library, and what in it a path on the command line means."""
    if isinstance(path, RemotePath):
        return await find_library(api, path.library), path
    with closing(Index(call.home.index_path)) as index:
        local = local_path(index, path)
    library = await api.library(local.link.library)
    return library, RemotePath(library.id, clean_path(local.path), node=local.node, local=local.shown)
