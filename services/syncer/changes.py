"""``GET /v1/sync/libraries/{library}/changes``: what came after a cursor, a page at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from syncline.domain.commits import Effect
from syncline.domain.cursors import Cursor, encode_cursor
from syncline.messages import api
from syncline.serving.bodies import MSGPACK
from syncline.serving.states import change_state
from syncline.store.journal import Head, Journal

CHANGES_DEFAULT = 2_000
COMMITS_MAX = 2_000
"""A page reads no more commits than this, should they all be about the same few nodes."""
CHUNK_CHANGES = 200
"""So many changes are encoded and sent at a time."""


async def read_page(journal: Journal, library: str, after: int, head: Head, limit: int) -> api.Changes:
    """The changes after ``after``, the newest state of each node, whole commits only.

    At most ``limit`` changes, unless the first commit alone has more.
    """
    upto = min(head.seq, after + COMMITS_MAX)
    states: dict[str, api.ChangeState] = {}
    seq = after
    async for commit in journal.read(library, after, upto):
        new = {c.node.id: change_state(commit, c) for c in commit.changes if c.effect is not Effect.LATE}
        if states and len(states.keys() | new.keys()) > limit:
            break
        states |= new
        seq = commit.seq
    return api.Changes(
        changes=list(states.values()),
        cursor=encode_cursor(Cursor(head.incarnation, seq)),
        seq=seq,
        more=seq < head.seq,
    )


def encode_page(page: api.Changes, kind: str) -> Iterator[bytes]:
    """The page as JSON or msgpack, piece by piece; together they are what encoding it whole would give."""
    encode: Any = msgspec.msgpack.encode if kind == MSGPACK else msgspec.json.encode
    if kind == MSGPACK:
        # A map of four, its first key, and the head of an array of known length.
        yield b"\x84" + encode("changes") + _array_head(len(page.changes))
    else:
        yield b'{"changes":['
    for start in range(0, len(page.changes), CHUNK_CHANGES):
        encoded = [encode(state) for state in page.changes[start : start + CHUNK_CHANGES]]
        yield b"".join(encoded) if kind == MSGPACK else (b"," if start else b"") + b",".join(encoded)
    rest = {"cursor": page.cursor, "seq": page.seq, "more": page.more}
    if kind == MSGPACK:
        yield b"".join(encode(name) + encode(value) for name, value in rest.items())
    else:
        yield b"]," + encode(rest)[1:]


def _array_head(length: int) -> bytes:
    """msgpack's array 16 or array 32, the shortest that msgspec writes too."""
    if length < 16:
        return bytes([0x90 | length])
    if length < 1 << 16:
        return b"\xdc" + length.to_bytes(2, "big")
    return b"\xdd" + length.to_bytes(4, "big")
