"""Ids: 100 random bits as 20 lower-case base32 letters and digits, safe in URLs, S3 keys and file names."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

ID_LENGTH = 20
_RANDOM_BYTES = 13
_PATTERN = re.compile(r"[a-z2-7]{20}")

NewId = Callable[[], str]
"""A source of fresh ids: random in production, seeded in tests."""


def id_from_bytes(random_bytes: bytes) -> str:
    """The id made of the first 100 bits of at least 13 random bytes."""
    return base64.b32encode(random_bytes[:_RANDOM_BYTES]).decode().lower()[:ID_LENGTH]


def is_id(text: str) -> bool:
    return _PATTERN.fullmatch(text) is not None
