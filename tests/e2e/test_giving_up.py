"""What a library need not keep really leaves the bucket, by metadata's own key; what something names stays.

The sweep comes by every second and frees bytes a second after they were given up. Days pass by a job of metadata's on
its own key, whose clock is ahead.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from deploy.local.aws import root_key
from deploy.local.programs import service_environment
from services.metadata.giving_up import GivingUp
from services.metadata.measures import Measures
from syncline.aws.clock import SystemClock
from syncline.aws.connect import Aws, connect
from syncline.aws.settings import Settings
from syncline.domain.commits import Status
from syncline.domain.errors import Refused
from syncline.domain.rights import Role
from syncline.messages import api as m, history as h
from syncline.ports.queues import Queue
from syncline.serving.metrics import Metrics
from tests.e2e.embedded import EmbeddedStack, running_stack
from tests.e2e.people import Person, eventually, person

pytestmark = pytest.mark.e2e

SWEEP_SECONDS = 1
FREE_AFTER_SECONDS = 1
DAY_MS = 24 * 3_600 * 1_000


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    options = [
        f"SYNCLINE_SWEEP_INTERVAL_SECONDS={SWEEP_SECONDS}",
        f"SYNCLINE_FREE_AFTER_SECONDS={FREE_AFTER_SECONDS}",
    ]
    sets = [word for option in options for word in ("--set", option)]
    with running_stack(tmp_path_factory.mktemp("giving-up"), *sets) as running:
        yield running


class Later(SystemClock):
    """A clock so many days ahead."""

    def __init__(self, days: float) -> None:
        self._ahead_ms = int(days * DAY_MS)

    def now_ms(self) -> int:
        return super().now_ms() + self._ahead_ms


@asynccontextmanager
async def as_metadata(stack: EmbeddedStack, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Aws]:
    """The ports that metadata works with, on its own key."""
    environment = service_environment(stack.place, stack.definition, "metadata", stack.key("metadata"))
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name, value in environment.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    async with connect(Settings.from_environ(environment)) as aws:
        yield aws


async def objects_of(stack: EmbeddedStack, library: str) -> dict[str, list[str]]:
    """The S3 versions of every uploaded object of a library, by key; seen by root."""
    found: dict[str, list[str]] = {}
    async with stack.aws("s3", root_key(stack.place)) as s3:
        for room in ("objects", "direct"):
            answer = await s3.list_object_versions(Bucket=stack.definition.bucket.name, Prefix=f"{room}/{library}/")
            for one in answer.get("Versions", []):
                found.setdefault(one["Key"], []).append(one["VersionId"])
            assert not answer.get("DeleteMarkers"), "bytes go for ever, not behind a marker"
    return found


async def behind(aws: Aws) -> int:
    return await aws.queues.depth(Queue.COMMITS)


async def edited(alice: Person, library: str, name: str, *contents: bytes) -> tuple[str, list[m.VersionState]]:
    """A file with so many versions; its id, and they, oldest first."""
    permitted = await alice.upload(library, name, contents[0])
    base = await alice.commit(library, m.AddVersion(permit=permitted.permit))
    for content in contents[1:]:
        assert base.version
        newer = await alice.upload(library, name, content, node=permitted.node, base_version=base.version)
        base = await alice.commit(library, m.AddVersion(permit=newer.permit))
    page = await alice.api.versions(library, permitted.node)
    return permitted.node, list(reversed(page.versions))


def copy_of(library: str, version: m.VersionState, name: str) -> m.CopyVersion:
    return m.CopyVersion(
        source=version.id,
        parent=library,
        name=name,
        size_bytes=version.size_bytes,
        checksum=version.checksum,
        mtime_ns=1,
    )


async def test_versions_beyond_the_number_leave_the_bucket(stack: EmbeddedStack, tmp_path: Path) -> None:
    async with person(stack.url, tmp_path, "alice") as alice:
        library = await alice.library()
        node, versions = await edited(alice, library, "plan.txt", b"one", b"two two", b"three")
        # A copy names the first one's bytes.
        copied = await alice.commit(library, copy_of(library, versions[0], "copy.txt"))
        await alice.api.set_retention(library, h.Retention(versions_max=1))

        async def keys() -> Mapping[str, list[str]]:
            return await objects_of(stack, library)

        left = await eventually(keys, until=lambda found: versions[1].key not in found)
        assert sorted(left) == sorted([versions[0].key, versions[2].key])
        assert await alice.read(library, node) == b"three"
        assert await alice.read(library, copied.node) == b"one"
        again = await alice.commit(library, copy_of(library, versions[1], "again.txt"))
        assert (again.status, again.reason) == (Status.REFUSED, "version-purged")


async def test_trash_leaves_the_bucket_after_its_days_and_nothing_does_under_a_hold(
    stack: EmbeddedStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with person(stack.url, tmp_path, "alice") as alice, as_metadata(stack, monkeypatch) as aws:
        library = await alice.library()
        node, _ = await edited(alice, library, "plan.txt", b"one", b"two")
        kept, [current] = await edited(alice, library, "kept.txt", b"kept")
        direct = await alice.upload(library, "direct.txt", b"sent by a plain tool", direct=True)
        await eventually(lambda: alice.names(library), until=lambda names: "direct.txt" in names)
        for one in (node, direct.node):
            seq = (await alice.api.library(library)).seq
            await alice.commit(library, m.Remove(node=one, base_seq=seq))
        before = await objects_of(stack, library)
        assert len(before) == 4

        async def rounds(days: float) -> None:
            job = GivingUp(aws.tables, aws.objects, aws.queues, Later(days), Measures(Metrics("later")))
            for _ in range(3):
                seq = (await alice.api.library(library)).seq
                await job.round()
                await eventually(lambda: behind(aws), until=lambda depth: depth == 0)
                if (await alice.api.library(library)).seq == seq:
                    return

        await alice.api.set_retention(library, h.Retention(versions_days=1, trash_days=7, hold=True))
        await rounds(400)
        assert await objects_of(stack, library) == before
        assert len((await alice.api.trash(library)).removed) == 2
        await alice.api.set_retention(library, h.Retention(versions_days=0, trash_days=7))
        await rounds(6)
        assert len((await alice.api.trash(library)).removed) == 2
        await rounds(8)
        assert (await alice.api.trash(library)).removed == []
        await rounds(39)
        assert await objects_of(stack, library) == {current.key: [current.s3_version]}
        assert await alice.read(library, kept) == b"kept"


async def test_what_an_owner_gives_up_leaves_the_bucket_without_any_rules(stack: EmbeddedStack, tmp_path: Path) -> None:
    async with person(stack.url, tmp_path, "alice") as alice, person(stack.url, tmp_path, "bob") as bob:
        library = await alice.library((bob, Role.EDITOR))
        plan, versions = await edited(alice, library, "plan.txt", b"one", b"two two")
        gone, [copied, removed] = await edited(alice, library, "gone.txt", b"copied", b"removed")
        await alice.commit(library, copy_of(library, copied, "copy.txt"))
        seq = (await alice.api.library(library)).seq
        await alice.commit(library, m.Remove(node=gone, base_seq=seq))
        with pytest.raises(Refused, match="owners"):
            await bob.api.purge(library, h.Purge())
        told = await alice.api.purge(library, h.Purge(dry_run=True))
        assert (told.files, told.versions, told.size_bytes) == (1, 2, 13)
        done = await alice.api.purge(library, h.Purge(upto=told.upto))
        assert (done.files, done.versions, done.more) == (1, 2, False)
        seq = (await alice.api.library(library)).seq
        await alice.api.purge(library, h.Purge(node=plan, versions_before=str(seq)))

        async def keys() -> Mapping[str, list[str]]:
            return await objects_of(stack, library)

        left = await eventually(keys, until=lambda found: not {removed.key, versions[0].key} & set(found))
        assert sorted(left) == sorted([copied.key, versions[1].key])
        assert await alice.read(library, plan) == b"two two"
