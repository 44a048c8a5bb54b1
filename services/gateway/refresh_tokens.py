"""Refresh tokens: ``{device}.{256 random bits}.{mac}``, stored only as SHA-256.

The mac lets us tell an old token of ours, used again, from a guess: only the former signs its device out. Otherwise
whoever knows a device's id (other members see it on versions) could do so.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Sequence

from syncline.domain.capabilities import SigningKey
from syncline.domain.ids import is_id

RANDOM_BYTES = 32
RandomBytes = Callable[[int], bytes]
_CONTEXT = b"syncline refresh token 1\0"


def make_refresh_token(device: str, keys: Sequence[SigningKey], random_bytes: RandomBytes) -> str:
    """A new token; the first key signs."""
    body = f"{device}.{_text(random_bytes(RANDOM_BYTES))}"
    return f"{body}.{_mac(keys[0], body)}"


def hash_refresh_token(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def device_of(token: str) -> str | None:
    """The device a token speaks of, whoever made it."""
    device, _, _ = token.partition(".")
    return device if is_id(device) else None


def is_genuine(token: str, keys: Sequence[SigningKey]) -> bool:
    """Whether one of the keys signed this token."""
    body, _, mac = token.rpartition(".")
    return any(hmac.compare_digest(_mac(key, body).encode(), mac.encode()) for key in keys)


def _mac(key: SigningKey, body: str) -> str:
    return _text(hmac.digest(key.secret, _CONTEXT + body.encode(), "sha256"))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
