"""``LibraryMoved``: metadata → topic ``changes`` → queues ``sync`` and ``notify``; also syncer → Redis wake-ups.

Wire form (msgpack): ``["LibraryMoved", 1, 1, [library, seq, incarnation, at_ms, trace]]``. A reference: the journal
has the data. Since 1.1: ``at_ms`` is when the commit ``seq`` was made (0: not known), ``trace`` the context
(``traceparent``) that a syncer hands on over Redis, which has no attributes beside its messages ("" elsewhere).
May come late, twice or never; readers keep a checkpoint and read the journal from there.
"""

from __future__ import annotations

import msgspec

from syncline.messages.envelope import seal, unseal

NAME = "LibraryMoved"
VERSION = (1, 1)
WAKE_CHANNEL = "moved"
"""Redis channel on which syncers tell one another (and each held request) that a library moved."""


class LibraryMoved(msgspec.Struct, frozen=True, array_like=True):
    library: str
    seq: int
    incarnation: str
    at_ms: int = 0
    trace: str = ""


def encode(message: LibraryMoved) -> bytes:
    return seal(NAME, VERSION, message)


def decode(wire: bytes) -> LibraryMoved:
    """Raises ``Unreadable``."""
    return unseal(NAME, VERSION[0], LibraryMoved, wire)
