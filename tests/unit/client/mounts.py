"""Real file systems for tests: small, mounted for one test, and cut off from power when asked. Only root may."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def mount(where: Path, *options: str) -> None:
    """Skips the test, with the reason, where nothing can be mounted."""
    where.mkdir(parents=True, exist_ok=True)
    _run("mount", *options, str(where))


def unmount(where: Path) -> None:
    subprocess.run(["umount", "--lazy", str(where)], check=False, capture_output=True)


@contextmanager
def tmpfs(where: Path, size_bytes: int) -> Iterator[Path]:
    """A file system in memory that is full after so many bytes."""
    mount(where, "-t", "tmpfs", "-o", f"size={size_bytes}", "none")
    try:
        yield where
    finally:
        unmount(where)


class Ext4:
    """An ext4 file system in a file. What is written out by the system is in that file, and nothing else: so a copy
    of it is what a power cut leaves."""

    def __init__(self, image: Path, where: Path, size_bytes: int = 48 * 1024 * 1024, *options: str) -> None:
        self.image = image
        self.where = where
        with image.open("wb") as file:
            file.truncate(size_bytes)
        _run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard", *options, str(image))
        self._mount()

    def _mount(self) -> None:
        # Nothing becomes durable by itself: only what someone asks for.
        mount(self.where, "-o", "loop,commit=300", str(self.image))

    def freeze(self) -> None:
        """Keep what a power cut in this moment would leave."""
        shutil.copyfile(self.image, self._left)

    def cut(self) -> None:
        """Mount what was left when frozen. Nobody may have a file open here."""
        _run("umount", str(self.where))
        os.replace(self._left, self.image)
        self._mount()

    @property
    def _left(self) -> Path:
        return self.image.with_suffix(".left")


def _run(*words: str) -> None:
    if shutil.which(words[0]) is None:
        pytest.skip(f"there is no {words[0]} here")
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{words[0]} cannot be used here: {done.stderr.strip()}")
