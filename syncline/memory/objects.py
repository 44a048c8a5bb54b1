"""Objects in memory: a versioned bucket whose writes can send S3's events."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from bisect import bisect_right
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from urllib.parse import quote, quote_plus

import msgspec

from syncline.domain.errors import ConditionFailed, NotFound
from syncline.ports.clock import Clock
from syncline.ports.objects import ListedObject, ListedVersion, ObjectInfo
from syncline.ports.queues import Queue, Queues

BUCKET = "memory"
EVENTS = {"objects/": Queue.UPLOADS, "direct/": Queue.DIRECT}
"""Which queue hears of objects under which prefix."""

LIST_PAGE_KEYS = 1000


class MemoryObjects:
    """``ObjectStore`` on a clock. With ``queues``, writes under ``EVENTS`` send ObjectCreated there."""

    def __init__(self, clock: Clock, queues: Queues | None = None) -> None:
        self._clock = clock
        self._queues = queues
        self._versions: dict[str, list[tuple[ObjectInfo, bytes]]] = {}
        self._written = 0

    async def head(self, key: str, s3_version: str = "") -> ObjectInfo:
        await asyncio.sleep(0)
        return self._find(key, s3_version)[0]

    async def get(self, key: str, s3_version: str = "", *, offset: int = 0, length: int | None = None) -> bytes:
        await asyncio.sleep(0)
        body = self._find(key, s3_version)[1]
        return body[offset:] if length is None else body[offset : offset + length]

    async def put(
        self,
        key: str,
        body: bytes,
        *,
        metadata: Mapping[str, str] | None = None,
        only_if_absent: bool = False,
    ) -> ObjectInfo:
        checksum = base64.b64encode(hashlib.sha256(body).digest()).decode()
        return await self.put_with_checksum(key, body, checksum, metadata=metadata, only_if_absent=only_if_absent)

    async def put_with_checksum(
        self,
        key: str,
        body: bytes,
        checksum: str,
        *,
        metadata: Mapping[str, str] | None = None,
        only_if_absent: bool = False,
    ) -> ObjectInfo:
        """Store an object as a multipart upload leaves it: with the checksum that S3 made of its parts."""
        await asyncio.sleep(0)
        if only_if_absent and key in self._versions:
            raise ConditionFailed(f"There is an object {key} already")
        self._written += 1
        info = ObjectInfo(
            key=key,
            s3_version=f"v{self._written:08}",
            size_bytes=len(body),
            checksum=checksum,
            last_modified=self._clock.now_ms() // 1000,
            metadata={name.lower(): value for name, value in (metadata or {}).items()},
        )
        self._versions.setdefault(key, []).append((info, bytes(body)))
        await self._announce(info)
        return info

    async def list_keys(self, prefix: str, *, after: str = "") -> AsyncIterator[str]:
        async for listed in self.list_objects(prefix, after=after):
            yield listed.key

    async def list_objects(self, prefix: str, *, after: str = "") -> AsyncIterator[ListedObject]:
        last = after
        while True:
            await asyncio.sleep(0)
            keys = sorted(key for key in self._versions if key.startswith(prefix))
            page = keys[bisect_right(keys, last) :][:LIST_PAGE_KEYS]
            if not page:
                return
            for key in page:
                info, _ = self._find(key, "")
                yield ListedObject(key, info.size_bytes, info.last_modified)
            last = page[-1]

    async def list_versions(self, prefix: str) -> AsyncIterator[ListedVersion]:
        await asyncio.sleep(0)
        for key in sorted(key for key in self._versions if key.startswith(prefix)):
            infos = [info for info, _ in reversed(self._versions.get(key, []))]
            for place, info in enumerate(infos):
                yield ListedVersion(key, info.size_bytes, info.last_modified, info.s3_version, place == 0)

    async def delete_version(self, key: str, s3_version: str) -> None:
        await asyncio.sleep(0)
        left = [one for one in self._versions.get(key, []) if one[0].s3_version != s3_version]
        if left:
            self._versions[key] = left
        else:
            self._versions.pop(key, None)

    async def presign_get(self, key: str, s3_version: str, *, filename: str, expires_s: int) -> str:
        expires_at = self._clock.now_ms() // 1000 + expires_s
        return f"memory://{BUCKET}/{quote(key)}?versionId={s3_version}&expires={expires_at}&filename={quote(filename)}"

    def _find(self, key: str, s3_version: str) -> tuple[ObjectInfo, bytes]:
        for info, body in reversed(self._versions.get(key, [])):
            if s3_version in ("", info.s3_version):
                return info, body
        raise NotFound(f"No object {key}" + (f" of version {s3_version}" if s3_version else ""))

    async def _announce(self, info: ObjectInfo) -> None:
        queue = next((queue for prefix, queue in EVENTS.items() if info.key.startswith(prefix)), None)
        if queue is not None and self._queues is not None:
            await self._queues.send(queue, created_event(info, sequencer=self._written))


def created_event(info: ObjectInfo, *, sequencer: int) -> bytes:
    """S3's notification of one created object, as it lies on a queue. Keys are URL-encoded (form style)."""
    at = datetime.fromtimestamp(info.last_modified, UTC)
    return msgspec.json.encode(
        {
            "Records": [
                {
                    "eventVersion": "2.1",
                    "eventSource": "aws:s3",
                    "awsRegion": "us-east-1",
                    "eventTime": at.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
                    "eventName": "ObjectCreated:Put",
                    "s3": {
                        "s3SchemaVersion": "1.0",
                        "bucket": {"name": BUCKET, "arn": f"arn:aws:s3:::{BUCKET}"},
                        "object": {
                            "key": quote_plus(info.key, safe="/"),
                            "size": info.size_bytes,
                            "versionId": info.s3_version,
                            "sequencer": f"{sequencer:018X}",
                        },
                    },
                }
            ]
        }
    )
