"""What a client asks to be committed, and what became of it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from syncline.domain.commands import MAX_REQUESTS
from syncline.domain.commits import Status
from syncline.messages.api.words import Checksum, Count, Id, IdOrEmpty, Name, Nanoseconds, Size


class AddVersion(Struct, kw_only=True, tag="add", tag_field="op"):
    permit: Annotated[str, Meta(max_length=2048)]


class CopyVersion(Struct, kw_only=True, tag="copy", tag_field="op"):
    """Makes an existing version's content (``source``) a new version of ``node`` or of a new file at parent/name."""

    source: Id
    node: IdOrEmpty = ""
    parent: IdOrEmpty = ""
    name: Annotated[str, Meta(max_length=255)] = ""
    base_version: IdOrEmpty = ""
    size_bytes: Size
    checksum: Checksum
    mtime_ns: Nanoseconds
    executable: bool = False
    symlink: bool = False


class MakeFolder(Struct, kw_only=True, tag="folder", tag_field="op"):
    """``node`` is an id the client made (20 characters of a–z2–7), so that later requests can name the folder."""

    node: Id
    parent: Id
    name: Name


class Move(Struct, kw_only=True, tag="move", tag_field="op"):
    node: Id
    base_seq: Count
    parent: Id
    name: Name


class Remove(Struct, kw_only=True, tag="remove", tag_field="op"):
    """``held_all``: the client had everything below this folder as of ``base_seq``."""

    node: Id
    base_seq: Count
    held_all: bool = False


class Withdraw(Struct, kw_only=True, tag="withdraw", tag_field="op"):
    permit: Annotated[str, Meta(max_length=2048)]


CommitRequest = AddVersion | CopyVersion | MakeFolder | Move | Remove | Withdraw


class CommitBody(Struct, kw_only=True):
    """Changes in order. ``counter`` is the device's for those that carry no permit. ``cursor`` is one from which the
    asker's base seqs are known: when the library was restored since it was handed out, the answer is 410.

    The header ``Idempotency-Key`` names the command: the same key with the same body gets the first answer.
    """

    requests: Annotated[list[CommitRequest], Meta(min_length=1, max_length=MAX_REQUESTS)]
    counter: Count = 0
    all_or_nothing: bool = False
    cursor: str = ""


class ResultState(Struct, kw_only=True):
    """What became of one request; see domain/commits.py ``Result``."""

    status: Status
    node: str = ""
    seq: int = 0
    version: str = ""
    parent: str = ""
    name: str = ""
    reason: str = ""
    detail: str = ""
    kept: list[str] = []


class CommitAnswer(Struct, kw_only=True):
    """``done`` false (HTTP 202): not decided yet, ask ``GET`` the URL in ``Location`` again."""

    command: str
    done: bool
    seq: int = 0
    cursor: str = ""
    results: list[ResultState] = []
    refused: str = ""
