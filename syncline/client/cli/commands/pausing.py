"""pause, resume, limit."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click
import msgspec

from syncline.client.cli.calling import Answer, Call, command
from syncline.client.cli.folders import FOLDER, folder_text
from syncline.client.cli.output import columns, size_text, time_text
from syncline.client.cli.spans import clock_text, minutes_of, seconds_of, speed_of
from syncline.client.daemon.life import tell_daemon
from syncline.client.engine import link_of
from syncline.client.index import Index, Link
from syncline.client.settings import ALL_LINKS, FOR_EVER, WINDOWS_MAX, Limits, Settings, SettingsFile, Window
from syncline.domain.errors import Refused


@command("pause", examples=["syncline pause", "syncline pause ~/Shared --for 2h"])
@click.argument("folders", metavar="[DIR]...", type=FOLDER, nargs=-1)
@click.option("--for", "length", metavar="TIME", help="Go on by itself after 30m, 2h, 1d.")
def pause(call: Call, folders: tuple[Path, ...], length: str | None) -> Answer:
    """Leave folders alone for a while.

    All linked folders, unless some are named. Holds for the daemon and syncline watch, and over their restarts, until
    syncline resume or the end of the time. syncline sync DIR brings a paused folder in sync once.
    """
    until_ms = int((time.time() + seconds_of(length)) * 1000) if length else FOR_EVER
    links = _links(call, folders)
    names = [link.id for link in links] or [ALL_LINKS]

    def paused(settings: Settings) -> Settings:
        return msgspec.structs.replace(settings, pauses=settings.pauses | dict.fromkeys(names, until_ms))

    SettingsFile(call.home).change(paused)
    tell_daemon(call.home)
    until = f"until {time_text(until_ms / 1000)}" if length else "until you say: syncline resume"
    document = {"paused": [link.path for link in links] or "all", "until_ms": until_ms or None}
    return Answer(document, f"{_named(links)} paused {until}.", chatty=True)


@command("resume", examples=["syncline resume", "syncline resume ~/Shared"])
@click.argument("folders", metavar="[DIR]...", type=FOLDER, nargs=-1)
def resume(call: Call, folders: tuple[Path, ...]) -> Answer:
    """Go on with folders that were paused.

    Without a folder, all pauses end.
    """
    links = _links(call, folders)

    def resumed(settings: Settings) -> Settings:
        if ALL_LINKS in settings.pauses and links:
            detail = (
                "All folders are paused together. Run: syncline resume, then syncline pause for those to be left alone"
            )
            raise Refused("all-paused", detail, status=409)
        kept = {
            name: until for name, until in settings.pauses.items() if links and name not in {one.id for one in links}
        }
        return msgspec.structs.replace(settings, pauses=kept)

    SettingsFile(call.home).change(resumed)
    tell_daemon(call.home)
    verb = "goes" if len(links) == 1 else "go"
    shown = folder_text(links[0]) if len(links) == 1 else _all_or(links)
    return Answer({"resumed": [link.path for link in links] or "all"}, f"{shown} {verb} on.", chatty=True)


@command(
    "limit",
    examples=[
        "syncline limit",
        "syncline limit --up 1M --down 0",
        "syncline limit --up 200K --down 1M --between 08:00-18:00",
        "syncline limit --clear",
    ],
)
@click.option("--up", metavar="SPEED", help="Bytes a second that may be sent: 500K, 1M; 0 for no limit.")
@click.option("--down", metavar="SPEED", help="Bytes a second that may be fetched.")
@click.option("--between", metavar="HH:MM-HH:MM", help="Only at this time of the day; may be given for several.")
@click.option("--clear", is_flag=True, help="No limits at any time (or, with --between, none of its own at that time).")
def limit(call: Call, up: str | None, down: str | None, between: str | None, clear: bool) -> Answer:
    """Show or set how fast bytes may go.

    Holds for the daemon, watch, sync, put and get, each process by itself, and at once. What is not named stays as it
    is. At a time of the day that was named with --between its limits hold, at all others the general ones.
    """
    file = SettingsFile(call.home)
    settings = file.load()
    if up is not None or down is not None or clear:
        change = partial(
            _limited,
            up=None if up is None else speed_of(up),
            down=None if down is None else speed_of(down),
            between=minutes_of(between) if between else None,
            clear=clear,
        )
        settings = file.change(lambda was: msgspec.structs.replace(was, limits=change(was.limits)))
        tell_daemon(call.home)
    elif between:
        raise click.UsageError("--between needs --up, --down or --clear")
    limits = settings.limits
    rows = [(f"{clock_text(one.from_minute)}-{clock_text(one.to_minute)}", *_speeds(one)) for one in limits.windows]
    rows.append(("otherwise" if limits.windows else "always", *_speeds(limits)))
    return Answer(msgspec.to_builtins(limits), columns(rows, header=("WHEN", "UP", "DOWN")))


def _limited(
    limits: Limits, *, up: int | None, down: int | None, between: tuple[int, int] | None, clear: bool
) -> Limits:
    """The limits with these changed."""
    if between is None:
        if clear:
            return Limits()
        return msgspec.structs.replace(
            limits, up=limits.up if up is None else up, down=limits.down if down is None else down
        )
    others = [one for one in limits.windows if (one.from_minute, one.to_minute) != between]
    was = next((one for one in limits.windows if one not in others), Window(*between, limits.up, limits.down))
    if clear:
        return msgspec.structs.replace(limits, windows=tuple(others))
    if len(others) >= WINDOWS_MAX:
        raise Refused("too-many-windows", f"There are {WINDOWS_MAX} times of the day already; --clear some.")
    window = Window(*between, was.up if up is None else up, was.down if down is None else down)
    # The newest first: of times that overlap it is the one that was meant.
    return msgspec.structs.replace(limits, windows=(window, *others))


def _speeds(limits: Limits | Window) -> tuple[str, str]:
    up, down = (f"{size_text(speed)}/s" if speed else "no limit" for speed in (limits.up, limits.down))
    return up, down


def _links(call: Call, folders: Sequence[Path]) -> list[Link]:
    """The links of these folders; none for none. Raises ``Refused("not-linked")``."""
    if not folders:
        return []
    index = Index(call.home.index_path)
    try:
        return [link_of(index.links(), folder) for folder in folders]
    finally:
        index.close()


def _named(links: Sequence[Link]) -> str:
    return f"{folder_text(links[0])} is" if len(links) == 1 else f"{_all_or(links)} are"


def _all_or(links: Sequence[Link]) -> str:
    return f"{len(links)} folders" if links else "All folders"
