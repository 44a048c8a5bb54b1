"""Whole clients on real folders, talking to the service in fakes.py."""

from __future__ import annotations

import os
from pathlib import Path

from syncline.client.disk import OWN_FOLDER, Disk
from syncline.client.engine import Engine
from syncline.client.home import Home
from syncline.client.progress import NoProgress
from syncline.client.scanner import Scanner
from syncline.client.summary import Summary
from syncline.client.transfer import Transfers
from tests.unit.client.fakes import FakeObjects, FakeService, Hook, Stack, quiet


class Client:
    """One device with one linked folder. ``restart`` is what a kill and a new start amount to."""

    def __init__(self, stack: Stack, base: Path, device: str, *, hook: Hook = quiet, disk: type[Disk] = Disk) -> None:
        self.stack = stack
        self.device = device
        self.hook = hook
        self.folder = base / device
        self._home = Home(base / f"{device}-home")
        self._disk = disk
        self._start()

    def _start(self) -> None:
        self.service = FakeService(self.stack, self.device, lambda step: self.hook(step))
        objects = FakeObjects(self.stack, hook=lambda step: self.hook(step))
        transfers = Transfers(lambda _: objects, NoProgress())
        self.engine = Engine(self._home, self.service, transfers=transfers, disk=self._disk)

    def restart(self) -> None:
        self.engine.close()
        self._start()

    async def sync(self, *, allow_removals: bool = False) -> Summary:
        if not self.engine.links():
            await self.engine.link(self.stack.library, self.folder)
        return await self.engine.sync_once(self.engine.links()[0], allow_removals=allow_removals)

    @property
    def scanner(self) -> Scanner:
        """What the engine looks at the folder with."""
        (scanner,) = self.engine._scanners.values()
        return scanner

    # -- the person at this device

    def write(self, path: str, content: bytes | str) -> Path:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
        return target

    def read(self, path: str) -> bytes:
        return (self.folder / path).read_bytes()

    def files(self) -> dict[str, bytes]:
        """Path → bytes of every file, a link's being its target, without what is the client's own."""
        return {path: _content(self.folder / path) for path in self.paths() if not _is_folder(self.folder / path)}

    def paths(self) -> set[str]:
        found = set()
        for folder, folders, files in os.walk(self.folder):
            if OWN_FOLDER in folders:
                folders.remove(OWN_FOLDER)
            inside = Path(folder).relative_to(self.folder)
            found |= {(inside / name).as_posix() for name in [*folders, *files]}
        return found


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _content(path: Path) -> bytes:
    return os.fsencode(os.readlink(path)) if path.is_symlink() else path.read_bytes()
