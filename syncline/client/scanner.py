"""Looking at the linked folder: what is there, hashing only what changed since it was last agreed on."""

from __future__ import annotations

import asyncio
import os
import stat as modes
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from syncline.client.disk import OWN_FOLDER, Disk, folder_stat
from syncline.client.hashing import (
    AT_REST_S,
    content_of,
    content_of_target,
    is_executable,
    stat_of,
    target_bytes,
)
from syncline.client.matching import ASIDE_PREFIX
from syncline.client.progress import NoProgress, Progress, Way
from syncline.client.saving import Names
from syncline.client.trees import Content, Local, LocalEntry, Skipped, Stat
from syncline.domain.errors import Refused, Temporary
from syncline.domain.links import leads_out, target_of
from syncline.domain.nodes import Kind
from syncline.domain.paths import MAX_PATH_BYTES, clean_name

HASHED_AT_ONCE = 4
SETTLED_AFTER_S = 0.05
"""A file written to just now may be written to again without its times telling (they move in ticks)."""
REMEMBERED_MAX = 200_000
SCANS_MAX = 20
SCAN_PAUSE_S = 0.2
"""When every file is to be read, one still being written is waited for: up to SCANS_MAX looks."""


@dataclass
class Scanner:
    """Scans one folder again and again; remembers contents by stat between scans, up to a bound. ``progress`` hears of
    each file that was read. ``at_rest_s``: how long a file that is open for writing must not have been written to."""

    disk: Disk
    progress: Progress = field(default_factory=NoProgress)
    remembered: dict[str, tuple[Stat, Content]] = field(default_factory=dict)
    at_rest_s: float = AT_REST_S
    names: Names = field(default_factory=Names)

    async def scan(self, known: Mapping[str, tuple[Stat, Content]]) -> Local:
        """The local tree. ``known``: by path, the content a file had with a certain stat (the base's).

        A file still changing is left out and named in ``unsure``. Raises ``Refused("root-unreadable")``.
        """
        walked = await asyncio.to_thread(_walk, self.disk)
        waiting = asyncio.Semaphore(HASHED_AT_ONCE)

        async def look(entry: LocalEntry, executable: bool) -> None:
            content = self._recall(entry, executable, known)
            if content is None:
                async with waiting:
                    await self._hash(walked, entry)
            else:
                walked.entries[entry.path] = msgspec.structs.replace(entry, content=content)

        for start in range(0, len(walked.files), 1000):
            await asyncio.gather(*(look(*file) for file in walked.files[start : start + 1000]))
        return Local(
            walked.entries, tuple(walked.skipped), frozenset(walked.unsure), keeps_executable=self.disk.keeps_executable
        )

    def _recall(self, entry: LocalEntry, executable: bool, known: Mapping[str, tuple[Stat, Content]]) -> Content | None:
        for memory in (known, self.remembered):
            stat, content = memory.get(entry.path, (None, None))
            if stat == entry.stat and content is not None:
                return msgspec.structs.replace(content, executable=executable)
        return None

    async def _hash(self, walked: _Walked, entry: LocalEntry) -> None:
        fresh_s = time.time() - entry.stat.ctime_ns / 1e9
        if 0 <= fresh_s < SETTLED_AFTER_S:
            await asyncio.sleep(SETTLED_AFTER_S - fresh_s)
        try:
            found = await asyncio.to_thread(content_of, self.disk.root / entry.path, at_rest_s=self.at_rest_s)
        except FileNotFoundError:
            return
        except OSError as error:
            walked.unsure.add(entry.path)
            walked.skipped.append(Skipped(entry.path, "unreadable", f"cannot be read ({error.strerror})"))
            return
        if found is None or time.time() - found[0].ctime_ns / 1e9 < SETTLED_AFTER_S / 2:
            walked.unsure.add(entry.path)
            return
        stat, content = found
        if content.symlink:
            walked.unsure.add(entry.path)  # it has become one since the walk
            return
        self.progress.moved(Way.READ, content.size_bytes)
        self.progress.finished(Way.READ, entry.path)
        if not self.disk.keeps_executable:
            content = msgspec.structs.replace(content, executable=False)
        walked.entries[entry.path] = msgspec.structs.replace(entry, stat=stat, content=content)
        if len(self.remembered) >= REMEMBERED_MAX:
            self.remembered.clear()
        self.remembered[entry.path] = (stat, content)


