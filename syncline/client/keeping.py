"""Keeping one link in sync: a pass whenever something happened, and now and then for good measure."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from syncline.client.conditions import Condition, Doing, doing_after
from syncline.client.folder_events import Cookies, FolderEvents, Folders, Unwatchable, folder_events
from syncline.client.index import Link
from syncline.client.ledger import Ledger
from syncline.client.progress import Phase, Progress
from syncline.client.schedule import Schedule
from syncline.client.settings import Settings
from syncline.client.summary import Summary
from syncline.domain.errors import Broken, SynclineError, Temporary

BLIND_RESCAN_S = 10.0
REOPEN_S = 10.0
RETRY_FIRST_S = 0.2
RETRY_S_MAX = 60.0
MISSING_RETRY_S_MAX = 5.0
FAILURES_COUNTED_MAX = 20
SLEEP_S_MAX = 60.0
"""A pause that ends by the clock is noticed at least this often, whatever happens to the clock."""

Told = Callable[[Link, Summary | SynclineError], None]


class SyncOnce(Protocol):
    def __call__(
        self, link: Link, *, allow_removals: bool = False, progress: Progress | None = None
    ) -> Awaitable[Summary]: ...


class Keeper:
    """One link's passes, one after the other. ``condition`` says what it does; ``bring`` waits until it is in sync."""

    def __init__(
        self,
        link: Link,
        sync_once: SyncOnce,
        told: Told,
        settings: Settings,
        *,
        progress: Progress | None = None,
        events: Callable[[Path, Cookies], FolderEvents] = folder_events,
    ) -> None:
        self.link = link
        self.condition = Condition(Doing.STARTING, _now_ms())
        self.ledger = Ledger(also=progress, phased=self._phased)
        self.last: Summary | None = None
        self.last_error: SynclineError | None = None
        self.blind = ""
        """Why the system does not tell of changes in the folder; "" when it does."""
        self._sync_once = sync_once
        self._told = told
        self._settings = settings
        self._cookies = Cookies(Path(link.path))
        self._events = events
        self._schedule = Schedule(settings.debounce_ms / 1000, settings.rescan_s)
        self._failures = 0
        self._running = False
        self._stopping = False
        self._wake = asyncio.Event()
        self._wanted: list[tuple[asyncio.Future[Summary], bool]] = []

    # -- what happens around it

    def adopt(self, settings: Settings) -> None:
        """The settings are these from now on."""
        was_paused = self._settings.paused_until_ms(self.link.id, _now_ms())
        self._settings = settings
        self._schedule.debounce_s = settings.debounce_ms / 1000
        self._schedule.rescan_s = BLIND_RESCAN_S if self.blind else settings.rescan_s
        if was_paused and not settings.paused_until_ms(self.link.id, _now_ms()):
            self._schedule.ask()
        self._wake.set()

    def library_moved(self) -> None:
        self._schedule.ask()
        self._wake.set()

    def server_away(self, error: SynclineError, retry_at_ms: int) -> None:
        """Nothing is heard from the server; what is to be fetched is not known."""
        if self.condition.doing in (Doing.IDLE, Doing.WAITING) and not self._running:
            self._become(doing_after(error), str(error), retry_at_ms)

    def server_back(self) -> None:
        self._schedule.hasty_from = -math.inf
        self.library_moved()

    def stop(self) -> None:
        """No further pass begins."""
        self._stopping = True
        self._wake.set()

    # -- being asked

    async def bring(self, *, behind: Awaitable[bool], allow_removals: bool = False) -> Summary:
        """Returns when all that was in the folder, and in the library if it is ``behind``, is in sync; raises what the
        pass for it raises, or ``behind``. Without anything to do this takes no pass: only the system is asked what it
        has to tell."""
        caught_up, is_behind = await asyncio.gather(self._caught_up(), behind)
        restful = self.condition.doing is Doing.IDLE and not self._schedule.dirty
        if caught_up and restful and not is_behind and not allow_removals and not self._running and self.last:
            last = self.last
            return Summary(last.library, last.path, seq=last.seq, complete=True, skipped=list(last.skipped))
        if self._stopping:
            raise Temporary("The client is being stopped.")
        asked: asyncio.Future[Summary] = asyncio.get_running_loop().create_future()
        self._wanted.append((asked, allow_removals))
        self._wake.set()
        return await asked

    async def _caught_up(self) -> bool:
        """Whether the system tells of changes, and has told of all there were."""
        return not self.blind and not self._running and await self._cookies.caught_up()

    # -- at work

    async def run(self) -> None:
        """Until ``stop``; a pass that has begun comes to its end."""
        watching = asyncio.create_task(self._watch_folder())
        try:
            await self._keep()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            for asked, _ in self._wanted:
                if not asked.done():
                    asked.set_exception(Temporary("The client was stopped."))

    async def _keep(self) -> None:
        while await self._due():
            wanted, self._wanted = self._wanted, []
            outcome: Summary | SynclineError = Temporary("The client was stopped.")
            self._running = True
            try:
                outcome = await self._pass(allow_removals=any(allowed for _, allowed in wanted))
            finally:
                self._running = False
                for asked, _ in wanted:
                    _answer(asked, outcome)

    async def _due(self) -> bool:
        """Wait until a pass is to begin; False when no more is."""
        while not self._stopping:
            if self._wanted:
                return True
            self._wake.clear()
            now_ms = _now_ms()
            until_ms = self._settings.paused_until_ms(self.link.id, now_ms)
            if until_ms:
                detail = "until it is resumed" if until_ms == math.inf else ""
                self._become(Doing.PAUSED, detail, 0 if until_ms == math.inf else int(until_ms))
                seconds = (until_ms - now_ms) / 1000
            else:
                seconds = self._schedule.due_at() - time.monotonic()
                if self.condition.doing is Doing.PAUSED:
                    self._become(Doing.STARTING)
                if self.condition.doing is Doing.IDLE and self._schedule.dirty:
                    self._become(Doing.SETTLING)
                if seconds <= 0:
                    return True
            try:
                await asyncio.wait_for(self._wake.wait(), min(seconds, SLEEP_S_MAX))
            except TimeoutError:
                continue
        return False

    async def _pass(self, *, allow_removals: bool) -> Summary | SynclineError:
        self._schedule.begin()
        self.ledger.reset()
        try:
            summary = await self._sync_once(self.link, allow_removals=allow_removals, progress=self.ledger)
        except SynclineError as error:
            self._failed(error)
            return error
        except Exception as error:  # noqa: BLE001 - one link's trouble, even a bug's, is not the others'
            broken = Broken(f"{self.link.path}: {type(error).__name__}: {error}")
            broken.__cause__ = error
            self._failed(broken)
            return broken
        self._done(summary)
        return summary

    def _done(self, summary: Summary) -> None:
        self.last, self.last_error = summary, None
        if summary.complete and not summary.refused:
            self._failures = 0
            self._schedule.end(time.monotonic())
            self._become(Doing.IDLE)
        else:
            left = len(summary.refused) + len(summary.later)
            self._retry(Doing.PARTLY, f"{left} left for the next try")
        if summary.changes or summary.refused or not summary.complete:
            self._told(self.link, summary)

    def _failed(self, error: SynclineError) -> None:
        said = self.last_error is not None and str(self.last_error) == str(error)
        self.last_error = error
        self._retry(doing_after(error), str(error))
        if not said:
            self._told(self.link, error)

    def _retry(self, doing: Doing, detail: str) -> None:
        self._failures = min(self._failures + 1, FAILURES_COUNTED_MAX)
        most = MISSING_RETRY_S_MAX if doing is Doing.MISSING else RETRY_S_MAX
        pause = min(most, RETRY_FIRST_S * 2.0**self._failures) * random.uniform(0.5, 1.0)
        self._schedule.end(time.monotonic(), retry_after_s=pause)
        self._become(doing, detail, _now_ms() + int(pause * 1000))

    def _become(self, doing: Doing, detail: str = "", retry_at_ms: int = 0) -> None:
        since = self.condition.since_ms if doing is self.condition.doing else _now_ms()
        self.condition = Condition(doing, since, detail, retry_at_ms)

    def _phased(self, phase: Phase) -> None:
        self._become(Doing.SCANNING if phase is Phase.SCANNING else Doing.SYNCING)

    # -- the folder

    async def _watch_folder(self) -> None:
        while True:
            try:
                async for folders in self._events(Path(self.link.path), self._cookies).events():
                    self._see()
                    self._notice(folders)
            except Unwatchable as error:
                self._go_blind(str(error))
            except Exception as error:  # noqa: BLE001 - whatever it is, the folder must still be looked at
                self._go_blind(f"{self.link.path} cannot be watched ({type(error).__name__}: {error}).")
            await asyncio.sleep(REOPEN_S)

    def _go_blind(self, why: str) -> None:
        if not self.blind:
            self._told(self.link, Temporary(f"{why} It is looked at every {BLIND_RESCAN_S:.0f} s."))
        self.blind = why
        self._schedule.rescan_s = min(BLIND_RESCAN_S, self._settings.rescan_s)
        self._notice(None)

    def _see(self) -> None:
        if self.blind:
            self.blind = ""
            self._schedule.rescan_s = self._settings.rescan_s

    def _notice(self, folders: Folders) -> None:
        """Something changed in these folders."""
        self._schedule.noticed(time.monotonic())
        self._wake.set()


def _answer(asked: asyncio.Future[Summary], outcome: Summary | SynclineError) -> None:
    if asked.done():
        return  # whoever asked has gone
    if isinstance(outcome, Summary):
        asked.set_result(outcome)
    else:
        asked.set_exception(outcome)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
