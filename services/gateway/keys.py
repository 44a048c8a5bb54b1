"""Idempotency keys: which body a key came with first.

Rows in the table ``outcomes``: ``pk = key#{command}``, ``sk = key``, ``body`` (SHA-256 of what was asked),
``expires_at``. The command's id follows from device and key, so a repeated request is the same command.
"""

from __future__ import annotations

import hashlib

from syncline.domain.errors import ConditionFailed, Refused
from syncline.domain.ids import id_from_bytes
from syncline.ports.tables import Absent, Key, Put, Row, Table, Tables
from syncline.store.journal import OUTCOME_KEPT_S

KEY_CHARACTERS_MAX = 255


def command_of(device: str, key: str) -> str:
    return id_from_bytes(hashlib.sha256(f"{device}\0{key}".encode()).digest())


def clean_key(text: str) -> str:
    """Raises ``Refused("invalid-header")`` (422)."""
    if not (0 < len(text) <= KEY_CHARACTERS_MAX and text.isascii() and text.isprintable()):
        detail = f"An Idempotency-Key has 1 to {KEY_CHARACTERS_MAX} visible ASCII characters."
        raise Refused("invalid-header", detail, status=422, at="Idempotency-Key")
    return text


class IdempotencyKeys:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def is_new(self, command: str, fingerprint: bytes, now_ms: int) -> bool:
        """Whether this is the command's first time. Raises ``Refused("idempotency-key-reused")`` (422) when it came
        with another body before. One write, and one read on a repeat."""
        key = Key(f"key#{command}", "key")
        expires_at = now_ms // 1000 + OUTCOME_KEPT_S
        row: Row = {"pk": key.pk, "sk": key.sk, "body": fingerprint, "expires_at": expires_at}
        try:
            await self._tables.write(Put(Table.OUTCOMES, row, Absent()))
        except ConditionFailed:
            known = await self._tables.get(Table.OUTCOMES, key)
            if known is not None and known["body"] != fingerprint:
                detail = "This Idempotency-Key came with another request before; use a fresh one."
                raise Refused("idempotency-key-reused", detail, status=422) from None
            return False
        return True
