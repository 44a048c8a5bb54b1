"""What the archive has replaced really leaves the bucket, by the syncer's own key."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from deploy.local.aws import root_key
from services.gateway.app import random_id
from services.syncer.tidying import SNAPSHOTS_KEPT
from syncline.messages import api as m
from syncline.store.segments import SegmentKey, last_of_segment, parse_key
from tests.e2e.embedded import EmbeddedStack, running_stack
from tests.e2e.people import Person, eventually, person

pytestmark = pytest.mark.e2e

AT_ONCE = 16
FIRST_COMMITS = 40
SNAPSHOT_CHANGES = 20
SNAPSHOTS_MADE = 4


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    options = (
        "SYNCLINE_ARCHIVE_SECONDS=1",
        f"SYNCLINE_SNAPSHOT_CHANGES={SNAPSHOT_CHANGES}",
        "SYNCLINE_REPLACED_KEPT_SECONDS=1",
    )
    sets = [word for option in options for word in ("--set", option)]
    with running_stack(tmp_path_factory.mktemp("tidying"), *sets) as running:
        yield running


async def kept(stack: EmbeddedStack, room: str, library: str) -> list[str]:
    """The keys under ``journal/`` or ``snapshots/``, with all their S3 versions; seen by root."""
    async with stack.aws("s3", root_key(stack.place)) as s3:
        pages = s3.get_paginator("list_object_versions").paginate(
            Bucket=stack.definition.bucket.name, Prefix=f"{room}/{library}/"
        )
        found = [page async for page in pages]
    assert not any(page.get("DeleteMarkers") for page in found), "they go for ever, not behind a marker"
    return [one["Key"] for page in found for one in page.get("Versions", [])]


def reaches(seq: int, found: list[int]) -> bool:
    return max(found, default=0) >= seq


def folders(library: str, count: int) -> list[m.MakeFolder]:
    ids = [random_id() for _ in range(count)]
    return [m.MakeFolder(node=id, parent=library, name=id) for id in ids]


async def make_commits(who: Person, library: str, count: int) -> None:
    room = asyncio.Semaphore(AT_ONCE)

    async def one(folder: m.MakeFolder) -> None:
        async with room:
            await who.commit(library, folder)

    await asyncio.gather(*map(one, folders(library, count)))


async def test_pieces_of_full_segments_and_old_snapshots_leave_the_bucket(stack: EmbeddedStack, tmp_path: Path) -> None:
    async with person(stack.url, tmp_path, "alice") as alice:
        library = await alice.library()
        segment = (1, last_of_segment(1))
        # In two goes, with a turn of the archive between them: the first piece is there before the segment is full.
        await make_commits(alice, library, FIRST_COMMITS)

        async def pieces() -> list[tuple[int, int]]:
            keys = [parse_key(key) for key in await kept(stack, "journal", library)]
            found = [(key.first, key.last) for key in keys if isinstance(key, SegmentKey)]
            return [one for one in found if one[1] <= segment[1]]

        assert segment not in await eventually(pieces, until=bool)
        await make_commits(alice, library, segment[1] - FIRST_COMMITS)

        async def pieces_of_a_library_that_moves() -> list[tuple[int, int]]:
            await make_commits(alice, library, 1)
            return await pieces()

        await eventually(pieces_of_a_library_that_moves, until=lambda found: found == [segment])

        async def snapshots() -> list[int]:
            return [int(key.rpartition("/")[2]) for key in await kept(stack, "snapshots", library)]

        made, nodes = set[int](), segment[1]
        while len(made) < SNAPSHOTS_MADE:
            nodes += nodes // 2  # a fifth is enough
            seq = (await alice.commit(library, *folders(library, nodes // 3))).seq
            made.update(await eventually(snapshots, until=partial(reaches, seq)))
        assert SNAPSHOTS_KEPT <= len(await snapshots()) < SNAPSHOTS_MADE
        # Who starts now is sent to one that is there.
        start = await alice.api.snapshot(library)
        assert start is not None
        assert start.seq in await snapshots()
