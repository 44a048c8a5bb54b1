"""Checksums: the SHA-256 strings S3 itself computes, so that nobody has to trust a client or read the bytes.

A content below 8 MiB is one PUT, its checksum the base64 SHA-256 of the bytes. From 8 MiB on it is a multipart
upload with fixed parts, its checksum S3's composite: base64 SHA-256 of the parts' digests in a row, then "-" and
the number of parts. Source: Amazon S3 User Guide, "Checking object integrity", composite checksums.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

from syncline.domain.errors import Refused

MIB = 1024 * 1024
SINGLE_PUT_MAX_BYTES = 8 * MIB
"""Contents of this size and more are uploaded in parts (the bound itself is not a single PUT)."""
MIN_PART_BYTES = 8 * MIB
MAX_PARTS = 10_000
MAX_SIZE_BYTES = 5 * 1024 * 1024 * MIB
"""S3's largest object: 5 TiB."""

_DIGEST_BYTES = 32


def is_multipart(size_bytes: int) -> bool:
    """Whether a content of this size is uploaded in parts."""
    return size_bytes >= SINGLE_PUT_MAX_BYTES


def part_size_bytes(size_bytes: int) -> int:
    """The length of every part but the last: 8 MiB, doubled until there are at most 10,000 parts.

    Raises ``Refused("bad-size")`` for a size that no object can have.
    """
    if not 0 <= size_bytes <= MAX_SIZE_BYTES:
        raise Refused("bad-size", f"{size_bytes} bytes is no possible size: an object holds up to {MAX_SIZE_BYTES}.")
    part_bytes = MIN_PART_BYTES
    while part_bytes * MAX_PARTS < size_bytes:
        part_bytes *= 2
    return part_bytes


def part_ranges(size_bytes: int) -> list[tuple[int, int]]:
    """(offset, length) of each part in order; one range with everything for a single PUT, even when empty."""
    part_bytes = part_size_bytes(size_bytes)
    offsets = range(0, max(size_bytes, 1), part_bytes)
    return [(offset, min(part_bytes, size_bytes - offset)) for offset in offsets]


def is_checksum(text: str, size_bytes: int) -> bool:
    """Whether the text can be the checksum of a content of this size."""
    digest, dash, parts = text.partition("-")
    expected_parts = str(-(-size_bytes // part_size_bytes(size_bytes))) if is_multipart(size_bytes) else ""
    if parts != expected_parts or bool(dash) != bool(expected_parts):
        return False
    try:
        raw = base64.b64decode(digest, validate=True)
    except (binascii.Error, ValueError):
        return False
    return len(raw) == _DIGEST_BYTES and _text(raw) == digest


def checksum_of(content: bytes) -> str:
    """The checksum of a content that is at hand as a whole."""
    hasher = Hasher(len(content))
    hasher.update(content)
    return hasher.checksum()


class Hasher:
    """Computes the checksum of a stream of known size, holding one digest per part and nothing of the bytes."""

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._part_bytes = part_size_bytes(size_bytes)
        self._seen_bytes = 0
        self._part = hashlib.sha256()
        self._digests: list[bytes] = []

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """The next bytes, in pieces of any length. Raises ``Refused("content-changed")`` past the size."""
        view = memoryview(data).cast("B")
        if self._seen_bytes + len(view) > self._size_bytes:
            raise _content_changed(self._size_bytes)
        while view:
            room = self._part_bytes - self._seen_bytes % self._part_bytes
            piece = view[:room]
            self._part.update(piece)
            self._seen_bytes += len(piece)
            if self._seen_bytes % self._part_bytes == 0:
                self._finish_part()
            view = view[room:]

    def checksum(self) -> str:
        """The checksum of all bytes. Raises ``Refused("content-changed")`` when some are still missing."""
        digests = self._all_digests()
        if not is_multipart(self._size_bytes):
            return _text(digests[0])
        return f"{_text(hashlib.sha256(b''.join(digests)).digest())}-{len(digests)}"

    def part_checksums(self) -> tuple[str, ...]:
        """What to declare with each part, in order; for a single PUT the checksum itself. Raises as ``checksum``."""
        return tuple(_text(digest) for digest in self._all_digests())

    def _finish_part(self) -> None:
        self._digests.append(self._part.digest())
        self._part = hashlib.sha256()

    def _all_digests(self) -> list[bytes]:
        if self._seen_bytes != self._size_bytes:
            raise _content_changed(self._size_bytes)
        whole_parts = self._seen_bytes > 0 and self._seen_bytes % self._part_bytes == 0
        return self._digests if whole_parts else [*self._digests, self._part.digest()]


def _text(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def _content_changed(size_bytes: int) -> Refused:
    return Refused("content-changed", f"The content is no longer {size_bytes} bytes long; read it again.", status=409)
