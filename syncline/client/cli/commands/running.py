"""start, stop."""

from __future__ import annotations

import os

import click
import msgspec

from syncline.client.cli.calling import Answer, Call, command
from syncline.client.daemon import life
from syncline.client.logs import logs_folder
from syncline.client.settings import DEBOUNCE_MS, DEBOUNCE_MS_MAX, SettingsFile
from syncline.domain.errors import Refused


@command("start", examples=["syncline start", "syncline start --foreground", "syncline start --debounce 2000"])
@click.option("--foreground", is_flag=True, help="Stay in this terminal or service; end with Ctrl-C or SIGTERM.")
@click.option(
    "--debounce",
    metavar="MS",
    type=click.IntRange(0, DEBOUNCE_MS_MAX),
    help=f"Let changes rest so long before they are sent (at first {DEBOUNCE_MS}); remembered, for watch too.",
)
def start(call: Call, foreground: bool, debounce: int | None) -> Answer | None:
    """Keep all linked folders in sync from now on, in the background.

    One daemon for each SYNCLINE_HOME; it outlives the terminal and takes up folders that are linked later. Answers when
    the daemon is ready. syncline status shows what it does, syncline stop ends it. To have it started whenever you log
    in: syncline service install.
    """
    call.session()
    if debounce is not None:
        SettingsFile(call.home).change(lambda was: msgspec.structs.replace(was, debounce_ms=debounce))
        life.tell_daemon(call.home)
    logs = logs_folder(call.home)
    try:
        if foreground:
            life.serve(call.home, ready=lambda: click.echo(f"The daemon runs (process {os.getpid()})."))
            return None
        process = life.start(call.home)
    except Refused as refused:
        if refused.kind != life.RUNNING_ALREADY:
            raise
        return Answer({"started": False, "running": True}, "The daemon runs already.", chatty=True)
    text = f"The daemon runs (process {process}); its log is in {logs}. Now: syncline status"
    return Answer({"started": True, "running": True, "pid": process}, text, chatty=True)


@command("stop", examples=["syncline stop"])
def stop(call: Call) -> Answer:
    """End the daemon.

    Answers when it has ended: transfers that are under way get a few seconds to come to their end; what is not done
    then is taken up where it was by the next start.
    """
    if life.stop(call.home):
        return Answer({"stopped": True}, "The daemon has ended.", chatty=True)
    return Answer({"stopped": False}, "No daemon runs.", chatty=True)
