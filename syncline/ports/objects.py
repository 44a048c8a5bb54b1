"""Objects: bytes under keys in one versioned bucket (Amazon S3).

What a caller may rely on: a put is seen by every later read (strong consistency); an object version never changes;
``put`` with ``only_if_absent`` never overwrites. Errors: ``NotFound``; ``ConditionFailed`` (only_if_absent and the
key is taken); ``Temporary``; ``Broken`` (access denied, bad request).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

import msgspec


class ObjectInfo(msgspec.Struct, frozen=True):
    """What HeadObject says. ``checksum`` is ChecksumSHA256 ("" when S3 holds none); ``last_modified`` Unix s;
    ``metadata`` the ``x-amz-meta-*`` values by lower-case name."""

    key: str
    s3_version: str
    size_bytes: int
    checksum: str
    last_modified: int
    metadata: Mapping[str, str]


class ListedObject(msgspec.Struct, frozen=True):
    """What a listing says of a key's current version. ``last_modified`` in Unix s; of a multipart upload it is, on
    AWS, when the upload was begun."""

    key: str
    size_bytes: int
    last_modified: int


class ListedVersion(ListedObject, frozen=True):
    """One object version. ``latest``: the key's current one."""

    s3_version: str
    latest: bool


class ObjectStore(Protocol):
    async def head(self, key: str, s3_version: str = "") -> ObjectInfo:
        """What is stored under ``key``: the named version, else the current one."""
        ...

    async def get(self, key: str, s3_version: str = "", *, offset: int = 0, length: int | None = None) -> bytes:
        """The bytes (of a bounded object: callers know its size)."""
        ...

    async def put(
        self, key: str, body: bytes, *, metadata: Mapping[str, str] | None = None, only_if_absent: bool = False
    ) -> ObjectInfo:
        """Store an object of up to 5 GB with its SHA-256 checksum."""
        ...

    def list_keys(self, prefix: str, *, after: str = "") -> AsyncIterator[str]:
        """Keys under ``prefix`` in order, those after ``after``, page by page."""
        ...

    def list_objects(self, prefix: str, *, after: str = "") -> AsyncIterator[ListedObject]:
        """The same listing with what it says of each object. As dear as ``list_keys``."""
        ...

    def list_versions(self, prefix: str) -> AsyncIterator[ListedVersion]:
        """Every version of every key under ``prefix``, in order of keys, a key's newest version first."""
        ...

    async def delete_version(self, key: str, s3_version: str) -> None:
        """Remove one object version for ever; one that is not there is no error."""
        ...

    async def presign_get(self, key: str, s3_version: str, *, filename: str, expires_s: int) -> str:
        """A URL that anyone can GET for ``expires_s`` seconds; browsers save it as ``filename``."""
        ...
