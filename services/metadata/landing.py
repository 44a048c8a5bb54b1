"""Looking at what landed in S3, many objects at once."""

from __future__ import annotations

from collections.abc import Sequence

from syncline.domain.commands import Permit
from syncline.domain.errors import NotFound, Refused
from syncline.domain.nodes import Location
from syncline.domain.permits import check_landed
from syncline.ports.objects import ObjectInfo, ObjectStore
from syncline.store.together import together

HEADS_AT_ONCE = 32
NOT_LANDED = "not-landed"


class Landing:
    """``HeadObject`` for what is said to have landed, at most ``HEADS_AT_ONCE`` of one batch under way."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    async def heads(self, wanted: Sequence[tuple[str, str]]) -> list[ObjectInfo | None]:
        """What S3 holds for each (key, S3 version or ""), None where nothing. Raises ``Temporary``, ``Broken``."""
        return await together(wanted, self._head, at_once=HEADS_AT_ONCE)

    async def locate(self, permits: Sequence[Permit]) -> dict[str, Location | str]:
        """For each permit id: where its bytes are, or the slug of why they are none."""
        found = await self.heads([(permit.key, "") for permit in permits])
        return {permit.id: judge(permit, info) for permit, info in zip(permits, found, strict=True)}

    async def _head(self, wanted: tuple[str, str]) -> ObjectInfo | None:
        key, s3_version = wanted
        try:
            return await self._objects.head(key, s3_version)
        except NotFound:
            return None


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
