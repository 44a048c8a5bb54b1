"""How far the transfers of one pass have come, for whoever asks while it runs."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from syncline.client.progress import NoProgress, Phase, Progress, Way


class Transferred(msgspec.Struct):
    """One way's transfers in the pass that runs: files and bytes that are to be moved, and those that have been."""

    files: int = 0
    files_done: int = 0
    bytes: int = 0
    bytes_done: int = 0
    last_file: str = ""


class Ledger:
    """Counts what a pass tells (``Progress``) and passes it on to ``also``."""

    def __init__(self, *, also: Progress | None = None, phased: Callable[[Phase], None] = lambda _: None) -> None:
        self._also = also or NoProgress()
        self._phased = phased
        self.ways = {way: Transferred() for way in Way}

    def reset(self) -> None:
        """A new pass begins."""
        self.ways = {way: Transferred() for way in Way}

    def phase(self, phase: Phase) -> None:
        self._phased(phase)
        self._also.phase(phase)

    def expect(self, way: Way, files: int, size_bytes: int) -> None:
        self.ways[way].files += files
        self.ways[way].bytes += size_bytes
        self._also.expect(way, files, size_bytes)

    def moved(self, way: Way, size_bytes: int) -> None:
        self.ways[way].bytes_done += size_bytes
        self._also.moved(way, size_bytes)

    def finished(self, way: Way, path: str) -> None:
        self.ways[way].files_done += 1
        self.ways[way].last_file = path
        self._also.finished(way, path)
