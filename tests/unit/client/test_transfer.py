"""Moving bytes: parts resumed after a crash, stripes, and contents that are not what they should be."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from syncline.client.progress import NoProgress, Way
from syncline.client.s3_xml import Part
from syncline.client.transfer import LARGE_AT_ONCE, ContentChanged, Fetched, Source, Transfers
from syncline.client.trees import Content
from syncline.domain.checksums import checksum_of
from syncline.domain.errors import Broken
from syncline.domain.traceparent import is_sampled
from syncline.messages.api import Permitted
from syncline.ports import tracing
from tests.traces import id_of, traced
from tests.unit.client.clients import Client
from tests.unit.client.fakes import START_S, FakeObjects, Stack

MIB = 1024 * 1024


class Counting(NoProgress):
    def __init__(self) -> None:
        self.moved_bytes = {Way.UP: 0, Way.DOWN: 0}

    def moved(self, way: Way, size_bytes: int) -> None:
        self.moved_bytes[way] += size_bytes


def setup(hook: Callable[[str], None] = lambda _: None) -> tuple[Stack, FakeObjects, Transfers, Counting]:
    stack, progress = Stack(), Counting()
    objects = FakeObjects(stack, hook=hook)
    return stack, objects, Transfers(lambda _: objects, progress), progress


def source(body: bytes) -> Source:
    return Source(Content(len(body), checksum_of(body), False), lambda offset, length: body[offset : offset + length])


PERMITTED = Permitted(node="n", version="v", key="key", permit="sealed")
SIZES = [0, 1, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 16 * MIB, 35 * MIB + 7]


@pytest.mark.parametrize("size", SIZES)
async def test_there_and_back(size: int) -> None:
    body = os.urandom(1 + size // 1000) * 1000
    body = body[:size]
    stack, objects, transfers, progress = setup()
    await transfers.send(source(body), objects, PERMITTED)
    version = stack.current["key"]
    assert stack.objects["key", version][:3] == (body, checksum_of(body), {"permit": "sealed"})
    back = bytearray(size)

    def write(data: bytes, offset: int) -> None:
        back[offset : offset + len(data)] = data

    fetched = Fetched(source(body).content, "key", version, 0, size)
    await transfers.receive(fetched, objects, write)
    assert bytes(back) == body
    assert progress.moved_bytes == {Way.UP: size, Way.DOWN: size}


@pytest.mark.parametrize("size", [100, 20 * MIB])
async def test_other_bytes_than_promised_are_refused(size: int) -> None:
    body = os.urandom(size)
    stack, objects, transfers, _ = setup()
    stack.objects["key", "v"] = (body[:-1] + bytes([body[-1] ^ 1]), "", {}, START_S)
    with pytest.raises(Broken, match="the library says"):
        await transfers.receive(Fetched(source(body).content, "key", "v", 0, size), objects, lambda *_: None)


@pytest.mark.parametrize(
    ("size", "harm"),
    # Of a longer large file only the promised length is read: those are the promised bytes.
    [(100, "other"), (100, "shorter"), (100, "longer"), (20 * MIB, "other"), (20 * MIB, "shorter")],
)
async def test_a_source_that_changed_is_not_stored(size: int, harm: str) -> None:
    body = os.urandom(size)
    now = {"other": body[:-1] + b"?", "shorter": body[:-1], "longer": body + b"!"}[harm]
    stack, objects, transfers, _ = setup()
    changed = Source(source(body).content, lambda offset, length: now[offset : offset + length])
    with pytest.raises(ContentChanged):
        await transfers.send(changed, objects, PERMITTED)
    assert stack.current == {}


class Killed(BaseException):
    """The process is gone."""


async def test_an_upload_goes_on_where_a_killed_client_left_it(tmp_path: Path) -> None:
    stack = Stack()
    alice = Client(stack, tmp_path, "alice")
    alice.write("large", os.urandom(1000) * (70 * 1000))
    sent: list[str] = []

    def kill_after_three_parts(step: str) -> None:
        sent.append(step)
        if sent.count("part stored") == 3:
            raise Killed

    alice.hook = kill_after_three_parts
    with pytest.raises(Killed):
        await alice.sync()
    had = sum(len(parts) for parts in stack.uploads.values())
    assert had >= 3
    again: list[str] = []
    alice.hook = again.append
    alice.restart()
    summary = await alice.sync()
    assert summary.complete
    assert again.count("put part") == 9 - had
    assert again.count("create multipart") == 0
    assert stack.files()["large"] == alice.read("large")


async def test_an_upload_that_s3_forgot_meanwhile_begins_anew(tmp_path: Path) -> None:
    stack = Stack()
    alice = Client(stack, tmp_path, "alice")
    alice.write("large", os.urandom(1000) * (30 * 1000))
    sent: list[str] = []

    def kill_after_three_parts(step: str) -> None:
        sent.append(step)
        if sent.count("part stored") == 3:
            raise Killed

    alice.hook = kill_after_three_parts
    with pytest.raises(Killed):
        await alice.sync()
    stack.uploads.clear()
    alice.hook = lambda _: None
    alice.restart()
    assert (await alice.sync()).complete
    assert stack.files()["large"] == alice.read("large")


@pytest.mark.parametrize("last_step", ["part stored", "complete"])
async def test_an_upload_that_s3_forgets_in_the_middle_begins_anew(tmp_path: Path, last_step: str) -> None:
    stack = Stack()
    alice = Client(stack, tmp_path, "alice")
    alice.write("large", os.urandom(1000) * (30 * 1000))
    alice.write("small", b"small")
    steps: list[str] = []

    def forget_once(step: str) -> None:
        steps.append(step)
        if step == last_step and steps.count(step) == 1:
            stack.uploads.clear()

    alice.hook = forget_once
    assert (await alice.sync()).complete
    assert steps.count("create multipart") == 2
    assert stack.files()["large"] == alice.read("large")


async def test_a_download_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    stack = Stack()
    alice, bob = Client(stack, tmp_path, "alice"), Client(stack, tmp_path, "bob")
    alice.write("large", os.urandom(1000) * (17 * 1000))
    await alice.sync()

    def fail(step: str) -> None:
        if step == "half got":
            raise Broken("S3 is not itself")

    bob.hook = fail
    with pytest.raises(Broken):
        await bob.sync()
    assert bob.files() == {}
    assert list((bob.folder / ".syncline/tmp").iterdir()) == []
    bob.hook = lambda _: None
    await bob.sync()
    assert bob.files() == alice.files()


class Stuck(FakeObjects):
    """Parts get nowhere until ``go``."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(stack)
        self.go = asyncio.Event()
        self.uploads_begun = 0

    async def create_multipart(self, key: str, *, metadata: Mapping[str, str]) -> str:
        self.uploads_begun += 1
        return await super().create_multipart(key, metadata=metadata)

    async def put_part(self, key: str, upload: str, number: int, body: bytes, checksum: str) -> Part:
        await self.go.wait()
        return await super().put_part(key, upload, number, body, checksum)


