"""sync, watch."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from functools import partial
from pathlib import Path
from typing import Any

import click
import msgspec

from syncline.client.cli.bars import progress
from syncline.client.cli.calling import Answer, Call, command
from syncline.client.cli.failures import problem_of
from syncline.client.cli.folders import FOLDER, engine_of, folder_text, links_meant, synced_now
from syncline.client.cli.output import json_line, name_text, one_line, time_text
from syncline.client.cli.passes import pass_complaints, pass_notes, pass_text, passes_answer
from syncline.client.cli.quick import through_daemon
from syncline.client.daemon.life import RUNNING_ALREADY, is_running
from syncline.client.engine import Link
from syncline.client.summary import Summary
from syncline.domain.errors import Refused, SynclineError


@command("sync", examples=["syncline sync", "syncline sync ~/Shared"])
@click.argument("folders", metavar="[DIR]...", type=FOLDER, nargs=-1)
@click.option("--allow-removals", is_flag=True, help="Carry out unusually large removals, which are held otherwise.")
async def sync(call: Call, folders: tuple[Path, ...], allow_removals: bool) -> Answer:
    """Bring folders and libraries together, once.

    All linked folders, unless some are named. Ends when what you changed is committed and you have all there was:
    exit code 0; 5 when something was left, which is named. While a daemon runs (syncline start) it does the work, and
    with nothing to do this takes no look at the folders; a paused folder is brought in sync this once.
    """
    asked = through_daemon(
        "sync",
        [str(folder) for folder in folders],
        as_json=call.json,
        quiet=call.quiet,
        server=call.wanted_server,
        allow_removals=allow_removals,
    )
    if asked is not None:
        click.get_current_context().exit(asked)
    told: list[tuple[Link, Summary | SynclineError]] = []
    with progress(call) as bars:
        async with engine_of(call, progress=bars) as (engine, _):
            links = links_meant(engine, folders)
            for link in links:
                try:
                    summary = await engine.sync_once(link, allow_removals=allow_removals)
                except SynclineError as error:
                    if len(links) == 1:
                        raise
                    told.append((link, error))
                else:
                    told.append((link, summary))
                    if not pass_complaints(summary):
                        synced_now(call.home, link)
    return passes_answer(told)


@command("watch", examples=["syncline watch", "syncline watch ~/Shared ~/Photos", "syncline watch --json"])
@click.argument("folders", metavar="[DIR]...", type=FOLDER, nargs=-1)
async def watch(call: Call, folders: tuple[Path, ...]) -> None:
    """Keep folders in sync until stopped.

    All linked folders, unless some are named. What you change is sent within moments, what others change is fetched
    as soon as the server has it. Stop it with Ctrl-C at any time: nothing is left half-written. To have it run all
    the time, without a terminal: syncline start.
    """
    if is_running(call.home):
        detail = "A daemon keeps the folders of this home in sync already. Run: syncline status, or syncline stop"
        raise Refused(RUNNING_ALREADY, detail, status=409)
    with progress(call) as bars:
        async with engine_of(call, progress=bars) as (engine, _):
            links = links_meant(engine, folders)
            for link in links:
                _say(call, f"Watching {folder_text(link)} ({name_text(link.library_name)})", _event("watching", link))
            await engine.watch(links, told=partial(_tell, call), stop=asyncio.Event())


def _tell(call: Call, link: Link, news: Summary | SynclineError) -> None:
    """One pass of ``watch``, in a line or two."""
    if not isinstance(news, Summary):
        problem = problem_of(news)
        if call.json:
            click.echo(json_line({"event": "problem", "at_ms": _now_ms(), "problem": problem}))
        else:
            click.echo(f"{time_text(time.time())}  {one_line(problem['detail'])}", err=True)
        return
    if not pass_complaints(news):
        synced_now(call.home, link)
    lines = [f"{time_text(time.time())}  {folder_text(link)}: {pass_text(news)}"]
    lines += [f"  {one_line(note)}" for note in (*pass_notes(news), *pass_complaints(news))]
    pass_event = dataclasses.asdict(news) | {"skipped": msgspec.to_builtins(news.skipped)}
    _say(call, "\n".join(lines), {"event": "pass", "at_ms": _now_ms(), **pass_event})


def _say(call: Call, text: str, event: dict[str, Any]) -> None:
    if call.json:
        click.echo(json_line(event))
    elif not call.quiet:
        click.echo(text)


def _event(name: str, link: Link) -> dict[str, Any]:
    return {"event": name, "at_ms": _now_ms(), "library": link.library, "path": link.path}


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
