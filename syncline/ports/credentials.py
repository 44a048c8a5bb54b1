"""Short-lived credentials for clients (AWS STS AssumeRole with a session policy).

A credential can do what the client role may do *and* what its session policy names, nothing else, until it expires.
Errors: ``Temporary`` (throttled: STS allows some 600 calls a second), ``Broken``.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from syncline.domain.errors import Broken

DURATION_S_MIN = 900
DURATION_S_MAX = 3600
"""An hour is AWS's ceiling for a role assumed by a role."""


class Credential(msgspec.Struct, frozen=True):
    """``expires_at`` is Unix s. ``endpoint`` is where S3 is reached, "" for AWS's own."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    expires_at: int
    bucket: str
    region: str
    endpoint: str


class CredentialIssuer(Protocol):
    async def issue(
        self, *, session_name: str, write_prefixes: tuple[str, ...], read_prefixes: tuple[str, ...], duration_s: int
    ) -> Credential:
        """A credential that may put, upload in parts, abort and list parts under ``write_prefixes`` and get objects
        and object versions under ``read_prefixes`` (prefixes end in "/"), for 900 to 3,600 s."""
        ...


def check_request(write_prefixes: tuple[str, ...], read_prefixes: tuple[str, ...], duration_s: int) -> None:
    """Raises ``Broken`` for what must never be asked: a prefix that is none opens more than was meant."""
    for prefix in (*write_prefixes, *read_prefixes):
        if not prefix.endswith("/") or prefix.startswith("/") or any(mark in prefix for mark in "*?$"):
            raise Broken(f"{prefix!r} is no key prefix: it must end in '/' and hold none of '*?$'")
    if not write_prefixes and not read_prefixes:
        raise Broken("A credential without prefixes would open nothing")
    if not DURATION_S_MIN <= duration_s <= DURATION_S_MAX:
        raise Broken(f"A credential lasts {DURATION_S_MIN} to {DURATION_S_MAX} s, not {duration_s}")
