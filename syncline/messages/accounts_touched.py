"""``AccountsTouched``: gateway → Redis channel ``accounts`` → every syncer. What these accounts may do has changed.

Wire form (msgpack): ``["AccountsTouched", 1, 0, [accounts]]``. Members came or went, or a device was signed out:
requests that are held for these accounts look again. May be lost: held requests look by themselves every ten seconds.
"""

from __future__ import annotations

import msgspec

from syncline.messages.envelope import seal, unseal

NAME = "AccountsTouched"
VERSION = (1, 0)
CHANNEL = "accounts"
ACCOUNTS_MAX = 1_000
"""More are told in several messages."""


class AccountsTouched(msgspec.Struct, frozen=True, array_like=True):
    accounts: tuple[str, ...]


def encode(message: AccountsTouched) -> bytes:
    return seal(NAME, VERSION, message)


def decode(wire: bytes) -> AccountsTouched:
    """Raises ``Unreadable``."""
    return unseal(NAME, VERSION[0], AccountsTouched, wire)
