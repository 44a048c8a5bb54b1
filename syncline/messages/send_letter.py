"""``SendLetter``: gateway, notifier → queue ``letters`` → notifier. A letter to one person about an account.

Wire form (msgpack): ``["SendLetter", 1, 0, [id, kind, to, about, language, not_after]]``. ``kind`` is a ``Letter``;
``to`` the address, "" where ``about`` leads to it; ``about`` a map of references (ids), never a secret: links are
sealed by the notifier. ``language`` is "en" or "de"; others read as "en". After ``not_after`` (Unix s) the letter is
not worth sending any more. A letter may come twice; its ``id`` tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from syncline.messages.envelope import seal, unseal

NAME = "SendLetter"
VERSION = (1, 0)


class Letter(StrEnum):
    """What a letter is about, with the references in its ``about``. "to": the address must be given."""

    INVITATION = "invitation"  # invitation
    PASSWORD_RESET = "password-reset"  # to; whether there is an account is for the notifier to see
    PASSWORD_CHANGED = "password-changed"  # to
    ADDRESS_OLD = "address-old"  # account, change
    ADDRESS_NEW = "address-new"  # account, change
    ADDRESS_CHANGED = "address-changed"  # to (the old address)
    ACCOUNT_REMOVED = "account-removed"  # to
    FOLLOW = "follow"  # library, follower, node: an outside follower is asked whether to get mail
    WEBHOOK_DISABLED = "webhook-disabled"  # to, library, webhook: an owner is told that it is told nothing more


class SendLetter(msgspec.Struct, frozen=True, array_like=True):
    id: str
    kind: str
    to: str
    about: Mapping[str, str]
    language: str
    not_after: int


def encode(message: SendLetter) -> bytes:
    return seal(NAME, VERSION, message)


def decode(wire: bytes) -> SendLetter:
    """Raises ``Unreadable``. ``kind`` may be one that this reader does not know."""
    return unseal(NAME, VERSION[0], SendLetter, wire)
