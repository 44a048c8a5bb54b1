"""Checksums: S3's own strings, whatever the pieces a stream comes in."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given, strategies as st

from syncline.domain.checksums import (
    MAX_PARTS,
    MAX_SIZE_BYTES,
    MIB,
    SINGLE_PUT_MAX_BYTES,
    Hasher,
    checksum_of,
    is_checksum,
    is_multipart,
    part_ranges,
    part_size_bytes,
)
from syncline.domain.errors import Refused


def b64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def composite(content: bytes) -> str:
    """S3's composite checksum, by its definition."""
    parts = [content[at : at + 8 * MIB] for at in range(0, len(content), 8 * MIB)]
    digests = b"".join(hashlib.sha256(part).digest() for part in parts)
    return f"{b64(hashlib.sha256(digests).digest())}-{len(parts)}"


def test_nothing_has_the_checksum_of_nothing():
    assert checksum_of(b"") == "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    assert part_ranges(0) == [(0, 0)]


@given(st.binary(max_size=1000))
def test_below_8_mib_it_is_the_sha_256_of_the_bytes(content):
    assert checksum_of(content) == b64(hashlib.sha256(content).digest())


@pytest.mark.parametrize("size", [8 * MIB, 8 * MIB + 1, 16 * MIB - 1, 16 * MIB, 20 * MIB])
def test_from_8_mib_on_it_is_the_composite(size):
    content = bytes(range(256)) * (size // 256) + bytes(size % 256)
    assert checksum_of(content) == composite(content)
    assert is_checksum(checksum_of(content), size)


def test_exactly_8_mib_is_one_part():
    assert part_ranges(8 * MIB) == [(0, 8 * MIB)]
    assert checksum_of(bytes(8 * MIB)).endswith("-1")
    assert not is_multipart(8 * MIB - 1)


@given(st.data())
def test_the_pieces_do_not_matter(data):
    size = data.draw(st.sampled_from([0, 1, 1000, 8 * MIB, 8 * MIB + 5]))
    content = bytes(size)
    hasher, at = Hasher(size), 0
    while at < size:
        step = data.draw(st.integers(1, size if size < 2000 else 5 * MIB))
        hasher.update(memoryview(content)[at : at + step])
        at += step
    assert hasher.checksum() == checksum_of(content)
    assert hasher.part_checksums() == tuple(
        b64(hashlib.sha256(content[at : at + length]).digest()) for at, length in part_ranges(size)
    )


@given(st.integers(0, MAX_SIZE_BYTES))
def test_parts_are_as_s3_takes_them_and_cover_everything(size):
    part = part_size_bytes(size)
    ranges = part_ranges(size)
    assert 8 * MIB <= part <= 5 * 1024 * MIB
    assert part == 8 * MIB or part // 2 * MAX_PARTS < size, "not larger than it must be"
    assert len(ranges) <= MAX_PARTS
    assert [at for at, _ in ranges] == [n * part for n in range(len(ranges))]
    assert sum(length for _, length in ranges) == size
    if size >= SINGLE_PUT_MAX_BYTES:
        assert all(length == part for _, length in ranges[:-1])
        assert ranges[-1][1] > 0


@pytest.mark.parametrize("size", [-1, MAX_SIZE_BYTES + 1])
def test_sizes_that_no_object_has(size):
    with pytest.raises(Refused, match="bytes"):
        part_size_bytes(size)


def test_a_content_that_changes_while_it_is_read():
    hasher = Hasher(3)
    hasher.update(b"ab")
    with pytest.raises(Refused, match="no longer"):
        hasher.checksum()
    with pytest.raises(Refused, match="no longer"):
        hasher.update(b"cd")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("", 1),
        ("abc", 1),
        ("*" * 44, 1),
        (b64(bytes(31)), 1),
        (b64(bytes(32)) + "-1", 1),
        (b64(bytes(32)) + "-", 1),
        (b64(bytes(32)), 8 * MIB),
        (b64(bytes(32)) + "-2", 8 * MIB),
        (b64(bytes(32)) + "-01", 8 * MIB),
        (b64(bytes(32))[:-2] + "B=", 1),  # the same bytes, written otherwise
        (b64(bytes(32)) + "\n", 1),
        ("é" * 44, 1),
    ],
)
def test_texts_that_are_no_checksum(text, size):
    assert not is_checksum(text, size)


def test_texts_that_are():
    assert is_checksum(b64(bytes(32)), 1)
    assert is_checksum(b64(bytes(32)) + "-1", 8 * MIB)
