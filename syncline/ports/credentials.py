"""Short-lived credentials for clients (AWS STS AssumeRole with a session policy).

A credential can do what the client role may do *and* what its session policy names, nothing else, until it expires.
Errors: ``Temporary`` (throttled: STS allows some 600 calls a second), ``Broken``.
"""

from __future__ import annotations

from typing import Protocol

import msgspec


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
