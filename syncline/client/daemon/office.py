"""The daemon at work: it keeps all links of the home, takes up what changes about them, and answers what is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from syncline.client.cli.calling import check_server
from syncline.client.cli.failures import problem_of
from syncline.client.cli.folders import folder_text, links_at, links_meant, synced_now
from syncline.client.cli.output import Answer, one_line, size_text
from syncline.client.cli.passes import pass_complaints, pass_notes, pass_text, passes_answer
from syncline.client.daemon.looks import Looks
from syncline.client.daemon.protocol import Look, Refresh, Request, Stop, Sync
from syncline.client.daemon.server import Say
from syncline.client.engine import Engine, Link
from syncline.client.home import Home, SavedSession
from syncline.client.logs import log
from syncline.client.progress import Way
from syncline.client.settings import SettingsFile
from syncline.client.summary import Summary
from syncline.client.tasks import cancelled
from syncline.client.watching import Watching
from syncline.domain.errors import SynclineError

LOOK_AROUND_S = 5.0
"""What other processes changed without telling (links, settings) is taken up within this time."""
PROGRESS_S = 0.3


class Office:
    """Everything a running daemon does. ``stop`` ends ``run``."""

    def __init__(self, home: Home, engine: Engine, session: SavedSession) -> None:
        self._home = home
        self._session = session
        self._engine = engine
        self._settings = SettingsFile(home)
        self.stop = asyncio.Event()
        links, settings = engine.links(), self._settings.load()
        self._watching = Watching(engine, links, told=self._hear, settings=settings, patient=True)
        self._looks = Looks(home, engine, session, self._watching)
        for link in links:
            log.info("%s is kept in sync with %s", folder_text(link), link.library_name)

    async def run(self) -> None:
        """Until ``stop`` is set: a pass that has begun comes to its end, within bounds."""
        looking = asyncio.create_task(self._look_around())
        try:
            await self._watching.run(self.stop)
        finally:
            await cancelled([looking])

    async def answer(self, request: Request, say: Say) -> Answer:
        """Do what is asked. Raises what the answer is to be a problem for."""
        match request:
            case Sync():
                return await self._sync(request, say)
            case Look():
                check_server(self._session, request.server)
                await self._refresh()
                return await self._looks.status(links_at(self._engine, _paths(request.folders)), color=request.color)
            case Refresh():
                await self._refresh()
                return Answer({})
            case Stop():
                asyncio.get_running_loop().call_soon(self.stop.set)
                return Answer({})

    # -- sync

    async def _sync(self, request: Sync, say: Say) -> Answer:
        check_server(self._session, request.server)
        await self._refresh()
        links = links_meant(self._engine, _paths(request.folders))
        telling = asyncio.create_task(self._tell_progress(links, say)) if request.progress else None
        try:
            outcomes = await self._watching.bring(links, allow_removals=request.allow_removals)
        finally:
            if telling is not None:
                await cancelled([telling])
        if len(outcomes) == 1 and isinstance(outcomes[0], SynclineError):
            raise outcomes[0]
        for link, outcome in zip(links, outcomes, strict=True):
            if isinstance(outcome, Summary) and not pass_complaints(outcome):
                synced_now(self._home, link)
        return passes_answer(list(zip(links, outcomes, strict=True)))

    async def _tell_progress(self, links: Sequence[Link], say: Say) -> None:
        """Now and then, how far the transfers have come: totals of these links."""
        while True:
            await asyncio.sleep(PROGRESS_S)
            parts = []
            for way, verb in ((Way.UP, "sending"), (Way.DOWN, "fetching")):
                ledgers = [self._watching.keepers[link.id].ledger.ways[way] for link in links if self._keeps(link)]
                files, done = sum(one.files for one in ledgers), sum(one.files_done for one in ledgers)
                size, moved = sum(one.bytes for one in ledgers), sum(one.bytes_done for one in ledgers)
                if files:
                    parts.append(f"{verb} {done}/{files} ({size_text(moved)} of {size_text(size)})")
            say({"event": "progress", "said": ", ".join(parts)})

    def _keeps(self, link: Link) -> bool:
        return link.id in self._watching.keepers

    # -- what others change

    async def _look_around(self) -> None:
        while True:
            await asyncio.sleep(LOOK_AROUND_S)
            try:
                await self._refresh()
            except SynclineError as error:
                log.warning("%s", one_line(str(error)))

    async def _refresh(self) -> None:
        """Take up links that came, drop those that went, and what was set."""
        links = self._engine.links()
        there = {link.id for link in links}
        gone = [link for link in self._watching.keepers if link not in there]
        if gone:
            await self._watching.drop(gone)
            log.info("%d folder(s) are not kept in sync any more", len(gone))
        for link in self._watching.take_up(links):
            log.info("%s is kept in sync with %s from now on", folder_text(link), link.library_name)
        settings = self._settings.load()
        if settings != self._watching.settings:
            log.info("settings: %s", settings)
            self._engine.adopt(settings, self._watching)

    # -- what passes tell

    def _hear(self, link: Link, news: Summary | SynclineError) -> None:
        shown = folder_text(link)
        if not isinstance(news, Summary):
            said = one_line(str(problem_of(news)["detail"]))
            log.warning("%s: %s", shown, said, exc_info=news.__cause__)
            return
        if not pass_complaints(news):
            synced_now(self._home, link)
        log.info("%s: %s", shown, one_line(pass_text(news)))
        for note in pass_notes(news):
            log.info("%s: %s", shown, one_line(note))
        for complaint in pass_complaints(news):
            log.warning("%s: %s", shown, one_line(complaint))


def _paths(folders: Sequence[str]) -> list[Path]:
    return [Path(folder) for folder in folders]
