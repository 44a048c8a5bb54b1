"""Intake: the durable road alone, beside, before and after the fast one; and what is no upload of ours."""

from __future__ import annotations

import pytest

from syncline.domain.commands import Withdraw
from syncline.domain.permits import METADATA_NAME, seal_permit
from syncline.domain.rights import Role
from syncline.memory.objects import created_event
from syncline.ports.queues import Queue
from tests.unit.metadata.world import (
    BOB,
    DESKTOP,
    FORGERS_KEYS,
    GRANT,
    KEYS,
    LIBRARY,
    Worker,
    World,
    altered,
    statuses,
)


async def again(world: World, key: str, times: int = 1, queue: Queue = Queue.UPLOADS) -> None:
    """The same S3 event once more."""
    info = await world.objects.head(key)
    for n in range(times):
        await world.queues.send(queue, created_event(info, sequencer=n))


async def versions(world: World) -> list[str]:
    tree = await world.tree()
    return [record.version.id for record in tree._versions.values() if record.version is not None]


async def test_bytes_that_landed_are_committed_without_anybody_asking(world: World):
    permit = await world.upload("plan.txt")
    await world.worker().drain()
    assert await versions(world) == [permit.id]
    assert await world.names() == ["plan.txt"]
    [commit] = await world.commits()
    assert (commit.account, commit.device) == (permit.account, permit.device)
    assert await world.left_on(Queue.UPLOADS, Queue.COMMITS) == 0
    await world.whole()


async def test_a_plain_tool_with_a_direct_permit_gets_its_file_committed(world: World):
    permit = await world.permit(b"content", name="plan.txt", direct=True)
    await world.put(permit, b"content")
    assert await world.worker().once(Queue.DIRECT) == 1
    await world.worker().drain()
    assert await versions(world) == [permit.id]
    await world.whole()


@pytest.mark.parametrize("road", ["event first", "fast first", "event only", "interleaved"])
async def test_ten_events_and_the_fast_road_in_any_order_make_one_version(world: World, road: str):
    permit = await world.upload("plan.txt")
    await again(world, permit.key, 9)
    worker = world.worker()
    if road == "event first":
        await worker.once(Queue.UPLOADS)
        command = await world.add(permit)
    elif road == "fast first":
        command = await world.add(permit)
        await worker.once(Queue.COMMITS)
    elif road == "interleaved":
        await worker.once(Queue.UPLOADS)
        await again(world, permit.key, 3)
        command = await world.add(permit)
        await world.worker().once(Queue.COMMITS)
        await again(world, permit.key, 3)
    await worker.drain()
    world.clock.advance(600)
    await again(world, permit.key, 10)
    await worker.drain()
    assert await versions(world) == [permit.id]
    assert await world.names() == ["plan.txt"]
    assert len(await world.commits()) == 1
    if road != "event only":
        assert statuses(await world.outcome(command)) in (["applied"], ["unchanged"])
    assert await world.left_on(Queue.UPLOADS, Queue.COMMITS) == 0
    assert await world.set_aside(Queue.UPLOADS) == []
    await world.whole()


async def test_events_of_what_is_committed_cost_no_look_at_s3(world: World):
    permit = await world.upload("plan.txt")
    await world.add(permit)
    worker = world.worker()
    await worker.once(Queue.COMMITS)
    world.objects._versions.clear()  # a look would find nothing there
    await worker.once(Queue.UPLOADS)
    assert (worker.landed("known"), worker.landed("gone"), worker.landed("sent")) == (1, 0, 0)


async def test_events_out_of_order_make_the_same_history(world: World):
    first = await world.upload("plan.txt", b"one")
    second = await world.upload("", b"two", node=first.node, base=first.id)
    await world.forget(Queue.UPLOADS)
    worker = world.worker()
    for permit in (second, first):
        await again(world, permit.key)
        await worker.drain()
    assert worker.landed("early") == 1
    world.clock.advance(60)
    await worker.drain()
    assert sorted(await versions(world)) == sorted([first.id, second.id])
    [node] = (await world.tree()).children(LIBRARY)
    assert node.version is not None
    assert node.version.id == second.id
    await world.whole()


