"""Walking through the linked folder, beside what was agreed on: where all is as it was, nothing of it is kept."""

from __future__ import annotations

import os
import stat as modes
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import msgspec

from syncline.client.disk import OWN_FOLDER, Disk, folder_stat
from syncline.client.hashing import content_of_target, is_executable, stat_of, target_bytes
from syncline.client.holdings import Place
from syncline.client.ignoring import Ignores
from syncline.client.matching import ASIDE_PREFIX
from syncline.client.trees import BaseNode, Content, LocalEntry, Skipped
from syncline.domain.errors import Refused
from syncline.domain.links import leads_out, target_of
from syncline.domain.nodes import Kind
from syncline.domain.paths import MAX_PATH_BYTES, clean_name


class Agreement(Protocol):
    """What was agreed on, folder by folder (``Holdings``)."""

    root: str

    def places(self, folder: str) -> Iterator[Place]: ...

    def base_children(self, folder: str) -> list[BaseNode]: ...

    def folder_of_inode(self, inode: int) -> str | None: ...


@dataclass(frozen=True)
class Interest:
    """Folders (ids) to look at closely though nothing changed in them: ``folders`` alone, ``whole`` with all below."""

    folders: Set[str] = frozenset()
    whole: Set[str] = frozenset()


class Folder(NamedTuple):
    """A folder to walk into. ``node`` is the one that was agreed on at this place, "" for none; ``was`` the one that
    it may have been elsewhere. ``whole``: look closely, here and below."""

    path: str
    node: str
    was: str = ""
    whole: bool = False


@dataclass
class Walked:
    """``entries`` are the folders found where one looked closely, and those above; ``files`` the files there, whether
    they may be executed, and what they held when agreed on with the same stat. ``looked`` are the
    folders that were looked at closely (node → path), ``base`` their children; ``unread`` those that could not be."""

    entries: dict[str, LocalEntry] = field(default_factory=dict)
    files: list[tuple[LocalEntry, bool, Content | None]] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    unsure: set[str] = field(default_factory=set)
    ignored: set[str] = field(default_factory=set)
    looked: dict[str, str] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)
    base: dict[str, BaseNode] = field(default_factory=dict)


def walk(disk: Disk, ignores: Ignores, agreement: Agreement | None = None, interest: Interest = Interest()) -> Walked:
    """All that differs from the agreement, with what lies beside it; or all there is, without one. Links are not
    followed, and what is ignored is not looked at: what was agreed on under other rules is looked at under these where
    it is of interest. Raises ``Refused("root-unreadable")``. Blocks."""
    walk = _Walk(disk, agreement, interest, ignores)
    root = agreement.root if agreement else ""
    todo = [Folder("", root, whole=agreement is None or root in interest.whole)]
    while todo:
        todo += walk.folder(todo.pop())
    walk.complete_paths()
    return walk.walked


