"""Lays a letter out: text, HTML and the headers that mail programs act on."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.errors import HeaderParseError, MessageDefect
from email.headerregistry import Address, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from pathlib import Path
from typing import Any, cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from services.notifier.letters import Letter
from services.notifier.letters_accounts import AccountLetter
from syncline.domain.digests import harmless
from syncline.domain.errors import Broken, Refused

SENDER_NAME = "Syncline"
_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9-]+")
_TOKEN_CHARACTERS = re.compile(r"[\x21-\x7e]+")


class _WholeHeader(UnstructuredHeader):
    """A header of machine-read addresses, never folded: mail programs take a folded or encoded URL for no URL."""

    def fold(self: Any, *, policy: Any) -> str:
        return f"{self.name}: {self}{policy.linesep}"


_headers = HeaderRegistry()
for _name in ("List-Unsubscribe", "List-Id", "References", "In-Reply-To"):
    _headers.map_to_type(_name, cast(Any, _WholeHeader))
_POLICY = SMTP.clone(header_factory=_headers)


class Renderer:
    """Makes messages from letters. ``mail_from`` and ``reply_to`` are addresses, with or without a name; without
    ``reply_to`` answers go to the sender.

    Raises ``Broken`` when one is no address.
    """

    def __init__(self, mail_from: str, *, reply_to: str = "") -> None:
        self._sender = _own_address(mail_from, SENDER_NAME)
        self._reply_to = _own_address(reply_to, "") if reply_to else None
        # Autoescape for HTML only: text shows names as they are.
        self._templates = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=lambda name: bool(name and name.endswith(".html.j2")),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )

    def message(
        self,
        letter: Letter,
        *,
        to_name: str,
        to: str,
        library: str,
        account: str,
        first: int,
        now_ms: int,
        lane: str = "",
    ) -> EmailMessage:
        """The mail of one window.

        Its Message-ID is the window's (SES puts one of its own in its place); ``References`` name the follower's and
        the library's thread, which holds mails together all the same.

        Raises ``Refused("mail-rejected")`` for an address that no mail can be sent to.
        """
        domain = self._sender.domain
        thread = f"<{library}.{account}@{domain}>"
        name = ".".join([str(first), *([_NOT_IN_IDS.sub("-", lane)] if lane else []), library, account])
        message = self._addressed(to_name, to, letter.subject, now_ms)
        message["Message-ID"] = f"<{name}@{domain}>"
        message["In-Reply-To"] = thread
        message["References"] = thread
        message["List-Id"] = f"<{library}.{domain}>"
        message["List-Unsubscribe"] = f"<{_one_token(letter.unsubscribe)}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        message.set_content(self.text(letter))
        message.add_alternative(self.html(letter), subtype="html")
        return message

    def about_account(self, letter: AccountLetter, *, to: str, name: str, now_ms: int) -> EmailMessage:
        """A letter about an account; ``name`` names it in its Message-ID.

        Raises ``Refused("mail-rejected")`` for an address that no mail can be sent to.
        """
        message = self._addressed("", to, letter.subject, now_ms)
        message["Message-ID"] = f"<{name}@{self._sender.domain}>"
        message.set_content(self._templates.get_template("account.txt.j2").render(letter=letter))
        html = self._templates.get_template("account.html.j2").render(letter=letter)
        message.add_alternative(html, subtype="html")
        return message

    def _addressed(self, to_name: str, to: str, subject: str, now_ms: int) -> EmailMessage:
        message = EmailMessage(policy=_POLICY)
        message["From"] = self._sender
        if self._reply_to is not None:
            message["Reply-To"] = self._reply_to
        message["To"] = recipient(to_name, to)
        message["Subject"] = subject
        message["Date"] = format_datetime(datetime.fromtimestamp(now_ms // 1000, UTC))
        message["Auto-Submitted"] = "auto-generated"
        return message

    def text(self, letter: Letter) -> str:
        return self._templates.get_template("digest.txt.j2").render(letter=letter)

    def html(self, letter: Letter) -> str:
        return self._templates.get_template("digest.html.j2").render(letter=letter)


def _own_address(text: str, name_default: str) -> Address:
    name, address = parseaddr(text)
    try:
        own = Address(name or name_default, addr_spec=address)
    except (HeaderParseError, MessageDefect, ValueError, IndexError):
        raise Broken(f"Mail cannot be sent from {text!r}: that is no address") from None
    if not own.domain:
        raise Broken(f"Mail cannot be sent from {text!r}: that is no address")
    return own


def recipient(name: str, address: str) -> Address:
    """An address as it goes into ``To``: the domain in ASCII. Raises ``Refused("mail-rejected")``."""
    local, _, domain = address.rpartition("@")
    try:
        return Address(harmless(name), addr_spec=f"{local}@{domain.encode('idna').decode()}".encode("ascii").decode())
    except (HeaderParseError, MessageDefect, ValueError, IndexError):
        raise Refused("mail-rejected", f"No mail can be sent to {harmless(address)}: that is no address.") from None


def _one_token(url: str) -> str:
    if not _TOKEN_CHARACTERS.fullmatch(url) or "<" in url or ">" in url:
        raise Broken(f"The address {url!r} does not fit into a header; check SYNCLINE_PUBLIC_URL")
    return url
