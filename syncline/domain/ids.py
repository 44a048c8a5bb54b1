"""Ids: 100 random bits as 20 lower-case base32 letters and digits, safe in URLs, S3 keys and file names."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterator
from itertools import count

ID_LENGTH = 20
_RANDOM_BYTES = 13
_PATTERN = re.compile(r"[a-z2-7]{20}")

NewId = Callable[[], str]
"""A source of fresh ids: random in production, seeded in tests."""


def id_from_bytes(random_bytes: bytes) -> str:
    """The id made of the first 100 bits of at least 13 random bytes."""
    return base64.b32encode(random_bytes[:_RANDOM_BYTES]).decode().lower()[:ID_LENGTH]


def derived_ids(seed: str) -> Iterator[str]:
    """Ids that follow from a text, without end: the first one is used unless it is taken, and so on."""
    for n in count():
        yield id_from_bytes(hashlib.sha256(f"{seed} {n}".encode()).digest())


def is_id(text: str) -> bool:
    return _PATTERN.fullmatch(text) is not None
