"""Killing a client at any boundary of what it does: each record in its index, each step on its disk, each request.

As a program this is the real ``syncline`` command, which ends by SIGKILL at one boundary; with 0 it counts them:
``python -m tests.boundaries KILL_AT COUNT_FILE sync DIR``. The story that clients are killed in is here, too.
"""

from __future__ import annotations

import functools
import inspect
import os
import random
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from syncline.client.disk import Disk
from syncline.client.index import Index

Boundary = Callable[[str], None]

DISK_STEPS = (
    "make_folder",
    "move",
    "merge_folder",
    "install",
    "install_link",
    "set_executable",
    "trash_file",
    "discard_file",
    "remove_folder",
    "tidy",
)
INDEX_RECORDS = (
    "agree",
    "settle",
    "expect",
    "learn",
    "keep_upload",
    "drop_upload",
    "drop_uploads_before",
    "log_news",
    "next_counter",
)


def between(call: Callable[..., Any], boundary: Boundary) -> Callable[..., Any]:
    """The call, with the boundary told right before it and right after it."""
    name = call.__name__

    @functools.wraps(call)
    def told(*args: Any, **kwargs: Any) -> Any:
        boundary(f"before {name}")
        result = call(*args, **kwargs)
        boundary(f"after {name}")
        return result

    @functools.wraps(call)
    async def told_later(*args: Any, **kwargs: Any) -> Any:
        boundary(f"before {name}")
        result = await call(*args, **kwargs)
        boundary(f"after {name}")
        return result

    return told_later if inspect.iscoroutinefunction(call) else told


def with_boundaries(cls: type, names: tuple[str, ...], boundary: Boundary) -> Any:
    """The class with a boundary before and after each of these methods."""
    return type(f"Killable{cls.__name__}", (cls,), {name: between(getattr(cls, name), boundary) for name in names})


# -- the story: what two people changed when one of their clients is killed


def begin(folder: Path) -> None:
    """What both have in the end of a pass."""
    for name in ("a", "b", "edited/here", "edited/there", "edited/both", "gone/here/x", "gone/there/y", "m/o/ved"):
        _write(folder / name, f"first {name}".encode())
    _write(folder / "run", b"#!/bin/sh\n")
    (folder / "leads to a").symlink_to("a")


def change_there(folder: Path) -> None:
    """What the other one did, and has sent: edits, files, a folder, a removal, a swap, a move, links, a large file."""
    _write(folder / "edited/there", b"bob's")
    _write(folder / "edited/both", b"bob's of both")
    _write(folder / "new/of/bob", b"bob's new")
    _write(folder / "both/bob's", b"bob's in a folder of both")
    _write(folder / "both/alike", b"alike")
    _write(folder / "large of bob", LARGE_THERE)
    shutil.rmtree(folder / "gone/there")
    for source, target in (("a", "t"), ("b", "a"), ("t", "b"), ("run", "walk")):
        (folder / source).rename(folder / target)
    (folder / "leads to a").unlink()
    (folder / "leads to a").symlink_to("edited/here")
    (folder / "walk").chmod(0o755)


def change_here(folder: Path) -> None:
    """What the one did whose client is killed while it sends this and fetches the other's."""
    _write(folder / "edited/here", b"alice's")
    _write(folder / "edited/both", b"alice's of both")
    _write(folder / "new/of/alice", b"alice's new")
    _write(folder / "both/alice's", b"alice's in a folder of both")
    _write(folder / "both/alike", b"alike")
    _write(folder / "copied", b"first edited/there")
    _write(folder / "large of alice", LARGE_HERE)
    shutil.rmtree(folder / "gone/here")
    (folder / "m/o").rename(folder / "moved")
    (folder / "new link").symlink_to("new/of/alice")


def check(files: dict[str, bytes]) -> None:
    """Everything of both is there, once. Links hold their target."""
    assert Counter(files.values()) == Counter(ALL)
    assert files["moved/ved"] == b"first m/o/ved"
    assert (files["a"], files["b"]) == (b"first b", b"first a")
    assert files["leads to a"] == b"edited/here"
    assert {"walk", "gone", "both/alike"} & files.keys() == {"walk", "both/alike"}


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


LARGE_HERE, LARGE_THERE = (random.Random(seed).randbytes(8 * 1024 * 1024 + 1) for seed in (1, 2))
"""Each in two parts."""
ALL = [
    b"first a",
    b"first b",
    b"alice's",
    b"bob's",
    b"alice's of both",
    b"bob's of both",
    b"bob's new",
    b"alice's new",
    b"bob's in a folder of both",
    b"alice's in a folder of both",
    b"alike",
    b"first edited/there",
    b"first m/o/ved",
    b"#!/bin/sh\n",
    b"edited/here",
    b"new/of/alice",
    LARGE_HERE,
    LARGE_THERE,
]


# -- the real command


def main() -> int:
    import aiohttp

    from syncline.client.cli import main as command

    at, count_file = int(sys.argv[1]), Path(sys.argv[2])
    del sys.argv[1:3]
    seen = 0

    def boundary(_: str) -> None:
        nonlocal seen
        seen += 1
        if seen == at:
            os.kill(os.getpid(), signal.SIGKILL)

    for cls, names in ((Disk, DISK_STEPS), (Index, INDEX_RECORDS), (aiohttp.ClientSession, ("_request",))):
        for name in names:
            setattr(cls, name, between(getattr(cls, name), boundary))
    code = command()
    count_file.write_text(str(seen))
    return code


if __name__ == "__main__":
    sys.exit(main())
