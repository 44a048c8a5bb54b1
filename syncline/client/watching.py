"""Keeping links in sync: a keeper for each, and one held request that tells which libraries moved."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from syncline.client.apart import CHANGING
from syncline.client.folder_events import Cookies, FolderEvents, folder_events
from syncline.client.http import pause_s
from syncline.client.index import Link
from syncline.client.keeping import Keeper, Told
from syncline.client.progress import Progress
from syncline.client.settings import Settings
from syncline.client.summary import Summary
from syncline.client.tasks import cancelled
from syncline.domain.errors import Refused, SynclineError, Temporary
from syncline.messages.api import Heads

HEADS_WAIT_S = 50
FAILURES_COUNTED_MAX = 10
STOP_S_MAX = 10.0
"""A pass that has begun may take so long to its end when all is to be stopped; then it is cut off (and taken up by the
next start)."""


class Syncing(Protocol):
    """What keeping links in sync takes (``Engine`` is one)."""

    def links(self) -> list[Link]: ...

    async def sync_once(
        self, link: Link, *, allow_removals: bool = False, progress: Progress | None = None
    ) -> Summary: ...

    async def heads(self, since: str = "", *, wait_s: int = 0) -> Heads: ...


class Watching:
    """Keeps links in sync while ``run`` runs. ``told`` hears of passes that did something, and of troubles as they
    come up; a trouble of one link is not the others'. ``patient``: goes on without a sign-in, until there is one."""

    def __init__(
        self,
        syncing: Syncing,
        links: Iterable[Link],
        *,
        told: Told,
        settings: Settings | None = None,
        progress: Progress | None = None,
        patient: bool = False,
        events: Callable[[Path, Cookies], FolderEvents] = folder_events,
    ) -> None:
        self.keepers: dict[str, Keeper] = {}
        self.settings = settings or Settings()
        self._syncing = syncing
        self._told = told
        self._progress = progress
        self._patient = patient
        self._events = events
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._signed_out: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.take_up(links)

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop`` is set. Raises ``Refused`` (401) when the sign-in is no longer good, unless patient."""
        heads = asyncio.create_task(self._watch_heads())
        stopped = asyncio.create_task(stop.wait())
        waited: set[asyncio.Future[Any]] = {heads, stopped, self._signed_out}
        try:
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if heads.done():
                await heads
            if self._signed_out.done():
                await self._signed_out
        finally:
            await cancelled([heads, stopped])
            await self._stop(list(self._tasks))

    def take_up(self, links: Iterable[Link]) -> list[Link]:
        """Links there are from now on that were not there before are kept too; answers them."""
        new = [link for link in links if link.id not in self.keepers]
        for link in new:
            keeper = Keeper(
                link,
                self._syncing.sync_once,
                self._hear,
                self.settings,
                progress=self._progress,
                events=self._events,
            )
            self.keepers[link.id] = keeper
            self._tasks[link.id] = asyncio.create_task(keeper.run())
        return new

    async def drop(self, links: Sequence[str]) -> None:
        """Keep these links no more; when it returns nothing is done to them."""
        await self._stop(links)

    def adopt(self, settings: Settings) -> None:
        self.settings = settings
        for keeper in self.keepers.values():
            keeper.adopt(settings)

    async def bring(self, links: Sequence[Link], *, allow_removals: bool = False) -> list[Summary | SynclineError]:
        """Have these links in sync with all there is at this moment on both sides; what came of each, in order."""
        asking = asyncio.create_task(self._syncing.heads())

        async def is_behind(link: Link) -> bool:
            heads = {head.library: head.cursor for head in (await asyncio.shield(asking)).heads}
            now = next((one for one in self._syncing.links() if one.id == link.id), link)
            return now.rules == CHANGING or heads.get(link.library) != now.cursor

        async def bring(link: Link) -> Summary | SynclineError:
            try:
                keeper = self.keepers[link.id]
                return await keeper.bring(behind=is_behind(link), allow_removals=allow_removals)
            except SynclineError as error:
                return error

        try:
            return list(await asyncio.gather(*(bring(link) for link in links)))
        finally:
            await cancelled([asking])

    # -- within

    async def _stop(self, links: Sequence[str]) -> None:
        tasks = [self._tasks.pop(link) for link in links if link in self._tasks]
        for link in links:
            if link in self.keepers:
                self.keepers.pop(link).stop()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_S_MAX)
            await cancelled(tasks)

    def _hear(self, link: Link, news: Summary | SynclineError) -> None:
        if isinstance(news, Refused) and news.status == 401 and not self._patient:
            if not self._signed_out.done():
                self._signed_out.set_exception(news)
            return
        self._told(link, news)

    async def _watch_heads(self) -> None:
        """One held request for all libraries."""
        token, failures, away = "", 0, False
        while True:
            try:
                # After a failure the answer shall come at once: it says that the server is back.
                held = token and not away
                answer = await self._syncing.heads(token, wait_s=HEADS_WAIT_S if held else 0)
            except (Temporary, Refused) as error:
                if isinstance(error, Refused) and error.status == 401 and not self._patient:
                    raise
                away, failures = True, min(failures + 1, FAILURES_COUNTED_MAX)
                pause = pause_s(failures)
                for keeper in self.keepers.values():
                    keeper.server_away(error, int((time.time() + pause) * 1000))
                await asyncio.sleep(pause)
                continue
            token, failures = answer.token, 0
            self._hear_heads(answer)
            if away:
                away = False
                for keeper in self.keepers.values():
                    keeper.server_back()

    def _hear_heads(self, heads: Heads) -> None:
        read = self._cursors()
        for head in heads.heads:
            for keeper in self.keepers.values():
                if keeper.link.library == head.library and read.get(keeper.link.id) != head.cursor:
                    keeper.library_moved()

    def _cursors(self) -> dict[str, str]:
        """How far each link has read its library's journal."""
        return {link.id: link.cursor for link in self._syncing.links()}
