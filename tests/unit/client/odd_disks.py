"""Disks with ways of their own, on top of an ordinary one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from syncline.client.alike import folded
from syncline.client.disk import Disk


class FoldingDisk(Disk):
    """Takes names that differ in upper and lower case for one, and keeps the way they were first written."""

    @property
    def folds_case(self) -> bool:
        return True

    @contextmanager
    def at(self, path: str) -> Iterator[Path]:
        with super().at("/".join(self._written(path.split("/")))) as place:
            yield place

    def _written(self, names: list[str]) -> list[str]:
        found: list[str] = []
        for name in names:
            above = self.root.joinpath(*found)
            there = os.listdir(above) if above.is_dir() else []
            found.append(next((one for one in sorted(there) if folded(one) == folded(name)), name))
        return found


def with_other_inodes(folder: Path) -> None:
    """Everything in the folder gets another inode, as at each mount of a file system that does not keep them."""
    for path in sorted(folder.iterdir()):
        spare = folder / f"{path.name}.spare"
        if path.is_dir():
            if path.name == ".syncline":
                continue
            shutil.copytree(path, spare, symlinks=True)
            shutil.rmtree(path)
        else:
            shutil.copy2(path, spare)
            path.unlink()
        spare.rename(path)