class _Walk:
    def __init__(self, disk: Disk, agreement: Agreement | None, interest: Interest, ignores: Ignores) -> None:
        self.walked = Walked()
        self._disk = disk
        self._agreement = agreement
        self._interest = interest
        self._ignores = ignores

    def folder(self, folder: Folder) -> list[Folder]:
        """Look at one folder; answers those in it that are still to be looked at."""
        try:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | (os.O_NOFOLLOW if folder.path else 0)
            descriptor = os.open(self._disk.root / folder.path, flags)
        except OSError as error:
            self._cannot_open(folder, error)
            return []
        try:
            names = sorted(os.listdir(descriptor))
            if not folder.path and OWN_FOLDER in names:
                names.remove(OWN_FOLDER)
            if folder.node and not folder.whole and folder.node not in self._interest.folders:
                below = self._unchanged(folder, descriptor, names)
                if below is not None:
                    return below
            return self._closely(folder, descriptor, names)
        except OSError as error:
            self._cannot_open(folder, error)
            return []
        finally:
            os.close(descriptor)

    def _cannot_open(self, folder: Folder, error: OSError) -> None:
        if not folder.path:
            raise Refused("root-unreadable", f"{self._disk.root} cannot be read ({error.strerror}).") from None
        self.walked.unsure.add(folder.path)
        self.walked.unread.add(folder.node)
        self.walked.skipped.append(Skipped(_shown(folder.path), "unreadable", f"cannot be opened ({error.strerror})"))

    # -- where nothing changed

    def _unchanged(self, folder: Folder, descriptor: int, names: list[str]) -> list[Folder] | None:
        """The folders in this one, when it holds just what was agreed on; else None."""
        assert self._agreement is not None
        below: list[Folder] = []
        skipped: list[Skipped] = []
        places = self._agreement.places(folder.node)
        place = next(places, None)
        for name in names:
            try:
                found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            except OSError:
                return None
            is_known = place is not None and name == place.local_name
            if not is_known and self._is_ignored(_join(folder.path, name), found):
                continue
            if not is_known or modes.S_ISLNK(found.st_mode):
                why = self._left_alone(_join(folder.path, name), found)
                if is_known is (why is not None):
                    return None
                if why is not None:
                    skipped.append(Skipped(_shown(_join(folder.path, name)), *why))
                    continue
            assert place is not None
            if not self._is_at(place, found):
                return None
            if place.is_folder:
                path = _join(folder.path, name)
                below.append(Folder(path, place.node, whole=place.node in self._interest.whole))
            place = next(places, None)
        if place is not None:
            return None
        self.walked.skipped += skipped
        return below

    # -- where something did, or may have to

    def _closely(self, folder: Folder, descriptor: int, names: list[str]) -> list[Folder]:
        walked = self.walked
        agreed = self._agreed(folder)
        below: list[Folder] = []
        seen: set[str] = set()
        for name in sorted(names, key=os.fsencode):
            path = _join(folder.path, name)
            try:
                found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            except OSError:
                walked.unsure.add(path)
                continue
            if self._is_ignored(path, found):
                walked.ignored.add(path)
                continue
            why = _unfit(name, path, seen)
            try:
                why = why or self._left_alone(path, found)
                target = target_bytes(self._disk.root / path) if modes.S_ISLNK(found.st_mode) else b""
            except OSError:
                walked.unsure.add(path)
                continue
            if why is not None:
                walked.skipped.append(Skipped(_shown(path), *why))
                continue
            entry = _entry(path, folder.path, name, found)
            seen.add(entry.name)
            base = agreed.get((name, entry.kind))
            if entry.kind is Kind.FOLDER:
                walked.entries[path] = entry
                below.append(self._below(folder, entry, base))
            elif target:
                walked.entries[path] = msgspec.structs.replace(entry, content=content_of_target(target))
            else:
                known = base.content if base and base.stat == entry.stat else None
                executable = self._disk.keeps_executable and is_executable(found.st_mode)
                walked.files.append((entry, executable, known))
        return below

    def _is_ignored(self, path: str, found: os.stat_result) -> bool:
        return self._ignores.match(path, folder=modes.S_ISDIR(found.st_mode))

    def _left_alone(self, path: str, found: os.stat_result) -> tuple[str, str] | None:
        """Why something is not synchronised, whatever its name: (slug, sentence), or None."""
        if modes.S_ISLNK(found.st_mode):
            target = target_of(target_bytes(self._disk.root / path))
            if leads_out(path, target):
                return "unsafe-link", f"this symbolic link leads out of the folder: {target}"
        elif not (modes.S_ISREG(found.st_mode) or modes.S_ISDIR(found.st_mode)):
            return "special-file", "sockets, pipes and devices are not synchronised"
        return None

    def _is_at(self, place: Place, found: os.stat_result) -> bool:
        """Whether this is the very thing that was agreed on."""
        if place.name != place.local_name and clean_name(place.local_name) != place.name:
            return False  # on its way to another name
        if place.is_folder:
            return modes.S_ISDIR(found.st_mode) and found.st_ino == place.inode
        return (
            found.st_mtime_ns == place.mtime_ns
            and found.st_size == place.size_bytes
            and found.st_ctime_ns == place.ctime_ns
            and found.st_ino == place.inode
            and (modes.S_ISLNK(found.st_mode) or self._is_executable_as(place, found))
        )

    def _is_executable_as(self, place: Place, found: os.stat_result) -> bool:
        if not modes.S_ISREG(found.st_mode):
            return False
        return is_executable(found.st_mode) == bool(place.executable) or not self._disk.keeps_executable

    def _agreed(self, folder: Folder) -> dict[tuple[str, Kind], BaseNode]:
        """What was agreed on in this folder; or in the one that it was, for its files may still be the same."""
        if self._agreement is None or not (folder.node or folder.was):
            return {}
        children = self._agreement.base_children(folder.node or folder.was)
        agreed: dict[tuple[str, Kind], BaseNode] = {}
        for node in sorted(children, key=lambda node: node.node):
            if node.materialised and agreed.setdefault((node.local_name, node.kind), node) is not node:
                self.walked.unread.add(node.node)  # a place for two: this one is not at it
        if folder.node:
            self.walked.looked[folder.node] = folder.path
            self.walked.base.update((node.node, node) for node in children)
        return agreed

    def _below(self, folder: Folder, entry: LocalEntry, base: BaseNode | None) -> Folder:
        if folder.node and base is not None:
            # With another inode it may be another folder of ours, that took the name of this one.
            is_it = base.stat is not None and base.stat.inode == entry.stat.inode
            whole = folder.whole or base.node in self._interest.whole or not is_it
            return Folder(entry.path, base.node, whole=whole)
        was = base.node if base is not None else ""
        if self._agreement is not None and not was:
            was = self._agreement.folder_of_inode(entry.stat.inode) or ""
        return Folder(entry.path, "", was=was, whole=True)

    def complete_paths(self) -> None:
        """Add the folders above all that was found."""
        walked = self.walked
        paths = {entry.parent for entry in walked.entries.values()} | {entry.parent for entry, _, _ in walked.files}
        paths |= {*walked.looked.values(), *walked.unsure}
        todo = list(paths)
        while todo:
            path = todo.pop()
            if not path or path in walked.entries:
                continue
            parent, _, name = path.rpartition("/")
            try:
                found = os.lstat(self._disk.root / path)
            except OSError:
                walked.unsure.add(path)
            else:
                if modes.S_ISDIR(found.st_mode):
                    walked.entries[path] = _entry(path, parent, name, found)
            todo.append(parent)


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _shown(path: str) -> str:
    return path.encode(errors="replace").decode()


def _entry(path: str, parent: str, name: str, found: os.stat_result) -> LocalEntry:
    stored = name if name.startswith(ASIDE_PREFIX) else clean_name(name)
    if modes.S_ISDIR(found.st_mode):
        return LocalEntry(path, parent, stored, name, Kind.FOLDER, folder_stat(found))
    return LocalEntry(path, parent, stored, name, Kind.FILE, stat_of(found))


def _unfit(raw: str, path: str, names: set[str]) -> tuple[str, str] | None:
    """Why something cannot be synchronised under its name: (slug, sentence), or None."""
    try:
        name = clean_name(raw)
        if len(path.encode()) > MAX_PATH_BYTES:
            return "long-path", f"its path is longer than {MAX_PATH_BYTES} bytes"
    except (Refused, UnicodeEncodeError):
        return "bad-name", "its name is not valid Unicode (UTF-8)"
    if name in names:
        return "same-name", "another name in this folder looks the same (Unicode NFC)"
    return None
