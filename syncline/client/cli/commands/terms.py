"""The options that say how often and of what mail is wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from syncline.messages.api import MailTerms

WINDOWS = ["immediate", "hourly", "daily"]
KINDS = ["added", "updated", "moved", "removed", "members"]
F = TypeVar("F", bound=Callable[..., Any])


class KindsType(click.ParamType[list[str]]):
    """Kinds of change between commas."""

    name = "KIND,…"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        if isinstance(value, list):
            return value
        kinds = [kind.strip() for kind in str(value).split(",") if kind.strip()]
        if not kinds or any(kind not in KINDS for kind in kinds):
            self.fail(f"{value!r} is not among {', '.join(KINDS)}; write several with commas", param, ctx)
        return kinds


def terms_options(function: F) -> F:
    """--window, --hour, --zone and --kinds."""
    options = (
        click.option("--window", type=click.Choice(WINDOWS), help="How long changes are gathered into one mail."),
        click.option("--hour", type=click.IntRange(0, 23), help="When daily mail comes."),
        click.option("--zone", help="The time zone of --hour, such as Europe/Berlin."),
        click.option("--kinds", type=KindsType(), help=f"Only these: {','.join(KINDS)}."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def terms_text(terms: MailTerms) -> str:
    """``daily at 8:00 Europe/Berlin; added, removed``."""
    window = terms.window.value if terms.window else ""
    when = f"daily at {terms.hour}:00 {terms.zone}" if window == "daily" else window
    kinds = [kind.value for kind in terms.kinds or ()]
    return f"{when}; {', '.join(kinds)}" if 0 < len(kinds) < len(KINDS) else when
