"""The letter that asks an outside address whether it wants mail (double opt-in). Nothing else is sent before."""

from __future__ import annotations

import msgspec

from services.notifier.languages import Language
from syncline.domain.digests import harmless


class ConfirmLetter(msgspec.Struct, frozen=True):
    """``who`` invites to follow something; ``link`` leads to a page with one button. Names are harmless lines."""

    language: str
    subject: str
    title: str
    body: str
    button: str
    ignore: str
    link: str


def write_confirmation(language: Language, *, who: str, what: str, link: str, ends_at_ms: int) -> ConfirmLetter:
    who, what = harmless(who) or language.say("somebody"), harmless(what)
    return ConfirmLetter(
        language=language.code,
        subject=language.say("confirm-subject", who=who, what=what),
        title=language.say("confirm-title", what=what),
        body=language.say("confirm-body", who=who, what=what),
        button=language.say("confirm-button"),
        ignore=language.say("confirm-ignore", date=language.date(ends_at_ms)),
        link=link,
    )
