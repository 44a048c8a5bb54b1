"""Linux: inotify over every folder below a root. Links are left alone, a full queue and a full table are noticed."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import inotify_simple
from inotify_simple import flags

from syncline.client.disk import OWN_FOLDER
from syncline.client.folder_events import COOKIES, Cookies, Folders, Unwatchable, at_most, folders_below
from syncline.client.tasks import to_the_end

WATCHED = (
    flags.CREATE
    | flags.DELETE
    | flags.MODIFY
    | flags.ATTRIB
    | flags.CLOSE_WRITE
    | flags.MOVED_FROM
    | flags.MOVED_TO
    | flags.DELETE_SELF
    | flags.MOVE_SELF
    | flags.ONLYDIR
    | flags.DONT_FOLLOW
    | flags.EXCL_UNLINK
)
ROOT_GONE = flags.DELETE_SELF | flags.MOVE_SELF | flags.UNMOUNT
READINGS_MAX = 64
"""So many times in a row the queue is emptied before what was found is told."""

NO_ROOM = (
    "the system watches too many folders already (fs.inotify.max_user_watches). Allow more: "
    "sysctl fs.inotify.max_user_watches=1048576"
)


class Inotify:
    """The events of one folder (``FolderEvents``)."""

    def __init__(self, root: Path, cookies: Cookies) -> None:
        self._root = root
        self._cookies = cookies
        self._folders: dict[int, str] = {}
        self._watches: dict[str, int] = {}
        self._cookie_watch = -1

    async def events(self) -> AsyncIterator[Folders]:
        try:
            with inotify_simple.INotify(nonblocking=True) as queue:
                await to_the_end(partial(self._begin, queue))
                yield None  # what changed while watching began is seen by nobody
                while True:
                    await _readable(queue.fileno())
                    told, cookies = await to_the_end(partial(self._empty, queue))
                    if told is None or told:
                        yield told
                    for name in cookies:
                        self._cookies.seen(name)
        except OSError as error:
            why = NO_ROOM if error.errno == errno.ENOSPC else error.strerror or str(error)
            raise Unwatchable(f"{self._root} cannot be watched: {why}") from None

    def _begin(self, queue: inotify_simple.INotify) -> None:
        self._folders.clear()
        self._watches.clear()
        self._cookies.make_ready()
        self._cookie_watch = queue.add_watch(self._root / OWN_FOLDER / COOKIES, flags.CREATE | flags.ONLYDIR)
        self._watch_below(queue, "")
        if "" not in self._watches:
            raise OSError(errno.ENOENT, "it is not there")

    def _watch_below(self, queue: inotify_simple.INotify, start: str) -> set[str]:
        """Watch a folder and all below it; the folders watched. What is gone by now, or not ours to read, is left."""
        watched = set()
        for folder in folders_below(self._root, start):
            try:
                watch = queue.add_watch(self._root / folder, WATCHED)
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.ENOMEM):
                    raise
                continue
            self._folders[watch] = folder
            self._watches[folder] = watch
            watched.add(folder)
        return watched

    def _forget_below(self, queue: inotify_simple.INotify, start: str) -> None:
        """A folder was moved away: what its watches say would be told under its old path."""
        inside = f"{start}/"
        for folder in [folder for folder in self._watches if folder == start or folder.startswith(inside)]:
            watch = self._watches.pop(folder)
            self._folders.pop(watch, None)
            try:
                queue.rm_watch(watch)
            except OSError:
                continue  # gone with its folder

    def _empty(self, queue: inotify_simple.INotify) -> tuple[Folders, list[str]]:
        """All that is queued: the folders in which something happened, and the cookies seen."""
        folders: set[str] = set()
        cookies: list[str] = []
        lost = False
        for _ in range(READINGS_MAX):
            events = list(queue.read(timeout=0))
            if not events:
                break
            for event in events:
                if event.mask & flags.Q_OVERFLOW:
                    lost = True
                elif event.wd == self._cookie_watch:
                    cookies.append(event.name)
                else:
                    folders |= self._meaning(queue, event)
        if lost:
            # Folders made or moved meanwhile may have been missed: every watch is made anew (the system knows those).
            self._watches.clear()
            self._folders.clear()
            self._watch_below(queue, "")
            return None, cookies
        return at_most(folders), cookies

    def _meaning(self, queue: inotify_simple.INotify, event: inotify_simple.Event) -> set[str]:
        folder = self._folders.get(event.wd)
        if folder is None or (not folder and event.name == OWN_FOLDER):
            return set()
        if event.mask & ROOT_GONE:
            if not folder:
                raise OSError(errno.ENOENT, "the folder was moved, removed or unmounted")
            return set()  # the folder above tells the same
        if event.mask & flags.IGNORED:
            self._folders.pop(event.wd, None)
            if self._watches.get(folder) == event.wd:
                del self._watches[folder]
            return set()
        if not event.mask & flags.ISDIR:
            return {folder}
        child = f"{folder}/{event.name}" if folder else event.name
        if event.mask & flags.MOVED_FROM:
            self._forget_below(queue, child)
        if event.mask & (flags.CREATE | flags.MOVED_TO):
            return {folder} | self._watch_below(queue, child)
        return {folder}


async def _readable(descriptor: int) -> None:
    """Wait until there is something to read."""
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    loop.add_reader(descriptor, told.set)
    try:
        await told.wait()
    finally:
        loop.remove_reader(descriptor)
