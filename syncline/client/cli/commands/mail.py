"""mail show, set, lift."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from syncline.client.cli.calling import Answer, Call, command, common_options
from syncline.client.cli.commands.terms import terms_options, terms_text
from syncline.client.cli.output import columns, name_text, time_text

if TYPE_CHECKING:
    from syncline.messages.api import MailSettings

LANGUAGES = ["en", "de"]


@click.group("mail")
def mail() -> None:
    """Say how often and of what you want mail."""


mail.params += common_options()


@command("show", examples=["syncline mail show"])
async def show(call: Call) -> Answer:
    """Show what holds for all your mail, and whether it reaches you."""
    async with call.api() as api:
        settings = await api.mail_settings()
    return Answer(settings, _text(settings))


@command(
    "set",
    examples=["syncline mail set --window daily --hour 8 --zone Europe/Berlin", "syncline mail set --language de"],
)
@terms_options
@click.option("--language", type=click.Choice(LANGUAGES), help="The language of mail.")
async def set_(
    call: Call,
    window: str | None,
    hour: int | None,
    zone: str | None,
    kinds: list[str] | None,
    language: str | None,
) -> Answer:
    """Change what holds for all your mail; what you do not name stays.

    A follow with terms of its own (syncline follow) keeps these.
    """
    import msgspec

    from syncline.messages.api import MailPreferences

    named = {"window": window, "hour": hour, "zone": zone, "kinds": kinds, "language": language}
    async with call.api() as api:
        said = msgspec.to_builtins((await api.mail_settings()).said)
        said |= {name: value for name, value in named.items() if value is not None}
        settings = await api.prefer_mail(msgspec.convert(said, MailPreferences))
    return Answer(settings, _text(settings))


@command("lift", examples=["syncline mail lift"])
async def lift(call: Call) -> Answer:
    """Get mail again after it came back from your address, once that works again."""
    async with call.api() as api:
        settings = await api.lift_mail()
    return Answer(settings, _text(settings))


def _text(settings: MailSettings) -> str:
    rows = [
        ("to", settings.address),
        ("window", terms_text(settings.terms)),
        ("language", settings.terms.language or ""),
    ]
    text = columns(rows)
    if settings.suppressed is not None:
        since = time_text(settings.suppressed.since_ms / 1000)
        text += f"\nNo mail since {since}: {name_text(settings.suppressed.reason)}. Then run: syncline mail lift"
    return text


for subcommand in (show, set_, lift):
    mail.add_command(subcommand)
