"""``CommitChanges``: gateway or intake → queue ``commits`` → metadata. What is wanted, not what happened.

Wire form (msgpack): ``["CommitChanges", 1, 3, [command, body_key, landed]]``. ``command`` is a
``syncline.domain.commands.Command`` or nil, and ``body_key`` the S3 key (under ``commands/``) of the msgpack command
when it is too long for the queue, else "". ``landed`` (since 1.1) says where the bytes of permits are that intake has
looked at already, a map from permit id to ``[key, s3_version, offset, length]``; the committer looks at the others
itself. Since 1.2 permits and copies end with ``symlink``, since 1.3 commands with ``incarnation``. Message group: the
library. Deduplication id: the command's id.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from syncline.domain.commands import Command
from syncline.domain.nodes import Location
from syncline.messages.envelope import seal, unseal

NAME = "CommitChanges"
VERSION = (1, 3)
MAX_INLINE_BYTES = 200_000


class CommitChanges(msgspec.Struct, frozen=True, array_like=True):
    command: Command | None
    body_key: str = ""
    landed: Mapping[str, Location] = {}


def encode(message: CommitChanges) -> bytes:
    return seal(NAME, VERSION, message)


def decode(wire: bytes) -> CommitChanges:
    """Raises ``Unreadable``."""
    return unseal(NAME, VERSION[0], CommitChanges, wire)
