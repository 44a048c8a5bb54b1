"""What a client tells about its transfers while they run."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol


class Way(StrEnum):
    """Which way bytes go: to the library, to this disk, or only through a checksum."""

    UP = "up"
    DOWN = "down"
    READ = "read"


class Phase(StrEnum):
    """What a pass is at: finding out what is to be done, or doing it."""

    SCANNING = "scanning"
    SYNCING = "syncing"


class Progress(Protocol):
    """Called from the event loop, often: it must be quick and must not fail."""

    def phase(self, phase: Phase) -> None:
        """A pass is at this now."""
        ...

    def expect(self, way: Way, files: int, size_bytes: int) -> None:
        """So many more files and bytes are to be moved."""
        ...

    def moved(self, way: Way, size_bytes: int) -> None:
        """So many more bytes have gone (negative when a piece has to be sent again)."""
        ...

    def finished(self, way: Way, path: str) -> None:
        """One file has arrived."""
        ...


class NoProgress:
    """Tells nobody."""

    def phase(self, phase: Phase) -> None:
        pass

    def expect(self, way: Way, files: int, size_bytes: int) -> None:
        pass

    def moved(self, way: Way, size_bytes: int) -> None:
        pass

    def finished(self, way: Way, path: str) -> None:
        pass
