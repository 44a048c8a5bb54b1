"""What the daemon says of its links: at once, from what it knows, without a look at the folders."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import time
from collections.abc import Sequence
from typing import Any

import click
import msgspec

from syncline.client.cli.exits import Exit, exit_of
from syncline.client.cli.failures import problem_of
from syncline.client.cli.folders import synced_at
from syncline.client.cli.looks import Seen, conflict_paths, look_text
from syncline.client.cli.output import Answer, name_text, size_text, time_text
from syncline.client.cli.passes import left_alone, pass_complaints
from syncline.client.conditions import Condition, Doing
from syncline.client.engine import Engine, Link
from syncline.client.home import Home, SavedSession
from syncline.client.keeping import Keeper
from syncline.client.ledger import Transferred
from syncline.client.progress import Way
from syncline.client.watching import Watching

STATE_TEXT = {
    Doing.STARTING: "starting",
    Doing.SCANNING: "looking for what changed",
    Doing.SYNCING: "syncing",
    Doing.IDLE: "in sync",
    Doing.SETTLING: "something changed; it is sent as soon as it rests",
    Doing.PAUSED: "paused; to go on: syncline resume",
    Doing.WAITING: "waiting",
    Doing.PARTLY: "not all done",
    Doing.HELD: "held back; if it is meant: syncline sync DIR --allow-removals",
    Doing.MISSING: "the folder is not there",
    Doing.REFUSED: "refused",
    Doing.SIGNED_OUT: "not signed in; run: syncline login EMAIL",
    Doing.BROKEN: "broken; the log has more",
}
VERB = {Way.UP: "sending", Way.DOWN: "fetching"}


class Looks:
    """Answers ``status``."""

    def __init__(self, home: Home, engine: Engine, session: SavedSession, watching: Watching) -> None:
        self._home = home
        self._engine = engine
        self._session = session
        self._watching = watching
        self._started_ms = time.time_ns() // 1_000_000
        self._conflicts: dict[str, tuple[int, list[str]]] = {}

    async def status(self, links: Sequence[Link], *, color: bool) -> Answer:
        seen = [await self._look(link) for link in links]
        session = self._session
        texts = [f"{session.email} at {session.server}; the daemon runs since {time_text(self._started_ms / 1000)}"]
        texts += [one.text for one in seen]
        if not seen:
            texts.append("No folder is linked yet. Run: syncline link LIBRARY DIR")
        document = {
            "email": session.email,
            "server": session.server,
            "daemon": {"pid": os.getpid(), "since_ms": self._started_ms},
            "folders": [one.document for one in seen],
        }
        text = "\n\n".join(texts)
        code = max((one.exit for one in seen), default=Exit.OK)
        return Answer(document, text if color else click.unstyle(text), code)

    async def _look(self, link: Link) -> Seen:
        keeper = self._watching.keepers[link.id]
        condition, last = keeper.condition, synced_at(self._home, link)
        conflicts = await self._conflicts_of(link)
        problem = problem_of(keeper.last_error) if keeper.last_error else None
        rows = [
            ("library", f"{name_text(link.library_name)} ({link.library})"),
            ("state", _state_text(condition)),
            ("last in sync", time_text(last) if last else "never"),
        ]
        if keeper.blind:
            rows.append(("watching", f"by looking now and then: {keeper.blind}"))
        rows += [
            (VERB[way], _transfer_text(one)) for way, one in keeper.ledger.ways.items() if _is_under_way(keeper, one)
        ]
        if problem:
            rows.append(("last error", problem["detail"]))
        details = [] if keeper.last is None else [*pass_complaints(keeper.last), *left_alone(keeper.last)]
        idle = condition.doing is Doing.IDLE
        document: dict[str, Any] = {
            "path": link.path,
            "library": link.library,
            "library_name": link.library_name,
            "seq": link.seq,
            "last_in_sync_ms": int(last * 1000) if last else None,
            "conflicts": conflicts,
            "to_send": [] if idle else None,
            "to_fetch": [] if idle else None,
            "skipped": msgspec.to_builtins(keeper.last.skipped) if keeper.last else [],
            "state": condition.doing,
            "state_since_ms": condition.since_ms,
            "detail": condition.detail,
            "retry_at_ms": condition.retry_at_ms or None,
            "watched": not keeper.blind,
            "not_watched_because": keeper.blind,
            "transfers": {way: msgspec.to_builtins(one) for way, one in keeper.ledger.ways.items()},
            "last_pass": _last_pass(keeper),
            "problem": problem,
        }
        code = exit_of(keeper.last_error) if keeper.last_error else Exit.OK
        return Seen(document, look_text(link, rows, details, conflicts), code)

    async def _conflicts_of(self, link: Link) -> list[str]:
        """Found anew only when the library has moved."""
        known = self._conflicts.get(link.id)
        if known is None or known[0] != link.seq:
            found = await asyncio.to_thread(conflict_paths, self._engine, link)
            known = self._conflicts[link.id] = (link.seq, found)
        return known[1]


def _last_pass(keeper: Keeper) -> dict[str, Any] | None:
    if keeper.last is None:
        return None
    return dataclasses.asdict(keeper.last) | {"skipped": msgspec.to_builtins(keeper.last.skipped)}


def _is_under_way(keeper: Keeper, one: Transferred) -> bool:
    return keeper.condition.doing is Doing.SYNCING and one.files > one.files_done


def _transfer_text(one: Transferred) -> str:
    last = f"; last: {name_text(one.last_file)}" if one.last_file else ""
    return f"{one.files_done} of {one.files} files, {size_text(one.bytes_done)} of {size_text(one.bytes)}{last}"


def _state_text(condition: Condition) -> str:
    text = STATE_TEXT[condition.doing]
    if condition.doing is Doing.PAUSED and condition.retry_at_ms:
        return f"paused until {time_text(condition.retry_at_ms / 1000)}; to go on now: syncline resume"
    if condition.detail and condition.doing is not Doing.PAUSED:
        text += f" ({condition.detail})"
    if condition.retry_at_ms:
        seconds = max(0, condition.retry_at_ms / 1000 - time.time())
        text += f"; tried again in {seconds:.0f} s"
    return text
