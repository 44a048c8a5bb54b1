"""Message bodies as text: SQS and SNS carry no bytes.

Ours travel as ``base64:`` and the base64 of the bytes, up to 342 KiB of the 1 MiB that SQS takes. What S3 puts on a
queue is JSON text and comes out as its UTF-8 bytes.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

OURS = "base64:"


def to_text(body: bytes) -> str:
    return OURS + base64.b64encode(body).decode()


def from_text(text: str) -> bytes:
    if text.startswith(OURS):
        try:
            return base64.b64decode(text[len(OURS) :], validate=True)
        except (binascii.Error, ValueError):
            pass  # Not ours after all: its reader sets it aside for what it is.
    return text.encode()


def with_attributes(attributes: Mapping[str, str]) -> dict[str, Any]:
    """What adds text attributes to a message for SQS or SNS; an empty one is left out."""
    texts = {name: {"DataType": "String", "StringValue": text} for name, text in attributes.items() if text}
    return {"MessageAttributes": texts} if texts else {}
