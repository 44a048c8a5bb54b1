"""Capabilities: signed links in mail that let their holder do one thing until they end, without signing in.

Wire form: base64url without padding of msgpack ``[key id, body, mac]``. ``body`` is the msgpack array of one of the
structs below, its tag first; ``mac`` is HMAC-SHA256 over a prefix of its own (so that no other signature of ours can
pass for one) and the body. The first key signs, all keys verify, so keys can be rotated without breaking old mail.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import Protocol

import msgspec

from syncline.domain.errors import Broken, Refused

FILE_LINK_LIFE_S = 7 * 24 * 3600
"""How long a link to a file in a mail leads somewhere."""

UNSUBSCRIBE_LIFE_S = 400 * 24 * 3600
"""How long a mail can be unsubscribed from; RFC 8058 and the laws ask for weeks, people keep mail for years."""

RESET_LIFE_S = 3600
"""How long a link to a new password works."""

ADDRESS_LIFE_S = 24 * 3600
"""How long a change of address waits for its confirmations."""

INVITATION_LIFE_S = 14 * 24 * 3600
"""How long an invitation to a library can be accepted."""

CONFIRM_LIFE_S = 14 * 24 * 3600
"""How long someone without an account may take to confirm that they want mail."""

RENEW_LIFE_S = 60 * 24 * 3600
"""How long the link that keeps an outside follower's mail coming works."""

MAX_TOKEN_LENGTH = 512
_PREFIX = b"syncline-capability-1\0"


class SigningKey(Protocol):
    """One of an ordered list of keys. ``secret`` has at least 16 bytes."""

    @property
    def id(self) -> str: ...

    @property
    def secret(self) -> bytes: ...


class UnsubscribeCapability(msgspec.Struct, frozen=True, array_like=True, tag="unsubscribe"):
    """May end every follow of ``account`` in ``library`` until ``ends_at`` (Unix s)."""

    account: str
    library: str
    ends_at: int


class FileCapability(msgspec.Struct, frozen=True, array_like=True, tag="file"):
    """May ask for the file ``node`` as ``account`` until ``ends_at`` (Unix s); its rights are checked then."""

    account: str
    library: str
    node: str
    ends_at: int


class ResetCapability(msgspec.Struct, frozen=True, array_like=True, tag="reset"):
    """May set a new password of ``account`` until ``ends_at`` (Unix s), once.

    ``stamp`` is ``account_stamp`` when the mail was written: it fits no more once a password was set or the address
    changed, so nothing has to be stored for a link to work only once.
    """

    account: str
    stamp: str
    ends_at: int


class AddressCapability(msgspec.Struct, frozen=True, array_like=True, tag="address"):
    """May confirm one side (``new``: the new address, else the old one) of an account's change of address."""

    account: str
    change: str
    new: bool
    ends_at: int


class InvitationCapability(msgspec.Struct, frozen=True, array_like=True, tag="invitation"):
    """May accept the invitation, as whom it was sent to."""

    invitation: str
    ends_at: int


class FollowCapability(msgspec.Struct, frozen=True, array_like=True, tag="follow"):
    """May confirm, as the address it was sent to, that ``follower`` (an outside follower) wants mail about ``node``."""

    follower: str
    library: str
    node: str
    ends_at: int


Capability = (
    UnsubscribeCapability
    | FileCapability
    | ResetCapability
    | AddressCapability
    | InvitationCapability
    | FollowCapability
)


def account_stamp(account: str, email: str, epoch: int) -> str:
    """Stands for what an account is now; another one after every new password and every change of address."""
    return hashlib.sha256(f"{account}\0{email}\0{epoch}".encode()).hexdigest()[:24]


class _Sealed(msgspec.Struct, frozen=True, array_like=True):
    key: str
    body: bytes
    mac: bytes


_seals = msgspec.msgpack.Decoder(_Sealed)
_bodies: msgspec.msgpack.Decoder[Capability] = msgspec.msgpack.Decoder(Capability)


def seal_capability(capability: Capability, keys: Sequence[SigningKey]) -> str:
    """The token that goes into a link: ASCII letters, digits, ``-`` and ``_``. Raises ``Broken`` without a key."""
    if not keys:
        raise Broken("there is no key to sign links with; give at least one in link_keys")
    body = msgspec.msgpack.encode(capability)
    sealed = _Sealed(keys[0].id, body, _mac(keys[0].secret, body))
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(sealed)).decode().rstrip("=")


def open_capability(token: str, keys: Sequence[SigningKey], *, now_s: int) -> Capability:
    """What a token allows.

    Raises ``Refused("bad-link")`` (404) for anything that none of the keys signed, and ``Refused("link-expired")``
    (410) after its end.
    """
    sealed = _unseal(token)
    secret = next((key.secret for key in keys if key.id == sealed.key), None)
    if secret is None or not hmac.compare_digest(_mac(secret, sealed.body), sealed.mac):
        raise _bad_link()
    try:
        capability = _bodies.decode(sealed.body)
    except msgspec.DecodeError:
        raise _bad_link() from None
    if now_s >= capability.ends_at:
        raise Refused("link-expired", "This link has expired; ask in Syncline for what it led to.", status=410)
    return capability


def _unseal(token: str) -> _Sealed:
    if len(token) > MAX_TOKEN_LENGTH:
        raise _bad_link()
    try:
        wire = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        # One token has one spelling: bits that base64 would ignore must be zero.
        if base64.urlsafe_b64encode(wire).decode().rstrip("=") != token:
            raise _bad_link()
        return _seals.decode(wire)
    except (msgspec.DecodeError, binascii.Error, ValueError):
        raise _bad_link() from None


def _mac(secret: bytes, body: bytes) -> bytes:
    return hmac.new(secret, _PREFIX + body, hashlib.sha256).digest()


def _bad_link() -> Refused:
    return Refused("bad-link", "This link is not complete or not one of ours; open it from the mail again.", status=404)
