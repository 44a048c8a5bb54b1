"""What the client does to the linked folder: atomically, inside it, and never over an edit it has not seen.

A file that is replaced or removed is compared right before *and* right after: it is swapped out in one step (Linux
``renameat2``), and swapped back if it turned out to have changed in between. ``.syncline`` in the root holds
temporary files, the trash and the marker that tells this folder from any other. All methods block: call them from a
worker thread.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat as modes
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path

from syncline.client.hashing import content_of, is_executable, stat_of, target_bytes
from syncline.client.ignoring import is_litter
from syncline.client.renaming import exchange, flush_all, rename_new
from syncline.client.trees import Content, Stat
from syncline.domain.errors import Broken, Refused, SynclineError

OWN_FOLDER = ".syncline"
TRASH_DAYS = 30
TRASHES_A_DAY_MAX = 10_000
SPARE_NAMES_MAX = 1_000
FLUSHED_ONE_BY_ONE_MAX = 32
"""More things than this are made durable by flushing their whole file system, which is one step for all."""

_DISK_FULL = {"ENOSPC", "EDQUOT", "EFBIG"}
_DENIED = {"EACCES", "EPERM", "EROFS", "EBUSY", "EXDEV"}
_UNFIT = {"ENAMETOOLONG", "EINVAL", "EILSEQ"}
DISK_REFUSALS = ("disk-full", "disk-denied", "name-unfit")
"""What this disk refuses for one file, and not for the others."""
_ELSE_THERE = {"ENOENT", "EEXIST", "ENOTDIR", "EISDIR", "ENOTEMPTY", "ELOOP"}

_NOT_FLUSHED = {"ELOOP", "EMLINK", "EACCES", "EPERM", "EROFS", "EINVAL"}
"""A link, which is durable with its folder; what we may not open; a read-only disk."""

_FOLDER_FLAGS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
_OPEN_FOLDERS = Path("/proc/self/fd")
"""Where Linux has open folders as paths, which lead to them wherever they are moved and whatever takes their place."""


class Changed(SynclineError):
    """The disk is not as the plan found it: leave it, look again, plan again."""


def folder_stat(found: os.stat_result) -> Stat:
    """Of a folder only the inode says which one it is; its times change with what is in it."""
    return Stat(0, 0, 0, found.st_ino)


def unmoved(one: Stat, other: Stat) -> bool:
    """Whether a file is the same and unwritten, though it may have been renamed (which sets ctime)."""
    return (one.size_bytes, one.mtime_ns, one.inode) == (other.size_bytes, other.mtime_ns, other.inode)


@contextmanager
def disk_errors(path: str) -> Iterator[None]:
    """The system's errors as ours: ``Changed``, ``Refused`` (disk-full, disk-denied, name-unfit) or ``Broken``."""
    try:
        yield
    except OSError as error:
        name = _name(error)
        if name in _ELSE_THERE:
            raise Changed(f"{path}: {error.strerror}") from None
        if name in _DISK_FULL:
            raise Refused("disk-full", f"There is no room for {path} on this disk ({error.strerror}).") from None
        if name in _DENIED:
            raise Refused("disk-denied", f"{path} may not be changed by you ({error.strerror}).") from None
        if name in _UNFIT:
            raise Refused("name-unfit", f"This disk cannot hold a name like {path} ({error.strerror}).") from None
        raise Broken(f"{path}: {error}") from None


