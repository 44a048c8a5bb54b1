"""Two or three people do anything at all, in any order, with passes in between: nobody's content is ever lost."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

from hypothesis import given, settings, strategies as st

from tests.unit.client.clients import Client
from tests.unit.client.fakes import Stack

DEVICES = ("alice", "bob", "carol")
NAMES = ("a", "b", "c")
PASSES_MAX = 12

paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join)
actions = st.one_of(
    st.tuples(st.just("write"), paths),
    st.tuples(st.just("write"), paths),
    st.tuples(st.just("remove"), paths),
    st.tuples(st.just("move"), paths, paths),
    st.tuples(st.just("move"), paths, paths),
    st.tuples(st.just("folder"), paths),
    st.tuples(st.just("sync")),
    st.tuples(st.just("sync")),
)
steps = st.lists(st.tuples(st.sampled_from(DEVICES), actions), min_size=1, max_size=30)


class Person:
    """Acts on a folder, and remembers what was destroyed on purpose. Every content is written once."""

    def __init__(self, client: Client, written: set[bytes], destroyed: set[bytes]) -> None:
        self.client = client
        self.written = written
        self.destroyed = destroyed

    def act(self, name: str, *where: str) -> None:
        target = self.client.folder / where[0]
        try:
            match name:
                case "write":
                    self._write(target)
                case "remove":
                    self._remove(target)
                case "folder":
                    target.mkdir(parents=True)
                case "move":
                    self._move(target, self.client.folder / where[1])
        except (FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError):
            return

    def _write(self, target: Path) -> None:
        content = f"content {len(self.written)} of {self.client.device}".encode()
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_file():
            self.destroyed.add(target.read_bytes())
        target.write_bytes(content)
        self.written.add(content)

    def _remove(self, target: Path) -> None:
        if target.is_dir():
            self.destroyed |= {path.read_bytes() for path in target.rglob("*") if path.is_file()}
            shutil.rmtree(target)
        else:
            content = target.read_bytes()
            target.unlink()
            self.destroyed.add(content)

    def _move(self, source: Path, target: Path) -> None:
        if source in (target, *target.parents) or target.exists() or not source.exists():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        source.rename(target)


async def play(base: Path, script: list[tuple[str, tuple[str, ...]]]) -> None:
    stack = Stack()
    written: set[bytes] = set()
    destroyed: set[bytes] = set()
    people = {device: Person(Client(stack, base, device), written, destroyed) for device in DEVICES}
    for person in people.values():
        await person.client.sync()
    for device, (name, *where) in script:
        if name == "sync":
            await people[device].client.sync(allow_removals=True)
        else:
            people[device].act(name, *where)
    for _ in range(PASSES_MAX):
        done = [await person.client.sync(allow_removals=True) for person in people.values()]
        if not any(summary.changes for summary in done):
            break
    assert all(summary.complete for summary in done), done
    for person in people.values():
        assert person.client.files() == stack.files()
        assert person.client.paths() == stack.paths()
        person.client.engine.close()
    lost = written - destroyed - set(stack.files().values())
    assert not lost


@given(script=steps)
@settings(max_examples=40)
def test_nobody_loses_anything(script: list[tuple[str, tuple[str, ...]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder), script))
