"""Values as bytes in a row: one format byte, then msgpack, compressed where that is shorter."""

from __future__ import annotations

import zlib
from typing import Any, TypeVar

import msgspec

from syncline.domain.errors import Broken
from syncline.ports.tables import Row, Value

T = TypeVar("T")

_PLAIN = b"\x01"
_COMPRESSED = b"\x02"
_COMPRESS_FROM_BYTES = 512
MAX_UNPACKED_BYTES = 64 * 1024 * 1024
"""No row of ours unpacks to more: a row holds at most 400 KB, and msgpack of names shrinks far less than 160-fold."""


def pack(value: Any) -> bytes:
    """The bytes of a struct. The same value always gives the same bytes."""
    plain = msgspec.msgpack.encode(value)
    if len(plain) >= _COMPRESS_FROM_BYTES:
        compressed = zlib.compress(plain)
        if len(compressed) < len(plain):
            return _COMPRESSED + compressed
    return _PLAIN + plain


def unpack(kind: type[T], stored: Value) -> T:
    """The value of ``pack``. Raises ``Broken`` for damaged bytes or a format newer than this reader."""
    if not isinstance(stored, bytes):
        raise Broken(f"A row's body is no bytes but {type(stored).__name__}")
    try:
        if stored[:1] == _PLAIN:
            return msgspec.msgpack.decode(stored[1:], type=kind)
        if stored[:1] == _COMPRESSED:
            return msgspec.msgpack.decode(_inflate(stored[1:]), type=kind)
    except (msgspec.DecodeError, zlib.error, UnicodeDecodeError) as error:
        raise Broken(f"Damaged {kind.__name__} in a row: {error}") from None
    raise Broken(f"A row's body has the unknown format {stored[:1]!r}")


def _inflate(compressed: bytes) -> bytes:
    inflater = zlib.decompressobj()
    plain = inflater.decompress(compressed, MAX_UNPACKED_BYTES)
    if not inflater.eof:
        raise Broken(f"A row's body is cut off or unpacks to more than {MAX_UNPACKED_BYTES} bytes")
    return plain


def blob(row: Row, name: str) -> bytes:
    """A bytes attribute. Raises ``Broken`` when the row lacks it."""
    value = row.get(name)
    if not isinstance(value, bytes):
        raise Broken(f"The row {row['pk']!r} {row['sk']!r} has no bytes {name!r}")
    return value


def text(row: Row, name: str) -> str:
    """A string attribute. Raises ``Broken`` when the row lacks it."""
    value = row.get(name)
    if not isinstance(value, str):
        raise Broken(f"The row {row['pk']!r} {row['sk']!r} has no string {name!r}")
    return value


def number(row: Row, name: str) -> int:
    """A number attribute. Raises ``Broken`` when the row lacks it."""
    value = row.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Broken(f"The row {row['pk']!r} {row['sk']!r} has no number {name!r}")
    return value
