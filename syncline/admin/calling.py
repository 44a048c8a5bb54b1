"""What every command of the operator's shares: ``--json``, the stack it works on, examples in its help.

A group of commands is a module in ``syncline/admin/commands`` and a line in ``syncline/admin/app.py``::

    @command("depth", examples=["syncline-admin queues depth"])
    async def depth(call: Call) -> Answer:
        \"\"\"Say how many messages wait.\"\"\"
        async with call.ports() as ports:
            ...
        return Answer({"commits": 3}, "commits  3")
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import click

from syncline.admin.answers import Answer, Exit, require_yes, show
from syncline.admin.ports import OpenPorts, Ports
from syncline.client.cli.calling import Teaching, run
from syncline.domain.errors import Broken

Command = Callable[..., Coroutine[Any, Any, Answer]]


@dataclass
class Call:
    """One call of the command."""

    open_ports: OpenPorts | None = None
    json: bool = False

    def ports(self) -> AbstractAsyncContextManager[Ports]:
        """The stack that the environment names. Raises ``Broken`` where a variable is missing."""
        if self.open_ports is None:
            raise Broken("No stack was given to work on")
        return self.open_ports()


def command(name: str, *, examples: Sequence[str]) -> Callable[[Command], Teaching]:
    """Make a coroutine function of (call, parameters…) a command that shows its ``Answer``."""

    def made(function: Command) -> Teaching:
        def invoke(**parameters: Any) -> None:
            context = click.get_current_context()
            call = context.ensure_object(Call)
            answer = run(function(call, **parameters))
            show(answer, json=call.json)
            context.exit(answer.exit)

        invoke.__doc__ = function.__doc__
        invoke.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
        teaching = click.command(name, cls=Teaching, examples=examples)(invoke)
        teaching.params.append(json_option())
        return teaching

    return made


def group(name: str, about: str, commands: Sequence[click.Command]) -> click.Group:
    """Commands under one name; ``about`` is its help."""
    made = click.Group(name, help=about, commands=commands)
    made.params.append(json_option())
    return made


def json_option() -> click.Option:
    """``--json``: understood before and after a command's name."""

    def keep(context: click.Context, _: click.Parameter, value: bool) -> None:
        if value:
            context.ensure_object(Call).json = True

    about = "Answer with one JSON document; errors are JSON on stderr."
    return click.Option(["--json"], is_flag=True, expose_value=False, callback=keep, help=about)


yes_option = click.option("--yes", is_flag=True, help="Do it although it loses or replaces data.")
"""For commands that call ``require_yes``."""

__all__ = ["Answer", "Call", "Exit", "command", "group", "json_option", "require_yes", "yes_option"]
