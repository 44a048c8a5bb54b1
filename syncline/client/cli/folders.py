"""Linked folders, as the commands use them: the engine of this home, which links are meant, when they last synced."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import click

from syncline.client.api import Api
from syncline.client.cli.calling import Call
from syncline.client.cli.output import name_text
from syncline.client.engine import Engine, Link
from syncline.client.home import Home
from syncline.client.progress import Progress
from syncline.domain.errors import Refused


class FolderType(click.Path):
    """A folder of this machine, as an absolute path; it need not exist."""

    def __init__(self) -> None:
        super().__init__(file_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return Path(os.path.abspath(os.fsdecode(super().convert(value, param, ctx))))


FOLDER = FolderType()


@asynccontextmanager
async def engine_of(
    call: Call, *, progress: Progress | None = None, signed_in: bool = True
) -> AsyncIterator[tuple[Engine, Api]]:
    """The engine over this home's links. Raises ``Refused("not-signed-in")`` unless nothing is to be asked of the
    service (``signed_in`` false)."""
    session = call.session() if signed_in else call.sessions.load()
    async with Api(session.server if session else "", call.sessions) as api:
        engine = Engine(call.home, api, progress=progress)
        try:
            yield engine, api
        finally:
            engine.close()


def links_meant(engine: Engine, folders: Sequence[Path]) -> list[Link]:
    """The links of these folders, or all. Raises ``Refused("not-linked")``, also when there is none."""
    links = links_at(engine, folders)
    if not links:
        raise Refused("not-linked", "No folder is linked yet. Run: syncline link LIBRARY DIR", status=404)
    return links


def links_at(engine: Engine, folders: Sequence[Path]) -> list[Link]:
    """The links of these folders, or all there are. Raises ``Refused("not-linked")`` for a folder of none."""
    if not folders:
        return engine.links()
    return list({link.id: link for link in map(engine.link_at, folders)}.values())


def folder_text(link: Link) -> str:
    """A link's folder, with ~ for the user's own."""
    try:
        return name_text("~/" + Path(link.path).relative_to(Path.home()).as_posix())
    except (ValueError, RuntimeError):
        return name_text(link.path)


def synced_now(home: Home, link: Link) -> None:
    """Remember that a pass over this link has just left nothing to do."""
    stamp = _stamp(home, link)
    stamp.parent.mkdir(mode=0o700, exist_ok=True)
    stamp.touch(mode=0o600)


def synced_at(home: Home, link: Link) -> float | None:
    """When a pass last left nothing to do (Unix s), or None."""
    try:
        return _stamp(home, link).stat().st_mtime
    except OSError:
        return None


def forget_synced(home: Home, link: Link) -> None:
    _stamp(home, link).unlink(missing_ok=True)


def _stamp(home: Home, link: Link) -> Path:
    return home.path / "synced" / link.id
