"""What people do to their folders, in words: ``mv a -> b; c=new``. The same on the model's disk and on a real one.

Acts are separated by "; ":  ``a=text`` writes in place (missing folders are made), ``a+=more`` appends, ``save a=text``
writes as editors do (a temporary file renamed over it), ``backup a=text`` as those do that keep the last content as
``a~``; ``mv a -> b`` renames, ``swap a <-> b`` exchanges names, ``cp a -> b`` copies, ``rm a`` removes a file or a
folder with all in it, ``mkdir a``, ``chmod +x a`` and ``chmod -x a``; ``restore`` gives everything another inode.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Protocol

from syncline.client.disk import OWN_FOLDER
from tests.unit.client.model import ModelClient, Thing

SPARE = "t.tmp"


class Disk(Protocol):
    """A folder as whoever sits before it sees it. Paths are relative; "" is the folder itself."""

    def read(self, path: str) -> bytes | None:
        """The bytes of a file, None for a folder."""

    def list(self, path: str) -> list[str]:
        """The names in a folder."""

    def write(self, path: str, body: bytes) -> None:
        """In place, if there is such a file."""

    def mkdir(self, path: str) -> None: ...

    def move(self, source: str, target: str) -> None:
        """As ``rename``: over a file, if one is there."""

    def remove(self, path: str) -> None:
        """With all in it."""

    def is_executable(self, path: str) -> bool: ...

    def set_executable(self, path: str, executable: bool) -> None: ...


def act(disk: Disk, acts: str) -> None:
    for one in acts.split("; ") if acts else []:
        _act(disk, one)


def _act(disk: Disk, act: str) -> None:
    verb, _, rest = act.partition(" ")
    match verb:
        case "mv":
            disk.move(*rest.split(" -> "))
        case "swap":
            one, other = rest.split(" <-> ")
            for source, target in ((one, SPARE), (other, one), (SPARE, other)):
                disk.move(source, target)
        case "cp":
            _copy(disk, *rest.split(" -> "))
        case "rm":
            disk.remove(rest)
        case "mkdir":
            disk.mkdir(rest)
        case "chmod":
            disk.set_executable(rest[3:], rest.startswith("+x "))
        case "restore":
            for name in disk.list(""):
                _copy(disk, name, SPARE)
                disk.remove(name)
                disk.move(SPARE, name)
        case "save":
            path, _, text = rest.rpartition("=")
            disk.write(path + SPARE, body_of(text))
            disk.move(path + SPARE, path)
        case "backup":
            path, _, text = rest.rpartition("=")
            disk.move(path, path + "~")
            disk.write(path, body_of(text))
        case _:
            path, _, text = act.rpartition("=")
            before = disk.read(path[:-1]) or b"" if path.endswith("+") else b""
            disk.write(path.removesuffix("+"), before + body_of(text))


def _copy(disk: Disk, source: str, target: str) -> None:
    body = disk.read(source)
    if body is not None:
        disk.write(target, body)
        disk.set_executable(target, disk.is_executable(source))
        return
    disk.mkdir(target)
    for name in disk.list(source):
        _copy(disk, f"{source}/{name}", f"{target}/{name}")


def body_of(text: str) -> bytes:
    """``text`` itself; ``9000000*x`` is that many of x."""
    many = re.fullmatch(r"(\d+)\*(.)", text)
    return many[2].encode() * int(many[1]) if many else text.encode()


class ModelDisk:
    def __init__(self, client: ModelClient) -> None:
        self._client = client

    def read(self, path: str) -> bytes | None:
        return self._client.disk[path].body

    def list(self, path: str) -> list[str]:
        return sorted(at.rpartition("/")[2] for at in self._client.disk if at.rpartition("/")[0] == path)

    def write(self, path: str, body: bytes) -> None:
        executable = path in self._client.disk and self._client.disk[path].executable
        self._client.write(path, body)
        self._client.disk[path].executable = executable

    def mkdir(self, path: str) -> None:
        self._client.make(path)

    def move(self, source: str, target: str) -> None:
        if target in self._client.disk:
            self._client.remove(target)
        self._client.make(target.rpartition("/")[0])
        self._client.move(source, target)

    def remove(self, path: str) -> None:
        self._client.remove(path)

    def is_executable(self, path: str) -> bool:
        return self._client.disk[path].executable

    def set_executable(self, path: str, executable: bool) -> None:
        thing = self._client.disk[path]
        self._client.disk[path] = Thing(thing.inode, thing.body, executable)


class RealDisk:
    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, path: str) -> bytes | None:
        return (self._root / path).read_bytes() if (self._root / path).is_file() else None

    def list(self, path: str) -> list[str]:
        return sorted(at.name for at in (self._root / path).iterdir() if at.name != OWN_FOLDER)

    def write(self, path: str, body: bytes) -> None:
        self.mkdir(path.rpartition("/")[0])
        (self._root / path).write_bytes(body)

    def mkdir(self, path: str) -> None:
        (self._root / path).mkdir(parents=True, exist_ok=True)

    def move(self, source: str, target: str) -> None:
        self.mkdir(target.rpartition("/")[0])
        (self._root / source).rename(self._root / target)

    def remove(self, path: str) -> None:
        at = self._root / path
        if at.is_dir():
            shutil.rmtree(at)
        else:
            at.unlink()

    def is_executable(self, path: str) -> bool:
        return bool((self._root / path).stat().st_mode & 0o100)

    def set_executable(self, path: str, executable: bool) -> None:
        (self._root / path).chmod(0o755 if executable else 0o644)
