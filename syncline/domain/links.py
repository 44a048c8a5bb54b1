"""Symbolic links: which targets may be followed from where, without ever leaving the linked folder. Pure."""

from __future__ import annotations

from syncline.domain.paths import split_path

MAX_TARGET_BYTES = 4_095
"""Linux's PATH_MAX without the NUL at its end; other systems hold less."""

UNREADABLE = "\N{REPLACEMENT CHARACTER}"


def leads_out(path: str, target: str) -> bool:
    """Whether a link at ``path`` (relative to the linked folder) may lead out of it, or has a target that is none.

    An absolute target does, and one that goes up further than the link lies deep. ``..`` is taken only at the
    beginning, where it goes up through the link's own folders: after a name it would go up from wherever that name
    leads, and that may be a link again. So no chain of links that pass leads out.
    """
    names = [name for name in target.split("/") if name not in ("", ".")]
    ups = next((n for n, name in enumerate(names) if name != ".."), len(names))
    if not target or "\0" in target or UNREADABLE in target:
        return True
    return target.startswith("/") or ups >= len(split_path(path)) or ".." in names[ups:]


def target_of(data: bytes) -> str:
    """The target that a link's bytes say, with ``UNREADABLE`` for what is not UTF-8; such a one never passes."""
    return data.decode(errors="replace")
