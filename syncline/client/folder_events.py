"""What happens in a folder, as the system tells it; links are not followed out of it.

On Linux by inotify itself: it can leave links alone and says when it lost events (its queue is bounded). Elsewhere by
``watchfiles``.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Protocol, TypeAlias

from syncline.client.disk import OWN_FOLDER
from syncline.domain.errors import SynclineError

COOKIES = "cookies"
COOKIE_S_MAX = 3.0
FOLDERS_TOLD_MAX = 1_000
"""With changes in more folders than these at once, anything may have changed."""

Folders: TypeAlias = frozenset[str] | None
"""Folders in which something changed, as paths from the root (""); None: anything may have changed."""


class Unwatchable(SynclineError):
    """The system does not tell what happens in a folder (any more); the message says why and what to do."""


class FolderEvents(Protocol):
    """One watched folder. ``events`` tells, again and again, where something changed since it was last told; the first
    telling (None) says that watching has begun. Raises ``Unwatchable``."""

    def events(self) -> AsyncIterator[Folders]: ...


class Cookies:
    """Finds out whether all that happened in a folder until now has been told: a file of ours is made there, and
    since the system tells what happens in order, hearing of it means that all before was heard of."""

    def __init__(self, root: Path) -> None:
        self._folder = root / OWN_FOLDER / COOKIES
        self._awaited: dict[str, asyncio.Event] = {}

    def make_ready(self) -> None:
        """Make the folder of cookies, empty, before it is watched. Raises ``OSError``."""
        self._folder.mkdir(exist_ok=True)
        for left in self._folder.iterdir():
            left.unlink(missing_ok=True)

    def seen(self, name: str) -> None:
        """The system told of this name in the folder of cookies."""
        if name in self._awaited:
            self._awaited[name].set()

    async def caught_up(self) -> bool:
        """Wait until all that happened before was told; False when that cannot be known."""
        name = secrets.token_hex(8)
        event = self._awaited[name] = asyncio.Event()
        path = self._folder / name
        try:
            path.touch()
            await asyncio.wait_for(event.wait(), COOKIE_S_MAX)
        except (OSError, TimeoutError):
            return False
        finally:
            del self._awaited[name]
            path.unlink(missing_ok=True)
        return True


def folder_events(root: Path, cookies: Cookies) -> FolderEvents:
    """The events of a folder by the means of this system."""
    if os.uname().sysname == "Linux":
        from syncline.client.inotify import Inotify

        return Inotify(root, cookies)
    return Notified(root, cookies)


class Notified:
    """By ``watchfiles``: FSEvents and kqueue."""

    STEP_MS = 20

    def __init__(self, root: Path, cookies: Cookies) -> None:
        self._root = os.fspath(root)
        self._cookies = cookies

    async def events(self) -> AsyncIterator[Folders]:
        import watchfiles

        own = os.path.join(self._root, OWN_FOLDER)
        try:
            self._cookies.make_ready()
            yield None
            async for changes in watchfiles.awatch(
                self._root, watch_filter=None, debounce=self.STEP_MS, step=self.STEP_MS, recursive=True
            ):
                paths = [path for _, path in changes]
                theirs = [path for path in paths if path != own and not path.startswith(own + os.sep)]
                if theirs:
                    yield at_most({_folder_of(path, self._root) for path in theirs})
                for path in paths:
                    if _folder_of(path, own) == COOKIES:
                        self._cookies.seen(path.rpartition(os.sep)[2])
        except (OSError, RuntimeError) as error:
            raise Unwatchable(f"{self._root} cannot be watched ({error}).") from None


def at_most(folders: set[str]) -> Folders:
    """The folders as they are told: none too many, and all for a change to the root itself."""
    return None if len(folders) > FOLDERS_TOLD_MAX or ".." in folders else frozenset(folders)


def _folder_of(path: str, root: str) -> str:
    """The folder that a path lies in, from the root; ".." for what is not below it."""
    if not path.startswith(root + os.sep):
        return ".."
    return path[len(root) + 1 :].rpartition(os.sep)[0]


def folders_below(root: Path, start: str) -> Iterator[str]:
    """``start`` and every folder below it, as paths relative to the root; links are no folders. Skips what cannot be
    read and the client's own folder."""
    waiting = [start]
    while waiting:
        folder = waiting.pop()
        yield folder
        try:
            with os.scandir(root / folder) as found:
                for entry in found:
                    if entry.is_dir(follow_symlinks=False) and (folder or entry.name != OWN_FOLDER):
                        waiting.append(f"{folder}/{entry.name}" if folder else entry.name)
        except OSError:
            continue
