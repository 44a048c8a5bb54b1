"""What every command shares: the common options, the examples in its help, and how it is run."""

from __future__ import annotations

import inspect
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import click

from syncline.client.cli.exits import Exit
from syncline.client.cli.output import Answer, show
from syncline.domain.errors import Refused
from syncline.ports import tracing

if TYPE_CHECKING:
    from syncline.client.api import Api
    from syncline.client.home import Home, SavedSession, SessionFile

T = TypeVar("T")

SERVER_VARIABLE = "SYNCLINE_SERVER"
LONG_RUNNING = ("start", "watch")
"""Of these each pass is a trace of its own."""
LOCAL_HOSTS = ("localhost", "127.", "[::1]")


class Terminated(Exception):
    """The process was told to end (SIGTERM)."""


@dataclass
class Call:
    """One call of the command: its common options, and the client it speaks for."""

    json: bool = False
    quiet: bool = False
    server: str = ""

    @cached_property
    def home(self) -> Home:
        from syncline.client.home import Home

        return Home.from_environ(os.environ)

    @property
    def sessions(self) -> SessionFile:
        from syncline.client.home import SessionFile

        return SessionFile(self.home)

    @property
    def wanted_server(self) -> str:
        """The server asked for by --server or SYNCLINE_SERVER, or ""."""
        return server_address(self.server or os.environ.get(SERVER_VARIABLE, ""))

    def session(self) -> SavedSession:
        """Who is signed in. Raises ``Refused("not-signed-in")``, also when it is at another server than asked for."""
        session = self.sessions.load()
        if session is None:
            raise Refused("not-signed-in", "Nobody is signed in here. Run: syncline login EMAIL", status=401)
        check_server(session, self.wanted_server)
        return session

    @asynccontextmanager
    async def api(self) -> AsyncIterator[Api]:
        """The service, as the account that is signed in. Raises ``Refused("not-signed-in")``."""
        from syncline.client.api import Api

        async with Api(self.session().server, self.sessions) as api:
            yield api


def check_server(session: SavedSession, wanted: str) -> None:
    """Raises ``Refused("not-signed-in")`` when the session is at another server than ``wanted`` ("": any)."""
    if server_address(wanted) not in ("", session.server):
        detail = f"{session.email} is signed in at {session.server}, not at {server_address(wanted)}."
        raise Refused("not-signed-in", detail, status=401)


def server_address(text: str) -> str:
    """A server's address with its scheme: https unless it is this machine or says otherwise."""
    text = text.strip().rstrip("/")
    if not text or "://" in text:
        return text
    return ("http://" if text.startswith(LOCAL_HOSTS) else "https://") + text


class Teaching(click.Command):
    """A command whose help ends with examples."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **attrs: Any) -> None:
        super().__init__(*args, **attrs)
        self.examples = tuple(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Examples" if len(self.examples) > 1 else "Example"):
            for example in self.examples:
                formatter.write(" " * formatter.current_indent + example + "\n")


def command(name: str, *, examples: Sequence[str]) -> Callable[[Callable[..., Any]], Teaching]:
    """Make a function of (call, parameters…) a command. It answers an ``Answer`` or None, at once or as a coroutine."""

    def made(function: Callable[..., Any]) -> Teaching:
        def invoke(**parameters: Any) -> None:
            context = click.get_current_context()
            call = context.ensure_object(Call)
            answer = function(call, **parameters)
            if inspect.iscoroutine(answer):
                answer = run(answer if name in LONG_RUNNING else _traced(name, answer))
            if isinstance(answer, Answer):
                show(answer, json=call.json, quiet=call.quiet)
                context.exit(answer.exit)

        invoke.__doc__ = function.__doc__
        invoke.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
        teaching = click.command(name, cls=Teaching, examples=examples)(invoke)
        teaching.params += common_options()
        return teaching

    return made


async def _traced(name: str, main: Coroutine[Any, Any, T]) -> T:
    with tracing.span(f"syncline {name}"):
        return await main


def common_options() -> list[click.Parameter]:
    """--server, --quiet and --json: understood before and after a command's name."""

    def keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
        if value and parameter.name is not None:
            setattr(context.ensure_object(Call), parameter.name, value)

    shared: dict[str, Any] = {"expose_value": False, "callback": keep}
    json, quiet = (
        "Answer with one JSON document; errors are JSON on stderr.",
        "No progress, and no word if all went well.",
    )
    server = f"The server's address (or {SERVER_VARIABLE}); login remembers it."
    return [
        click.Option(["--json"], is_flag=True, help=json, **shared),
        click.Option(["--quiet", "-q"], is_flag=True, help=quiet, **shared),
        click.Option(["--server"], metavar="URL", help=server, **shared),
    ]


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end. Ctrl-C and SIGTERM cancel it, so that it can clear up, and raise
    ``KeyboardInterrupt`` and ``Terminated``."""
    import asyncio  # not needed for --help

    terminated = False

    async def guarded() -> T:
        task = asyncio.current_task()
        assert task is not None

        def terminate() -> None:
            nonlocal terminated
            terminated = True
            task.cancel()

        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminate)
        return await main

    try:
        return asyncio.run(guarded())
    except asyncio.CancelledError:
        if terminated:
            raise Terminated from None
        raise


__all__ = [
    "Answer",
    "Call",
    "Exit",
    "Teaching",
    "Terminated",
    "check_server",
    "command",
    "common_options",
    "run",
    "server_address",
]
