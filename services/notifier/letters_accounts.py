"""Letters about accounts: an invitation, a new password, another address, the end. Words are in ``languages``. Pure."""

from __future__ import annotations

import msgspec

from services.notifier.languages import Language
from syncline.domain.digests import harmless
from syncline.messages.send_letter import Letter


class AccountLetter(msgspec.Struct, frozen=True):
    """``link`` and ``button`` are "" in a letter that only tells. Names in it are harmless lines."""

    language: str
    subject: str
    title: str
    body: str
    ignore: str
    button: str = ""
    link: str = ""


def write_invitation(language: Language, *, who: str, what: str, link: str, ends_at_ms: int) -> AccountLetter:
    """``what`` is the library's name, "" for an invitation to register only."""
    what = harmless(what) or "Syncline"
    return _write(
        language,
        Letter.INVITATION,
        link=link,
        who=harmless(who) or language.say("somebody"),
        what=what,
        date=language.date(ends_at_ms),
    )


def write_follow(language: Language, *, who: str, what: str, link: str, ends_at_ms: int) -> AccountLetter:
    """Asks an outside address whether it wants mail (double opt-in): nothing else is sent there before."""
    who, date = harmless(who) or language.say("somebody"), language.date(ends_at_ms)
    return _write(language, Letter.FOLLOW, link=link, who=who, what=harmless(what), date=date)


def write_reset(language: Language, *, email: str, link: str) -> AccountLetter:
    return _write(language, Letter.PASSWORD_RESET, link=link, email=harmless(email))


def write_address(language: Language, *, new: bool, old_email: str, new_email: str, link: str) -> AccountLetter:
    """``new``: to the new address, else to the old one."""
    kind = Letter.ADDRESS_NEW if new else Letter.ADDRESS_OLD
    return _write(language, kind, link=link, old=harmless(old_email), new=harmless(new_email))


def write_notice(language: Language, kind: Letter, *, email: str) -> AccountLetter:
    """A letter that only tells: "password-changed", "address-changed", "account-removed"."""
    return _write(language, kind, link="", email=harmless(email))


def write_webhook(language: Language, *, library: str, host: str, since_ms: int) -> AccountLetter:
    """To an owner: a webhook of their library is told nothing more."""
    date = language.date(since_ms)
    return _write(language, Letter.WEBHOOK_DISABLED, link="", what=harmless(library), host=harmless(host), date=date)


def _write(language: Language, kind: Letter, *, link: str, **values: str) -> AccountLetter:
    def say(part: str) -> str:
        return language.say(f"{kind.value}-{part}", **values)

    return AccountLetter(
        language=language.code,
        subject=say("subject"),
        title=say("title"),
        body=say("body"),
        ignore=say("ignore"),
        button=say("button") if link else "",
        link=link,
    )
