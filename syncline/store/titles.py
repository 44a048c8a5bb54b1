"""What people type as names of accounts, devices and libraries, and as e-mail addresses."""

from __future__ import annotations

import unicodedata

from syncline.domain.errors import Refused
from syncline.store.people import normal_email

_UNSEEN = ("Cc", "Cs", "Zl", "Zp")  # control characters, lone surrogates, line and paragraph separators


def clean_title(text: str, at: str) -> str:
    """The title trimmed and in NFC. Raises ``Refused("invalid-body")``: such text goes into mail and terminals."""
    title = unicodedata.normalize("NFC", text).strip()
    if not title or any(unicodedata.category(character) in _UNSEEN for character in title):
        raise Refused("invalid-body", "Use visible characters on one line.", status=422, at=at)
    return title


def clean_email(text: str) -> str:
    """The address in the form in which it is stored. Raises ``Refused("invalid-body")``."""
    email = normal_email(text)
    if email.count("@") != 1 or email.startswith("@") or email.endswith("@") or not email.isprintable():
        raise Refused("invalid-body", "This is no e-mail address.", status=422, at="$.email")
    if any(character in ' ,;:<>"()[]\\' for character in email) or len(email.encode()) > 254:
        raise Refused("invalid-body", "This is no e-mail address.", status=422, at="$.email")
    return email
