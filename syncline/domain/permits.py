"""Permits on the wire: sealed by the gateway, carried by the uploaded object, opened by metadata.

Wire form: base64url without padding of msgpack ``[key_id, permit, mac]``, where ``permit`` is the msgpack of
``commands.Permit`` and ``mac`` its HMAC-SHA-256 under the named key. ASCII, at most 1,900 bytes, because S3 keeps
at most 2 KB of metadata with an object.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass, field

import msgspec

from syncline.domain.commands import Permit
from syncline.domain.errors import Broken, Refused
from syncline.domain.ids import is_id

METADATA_NAME = "permit"
"""The object metadata that carries the permit: ``x-amz-meta-permit``."""
MAX_SEALED_BYTES = 1_900
MIN_SECRET_BYTES = 16

_CONTEXT = b"syncline permit 1\0"
"""Keeps a signature made here from being good for anything else that is signed with the same key."""


@dataclass(frozen=True)
class PermitKey:
    id: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True)
class PermitKeys:
    """The keys in use: the first signs, all verify. Raises ``Broken`` when there is none or one is too short."""

    keys: tuple[PermitKey, ...]

    def __post_init__(self) -> None:
        if not self.keys:
            raise Broken("There is no key to sign permits with; configure one.")
        if any(len(key.secret) < MIN_SECRET_BYTES for key in self.keys):
            raise Broken(f"A permit key is shorter than {MIN_SECRET_BYTES} bytes; make a new one.")


class _Sealed(msgspec.Struct, frozen=True, array_like=True):
    key_id: str
    permit: bytes
    mac: bytes


_sealed_decoder = msgspec.msgpack.Decoder(_Sealed)
_permit_decoder = msgspec.msgpack.Decoder(Permit)


def seal_permit(permit: Permit, keys: PermitKeys) -> str:
    """The signed permit as text for a header. Raises ``Refused("permit-too-long")`` beyond 1,900 bytes."""
    key = keys.keys[0]
    body = msgspec.msgpack.encode(permit)
    text = _to_text(msgspec.msgpack.encode(_Sealed(key.id, body, _mac(key, body))))
    if len(text) > MAX_SEALED_BYTES:
        raise Refused("permit-too-long", f"The permit for {permit.name!r} takes {len(text)} bytes; shorten the name.")
    return text


def open_permit(text: str, keys: PermitKeys) -> Permit:
    """The permit in the text. Raises ``Refused("bad-permit")`` for anything that no key of ours has signed."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        sealed = _sealed_decoder.decode(raw)
    except (msgspec.MsgspecError, binascii.Error, ValueError):
        raise _bad_permit() from None
    key = next((key for key in keys.keys if key.id == sealed.key_id), None)
    if key is None or not hmac.compare_digest(_mac(key, sealed.permit), sealed.mac):
        raise _bad_permit()
    # base64 decoding skips what it does not know, so one permit would have many texts.
    if _to_text(raw) != text:
        raise _bad_permit()
    try:
        return _permit_decoder.decode(sealed.permit)
    except msgspec.MsgspecError:
        raise _bad_permit() from None


def check_landed(permit: Permit, *, key: str, size_bytes: int, checksum: str, last_modified: float) -> None:
    """Whether the object that S3 holds is the one that was permitted. ``last_modified`` in Unix s.

    Raises ``Refused``: "permit-other-key", "permit-mismatch" (other size or checksum), or "permit-expired" when the
    bytes landed too late; how late anyone looks at them does not matter.
    """
    if key != permit.key:
        raise Refused("permit-other-key", f"The permit is for {permit.key!r}, the object lies at {key!r}.")
    if (size_bytes, checksum) != (permit.size_bytes, permit.checksum):
        raise Refused(
            "permit-mismatch",
            f"{permit.size_bytes} bytes with checksum {permit.checksum} were permitted, "
            f"{size_bytes} bytes with {checksum or 'no checksum'} landed.",
        )
    if last_modified > permit.expires_at:
        raise Refused("permit-expired", "The bytes landed after the permit had expired; ask for a new one.")


@dataclass(frozen=True)
class ObjectKey:
    """What the key of an uploaded object says. ``direct``: written by a plain tool, may be overwritten."""

    library: str
    grant: str
    permit: str
    direct: bool


def object_key(library: str, grant: str, permit_id: str, direct: bool = False) -> str:
    """The only S3 key a permit is good for: ``objects/{library}/{grant}/{permit}``, or below ``direct/``."""
    return f"{write_prefix(library, grant, direct)}{permit_id}"


def parse_key(key: str) -> ObjectKey | None:
    """What the key says, or None when it is no key of an upload."""
    match key.split("/"):
        case ["objects" | "direct" as room, library, grant, permit] if all(map(is_id, (library, grant, permit))):
            return ObjectKey(library, grant, permit, room == "direct")
    return None


def write_prefix(library: str, grant: str, direct: bool = False) -> str:
    """The prefix under which a grant may write."""
    return f"{'direct' if direct else 'objects'}/{library}/{grant}/"


def read_prefixes(library: str) -> tuple[str, str]:
    """The prefixes under which the members of a library may read."""
    return f"objects/{library}/", f"direct/{library}/"


def _mac(key: PermitKey, body: bytes) -> bytes:
    return hmac.digest(key.secret, _CONTEXT + body, "sha256")


def _to_text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _bad_permit() -> Refused:
    return Refused("bad-permit", "The permit was not issued by this service or has been altered; ask for a new one.")
