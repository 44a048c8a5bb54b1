"""Linked folders of people for end-to-end tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from syncline.client.engine import Engine
from syncline.client.index import Link
from syncline.client.summary import Summary
from syncline.domain.rights import Role
from tests.e2e.people import Person, person

PASSES_MAX = 6


class Folder:
    """One person's linked folder."""

    def __init__(self, who: Person, engine: Engine, link: Link) -> None:
        self.who = who
        self.engine = engine
        self.link = link
        self.path = Path(link.path)

    async def sync(self) -> Summary:
        return await self.engine.sync_once(self.link)

    def contents(self) -> dict[str, bytes | None]:
        """What is in the folder by path; None for a folder."""
        return {
            str(path.relative_to(self.path)): None if path.is_dir() else path.read_bytes()
            for path in self.path.rglob("*")
            if path.relative_to(self.path).parts[0] != ".syncline"
        }


@asynccontextmanager
async def two_folders(server: str, tmp_path: Path) -> AsyncIterator[tuple[Folder, Folder]]:
    async with AsyncExitStack() as opened:
        alice = await opened.enter_async_context(person(server, tmp_path, "alice"))
        bob = await opened.enter_async_context(person(server, tmp_path, "bob"))
        library = await alice.library((bob, Role.EDITOR))
        folders = []
        for who, name in ((alice, "alice"), (bob, "bob")):
            engine = Engine(who.home, who.api)
            opened.callback(engine.close)
            folders.append(Folder(who, engine, await engine.link(library, tmp_path / name)))
        yield folders[0], folders[1]


async def settle(*folders: Folder) -> None:
    """Sync in turn until nobody has anything left to do."""
    for _ in range(PASSES_MAX):
        summaries = [await folder.sync() for folder in folders]
        if all(summary.changes == 0 and summary.complete for summary in summaries):
            return
    raise AssertionError(f"not settled after {PASSES_MAX} passes: {summaries}")
