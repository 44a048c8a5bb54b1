"""Objects in S3."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote

from botocore.exceptions import ClientError

from syncline.aws.errors import code_of, ours
from syncline.domain.errors import NotFound
from syncline.ports.objects import ListedObject, ListedVersion, ObjectInfo

Client = Any


class S3Objects:
    """``ObjectStore`` in one bucket. ``public_client`` only signs URLs, for the endpoint that clients reach."""

    def __init__(self, client: Client, public_client: Client, bucket: str) -> None:
        self._client = client
        self._public_client = public_client
        self._bucket = bucket

    async def head(self, key: str, s3_version: str = "") -> ObjectInfo:
        with ours(f"Head {key}"):
            answer = await self._client.head_object(**self._named(key, s3_version), ChecksumMode="ENABLED")
        return _info(key, answer)

    async def get(self, key: str, s3_version: str = "", *, offset: int = 0, length: int | None = None) -> bytes:
        if length == 0:
            await self.head(key, s3_version)  # a range cannot be empty
            return b""
        request = self._named(key, s3_version)
        if offset or length is not None:
            end = "" if length is None else str(offset + length - 1)
            request["Range"] = f"bytes={offset}-{end}"
        with ours(f"Get {key}"):
            try:
                answer = await self._client.get_object(**request)
            except ClientError as error:
                if code_of(error) in ("InvalidRange", "416"):
                    return b""  # it begins behind the last byte
                raise
            async with answer["Body"] as stream:
                body: bytes = await stream.read()
        if "Range" in request and "ContentRange" not in answer:
            # A server may answer a range with the whole (RFC 9110, 14.2).
            return body[offset:] if length is None else body[offset : offset + length]
        return body

    async def put(
        self,
        key: str,
        body: bytes,
        *,
        metadata: Mapping[str, str] | None = None,
        only_if_absent: bool = False,
    ) -> ObjectInfo:
        request: dict[str, Any] = {
            "Bucket": self._bucket,
            "Key": key,
            "Body": body,
            "ChecksumSHA256": base64.b64encode(hashlib.sha256(body).digest()).decode(),
            "Metadata": dict(metadata or {}),
        }
        if only_if_absent:
            request["IfNoneMatch"] = "*"
        with ours(f"Put {key}"):
            answer = await self._client.put_object(**request)
        # The answer names the version; when it was stored only S3 can say.
        return await self.head(key, answer.get("VersionId", ""))

    async def list_keys(self, prefix: str, *, after: str = "") -> AsyncIterator[str]:
        async for listed in self.list_objects(prefix, after=after):
            yield listed.key

    async def list_objects(self, prefix: str, *, after: str = "") -> AsyncIterator[ListedObject]:
        request = {"Bucket": self._bucket, "Prefix": prefix}
        if after:
            request["StartAfter"] = after
        while True:
            with ours(f"List {prefix}"):
                page = await self._client.list_objects_v2(**request)
            for entry in page.get("Contents", []):
                yield ListedObject(entry["Key"], entry["Size"], int(entry["LastModified"].timestamp()))
            if not page.get("IsTruncated"):
                return
            request["ContinuationToken"] = page["NextContinuationToken"]

    async def list_versions(self, prefix: str) -> AsyncIterator[ListedVersion]:
        request = {"Bucket": self._bucket, "Prefix": prefix}
        while True:
            with ours(f"List versions of {prefix}"):
                page = await self._client.list_object_versions(**request)
            for entry in page.get("Versions", []):
                modified = int(entry["LastModified"].timestamp())
                yield ListedVersion(entry["Key"], entry["Size"], modified, entry["VersionId"], entry["IsLatest"])
            if not page.get("IsTruncated"):
                return
            request["KeyMarker"] = page["NextKeyMarker"]
            request["VersionIdMarker"] = page["NextVersionIdMarker"]

    async def delete_version(self, key: str, s3_version: str) -> None:
        with ours(f"Delete {key}"):
            await self._client.delete_object(Bucket=self._bucket, Key=key, VersionId=s3_version)

    async def presign_get(self, key: str, s3_version: str, *, filename: str, expires_s: int) -> str:
        request = self._named(key, s3_version) | {"ResponseContentDisposition": as_attachment(filename)}
        with ours(f"Sign a URL for {key}"):
            url: str = await self._public_client.generate_presigned_url(
                "get_object", Params=request, ExpiresIn=expires_s
            )
        return url

    def _named(self, key: str, s3_version: str) -> dict[str, Any]:
        named = {"Bucket": self._bucket, "Key": key}
        return named | {"VersionId": s3_version} if s3_version else named


def _info(key: str, answer: Mapping[str, Any]) -> ObjectInfo:
    if answer.get("DeleteMarker"):
        raise NotFound(f"{key} was removed")
    return ObjectInfo(
        key=key,
        s3_version=answer.get("VersionId", ""),
        size_bytes=answer["ContentLength"],
        checksum=answer.get("ChecksumSHA256", ""),
        last_modified=int(answer["LastModified"].timestamp()),
        metadata={name.lower(): value for name, value in answer.get("Metadata", {}).items()},
    )


def as_attachment(filename: str) -> str:
    """A Content-Disposition that saves under ``filename``.

    Both forms of RFC 6266: plain ASCII, and UTF-8 as in RFC 5987, which every newer client prefers. The plain one has
    no semicolons either: some readers end a value there, quoted or not.
    """
    plain = "".join(mark if mark.isascii() and mark.isprintable() and mark not in '"\\%;' else "_" for mark in filename)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"
