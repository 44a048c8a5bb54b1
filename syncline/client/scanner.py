"""Looking at the linked folder: what is there, hashing only what changed since it was last agreed on."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Set
from dataclasses import dataclass, field

import msgspec

from syncline.client.disk import Disk
from syncline.client.hashing import AT_REST_S, content_of
from syncline.client.ignoring import NO_IGNORES, Ignores
from syncline.client.progress import NoProgress, Progress, Way
from syncline.client.saving import Names
from syncline.client.trees import BaseNode, Content, Local, LocalEntry, Skipped, Stat
from syncline.client.walking import Agreement, Interest, Walked, walk
from syncline.domain.errors import Temporary

HASHED_AT_ONCE = 4
SETTLED_AFTER_S = 0.05
"""A file written to just now may be written to again without its times telling (they move in ticks)."""
COARSELY_SETTLED_AFTER_S = 4.0
"""The same on file systems whose times are whole seconds (ext3), or every other one (FAT)."""
REMEMBERED_MAX = 200_000
SCANS_MAX = 20
SCAN_PAUSE_S = 0.2
"""When every file is to be read, one still being written is waited for: up to SCANS_MAX looks."""


@dataclass(frozen=True)
class Seen:
    """What a scan found: the local tree, or the part of it where the agreement does not simply hold.

    ``looked`` are the folders (ids) that were looked at closely, ``base`` what was agreed on in them; ``unread`` those
    that could not be.
    """

    local: Local
    looked: Set[str]
    unread: Set[str]
    base: Mapping[str, BaseNode]


@dataclass
class Scanner:
    """Scans one folder again and again; remembers contents by stat between scans, up to a bound.

    ``progress`` hears of each file that was read; what ``ignores`` names is not looked at. ``at_rest_s``: how long a
    file that is open for writing must not have been written to. ``names``: those that were lately left and taken.
    """

    disk: Disk
    progress: Progress = field(default_factory=NoProgress)
    remembered: dict[str, tuple[Stat, Content]] = field(default_factory=dict)
    at_rest_s: float = AT_REST_S
    names: Names = field(default_factory=Names)
    ignores: Ignores = NO_IGNORES

    async def scan(self) -> Local:
        """The whole local tree, with every file hashed that is not remembered.

        A file still changing is left out and named in ``unsure``. Raises ``Refused("root-unreadable")``.
        """
        walked = await asyncio.to_thread(walk, self.disk, self.ignores)
        return await self._hashed(walked)

    async def look(self, agreement: Agreement, interest: Interest) -> Seen:
        """Where the disk differs from the agreement, and what is of interest besides. As ``scan`` otherwise."""
        walked = await asyncio.to_thread(walk, self.disk, self.ignores, agreement, interest)
        local = await self._hashed(walked)
        return Seen(local, walked.looked.keys(), walked.unread, walked.base)

    async def _hashed(self, walked: Walked) -> Local:
        waiting = asyncio.Semaphore(HASHED_AT_ONCE)

        async def look(entry: LocalEntry) -> None:
            async with waiting:
                await self._hash(walked, entry)

        unknown: list[LocalEntry] = []
        for entry, executable, agreed in walked.files:
            content = self._recall(entry, executable, agreed)
            if content is None:
                unknown.append(entry)
            else:
                walked.entries[entry.path] = msgspec.structs.replace(entry, content=content)
        for start in range(0, len(unknown), 1000):
            await asyncio.gather(*(look(entry) for entry in unknown[start : start + 1000]))
        return Local(
            walked.entries,
            (*walked.skipped, *self.ignores.complaints),
            frozenset(walked.unsure),
            frozenset(walked.ignored),
            keeps_executable=self.disk.keeps_executable,
        )

    def _recall(self, entry: LocalEntry, executable: bool, agreed: Content | None) -> Content | None:
        stat, remembered = self.remembered.get(entry.path, (None, None))
        for content in (agreed, remembered if stat == entry.stat else None):
            if content is not None:
                return msgspec.structs.replace(content, executable=executable)
        return None

    async def _hash(self, walked: Walked, entry: LocalEntry) -> None:
        fresh_s, settled_s = _age_s(entry.stat), _settled_after_s(entry.stat)
        if fresh_s < settled_s:
            await asyncio.sleep(settled_s - fresh_s)
        try:
            found = await asyncio.to_thread(content_of, self.disk.root / entry.path, at_rest_s=self.at_rest_s)
        except FileNotFoundError:
            return
        except OSError as error:
            walked.unsure.add(entry.path)
            walked.skipped.append(Skipped(entry.path, "unreadable", f"cannot be read ({error.strerror})"))
            return
        if found is None or _age_s(found[0]) < _settled_after_s(found[0]) / 2:
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


def _age_s(stat: Stat) -> float:
    """How long ago a file was last written to. One from the future was written before the clock was set back."""
    age_s = time.time() - stat.ctime_ns / 1e9
    return age_s if age_s >= 0 else math.inf


def _settled_after_s(stat: Stat) -> float:
    return COARSELY_SETTLED_AFTER_S if stat.ctime_ns % 1_000_000_000 == 0 else SETTLED_AFTER_S


async def hashed(disk: Disk, ignores: Ignores, progress: Progress | None = None) -> Local:
    """The local tree with every file read, whatever is remembered. Raises ``Temporary`` when files keep changing."""
    scanner = Scanner(disk, progress or NoProgress(), ignores=ignores)
    for _ in range(SCANS_MAX):
        local = await scanner.scan()
        unreadable = {skipped.path for skipped in local.skipped}
        if local.unsure <= unreadable:
            return local
        await asyncio.sleep(SCAN_PAUSE_S)
    changing = sorted(local.unsure - unreadable)[0]
    raise Temporary(f"{disk.root / changing} is being written to all the time, so it cannot be compared.")
