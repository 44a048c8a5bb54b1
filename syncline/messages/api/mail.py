"""Following by mail, and webhooks."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from syncline.domain.digests import Happened
from syncline.domain.preferences import Every
from syncline.domain.webhooks import URL_CHARACTERS_MAX
from syncline.messages.api.words import Email, Id, Language


class MailTerms(Struct, kw_only=True):
    """How often and of what mail is wanted; null is not said. ``window``: ``immediate``, ``hourly``, or ``daily`` at
    ``hour`` (0 to 23) in the time zone ``zone`` (IANA, as Europe/Berlin)."""

    window: Every | None = None
    hour: Annotated[int, Meta(ge=0, le=23)] | None = None
    zone: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    kinds: Annotated[list[Happened], Meta(min_length=1, max_length=16)] | None = None


class Suppressed(Struct, kw_only=True):
    """Nothing is sent to this address any more: mail to it came back, or was called spam. The owner can lift that."""

    address: str
    reason: str
    since_ms: int


class Follow(Struct, kw_only=True):
    """One followed library, folder or file (``node``; the library's id is its root).

    ``said``: the terms of this follow; ``terms``: those that hold, with what the account's preferences add.
    """

    library: str
    node: str
    path: str = ""
    said: MailTerms
    terms: MailTerms


class Follows(Struct, kw_only=True, omit_defaults=True):
    """``suppressed``: there is no mail at all, and why."""

    follows: list[Follow]
    suppressed: Suppressed | None = None


class MailPreferences(MailTerms, kw_only=True):
    """What an account wants where a follow says nothing; null is the default. ``language``: ``en``, ``de``."""

    language: Language | None = None


class MailSettings(Struct, kw_only=True, omit_defaults=True):
    """Mail to the asker: ``said`` as it was put, ``terms`` with the defaults filled in."""

    address: str
    said: MailPreferences
    terms: MailPreferences
    suppressed: Suppressed | None = None


class NewOutsideFollower(MailTerms, kw_only=True):
    """Invite someone without an account to follow ``node``; they are asked first. ``language``: the asker's."""

    email: Email
    node: Id
    language: Language | None = None


class OutsideFollower(Struct, kw_only=True, omit_defaults=True):
    """``state``: ``invited`` (asked, no mail yet), ``confirmed`` (until ``ends_at``), ``left`` (wants no mail).

    ``nodes``: what they follow; while invited, what they were asked about.
    """

    id: str
    email: str
    state: str
    nodes: list[str]
    invited_by: str
    invited_at_ms: int
    ends_at: int = 0
    suppressed: Suppressed | None = None


class OutsideRules(Struct, kw_only=True):
    """``links``: links in mail to outside followers open files. Without it they read names, not content."""

    links: bool


class OutsideFollowers(Struct, kw_only=True):
    followers: list[OutsideFollower]
    rules: OutsideRules


class NewWebhook(Struct, kw_only=True):
    """``url``: an ``https`` address of the open internet, without user, password and fragment."""

    url: Annotated[str, Meta(min_length=9, max_length=URL_CHARACTERS_MAX)]

    @property
    def host(self) -> str:
        """What the audit log keeps: the rest of such an address is often a secret."""
        return urlsplit(self.url).hostname or "" if self.url.isascii() and "[" not in self.url else ""


class Webhook(Struct, kw_only=True, omit_defaults=True):
    """Told up to ``delivered_seq``. ``problem``: why the last attempt failed; since when they do, ``failing_since_ms``.

    After 24 h of that, or when ``made_by`` is no owner any more, it is disabled for good: remove it, and add it again.
    """

    id: str
    url: str
    made_by: str
    made_at_ms: int
    delivered_seq: int
    failing_since_ms: int = 0
    problem: str = ""
    disabled_at_ms: int = 0


class WebhookMade(Struct, kw_only=True):
    """``secret`` is the key of the signatures, shown this once."""

    webhook: Webhook
    secret: str


class Webhooks(Struct, kw_only=True):
    webhooks: list[Webhook]
