"""The trash of a linked folder: what synchronising removed from this disk, kept ``TRASH_DAYS``. All functions block."""

from __future__ import annotations

import os
import secrets
import shutil
import stat as modes
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from syncline.client.disk import SPARE_NAMES_MAX, Disk, disk_errors
from syncline.client.renaming import rename_new
from syncline.domain.errors import Refused


@dataclass(frozen=True)
class Trashed:
    """A file in the trash. ``path`` is where it was, relative to the linked folder; ``at_s`` when it was removed
    (Unix s); ``lies`` where it is now."""

    path: str
    at_s: float
    size_bytes: int
    lies: Path


def trashed(disk: Disk, below: str = "") -> list[Trashed]:
    """What was at ``below`` or under it, the latest first."""
    found = [one for one in _all(disk.trash) if not below or f"{one.path}/".startswith(f"{below}/")]
    return sorted(found, key=lambda one: (-one.at_s, one.path))


def restore(disk: Disk, path: str) -> list[tuple[Trashed, str]]:
    """Put back what was last at ``path``, or at each path under it, and say where it is now: where it was, or beside
    what is there by now, which is never replaced. Raises ``Refused("not-in-trash")``."""
    latest: dict[str, Trashed] = {}
    for one in trashed(disk, path):
        latest.setdefault(one.path, one)
    if not latest:
        raise Refused("not-in-trash", f"{path} is not in the trash of {disk.root}.", status=404)
    return [(one, _put_back(disk, one)) for one in latest.values()]


def empty(disk: Disk) -> Sequence[Trashed]:
    """Delete all of it for ever; what was deleted."""
    gone = trashed(disk)
    with disk_errors(str(disk.trash)):
        if disk.trash.exists():
            # Out of the way in one step: what is being removed meanwhile goes to a new trash, not into what we delete.
            aside = disk.own / "tmp" / f"emptied-{secrets.token_hex(8)}"
            aside.parent.mkdir(exist_ok=True)
            disk.trash.rename(aside)
            shutil.rmtree(aside)
    return gone


def _all(trash: Path) -> Iterator[Trashed]:
    for day in sorted(trash.iterdir()) if trash.is_dir() else ():
        for folder, folders, files in os.walk(day):
            links = [name for name in folders if (Path(folder) / name).is_symlink()]
            for lies in (Path(folder) / name for name in [*files, *links]):
                found = os.lstat(lies)
                if modes.S_ISREG(found.st_mode) or modes.S_ISLNK(found.st_mode):
                    # Moving it here was the last thing that changed it.
                    yield Trashed(lies.relative_to(day).as_posix(), found.st_ctime, found.st_size, lies)


def _put_back(disk: Disk, one: Trashed) -> str:
    names = one.path.split("/")
    for depth in range(1, len(names)):
        disk.make_folder("/".join(names[:depth]))
    stem, extension = os.path.splitext(one.path)
    for n in range(SPARE_NAMES_MAX):
        path = one.path if n == 0 else f"{stem} (restored{f' {n}' if n > 1 else ''}){extension}"
        with disk_errors(path), disk.at(path) as target:
            try:
                rename_new(one.lies, target)
            except FileExistsError:
                continue
            return path
    raise Refused("name-taken", f"There are too many restored files beside {one.path}.", status=409)