async def test_both_versions_of_a_new_file_in_one_batch_are_committed_at_once(world: World):
    first = await world.permit(b"one", name="plan.txt")
    second = await world.permit(b"two", node=first.node, base=first.id)
    await world.put(second, b"two")
    await world.put(first, b"one")
    await world.worker().drain()
    assert sorted(await versions(world)) == sorted([first.id, second.id])
    [node] = (await world.tree()).children(LIBRARY)
    assert node.version is not None
    assert node.version.id == second.id
    await world.whole()


async def test_a_version_of_a_file_that_never_comes_is_set_aside_in_the_end(world: World):
    permit = await world.upload("", node="n" * 20, base="v" * 20)
    neighbour = await world.upload("neighbour")
    worker = world.worker()
    await worker.drain()
    assert await versions(world) == [neighbour.id], "it holds up nobody"
    for _ in range(6):
        world.clock.advance(1000)
        await worker.drain()
    [reason] = await world.set_aside(Queue.UPLOADS)
    assert reason.startswith("Temporary")
    assert await world.left_on(Queue.UPLOADS) == 0
    await world.objects.head(permit.key)


async def test_what_landed_together_becomes_one_commit_per_device(world: World):
    await world.upload("one")
    await world.upload("two")
    await world.upload("three", account=BOB, device=DESKTOP)
    await world.worker().drain()
    commits = await world.commits()
    assert sorted((commit.device, len(commit.changes)) for commit in commits) == [("d" * 20, 2), (DESKTOP, 1)]


async def test_a_withdrawn_permit_becomes_no_version(world: World):
    permit = await world.upload("plan.txt")
    await world.ask(Withdraw(permit.id))
    worker = world.worker()
    await worker.once(Queue.COMMITS)
    await worker.drain()
    assert await versions(world) == []
    assert worker.landed("known") == 1


async def test_rights_lost_since_the_upload_are_lost(world: World):
    permit = await world.upload("plan.txt", account=BOB, device=DESKTOP)
    await world.directory.set_member(LIBRARY, BOB, Role.VIEWER)
    await world.worker().drain()
    await again(world, permit.key)
    await world.worker().drain()
    assert await world.commits() == []
    assert await world.left_on(Queue.UPLOADS, Queue.COMMITS) == 0