async def hashed(disk: Disk, progress: Progress | None = None) -> Local:
    """The local tree with every file read, whatever is remembered. Raises ``Temporary`` when files keep changing."""
    scanner = Scanner(disk, progress or NoProgress())
    for _ in range(SCANS_MAX):
        local = await scanner.scan({})
        unreadable = {skipped.path for skipped in local.skipped}
        if local.unsure <= unreadable:
            return local
        await asyncio.sleep(SCAN_PAUSE_S)
    changing = sorted(local.unsure - unreadable)[0]
    raise Temporary(f"{disk.root / changing} is being written to all the time, so it cannot be compared.")


@dataclass
class _Walked:
    entries: dict[str, LocalEntry] = field(default_factory=dict)
    files: list[tuple[LocalEntry, bool]] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    unsure: set[str] = field(default_factory=set)


def _walk(disk: Disk) -> _Walked:
    """Everything below the root that can be synchronised, files without content yet. Links are not followed."""
    walked = _Walked()
    todo = [""]
    while todo:
        folder = todo.pop()
        try:
            with os.scandir(disk.root / folder) as found:
                entries = sorted(found, key=lambda entry: os.fsencode(entry.name))
        except OSError as error:
            if not folder:
                raise Refused("root-unreadable", f"{disk.root} cannot be read ({error.strerror}).") from None
            walked.unsure.add(folder)
            walked.skipped.append(Skipped(folder, "unreadable", f"cannot be opened ({error.strerror})"))
            continue
        names: set[str] = set()
        for entry in entries:
            if not folder and entry.name == OWN_FOLDER:
                continue
            if (seen := _entry(walked, disk, folder, entry, names)) is not None:
                names.add(seen.name)
                if seen.kind is Kind.FOLDER:
                    todo.append(seen.path)
    return walked


def _entry(walked: _Walked, disk: Disk, folder: str, entry: os.DirEntry[str], names: set[str]) -> LocalEntry | None:
    path = f"{folder}/{entry.name}" if folder else entry.name
    try:
        found = entry.stat(follow_symlinks=False)
    except OSError:
        walked.unsure.add(path)
        return None
    why = _unfit(found, entry.name, path, names)
    if why is not None:
        walked.skipped.append(Skipped(path.encode(errors="replace").decode(), *why))
        return None
    name = entry.name if entry.name.startswith(ASIDE_PREFIX) else clean_name(entry.name)
    kind = Kind.FOLDER if modes.S_ISDIR(found.st_mode) else Kind.FILE
    stat = folder_stat(found) if kind is Kind.FOLDER else stat_of(found)
    seen = LocalEntry(path, folder, name, entry.name, kind, stat)
    if modes.S_ISLNK(found.st_mode):
        return _link(walked, disk, seen)
    if kind is Kind.FOLDER:
        walked.entries[path] = seen
    else:
        walked.files.append((seen, disk.keeps_executable and is_executable(found.st_mode)))
    return seen


def _link(walked: _Walked, disk: Disk, seen: LocalEntry) -> LocalEntry | None:
    """A symbolic link, itself; one that may lead out of the folder is left alone."""
    try:
        data = target_bytes(disk.root / seen.path)
    except OSError:
        walked.unsure.add(seen.path)
        return None
    target = target_of(data)
    if leads_out(seen.path, target):
        detail = f"this symbolic link leads out of the folder: {target}"
        walked.skipped.append(Skipped(seen.path, "unsafe-link", detail))
        return None
    seen = msgspec.structs.replace(seen, content=content_of_target(data))
    walked.entries[seen.path] = seen
    return seen


def _unfit(found: os.stat_result, raw: str, path: str, names: set[str]) -> tuple[str, str] | None:
    """Why something is left alone: (slug, sentence), or None."""
    if modes.S_IFMT(found.st_mode) not in (modes.S_IFREG, modes.S_IFDIR, modes.S_IFLNK):
        return "special-file", "sockets, pipes and devices are not synchronised"
    try:
        name = clean_name(raw)
        if len(path.encode()) > MAX_PATH_BYTES:
            return "long-path", f"its path is longer than {MAX_PATH_BYTES} bytes"
    except (Refused, UnicodeEncodeError):
        return "bad-name", "its name is not valid Unicode (UTF-8)"
    if name in names:
        return "same-name", "another name in this folder looks the same (Unicode NFC)"
    return None
