"""What is never synchronised: the usual litter, and what ``.synclineignore`` in the linked folder names.

The file has gitignore's syntax and is synchronised itself, so all devices go by the same rules.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import msgspec
from pathspec import GitIgnoreSpec
from pathspec.patterns.gitignore import GitIgnorePatternError

from syncline.client.trees import Skipped
from syncline.domain.errors import Refused

IGNORE_FILE = ".synclineignore"
IGNORE_FILE_BYTES_MAX = 256 * 1024

LITTER = (
    # what systems leave in folders
    ".DS_Store",
    "._*",
    ".AppleDouble",
    ".Spotlight-V100",
    ".Trashes",
    ".fseventsd",
    ".TemporaryItems",
    "Icon\r",
    "[Tt]humbs.db",
    "[Dd]esktop.ini",
    ".directory",
    ".Trash-*",
    ".nfs*",
    ".fuse_hidden*",
    # what editors and offices keep beside a file that is open
    ".~lock.*#",
    "~$*",
    ".*.sw[a-px]",
    ".#*",
    "4913",
    ".goutputstream-*",
    # downloads that are not finished
    "*.crdownload",
    "*.part",
    "*.partial",
)
"""Ignored unless ``.synclineignore`` says otherwise (``!*.part``); thrown away with a folder that is removed."""


class Ignores(msgspec.Struct, frozen=True, dict=True):
    """The rules of one linked folder: ``lines`` as in its ``.synclineignore``."""

    lines: tuple[str, ...] = ()

    def match(self, path: str, *, folder: bool) -> bool:
        """Whether a path (relative to the linked folder, with "/") is ignored, given that the folders above are not."""
        if path == IGNORE_FILE:
            return False
        path = path if path.isascii() else unicodedata.normalize("NFC", path)
        return self._spec.match_file(f"{path}/" if folder else path)

    @cached_property
    def by_place(self) -> bool:
        """Whether a name may be ignored in one folder and not in another: a pattern has "/" in it, not at its end only.
        The litter is ignored wherever it is."""
        return any("/" in line.rstrip().removesuffix("/") for line in self.lines)

    @property
    def complaints(self) -> tuple[Skipped, ...]:
        """The lines that are no pattern; they ignore nothing."""
        return self._compiled[1]

    @property
    def _spec(self) -> GitIgnoreSpec:
        return self._compiled[0]

    @cached_property
    def _compiled(self) -> tuple[GitIgnoreSpec, tuple[Skipped, ...]]:
        good, complaints = [], []
        for number, line in enumerate(self.lines, start=1):
            try:
                GitIgnoreSpec.from_lines([line])
                good.append(line)
            except GitIgnorePatternError:
                complaints.append(Skipped(IGNORE_FILE, "bad-pattern", f"line {number} is not a pattern: {line!r}"))
        return GitIgnoreSpec.from_lines([*LITTER, *good]), tuple(complaints)


NO_IGNORES = Ignores()
"""Only litter is ignored."""


def is_litter(name: str) -> bool:
    """Whether nobody misses a file of this name."""
    return NO_IGNORES.match(name, folder=False)


def read_ignores(root: Path) -> Ignores:
    """The rules of a linked folder. Raises ``Refused("ignores-unreadable")`` when they are there but cannot be read:
    nothing is to be done then, since what they name would be sent."""
    try:
        with open(root / IGNORE_FILE, "rb") as file:
            text = file.read(IGNORE_FILE_BYTES_MAX)
    except (FileNotFoundError, NotADirectoryError):
        return NO_IGNORES
    except OSError as error:
        detail = f"{root / IGNORE_FILE} cannot be read ({error.strerror}). Nothing is synchronised until it can be."
        raise Refused("ignores-unreadable", detail) from None
    return parse_ignores(text.decode("utf-8-sig", errors="replace").splitlines())


def parse_ignores(lines: Iterable[str]) -> Ignores:
    return Ignores(tuple(unicodedata.normalize("NFC", line) for line in lines))
