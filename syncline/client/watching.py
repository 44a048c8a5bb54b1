"""Keeping links in sync: a pass whenever the folder or the library moved, and now and then for good measure."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import watchfiles

from syncline.client.disk import OWN_FOLDER
from syncline.client.http import pause_s
from syncline.client.index import Link
from syncline.client.summary import Summary
from syncline.client.tasks import cancelled, together
from syncline.domain.errors import Refused, SynclineError, Temporary
from syncline.messages.api import Heads

DEBOUNCE_MS = 300
FIRST_LOOK_MS = 2_000
RESCAN_S = 300.0
BLIND_RESCAN_S = 10.0
HEADS_WAIT_S = 50
FAILURES_COUNTED_MAX = 10

Told = Callable[[Summary | SynclineError], None]


class SyncOnce(Protocol):
    def __call__(self, link: Link) -> Awaitable[Summary]: ...


class AskHeads(Protocol):
    def __call__(self, since: str = "", *, wait_s: int = 0) -> Awaitable[Heads]: ...


async def watch(
    sync_once: SyncOnce, heads: AskHeads, links: Sequence[Link], *, told: Told, stop: asyncio.Event
) -> None:
    """Until ``stop`` is set. Goes on through ``Temporary`` and ``Refused``, but not without a sign-in."""
    moved = {link.id: asyncio.Event() for link in links}
    jobs = [partial(_keep, sync_once, link, moved[link.id], told, stop) for link in links]
    jobs += [partial(_watch_folder, link, moved[link.id], told, stop) for link in links]
    heads_task = asyncio.create_task(_watch_heads(heads, links, moved, told, stop))
    work = asyncio.create_task(together(jobs))
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([heads_task, work, stopped], return_when=asyncio.FIRST_COMPLETED)
        for event in moved.values():
            event.set()
        if stop.is_set():
            await work  # a pass that has begun comes to its end
        for task in (heads_task, work):
            if task.done():
                await task
    finally:
        await cancelled([heads_task, work, stopped])


async def _keep(sync_once: SyncOnce, link: Link, moved: asyncio.Event, told: Told, stop: asyncio.Event) -> None:
    """Passes over one link, one after the other."""
    failures = 0
    while not stop.is_set():
        moved.clear()
        try:
            summary = await sync_once(link)
        except (Temporary, Refused) as error:
            if isinstance(error, Refused) and error.status == 401:
                raise
            told(error)
            failures = min(failures + 1, FAILURES_COUNTED_MAX)
        else:
            failures = 0 if summary.complete else min(failures + 1, FAILURES_COUNTED_MAX)
            if summary.changes or summary.refused:
                told(summary)
        await _wait(moved, stop, pause_s(failures) if failures else RESCAN_S, at_least_s=bool(failures))


async def _wait(moved: asyncio.Event, stop: asyncio.Event, seconds: float, *, at_least_s: bool) -> None:
    """Until something moved, or so long; the whole time after a failure, so that it is not repeated in a rush."""
    event = stop if at_least_s else moved
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return


async def _watch_folder(link: Link, moved: asyncio.Event, told: Told, stop: asyncio.Event) -> None:
    own = str(Path(link.path) / OWN_FOLDER)

    def is_theirs(_: watchfiles.Change, path: str) -> bool:
        return not path.startswith(own)

    while not stop.is_set():
        blind = True  # what changed while watching began is seen by nobody: one more pass looks for it
        try:
            async for changes in watchfiles.awatch(
                link.path,
                watch_filter=is_theirs,
                debounce=DEBOUNCE_MS,
                stop_event=stop,
                rust_timeout=FIRST_LOOK_MS,
                yield_on_timeout=True,
            ):
                if changes or blind:
                    moved.set()
                blind = False
            return
        except (OSError, RuntimeError) as error:
            told(Temporary(f"{link.path} cannot be watched ({error}); it is looked at every {BLIND_RESCAN_S:.0f} s."))
            await _wait(stop, stop, BLIND_RESCAN_S, at_least_s=True)
            moved.set()


async def _watch_heads(
    heads: AskHeads, links: Sequence[Link], moved: Mapping[str, asyncio.Event], told: Told, stop: asyncio.Event
) -> None:
    """One held request for all libraries."""
    token = ""
    seen: dict[str, str] = {}
    failures = 0
    while not stop.is_set():
        try:
            answer = await heads(token, wait_s=HEADS_WAIT_S if token else 0)
        except (Temporary, Refused) as error:
            if isinstance(error, Refused) and error.status == 401:
                raise
            if not failures:
                told(error)
            failures = min(failures + 1, FAILURES_COUNTED_MAX)
            await asyncio.sleep(pause_s(failures))
            continue
        failures, token = 0, answer.token
        for head in answer.heads:
            if seen.get(head.library) == head.cursor:
                continue
            seen[head.library] = head.cursor
            for link in links:
                if link.library == head.library:
                    moved[link.id].set()