class TestSetAside:
    async def reason(self, world: World, worker: Worker) -> str:
        await worker.drain()
        [reason] = await world.set_aside(Queue.UPLOADS)
        assert await world.left_on(Queue.UPLOADS, Queue.COMMITS) == 0, "it must not come again"
        assert await world.commits() == []
        return reason.split(":")[0]

    async def test_an_object_without_a_permit(self, world: World):
        permit = await world.permit(b"content", name="plan")
        await world.put(permit, b"content", sealed="")
        assert await self.reason(world, world.worker()) == "no-permit"

    async def test_a_forged_permit(self, world: World):
        permit = await world.permit(b"content", name="plan")
        await world.put(permit, b"content", sealed=seal_permit(permit, FORGERS_KEYS))
        assert await self.reason(world, world.worker()) == "bad-permit"

    async def test_an_altered_permit(self, world: World):
        permit = await world.permit(b"content", name="plan")
        sealed = seal_permit(permit, KEYS)
        middle = len(sealed) // 2
        other = "A" if sealed[middle] != "A" else "B"
        await world.put(permit, b"content", sealed=sealed[:middle] + other + sealed[middle + 1 :])
        assert await self.reason(world, world.worker()) == "bad-permit"

    async def test_garbage_for_a_permit(self, world: World):
        permit = await world.permit(b"content", name="plan")
        await world.put(permit, b"content", sealed="garbage ☃")
        assert await self.reason(world, world.worker()) == "bad-permit"

    async def test_a_permit_at_another_key(self, world: World):
        permit, other = await world.permit(b"content", name="plan"), await world.permit(b"content", name="other")
        await world.put(permit, b"content", key=other.key)
        assert await self.reason(world, world.worker()) == "permit-other-key"

    async def test_a_permit_at_a_key_of_another_library(self, world: World):
        permit = await world.permit(b"content", name="plan")
        await world.put(permit, b"content", key=permit.key.replace(LIBRARY, "m" * 20))
        assert await self.reason(world, world.worker()) == "permit-other-key"

    @pytest.mark.parametrize("content", [b"CONTENT", b"content and more", b""])
    async def test_other_bytes(self, world: World, content: bytes):
        permit = await world.permit(b"content", name="plan")
        await world.put(permit, content)
        assert await self.reason(world, world.worker()) == "permit-mismatch"

    async def test_bytes_that_landed_too_late(self, world: World):
        permit = await world.permit(b"content", name="plan")
        world.clock.advance(901)
        await world.put(permit, b"content")
        assert await self.reason(world, world.worker()) == "permit-expired"

    async def test_what_is_no_event(self, world: World):
        await world.queues.send(Queue.UPLOADS, b"\xff garbage")
        assert await self.reason(world, world.worker()) == "Unreadable"

    async def test_its_neighbours_are_committed(self, world: World):
        bad = await world.permit(b"content", name="bad")
        await world.put(bad, b"content", sealed="")
        good = await world.upload("good")
        worker = world.worker()
        await worker.drain()
        assert await versions(world) == [good.id]
        assert len(await world.set_aside(Queue.UPLOADS)) == 1


async def test_the_test_event_and_foreign_keys_are_dropped(world: World):
    await world.queues.send(Queue.UPLOADS, b'{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"b"}')
    for key in ("objects/x", f"objects/{LIBRARY}/{GRANT}/notanid", "elsewhere/y", f"objects/{LIBRARY}/{GRANT}"):
        await again(world, (await world.objects.put(key, b"x")).key)
    worker = world.worker()
    await worker.drain()
    assert worker.landed("not-ours") >= 4
    assert await world.left_on(Queue.UPLOADS, Queue.COMMITS) == 0
    assert await world.set_aside(Queue.UPLOADS) == []


async def test_an_object_that_is_gone_is_dropped(world: World):
    permit = await world.upload("plan")
    world.objects._versions.pop(permit.key)
    worker = world.worker()
    await worker.drain()
    assert worker.landed("gone") == 1
    assert await world.left_on(Queue.UPLOADS, Queue.COMMITS) == 0


@pytest.mark.parametrize("good_first", [True, False])
async def test_an_overwritten_direct_object_keeps_the_version_that_was_permitted(world: World, good_first: bool):
    """A plain tool may write a key twice; the bytes that match the permit are committed, as the version they are."""
    permit = await world.permit(b"content", name="plan", direct=True)
    contents = [b"content", b"CONTENT"] if good_first else [b"CONTENT", b"content"]
    put = [await world.put(permit, content) for content in contents]
    await world.worker().drain()
    [node] = (await world.tree()).children(LIBRARY)
    assert node.version is not None
    good = put[0 if good_first else 1]
    assert node.version.location.s3_version == good.s3_version
    reasons = await world.set_aside(Queue.DIRECT)
    assert [reason.split(":")[0] for reason in reasons] == ["permit-mismatch"]


async def test_an_event_for_a_library_that_is_gone_is_set_aside_by_the_committer(world: World):
    permit = altered(await world.permit(b"content", name="plan"), library="m" * 20)
    permit = altered(permit, key=permit.key.replace(LIBRARY, "m" * 20))
    await world.objects.put(permit.key, b"content", metadata={METADATA_NAME: seal_permit(permit, KEYS)})
    await world.worker().drain()
    [reason] = await world.set_aside(Queue.COMMITS)
    assert reason.startswith("no-such-library")