class Disk:
    """One linked folder. Paths are relative to it, with raw local names."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.own = root / OWN_FOLDER
        self.trash = self.own / "trash"
        self._temporary = self.own / "tmp"
        self._umask = _umask()
        self._keeps_executable: bool | None = None
        self._folds_case: bool | None = None

    # -- the folder itself

    def mark(self, marker: str) -> os.stat_result:
        """Make the folder if need be and leave the marker in it."""
        with disk_errors(str(self.root)):
            self._temporary.mkdir(parents=True, exist_ok=True)
            with self._marker_path.open("w") as file:
                file.write(marker + "\n")
                file.flush()
                os.fsync(file.fileno())
            for folder in (self.own, self.root, self.root.parent):
                sync_folder(folder)
            return self.root.stat()

    def check_marker(self, marker: str) -> None:
        """Raises ``Refused("root-missing")``, ``("root-unreadable")`` or ``("root-exchanged")``."""
        try:
            found = self._marker_path.read_text().strip()
        except (FileNotFoundError, NotADirectoryError):
            found = ""
        except OSError as error:
            raise Refused("root-unreadable", f"{self.root} cannot be read ({error.strerror}).") from None
        if not found and not self.root.is_dir():
            raise Refused("root-missing", f"{self.root} is not there. Is a disk not mounted? Nothing was removed.")
        if found != marker:
            detail = (
                f"{self.root} is not the folder that was linked. Nothing was removed; link it anew if you meant it."
            )
            raise Refused("root-exchanged", detail)

    @property
    def _marker_path(self) -> Path:
        return self.own / "link"

    def tidy(self) -> None:
        """Drop temporary files that an earlier run left, and trash older than ``TRASH_DAYS``."""
        with disk_errors(str(self.own)):
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary.mkdir(parents=True, exist_ok=True)
            for day in self.trash.iterdir() if self.trash.is_dir() else ():
                if _age_days(day.name) > TRASH_DAYS:
                    shutil.rmtree(day, ignore_errors=True)

    # -- looking

    @contextmanager
    def at(self, path: str) -> Iterator[Path]:
        """The place on the disk, to be used within: never through a link, which might lead outside.

        The folders are opened one in the other, so that nobody can put a link in the way afterwards (where the system
        has no names for open folders, only until then). Raises ``Changed`` when one of them is no folder (any more).
        """
        *folders, name = path.split("/")
        with disk_errors(path):
            descriptor = os.open(self.root, _FOLDER_FLAGS)
        try:
            for folder in folders:
                with disk_errors(f"{path}: {folder}"):
                    below = os.open(folder, _FOLDER_FLAGS | os.O_NOFOLLOW, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = below
            yield _OPEN_FOLDERS / str(descriptor) / name if _OPEN_FOLDERS.is_dir() else self.root / path
        finally:
            os.close(descriptor)

    def stat(self, path: str) -> Stat | None:
        with disk_errors(path), self.at(path) as place:
            try:
                return stat_of(os.lstat(place))
            except FileNotFoundError:
                return None

    def read(self, path: str, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes of a file, or of a link's target; fewer at the end."""
        with disk_errors(path), self.at(path) as place:
            if place.is_symlink():
                return target_bytes(place)[offset : offset + length]
            descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb", buffering=0) as file:
                file.seek(offset)
                pieces: list[bytes] = []
                while length > 0 and (piece := file.read(length)):
                    pieces.append(piece)
                    length -= len(piece)
                return b"".join(pieces)

    @property
    def keeps_executable(self) -> bool:
        """Whether this file system has an executable bit for each file (FAT, for one, has not)."""
        if self._keeps_executable is None:
            self._keeps_executable = self._try_executable()
        return self._keeps_executable

    @property
    def folds_case(self) -> bool:
        """Whether this file system takes names that differ in upper and lower case alone for one."""
        if self._folds_case is None:
            try:
                with self.writing("case", 0) as (path, _):
                    self._folds_case = os.path.lexists(path.with_name("CASE"))
            except SynclineError:
                return False  # nothing can be written here, so nothing can clash either
        return self._folds_case

    def _try_executable(self) -> bool:
        try:
            with self.writing("executable", 0) as (_, descriptor):
                seen = []
                for mode in (0o700, 0o600):
                    os.fchmod(descriptor, mode)
                    seen.append(is_executable(os.fstat(descriptor).st_mode))
            return seen == [True, False]
        except PermissionError:
            return False
        except SynclineError:
            return True  # nothing can be written here, so nothing will be set either

    def flush(self, paths: Sequence[str]) -> None:
        """Make files and folders, and their names, durable, as far as they are there.

        What is agreed on outlives a power cut; if what it speaks of did not, it would pass for removed or changed.
        """
        if len(paths) > FLUSHED_ONE_BY_ONE_MAX and flush_all(self.root):
            return
        folders = {path.rpartition("/")[0] for path in paths}
        for path in [*paths, *folders]:
            try:
                with self.at(path) if path else nullcontext(self.root) as place:
                    _sync(place)
            except (Changed, FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                if _name(error) not in _NOT_FLUSHED:
                    raise Broken(f"{path} could not be written to the disk: {error}") from None

    # -- folders and moves

    def make_folder(self, path: str) -> Stat:
        """Make a folder; one that is there already will do."""
        with disk_errors(path), self.at(path) as target:
            try:
                os.mkdir(target)
            except FileExistsError:
                if not modes.S_ISDIR(os.lstat(target).st_mode):
                    raise
                if path.rpartition("/")[2] not in os.listdir(target.parent):
                    raise Changed(f"{path} is there with another name") from None
            return folder_stat(os.lstat(target))

    def move(self, source: str, target: str) -> Stat:
        """Move a file or folder to a free place. Raises ``Changed`` when it is taken, or the source is gone."""
        with disk_errors(target), self.at(source) as here, self.at(target) as there:
            rename_new(here, there)
            return stat_of(os.lstat(there))

    def merge_folder(self, source: str, target: str) -> None:
        """Move all that a folder holds into another, without replacing anything, and remove it.

        What meets a file of its name gets a number. Raises ``Changed`` when the target lies inside the source.
        """
        if f"{target}/".startswith(f"{source}/"):
            raise Changed(f"{target} lies inside {source}")
        with disk_errors(source), self.at(source) as here, self.at(f"{target}/") as there:
            self._merge(here, there)

    def _merge(self, source: Path, target: Path) -> None:
        for name in sorted(os.listdir(source)):
            here, there = source / name, target / name
            if _is_folder(here) and _is_folder(there):
                self._merge(here, there)
                continue
            for n in range(2, SPARE_NAMES_MAX):
                try:
                    rename_new(here, there)
                    break
                except FileExistsError:
                    there = target / f"{name} ({n})"
        os.rmdir(source)

    # -- files

    @contextmanager
    def writing(self, name: str, size_bytes: int) -> Iterator[tuple[Path, int]]:
        """A new temporary file in the same filesystem: (its path, its descriptor). Gone afterwards unless installed."""
        path = self._temporary / name
        with disk_errors(str(path)):
            flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(path, flags, 0o600)
        try:
            yield path, descriptor
        finally:
            os.close(descriptor)
            path.unlink(missing_ok=True)

    def write(self, descriptor: int, data: bytes, offset: int) -> None:
        with disk_errors("a temporary file"):
            view = memoryview(data)
            while view:
                written = os.pwrite(descriptor, view, offset)
                view, offset = view[written:], offset + written

    def install(
        self,
        temporary: Path,
        descriptor: int,
        path: str,
        *,
        executable: bool,
        mtime_ns: int,
        is_expected: Callable[[Path], Stat] | None,
    ) -> Stat:
        """Put a finished temporary file at ``path`` in one step, its bytes on the disk first.

        ``is_expected`` looks at the file it replaces (None: there must be none) and raises ``Changed`` unless it is
        the one that was planned for.
        """
        with disk_errors(path), self.at(path) as target:
            old = is_expected(target) if is_expected else None
            mode = 0o666 & ~self._umask
            if old and modes.S_ISREG(replaced := os.lstat(target).st_mode):
                mode = modes.S_IMODE(replaced)
            if self.keeps_executable:
                os.fchmod(descriptor, _executable(mode, executable))
            _set_mtime(descriptor, mtime_ns)
            os.fsync(descriptor)
            return self._put(temporary, target, old)

    def install_link(
        self, temporary: Path, link: str, path: str, *, mtime_ns: int, is_expected: Callable[[Path], Stat] | None
    ) -> Stat:
        """Make a symbolic link to ``link`` and put it at ``path`` in one step; ``is_expected`` as in ``install``.

        Whoever calls has made sure that it does not lead out (domain/links.py).
        """
        with disk_errors(path), self.at(path) as target:
            old = is_expected(target) if is_expected else None
            try:
                temporary.unlink(missing_ok=True)
                os.symlink(link, temporary)
                _set_mtime(temporary, mtime_ns)
                return self._put(temporary, target, old)
            finally:
                temporary.unlink(missing_ok=True)

    def temporary(self, name: str) -> Path:
        """A path for something that is not in its place yet, in the same filesystem."""
        return self._temporary / name

    def _put(self, temporary: Path, target: Path, old: Stat | None) -> Stat:
        installed = stat_of(os.lstat(temporary))
        if old is None:
            rename_new(temporary, target)
        else:
            self._exchange(temporary, target, old)
        sync_folder(target.parent)
        after = stat_of(os.lstat(target))
        # Written to in this very moment: the earlier stat makes the next scan look at it.
        return after if unmoved(installed, after) else installed

    def _exchange(self, temporary: Path, target: Path, old: Stat) -> None:
        exchange(temporary, target)
        if not unmoved(stat_of(os.lstat(temporary)), old):
            exchange(temporary, target)
            raise Changed(f"{target}: edited just now")

    def set_executable(self, path: str, executable: bool, is_expected: Callable[[Path], Stat]) -> Stat:
        """A file with other names (hard links) gets a copy of its own first: they are files of their own."""
        with disk_errors(path), self.at(path) as target:
            before = is_expected(target)
            found = os.lstat(target)
            if not self.keeps_executable:
                return before
            if found.st_nlink > 1:
                return self._part(target, path, executable, found.st_mtime_ns, self.expecting((before,), None))
            os.chmod(target, _executable(modes.S_IMODE(found.st_mode), executable))
            after = stat_of(os.lstat(target))
            return after if unmoved(before, after) else before

    def _part(
        self, target: Path, path: str, executable: bool, mtime_ns: int, is_expected: Callable[[Path], Stat]
    ) -> Stat:
        with self.writing(f"parted-{is_expected(target).inode}", 0) as (temporary, descriptor):
            with (
                os.fdopen(os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as source,
                os.fdopen(os.dup(descriptor), "wb") as copy,
            ):
                shutil.copyfileobj(source, copy)
            return self.install(
                temporary, descriptor, path, executable=executable, mtime_ns=mtime_ns, is_expected=is_expected
            )

    # -- removing

    def trash_file(self, path: str, is_expected: Callable[[Path], Stat]) -> None:
        """Move a file to the trash. Raises ``Changed`` unless it is what ``is_expected`` takes it for."""
        with disk_errors(path), self.at(path) as source:
            before = is_expected(source)
            trashed = self._to_trash(source, path)
            if not unmoved(stat_of(os.lstat(trashed)), before):
                rename_new(trashed, source)
                raise Changed(f"{path}: edited just now")

    def discard_file(self, path: str, is_expected: Callable[[Path], Stat]) -> None:
        """Remove a file whose content the library keeps. Raises ``Changed`` unless it is what it is taken for."""
        with disk_errors(path), self.at(path) as source:
            before = is_expected(source)
            out_of_the_way = self._temporary / secrets.token_hex(8)
            rename_new(source, out_of_the_way)
            if not unmoved(stat_of(os.lstat(out_of_the_way)), before):
                rename_new(out_of_the_way, source)
                raise Changed(f"{path}: edited just now")
            out_of_the_way.unlink()

    def remove_folder(self, path: str) -> bool:
        """Remove a folder; False when it holds files or folders that someone may miss. Links and the like, and the
        usual litter, go to the trash with it."""
        with disk_errors(path), self.at(path) as source:
            try:
                os.rmdir(source)
            except FileNotFoundError:
                return True
            except OSError as error:
                if _name(error) not in ("ENOTEMPTY", "EEXIST"):
                    raise
                with os.scandir(source) as found:
                    if any(map(_is_missed, found)):
                        return False
                self._to_trash(source, path)
            return True

    def _to_trash(self, source: Path, path: str) -> Path:
        """Move to the day's trash under its path; where that was used today, to the day's second trash, and so on."""
        today = datetime.now(UTC).strftime("%Y-%m-%d")
        for n in range(TRASHES_A_DAY_MAX):
            target = self.trash / (f"{today}.{n}" if n else today) / path
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                rename_new(source, target)
            except (FileExistsError, IsADirectoryError, NotADirectoryError):
                continue
            return target
        raise Refused("trash-full", f"{path} was removed too often today. Run: syncline trash --local empty")

    def expecting(self, stats: tuple[Stat | None, ...], content: Content | None) -> Callable[[Path], Stat]:
        """A check that a file still is one of these by its stat or, in doubt, by its bytes."""

        def check(path: Path) -> Stat:
            found = stat_of(os.lstat(path))
            if found in stats:
                return found
            other_size = content is not None and not content.symlink and found.size_bytes != content.size_bytes
            if content is None or other_size or content_of(path) != (found, content):
                raise Changed(f"{path}: changed meanwhile")
            return found

        return check


def _sync(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _executable(mode: int, executable: bool) -> int:
    """The mode with execution for whoever may read, or for nobody."""
    return mode | (mode & 0o444) >> 2 if executable else mode & ~0o111


def _set_mtime(file: int | Path, mtime_ns: int) -> None:
    """Of an open file, or of a path, which may be a link."""
    try:
        os.utime(file, ns=(mtime_ns, mtime_ns), follow_symlinks=isinstance(file, int))
    except (OverflowError, ValueError, NotImplementedError):
        return  # a time that this system cannot express: the file keeps its own


def _name(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, "")


def _is_missed(entry: os.DirEntry[str]) -> bool:
    is_file = entry.is_file(follow_symlinks=False)
    return (is_file and not is_litter(entry.name)) or entry.is_dir(follow_symlinks=False)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _age_days(day: str) -> float:
    try:
        made = datetime.strptime(day[:10], "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return 0.0
    return (datetime.now(UTC) - made).total_seconds() / 86_400
