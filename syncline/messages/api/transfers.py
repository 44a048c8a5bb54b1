"""Permits and credentials to send and fetch bytes."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from syncline.domain.commands import MAX_REQUESTS
from syncline.messages.api.words import Checksum, Count, IdOrEmpty, Nanoseconds, Size


class Intent(Struct, kw_only=True):
    """A version that a device is about to upload.

    For an existing file: ``node`` and ``base_version`` (the version id it was edited from). For a new file: ``parent``
    and ``name``; the gateway answers the id it will get. ``counter`` is the device's own, ever growing. ``symlink``: a
    symbolic link, whose bytes are its target (UTF-8, names parted by "/", at most 4,095 bytes).
    """

    node: IdOrEmpty = ""
    parent: IdOrEmpty = ""
    name: Annotated[str, Meta(max_length=255)] = ""
    base_version: IdOrEmpty = ""
    size_bytes: Size
    checksum: Checksum
    mtime_ns: Nanoseconds
    executable: bool = False
    counter: Count = 0
    symlink: bool = False


class UploadRequest(Struct, kw_only=True):
    """``direct``: permits for clients that only PUT (scripts, forms); they commit by themselves.

    ``grant`` asks for permits under a grant this device already holds, and renews its credential; without intents it
    does only that.
    """

    intents: Annotated[list[Intent], Meta(max_length=MAX_REQUESTS)] = []
    direct: bool = False
    grant: IdOrEmpty = ""


class S3Credential(Struct, kw_only=True):
    """A short-lived credential for S3. ``endpoint`` is "" for AWS's own."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    expires_at: int
    bucket: str
    region: str
    endpoint: str


class Permitted(Struct, kw_only=True):
    """The answer to one intent, in order: PUT the bytes to ``key`` with ``permit`` as ``x-amz-meta-permit``."""

    node: str
    version: str
    key: str
    permit: str


class UploadAnswer(Struct, kw_only=True):
    grant: str
    credential: S3Credential
    permits: list[Permitted]


class DownloadRequest(Struct, kw_only=True):
    """Asks for a credential that reads this library's objects."""


class DownloadAnswer(Struct, kw_only=True):
    credential: S3Credential
