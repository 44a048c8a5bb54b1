"""Cursors: how far a client has come in a library's journal, opaque outside the service."""

from __future__ import annotations

import base64
import binascii

import msgspec

from syncline.domain.errors import Refused

CURSOR_GONE = "cursor-gone"
"""Of a journal that was made again since, or too long ago: start anew."""


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """A position in one incarnation of a journal: everything up to and including ``seq`` is known."""

    incarnation: str
    seq: int


_decoder = msgspec.msgpack.Decoder(Cursor)


def encode_cursor(cursor: Cursor) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(cursor)).decode().rstrip("=")


def decode_cursor(text: str) -> Cursor:
    """The cursor a client was handed. Raises ``Refused("bad-cursor")`` when it is none of ours."""
    try:
        cursor = _decoder.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (msgspec.DecodeError, binascii.Error, ValueError, UnicodeEncodeError):
        raise Refused("bad-cursor", "The cursor is not one this service handed out; start without one.") from None
    if cursor.seq < 0:
        raise Refused("bad-cursor", "The cursor is not one this service handed out; start without one.")
    return cursor
