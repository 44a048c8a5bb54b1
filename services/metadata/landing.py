"""Looking at what landed in S3, many objects at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from syncline.domain.commands import Permit
from syncline.domain.errors import NotFound, Refused
from syncline.domain.nodes import Location
from syncline.domain.permits import check_landed
from syncline.ports.objects import ObjectInfo, ObjectStore

HEADS_AT_ONCE = 32
NOT_LANDED = "not-landed"


class Landing:
    """``HeadObject`` for permits, at most ``HEADS_AT_ONCE`` under way in this process."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self._slots = asyncio.Semaphore(HEADS_AT_ONCE)

    async def head(self, key: str, s3_version: str = "") -> ObjectInfo | None:
        """What S3 holds, None when nothing. Raises ``Temporary``, ``Broken``."""
        async with self._slots:
            try:
                return await self._objects.head(key, s3_version)
            except NotFound:
                return None

    async def locate(self, permits: Iterable[Permit]) -> dict[str, Location | str]:
        """For each permit id: where its bytes are, or the slug of why they are none."""
        wanted = list(permits)
        tasks: list[asyncio.Task[ObjectInfo | None]] = []
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.head(permit.key)) for permit in wanted]
        return {permit.id: judge(permit, task.result()) for permit, task in zip(wanted, tasks, strict=True)}


def judge(permit: Permit, found: ObjectInfo | None) -> Location | str:
    """Where the bytes of a permit are, or the slug of why what was found cannot become its version."""
    if found is None:
        return NOT_LANDED
    try:
        check_landed(
            permit,
            key=found.key,
            size_bytes=found.size_bytes,
            checksum=found.checksum,
            last_modified=found.last_modified,
        )
    except Refused as refused:
        return refused.kind
    return location_of(found)


def location_of(found: ObjectInfo) -> Location:
    """The whole of one object version."""
    return Location(found.key, found.s3_version, 0, found.size_bytes)
