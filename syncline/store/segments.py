"""A library in the bucket: segments of its journal, and what else a rebuild must know. Keys and bodies; pure.

Keys, each written once and never changed::

    journal/{library}/{incarnation}/{segment}-{first}-{last}   the commits first to last, all of segment seq // 512
    journal/{library}/{incarnation}/about-{at_ms}              the library's name, members, settings (``About``)

A segment that is still filling is archived in pieces, each with what is new; when it is full (and not too large) one
object holds all of it, and the pieces go a day later. Pieces may overlap: the same seq is the same commit.

Bodies: ``syncline archive 1`` and a line feed, the SHA-256 (32 bytes) of what follows, then zlib over msgpack.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterable, Sequence
from typing import TypeVar

import msgspec

from syncline.domain.commits import Commit
from syncline.domain.errors import Broken
from syncline.domain.rights import Role
from syncline.store.follows import FollowRecord
from syncline.store.journal import COMMITS_PER_PARTITION
from syncline.store.retentions import Rules

T = TypeVar("T")

ROOM = "journal/"
UNPACKED_BYTES_MAX = 1024 * 1024 * 1024
_MAGIC = b"syncline archive 1\n"
_DIGEST_BYTES = 32
_SEGMENT_KEY = re.compile(r"journal/([^/]+)/([^/]+)/(\d{8})-(\d{12})-(\d{12})")
_ABOUT_KEY = re.compile(r"journal/([^/]+)/([^/]+)/about-(\d{15})")


class Segment(msgspec.Struct, frozen=True, array_like=True):
    """Consecutive commits of one library in one incarnation."""

    library: str
    incarnation: str
    commits: tuple[Commit, ...]


class Member(msgspec.Struct, frozen=True, array_like=True):
    """A member, with what it takes to know the account again if the accounts are lost too."""

    account: str
    role: Role
    email: str
    name: str


class Origin(msgspec.Struct, frozen=True, array_like=True):
    """Of the incarnation ``incarnation`` everything up to ``kept`` is part of this journal, at the same seqs."""

    incarnation: str
    kept: int


class Settings(msgspec.Struct, frozen=True, array_like=True):
    """What a library's people said about it: ``quota_bytes`` is its own quota, None when it has none; ``follows`` are
    those of accounts."""

    rules: Rules = Rules()
    quota_bytes: int | None = None
    follows: tuple[FollowRecord, ...] = ()

    def digest(self) -> str:
        """Another text for other settings."""
        return hashlib.sha256(msgspec.msgpack.encode(self, order="deterministic")).hexdigest()


class About(msgspec.Struct, frozen=True, array_like=True):
    """What a library's commits do not say. ``began_at_ms``: when this incarnation began, 0 for the first one.

    ``members`` are those by themselves, ``through_groups`` those who share the library by a group, with their role.
    """

    library: str
    incarnation: str
    name: str
    created_at_ms: int
    members: tuple[Member, ...]
    began_at_ms: int
    origins: tuple[Origin, ...]
    through_groups: tuple[Member, ...] = ()
    settings: Settings = Settings()


class SegmentKey(msgspec.Struct, frozen=True, order=True):
    """Which commits an object holds."""

    first: int
    last: int
    incarnation: str
    key: str


class AboutKey(msgspec.Struct, frozen=True, order=True):
    at_ms: int
    incarnation: str
    key: str


def segment_of(seq: int) -> int:
    return seq // COMMITS_PER_PARTITION


def last_of_segment(seq: int) -> int:
    """The last seq of the segment that ``seq`` lies in."""
    return (segment_of(seq) + 1) * COMMITS_PER_PARTITION - 1


def first_of_segment(seq: int) -> int:
    return max(1, segment_of(seq) * COMMITS_PER_PARTITION)


def library_prefix(library: str) -> str:
    return f"{ROOM}{library}/"


def segment_key(library: str, incarnation: str, first: int, last: int) -> str:
    return f"{segment_prefix(library, incarnation, last)}{first:012d}-{last:012d}"


def about_key(library: str, incarnation: str, at_ms: int) -> str:
    return f"{abouts_prefix(library, incarnation)}{at_ms:015d}"


def segment_prefix(library: str, incarnation: str, seq: int) -> str:
    """Under which the objects of the segment of ``seq`` lie."""
    return f"{ROOM}{library}/{incarnation}/{segment_of(seq):08d}-"


def abouts_prefix(library: str, incarnation: str) -> str:
    return f"{ROOM}{library}/{incarnation}/about-"


def parse_key(key: str) -> SegmentKey | AboutKey | None:
    """What a key says; None when it is none of these."""
    if found := _SEGMENT_KEY.fullmatch(key):
        return SegmentKey(int(found[4]), int(found[5]), found[2], key)
    if found := _ABOUT_KEY.fullmatch(key):
        return AboutKey(int(found[3]), found[2], key)
    return None


def encode_segment(incarnation: str, commits: Sequence[Commit]) -> bytes:
    return _sealed(Segment(commits[0].library, incarnation, tuple(commits)))


def decode_segment(body: bytes, wanted: SegmentKey) -> Segment:
    """Raises ``Broken`` for a damaged body, or one that does not hold what its key says."""
    segment = _opened(body, Segment)
    seqs = [commit.seq for commit in segment.commits]
    if segment.incarnation != wanted.incarnation or seqs != list(range(wanted.first, wanted.last + 1)):
        raise Broken(f"{wanted.key} does not hold the commits {wanted.first} to {wanted.last}")
    return segment


def encode_about(about: About) -> bytes:
    return _sealed(about)


def decode_about(body: bytes) -> About:
    """Raises ``Broken``."""
    return _opened(body, About)


def cover(keys: Iterable[SegmentKey], after: int) -> list[SegmentKey]:
    """The objects among ``keys`` that hold the commit after ``after``, the one that reaches furthest first."""
    holding = [key for key in keys if key.first <= after + 1 <= key.last]
    return sorted(holding, key=lambda key: (-key.last, key.first))


def _sealed(value: msgspec.Struct) -> bytes:
    packed = zlib.compress(msgspec.msgpack.encode(value))
    return _MAGIC + hashlib.sha256(packed).digest() + packed


def _opened(body: bytes, kind: type[T]) -> T:
    head = len(_MAGIC)
    digest, packed = body[head : head + _DIGEST_BYTES], body[head + _DIGEST_BYTES :]
    if body[:head] != _MAGIC or hashlib.sha256(packed).digest() != digest:
        raise Broken(f"A damaged {kind.__name__} in the archive, or one of a newer form")
    try:
        return msgspec.msgpack.decode(zlib.decompressobj().decompress(packed, UNPACKED_BYTES_MAX), type=kind)
    except (msgspec.DecodeError, zlib.error, UnicodeDecodeError) as error:
        raise Broken(f"An unreadable {kind.__name__} in the archive: {error}") from None
