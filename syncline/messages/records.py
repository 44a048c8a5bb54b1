"""HTTP bodies of what is kept about use: bytes and quotas, and the audit log."""

from __future__ import annotations

import msgspec


class LibraryUse(msgspec.Struct, frozen=True):
    """What a library holds. ``used_bytes``: landed or permitted by now, old versions and orphans among them.
    ``quota_bytes`` 0: no limit."""

    library: str
    used_bytes: int
    quota_bytes: int


class AccountUse(msgspec.Struct, frozen=True):
    """What the libraries that an account owns hold together, each counted whole for each of its owners."""

    used_bytes: int
    quota_bytes: int
    libraries: list[LibraryUse]


class AuditEntry(msgspec.Struct, frozen=True):
    """Something somebody did, or tried. ``result`` is "done" or the slug of the problem that it met.

    ``details`` names what it was done to: ids, roles, names, addresses; of a commit how many nodes it changed in which
    way. Operators' acts have no account. ``address`` is the network address, "" where none is known.
    """

    id: str
    at_ms: int
    action: str
    result: str
    account: str
    device: str
    address: str
    library: str
    details: dict[str, str | int]


class AuditPage(msgspec.Struct, frozen=True):
    """Newest first. ``next`` is the parameter ``before`` of the following page, "" at the end."""

    entries: list[AuditEntry]
    next: str = ""
