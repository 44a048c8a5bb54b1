"""A daemon's life: one per home, ready when it says so, ended cleanly by ``stop``, SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from syncline import __version__
from syncline.client.api import Api
from syncline.client.daemon.asking import Lost, NoDaemon, ask
from syncline.client.daemon.office import Office
from syncline.client.daemon.place import socket_path
from syncline.client.daemon.server import listening, refusal
from syncline.client.engine import Engine
from syncline.client.home import Home, SavedSession, SessionFile
from syncline.client.logs import log, logging_to, logs_folder
from syncline.domain.errors import Broken, Refused, SynclineError, Temporary
from syncline.otlp import configure_tracing

LOCK = "daemon"
STOP_S_MAX = 60.0
POLL_S = 0.02
OUTPUT_BYTES_MAX = 1024 * 1024
RUNNING_ALREADY = "daemon-running"


def serve(home: Home, *, ready: Callable[[], None]) -> None:
    """Be the daemon of a home, in this process, until it is told to end; ``ready`` is called once it answers.

    Raises ``Refused`` ("not-signed-in"; ``RUNNING_ALREADY``), ``Broken``.
    """
    session = SessionFile(home).load()
    if session is None:
        raise Refused("not-signed-in", "Nobody is signed in here. Run: syncline login EMAIL", status=401)
    try:
        lock = home.locked(LOCK, busy=f"A daemon runs for {home.path} already.")
        lock.__enter__()
    except Refused as refused:
        raise Refused(RUNNING_ALREADY, refused.detail, status=409) from None
    try:
        with logging_to(home):
            asyncio.run(_serve(home, session, ready))
    finally:
        lock.__exit__(None, None, None)


async def _serve(home: Home, session: SavedSession, ready: Callable[[], None]) -> None:
    async with Api(session.server, SessionFile(home)) as api:
        engine = Engine(home, api)
        try:
            office = Office(home, engine, session)
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, office.stop.set)
            async with listening(socket_path(str(home.path), os.environ, make=True), office.answer):
                log.info("started: syncline %s, process %d, %s", __version__, os.getpid(), home.path)
                ready()
                await office.run()
        except SynclineError as error:
            log.error("ended: %s", error)
            raise
        finally:
            engine.close()
    log.info("stopped")


def start(home: Home) -> int:
    """Start a daemon that outlives this process and its terminal; its process id, once it is ready.

    Raises ``Refused`` (as ``serve``), ``Broken`` when it ended before it was ready.
    """
    read, write = os.pipe()
    output = logs_folder(home) / "daemon.out"
    if output.exists() and output.stat().st_size > OUTPUT_BYTES_MAX:
        output.unlink()
    with os.fdopen(read, "rb") as told, output.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "syncline.client.daemon", "--ready-to", str(write)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd="/",
            env=os.environ | {"SYNCLINE_HOME": str(home.path)},
            start_new_session=True,
            pass_fds=[write],
        )
        os.close(write)
        line = told.readline()  # at the latest when the process ends
    if not line:
        raise Broken(f"The daemon ended before it was ready (status {process.wait()}); {output} has more.")
    answer = json.loads(line)
    if "problem" in answer:
        problem = answer["problem"]
        raise Refused(problem["kind"], problem["detail"], status=problem.get("status", 400))
    return process.pid


def main(ready_to: int) -> int:
    """The started process: tells through the pipe ``ready_to`` that it is ready, or why not."""

    def tell(answer: dict[str, Any]) -> None:
        os.write(ready_to, json.dumps(answer).encode() + b"\n")
        os.close(ready_to)

    home = Home.from_environ(os.environ)
    configure_tracing("client", optional=True)
    try:
        serve(home, ready=lambda: tell({"pid": os.getpid()}))
    except SynclineError as error:
        try:
            tell(refusal(error))
        except OSError:
            return 1  # it was ready before; the log has the error
        return 1
    return 0


def stop(home: Home) -> bool:
    """End the daemon of a home and wait until it has ended; False when none runs. Raises ``Temporary``."""
    try:
        ask(str(home.path), {"ask": "stop"})
    except NoDaemon:
        if not is_running(home):
            return False
        raise Temporary(f"A daemon runs for {home.path} but does not answer; it may be starting.") from None
    except Lost:
        pass  # it ended in this moment
    until = time.monotonic() + STOP_S_MAX
    while is_running(home):
        if time.monotonic() > until:
            raise Temporary(f"The daemon has not ended within {STOP_S_MAX:.0f} s.")
        time.sleep(POLL_S)
    return True


def is_running(home: Home) -> bool:
    """Whether a daemon holds the home (it may not answer yet)."""
    try:
        with home.locked(LOCK):
            return False
    except Refused:
        return True


def tell_daemon(home: Home) -> None:
    """Have the daemon, if one runs, take up changed links and settings; it would by itself, a little later."""
    try:
        ask(str(home.path), {"ask": "refresh"})
    except (NoDaemon, Lost):
        return
