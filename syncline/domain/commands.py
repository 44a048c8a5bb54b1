"""Commands: what a device wants changed. Plain values; their wire form is a positional msgpack array.

A command carries at most ``MAX_REQUESTS`` requests, in order. Each names what it was based on, so that
``decide`` (domain/deciding.py) can tell what happened in between.
"""

from __future__ import annotations

import msgspec

MAX_REQUESTS = 1_000


class Permit(msgspec.Struct, frozen=True, array_like=True):
    """The signed intent to add one version; the uploaded object itself carries it (domain/permits.py seals it).

    ``id`` becomes the version's id. ``node`` is the file it is meant for; for a new file ``new`` is true, ``node``
    is the id it will get, and ``parent`` and ``name`` say where. ``base_version`` is the version id the device
    edited, "" for a new file. ``key`` is the only S3 key it is good for. ``expires_at`` (Unix s) is judged by the
    object's LastModified. ``counter`` is the device's, ``epoch`` the members' epoch under which it was allowed.
    ``symlink``: the bytes are the target of a symbolic link.
    """

    id: str
    grant: str
    library: str
    account: str
    device: str
    counter: int
    epoch: int
    key: str
    node: str
    new: bool
    parent: str
    name: str
    base_version: str
    size_bytes: int
    checksum: str
    mtime_ns: int
    executable: bool
    expires_at: int
    symlink: bool = False


class AddVersion(msgspec.Struct, frozen=True, array_like=True, tag="add"):
    """Make the bytes that landed under this permit a version."""

    permit: Permit


class CopyVersion(msgspec.Struct, frozen=True, array_like=True, tag="copy"):
    """Make the content of an existing version of this library (``source``: version id) a new version.

    Used for content the library holds already, for copies and for restoring. Fields as in ``Permit``; ``id`` is the
    new version's id. ``size_bytes``, ``checksum`` and ``symlink`` must equal the source's, checked at head.
    """

    id: str
    source: str
    node: str
    new: bool
    parent: str
    name: str
    base_version: str
    size_bytes: int
    checksum: str
    mtime_ns: int
    executable: bool
    symlink: bool = False


class MakeFolder(msgspec.Struct, frozen=True, array_like=True, tag="folder"):
    """A new folder ``node`` (id chosen by the device) named ``name`` in ``parent``."""

    node: str
    parent: str
    name: str


class Move(msgspec.Struct, frozen=True, array_like=True, tag="move"):
    """Give ``node``, as the device knew it at ``base_seq``, another parent and/or name."""

    node: str
    base_seq: int
    parent: str
    name: str


class Remove(msgspec.Struct, frozen=True, array_like=True, tag="remove"):
    """Remove ``node`` as the device knew it at ``base_seq`` (the library's seq it had applied).

    ``held_all``: the device held everything below this folder at ``base_seq``, so one change removes it all.
    Without it a folder is removed only when nothing live is left in it.
    """

    node: str
    base_seq: int
    held_all: bool


class Withdraw(msgspec.Struct, frozen=True, array_like=True, tag="withdraw"):
    """The device no longer wants this permit's upload: should its bytes land, they become no version."""

    permit: str


class Revive(msgspec.Struct, frozen=True, array_like=True, tag="revive"):
    """Let a folder stand again where the gone folder ``node`` was, or as ``name`` in ``parent`` when that is not "".

    In what follows, the command means that folder when it says ``node``. What the gone one held comes back by copies
    of its own. ``whole``: with this command all of it has, so that the folder leaves the trash.
    """

    node: str
    parent: str = ""
    name: str = ""
    whole: bool = False


class Purge(msgspec.Struct, frozen=True, array_like=True, tag="purge"):
    """Give up the content of versions of ``node`` for ever, unless they are current in a live file by now.

    Asked by the service itself, as a library's rules say, or by an owner. ``removed_seq``: the removal that is given up
    too, so that what was current when it happened may go as well; 0 for none.
    """

    node: str
    versions: tuple[str, ...]
    removed_seq: int = 0


Request = AddVersion | CopyVersion | MakeFolder | Move | Remove | Withdraw | Revive | Purge


class Command(msgspec.Struct, frozen=True, array_like=True):
    """A request for changes to one library. Repeating a command (same ``id``) gets its first answer.

    ``epoch`` is the members' epoch under which the gateway allowed it, ``counter`` the device's counter for the
    requests that carry no permit of their own. ``incarnation`` is that of the journal which base seqs are seqs of; ""
    where there are none.
    """

    id: str
    library: str
    account: str
    device: str
    counter: int
    epoch: int
    requests: tuple[Request, ...]
    all_or_nothing: bool = False
    incarnation: str = ""