async def test_small_files_of_one_link_do_not_wait_for_large_ones_of_another() -> None:
    stack = Stack()
    objects = Stuck(stack)
    one = Transfers(lambda _: objects, NoProgress())
    other = one.telling(Counting())

    async def send(transfers: Transfers, key: str, body: bytes) -> None:
        async with transfers.lane(len(body)):
            permitted = Permitted(node="n", version="v", key=key, permit="sealed")
            await transfers.send(source(body), objects, permitted)

    large = os.urandom(1000) * (9 * 1000)
    waiting = [asyncio.create_task(send(one, f"large {number}", large)) for number in range(2 * LARGE_AT_ONCE)]
    async with asyncio.timeout(60):
        for number in range(5):
            await send(other, f"small {number}", b"small")
    assert not any(task.done() for task in waiting)
    more = asyncio.create_task(send(other, "large of the other", large))
    await asyncio.sleep(0)
    assert objects.uploads_begun <= LARGE_AT_ONCE  # the bound holds over both
    objects.go.set()
    await asyncio.gather(*waiting, more)
    assert len(stack.current) == 2 * LARGE_AT_ONCE + 6


@pytest.mark.parametrize("size", [5, 8 * MIB])
async def test_what_lands_says_in_which_trace_it_was_put(size: int) -> None:
    stack, objects, transfers, _ = setup()
    with traced() as traces, tracing.span("sync"):
        await transfers.send(source(b"x" * size), objects, PERMITTED)
        trace = tracing.current_trace_id()
    metadata = stack.objects["key", stack.current["key"]][2]
    upload = traces.one("upload")
    assert metadata == {
        "permit": "sealed",
        "traceparent": f"00-{trace}-{id_of(upload):016x}-{metadata['traceparent'][-2:]}",
    }
    assert is_sampled(metadata["traceparent"])
