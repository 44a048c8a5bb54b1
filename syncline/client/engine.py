"""The sync engine: list_changes, scan, plan, apply, until nothing is left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from syncline.client.api import Api
from syncline.client.home import Home
from syncline.client.progress import NoProgress, Progress
from syncline.client.summary import Summary
from syncline.client.trees import Skipped


class Link(msgspec.Struct, frozen=True):
    """A library kept in a directory. ``cursor`` is how far the journal has been read, ``seq`` the same as a number."""

    id: str
    library: str
    library_name: str
    path: str
    cursor: str = ""
    seq: int = 0


class Status(msgspec.Struct, frozen=True):
    """What a pass would do, as (verb, path) pairs. ``head`` is the library's seq at the service."""

    link: Link
    head: int
    to_send: tuple[tuple[str, str], ...]
    to_fetch: tuple[tuple[str, str], ...]
    skipped: tuple[Skipped, ...]


class Engine:
    """All links of one home."""

    def __init__(self, home: Home, api: Api, *, progress: Progress | None = None) -> None:
        self._home = home
        self._api = api
        self._progress = progress or NoProgress()

    def close(self) -> None: ...

    def links(self) -> list[Link]:
        """Every link of this home."""
        raise NotImplementedError

    def link_at(self, path: Path) -> Link:
        """The link whose directory is ``path`` or above it. Raises ``Refused("not-linked")``."""
        raise NotImplementedError

    async def link(self, library: str, path: Path) -> Link:
        """Link a library (id) to a directory, made if need be. Content on both sides is merged by the next pass.

        Raises ``Refused("linked-already")`` when the directory, one above or one below belongs to a link.
        """
        raise NotImplementedError

    def unlink(self, link: Link) -> None:
        """Forget a link. Files stay on both sides."""
        raise NotImplementedError

    async def sync_once(self, link: Link, *, allow_removals: bool = False) -> Summary:
        """One pass: returns when this client's changes are committed and it has all there was.

        Raises ``Refused`` ("busy": another client syncs this link; "root-missing", "root-exchanged";
        "large-removal": held unless ``allow_removals``), ``Temporary``, ``Broken``.
        """
        raise NotImplementedError

    async def watch(
        self, links: Sequence[Link], *, told: Callable[[Summary | Exception], None], stop: asyncio.Event
    ) -> None:
        """Keep links in sync until ``stop`` is set. ``told`` hears of each pass that did something, and of each that
        failed with ``Temporary`` (it is tried again)."""
        raise NotImplementedError

    async def status(self, link: Link) -> Status:
        """What a pass would do now. Changes nothing."""
        raise NotImplementedError
