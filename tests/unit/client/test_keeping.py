"""Keepers: states, troubles that stay one link's own, servers that go away, folders that cannot be watched."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from syncline.client.conditions import Doing, doing_after
from syncline.client.folder_events import Cookies, Folders, Unwatchable
from syncline.client.index import Link
from syncline.client.progress import Phase, Progress, Way
from syncline.client.settings import ALL_LINKS, FOR_EVER, Settings
from syncline.client.summary import Summary
from syncline.client.watching import Watching
from syncline.domain.errors import Broken, Refused, SynclineError, Temporary
from syncline.messages.api import Head, Heads

PATIENCE_S = 60


class Folder:
    """A watched folder whose system tells what a test wants it to."""

    def __init__(self, cookies: Cookies) -> None:
        self.cookies = cookies
        self.told: asyncio.Queue[Folders | Unwatchable] = asyncio.Queue()

    async def events(self) -> AsyncIterator[Folders]:
        yield None
        while True:
            told = await self.told.get()
            if isinstance(told, Unwatchable):
                raise told
            yield told


class World:
    """A service and passes that do what a test says; every pass is counted by link."""

    def __init__(self, base: Path, *names: str) -> None:
        self.base = base
        self.folders: dict[str, Folder] = {}
        self.told: list[tuple[str, Summary | SynclineError]] = []
        self.passes: dict[str, int] = {}
        self.troubles: dict[str, Exception] = {}
        self.away: SynclineError | None = None
        self.cursor = "1"
        self.known = [self.link(name) for name in names]

    def link(self, name: str) -> Link:
        folder = self.base / name
        (folder / ".syncline/cookies").mkdir(parents=True)
        return Link(name, "library", "Shared", str(folder), 0, 0, "marker", cursor="1")

    def links(self) -> list[Link]:
        return self.known

    async def sync_once(self, link: Link, *, allow_removals: bool = False, progress: Progress | None = None) -> Summary:
        self.passes[link.id] = self.passes.get(link.id, 0) + 1
        assert progress is not None
        progress.phase(Phase.SCANNING)
        await asyncio.sleep(0)
        if link.id in self.troubles:
            raise self.troubles[link.id]
        progress.expect(Way.UP, 1, 10)
        progress.moved(Way.UP, 10)
        progress.finished(Way.UP, "file")
        return Summary(link.library, link.path, seq=1, complete=True)

    async def heads(self, since: str = "", *, wait_s: int = 0) -> Heads:
        while wait_s and since == self.cursor and self.away is None:  # noqa: ASYNC110 - as the service does
            await asyncio.sleep(0.01)
        if self.away is not None:
            raise self.away
        return Heads(heads=[Head(library="library", seq=1, cursor=self.cursor)], token=self.cursor)

    def events(self, root: Path, cookies: Cookies) -> Folder:
        return self.folders.setdefault(root.name, Folder(cookies))


@asynccontextmanager
async def watching(world: World, *, patient: bool = True, settings: Settings | None = None) -> AsyncIterator[Watching]:
    stop = asyncio.Event()
    made = Watching(
        world,
        world.known,
        told=lambda link, news: world.told.append((link.id, news)),
        settings=settings,
        patient=patient,
        events=world.events,
    )
    task = asyncio.create_task(made.run(stop))
    try:
        yield made
    finally:
        stop.set()
        await asyncio.gather(task, return_exceptions=True)


async def until(reached: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not reached():  # noqa: ASYNC110 - bounded
            await asyncio.sleep(0.01)


def doing(made: Watching, link: str) -> Doing:
    return made.keepers[link].condition.doing


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (Temporary("away"), Doing.WAITING),
        (Refused("busy", "another process"), Doing.WAITING),
        (Refused("large-removal", "60 files"), Doing.HELD),
        (Refused("root-missing", "gone"), Doing.MISSING),
        (Refused("no-access", "no member", status=403), Doing.REFUSED),
        (Refused("device-revoked", "sign in", status=401), Doing.SIGNED_OUT),
        (Broken("damaged"), Doing.BROKEN),
    ],
)
async def test_each_trouble_has_a_state_is_told_once_and_ends(
    tmp_path: Path, error: SynclineError, state: Doing
) -> None:
    assert doing_after(error) is state
    world = World(tmp_path, "a")
    world.troubles["a"] = error
    async with watching(world) as made:
        await until(lambda: world.passes.get("a", 0) >= 3)
        await until(lambda: doing(made, "a") is state)
        assert made.keepers["a"].condition.retry_at_ms
        assert [news for _, news in world.told] == [error]
        world.troubles.clear()
        await until(lambda: doing(made, "a") is Doing.IDLE)
        assert made.keepers["a"].last_error is None


async def test_a_bug_in_one_link_s_pass_is_not_the_others(tmp_path: Path) -> None:
    world = World(tmp_path, "a", "b")
    world.troubles["a"] = ZeroDivisionError("a bug")
    async with watching(world) as made:
        await until(lambda: doing(made, "a") is Doing.BROKEN and doing(made, "b") is Doing.IDLE)
        before = world.passes["b"]
        world.folders["b"].told.put_nowait(frozenset({""}))
        await until(lambda: world.passes["b"] > before)
        assert made.keepers["b"].ledger.ways[Way.UP].files_done == 1
    assert all(link == "a" and isinstance(news, Broken) for link, news in world.told)


async def test_a_server_that_was_away_is_caught_up_with_at_once(tmp_path: Path) -> None:
    world = World(tmp_path, "a")
    async with watching(world) as made:
        await until(lambda: doing(made, "a") is Doing.IDLE)
        before = world.passes["a"]
        world.away = Temporary("the server is away")
        await until(lambda: doing(made, "a") is Doing.WAITING)
        assert isinstance((await made.bring(world.known))[0], Temporary)
        world.away = None
        await until(lambda: doing(made, "a") is Doing.IDLE and world.passes["a"] > before)


async def test_a_library_that_moved_is_fetched_from(tmp_path: Path) -> None:
    world = World(tmp_path, "a")
    async with watching(world) as made:
        await until(lambda: doing(made, "a") is Doing.IDLE)
        before = world.passes["a"]
        world.cursor = "2"
        await until(lambda: world.passes["a"] > before)


async def test_a_folder_that_cannot_be_watched_is_told_and_looked_at(tmp_path: Path) -> None:
    world = World(tmp_path, "a")
    async with watching(world) as made:
        await until(lambda: doing(made, "a") is Doing.IDLE)
        before = world.passes["a"]
        world.folders["a"].told.put_nowait(Unwatchable("too many folders."))
        await until(lambda: made.keepers["a"].blind and world.passes["a"] > before)
        [(_, told)] = world.told
        assert "too many folders. It is looked at every" in str(told)
        before = world.passes["a"]
        assert isinstance((await made.bring(world.known))[0], Summary)
        assert world.passes["a"] > before  # nobody can know without a look


async def test_links_come_and_go(tmp_path: Path) -> None:
    world = World(tmp_path, "a")
    async with watching(world) as made:
        new = world.link("new")
        assert made.take_up([*world.known, new]) == [new]
        assert made.take_up([*world.known, new]) == []
        await until(lambda: doing(made, "new") is Doing.IDLE)
        await made.drop(["new"])
        assert set(made.keepers) == {"a"}


async def test_a_pause_holds_until_it_is_taken_back_but_not_for_who_asks(tmp_path: Path) -> None:
    world = World(tmp_path, "a")
    async with watching(world, settings=Settings(pauses={ALL_LINKS: FOR_EVER})) as made:
        await until(lambda: doing(made, "a") is Doing.PAUSED)
        assert world.passes == {}
        assert isinstance((await made.bring(world.known))[0], Summary)
        assert world.passes == {"a": 1}
        await until(lambda: doing(made, "a") is Doing.PAUSED)
        made.adopt(Settings())
        await until(lambda: doing(made, "a") is Doing.IDLE)
        assert world.passes["a"] > 1


async def test_with_nothing_to_do_being_asked_takes_no_pass(tmp_path: Path) -> None:
    world = World(tmp_path, "a")
    async with watching(world) as made:
        await until(lambda: doing(made, "a") is Doing.IDLE)
        before = world.passes["a"]
        asked = asyncio.create_task(made.bring(world.known))
        cookies = tmp_path / "a/.syncline/cookies"
        await until(lambda: list(cookies.iterdir()))
        world.folders["a"].cookies.seen(next(cookies.iterdir()).name)
        [summary] = await asked
        assert isinstance(summary, Summary)
        assert summary.complete
        assert world.passes["a"] == before


async def test_without_patience_the_end_of_the_sign_in_is_the_end(tmp_path: Path) -> None:
    world = World(tmp_path, "a")
    world.troubles["a"] = Refused("device-revoked", "Sign in again.", status=401)
    made = Watching(world, world.known, told=lambda *_: None, events=world.events)
    with pytest.raises(Refused, match="Sign in again"):
        await made.run(asyncio.Event())
