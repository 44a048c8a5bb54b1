"""The frame around every message of ours: msgpack ``[name, major, minor, body]``.

A reader takes any minor version of a major version it knows: bodies are positional arrays that only grow at the end
(older readers skip what is new, newer readers default what is missing). Another major version, another name or
garbage raises ``Unreadable``: such a message can never succeed and is set aside.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from syncline.domain.errors import SynclineError

T = TypeVar("T")


class Unreadable(SynclineError):
    """Bytes that are no message this reader understands."""


class _Frame(msgspec.Struct, array_like=True, frozen=True):
    name: str
    major: int
    minor: int
    body: msgspec.Raw


_frames = msgspec.msgpack.Decoder(_Frame)


def seal(name: str, version: tuple[int, int], body: msgspec.Struct) -> bytes:
    """The wire form of a message."""
    return msgspec.msgpack.encode([name, version[0], version[1], body])


def unseal(name: str, major: int, body: type[T], wire: bytes) -> T:
    """The body of a message. Raises ``Unreadable``."""
    try:
        frame = _frames.decode(wire)
        if frame.name != name or frame.major != major:
            raise Unreadable(f"expected {name} {major}.x, got {frame.name} {frame.major}.{frame.minor}")
        decoded: Any = msgspec.msgpack.decode(frame.body, type=body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unreadable(f"not a {name} message: {error}") from None
    return decoded  # type: ignore[no-any-return]
