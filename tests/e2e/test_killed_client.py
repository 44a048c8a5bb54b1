"""The ``syncline`` command killed by SIGKILL at its boundaries, on a real stack; the plain command goes on from there.

A spread of the boundaries is tried, the first and the last among them: each takes a library of its own.
``SYNCLINE_TEST_BOUNDARIES`` says how many. All of them are tried in process in tests/unit/client/test_killed.py.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from syncline.client.engine import Engine
from syncline.domain.rights import Role
from tests import boundaries
from tests.e2e.embedded import TREE, EmbeddedStack
from tests.e2e.folders import Folder
from tests.e2e.people import Person, person

TRIED = int(os.environ.get("SYNCLINE_TEST_BOUNDARIES", "6"))
BOUNDARIES_MIN = 100
COMMAND_S_MAX = 120
PASSES_MAX = 6
COMMAND = "import sys; from syncline.client.cli import main; sys.exit(main())"


async def test_killed_at_boundaries_it_goes_on_with_the_plain_command(stack: EmbeddedStack, tmp_path: Path) -> None:
    async with AsyncExitStack() as opened:
        alice = await opened.enter_async_context(person(stack.url, tmp_path, "alice"))
        bob = await opened.enter_async_context(person(stack.url, tmp_path, "bob"))
        count = await play(tmp_path / "counted", alice, bob, 0)
        assert count > BOUNDARIES_MIN
        tried = sorted({1 + round(n * (count - 1) / (TRIED - 1)) for n in range(TRIED)})
        for at in tried:
            await play(tmp_path / str(at), alice, bob, at)
    print(f"killed at {len(tried)} of {count} boundaries: {tried}")


async def play(base: Path, alice: Person, bob: Person, at: int) -> int:
    """Kill alice's command at a boundary (0: at none), go on, and see that nothing is lost or there twice; how many
    boundaries there were, when it was not killed."""
    library = await alice.library((bob, Role.EDITOR), name=base.name)
    here, there = await linked(alice, library, base / "alice"), await linked(bob, library, base / "bob")
    boundaries.begin(here.path)
    for folder in (here, there):
        await folder.sync()
    boundaries.change_there(there.path)
    await there.sync()
    boundaries.change_here(here.path)
    here.engine.close()

    count_file = base / "count"
    killed = command(alice, here.path, "-m", "tests.boundaries", str(at), str(count_file))
    # The order of what runs at once is never twice the same: near the end a run may come by one boundary less.
    assert killed.returncode == (-signal.SIGKILL if at and not count_file.exists() else 0), killed.stderr
    resumed = command(alice, here.path, "-c", COMMAND)
    assert resumed.returncode == 0, resumed.stderr

    here.engine = Engine(alice.home, alice.api)
    await settle(here, there)
    boundaries.check(files(here.path))
    assert files(here.path) == files(there.path)
    assert folders(here.path) == folders(there.path)
    for folder in (here, there):
        folder.engine.unlink(folder.link)
        folder.engine.close()
    return int(count_file.read_text()) if count_file.exists() else 0


async def linked(who: Person, library: str, path: Path) -> Folder:
    engine = Engine(who.home, who.api)
    return Folder(who, engine, await engine.link(library, path))


async def settle(*linked_folders: Folder) -> None:
    for _ in range(PASSES_MAX):
        done = [await folder.sync() for folder in linked_folders]
        if all(summary.complete and not summary.changes for summary in done):
            return
    raise AssertionError(f"not settled: {done}")


def command(who: Person, folder: Path, *python: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *python, "sync", str(folder)],
        cwd=TREE,
        env=os.environ | {"SYNCLINE_HOME": str(who.home.path)},
        capture_output=True,
        text=True,
        timeout=COMMAND_S_MAX,
        check=False,
    )


def files(folder: Path) -> dict[str, bytes]:
    """Path → bytes of every file, a link's being its target."""
    return {
        path.relative_to(folder).as_posix(): os.fsencode(os.readlink(path)) if path.is_symlink() else path.read_bytes()
        for path in folder.rglob("*")
        if (path.is_symlink() or path.is_file()) and path.relative_to(folder).parts[0] != ".syncline"
    }


def folders(folder: Path) -> set[str]:
    found = {path.relative_to(folder) for path in folder.rglob("*") if path.is_dir() and not path.is_symlink()}
    return {path.as_posix() for path in found if path.parts[0] != ".syncline"}
