"""What callers of objects may rely on (syncline/ports/objects.py)."""

import asyncio
import base64
import hashlib
import json
from urllib.parse import unquote_plus

import aiohttp
import pytest

from syncline.domain.errors import ConditionFailed, NotFound
from syncline.ports.objects import ListedObject, ListedVersion
from syncline.ports.queues import Queue

BYTES = bytes(range(256)) * 40


def sha256(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


async def test_an_object_comes_back_as_it_was_put(subject, objects, unique):
    key = f"commands/{unique}/ünï code+%20&=.bin"
    metadata = {"permit": "abc_-DEF", "other": "x" * 1500}
    before = subject.clock.now_ms() // 1000
    put = await objects.put(key, BYTES, metadata=metadata)
    head = await objects.head(key)
    assert put == head
    assert (head.key, head.size_bytes, head.checksum) == (key, len(BYTES), sha256(BYTES))
    assert head.metadata == metadata
    assert head.s3_version
    assert before - 1 <= head.last_modified <= subject.clock.now_ms() // 1000 + 1
    assert await objects.get(key) == BYTES


async def test_an_empty_object(objects, unique):
    put = await objects.put(f"commands/{unique}", b"")
    assert (put.size_bytes, put.checksum) == (0, sha256(b""))
    assert await objects.get(f"commands/{unique}") == b""


@pytest.mark.parametrize(
    ("offset", "length", "wanted"),
    [
        (0, None, BYTES),
        (0, 10, BYTES[:10]),
        (100, 50, BYTES[100:150]),
        (100, None, BYTES[100:]),
        (len(BYTES) - 5, 100, BYTES[-5:]),
        (5, 0, b""),
        (len(BYTES), 10, b""),
    ],
)
async def test_a_range(objects, unique, offset, length, wanted):
    await objects.put(f"commands/{unique}", BYTES)
    assert await objects.get(f"commands/{unique}", offset=offset, length=length) == wanted


async def test_versions_never_change(objects, unique):
    key = f"commands/{unique}"
    first = await objects.put(key, b"first", metadata={"n": "1"})
    second = await objects.put(key, b"second")
    assert first.s3_version != second.s3_version
    assert await objects.get(key) == b"second"
    assert await objects.get(key, first.s3_version) == b"first"
    assert await objects.get(key, first.s3_version, offset=1, length=3) == b"irs"
    assert await objects.head(key, first.s3_version) == first
    assert await objects.head(key) == second


async def test_only_if_absent_never_overwrites(objects, unique):
    key = f"commands/{unique}"
    await objects.put(key, b"first", only_if_absent=True)
    with pytest.raises(ConditionFailed):
        await objects.put(key, b"second", only_if_absent=True)
    assert await objects.get(key) == b"first"


async def test_of_those_who_put_only_if_absent_one_wins(objects, unique):
    async def put(n: int) -> bool:
        try:
            await objects.put(f"commands/{unique}", b"%d" % n, only_if_absent=True)
        except ConditionFailed:
            return False
        return True

    won = await asyncio.gather(*(put(n) for n in range(8)))
    assert sum(won) == 1
    assert await objects.get(f"commands/{unique}") == b"%d" % won.index(True)


async def test_what_is_not_there_is_not_found(objects, unique):
    with pytest.raises(NotFound):
        await objects.head(f"commands/{unique}")
    with pytest.raises(NotFound):
        await objects.get(f"commands/{unique}")
    with pytest.raises(NotFound):
        await objects.get(f"commands/{unique}", length=0)


async def test_a_version_that_is_not_there_is_not_found(objects, unique):
    other = await objects.put(f"commands/{unique}/other", b"x")
    await objects.put(f"commands/{unique}", b"x")
    with pytest.raises(NotFound):
        await objects.head(f"commands/{unique}", other.s3_version)
    with pytest.raises(NotFound):
        await objects.get(f"commands/{unique}", other.s3_version)


async def test_keys_are_listed_in_order(objects, unique):
    names = ["a", "a/b", "b", "b+ &%", "c/d/e", "ä", "\U0001f600"]
    for name in reversed(names):
        await objects.put(f"commands/{unique}/{name}", b"x")
    await objects.put(f"commands/{unique}x", b"x")
    await objects.put(f"commands/{unique}/b", b"again")
    wanted = [f"commands/{unique}/{name}" for name in sorted(names, key=lambda name: name.encode())]
    assert [key async for key in objects.list_keys(f"commands/{unique}/")] == wanted
    after = [key async for key in objects.list_keys(f"commands/{unique}/", after=wanted[2])]
    assert after == wanted[3:]
    assert [key async for key in objects.list_keys(f"commands/{unique}/none/")] == []


async def test_a_listing_tells_size_and_time_of_the_current_version(objects, unique):
    await objects.put(f"commands/{unique}/a", b"x")
    newer = await objects.put(f"commands/{unique}/a", b"longer")
    other = await objects.put(f"commands/{unique}/b", b"")
    listed = [found async for found in objects.list_objects(f"commands/{unique}/")]
    assert listed == [ListedObject(info.key, info.size_bytes, info.last_modified) for info in (newer, other)]
    assert [found.key async for found in objects.list_objects(f"commands/{unique}/", after=newer.key)] == [other.key]


async def test_every_version_of_every_key_is_listed_the_newest_first(objects, unique):
    put = [
        await objects.put(f"direct/{unique}/{name}", body) for name, body in (("a", b"1"), ("b", b"2"), ("a", b"33"))
    ]
    await objects.delete_version(put[1].key, put[1].s3_version)
    wanted = [
        ListedVersion(info.key, info.size_bytes, info.last_modified, info.s3_version, latest)
        for info, latest in ((put[2], True), (put[0], False))
    ]
    assert [found async for found in objects.list_versions(f"direct/{unique}/")] == wanted


async def test_listing_versions_goes_on_over_pages(objects, unique):
    for start in range(0, 520, 40):
        await asyncio.gather(*(objects.put(f"commands/{unique}/{n:03}", b"") for n in range(start, start + 40)))
        await asyncio.gather(*(objects.put(f"commands/{unique}/{n:03}", b"x") for n in range(start, start + 40)))
    found = [(one.key[-3:], one.latest) async for one in objects.list_versions(f"commands/{unique}/")]
    assert found == [(f"{n:03}", latest) for n in range(520) for latest in (True, False)]


async def test_listing_goes_on_over_pages(objects, unique):
    keys = [f"commands/{unique}/{n:04}" for n in range(1003)]
    for start in range(0, len(keys), 50):
        await asyncio.gather(*(objects.put(key, b"") for key in keys[start : start + 50]))
    assert [key async for key in objects.list_keys(f"commands/{unique}/")] == keys


@pytest.mark.parametrize(("prefix", "queue"), [("objects", Queue.UPLOADS), ("direct", Queue.DIRECT)])
async def test_what_lands_is_told_to_its_queue(subject, queues, objects, unique, prefix, queue):
    put = await objects.put(f"{prefix}/{unique}/ü +.bin", BYTES)
    found = None
    while found is None:  # the local AWS sends a test event first, as S3 does
        for message in await subject.meanwhile(queues.receive(queue, wait_s=20)):
            await queues.delete(queue, [message])
            for record in json.loads(message.body).get("Records", []):
                if unique in record["s3"]["object"]["key"]:
                    found = record
    assert found["eventName"].startswith("ObjectCreated:")
    assert unquote_plus(found["s3"]["object"]["key"]) == put.key
    assert found["s3"]["object"]["versionId"] == put.s3_version
    assert found["s3"]["object"]["size"] == len(BYTES)


async def test_a_signed_url_names_the_object_and_the_file(subject, objects, unique):
    old = await objects.put(f"objects/{unique}", b"old bytes")
    await objects.put(f"objects/{unique}", b"new bytes")
    filename = 'Grüße "2026"; 100%.txt'
    url = await objects.presign_get(f"objects/{unique}", old.s3_version, filename=filename, expires_s=60)
    if subject.kind == "memory":
        assert unique in url
        assert old.s3_version in url
        return
    async with aiohttp.ClientSession() as anybody, anybody.get(url) as response:
        assert response.status == 200
        assert await response.read() == b"old bytes"
        disposition = response.headers["Content-Disposition"]
        assert response.content_disposition is not None
        assert response.content_disposition.type == "attachment"
        assert response.content_disposition.filename == filename
    assert disposition.isascii()
    async with aiohttp.ClientSession() as anybody, anybody.get(url.replace(unique, "other")) as response:
        assert response.status == 403


async def test_one_version_is_removed_for_ever_and_the_others_stay(objects, unique):
    key = f"objects/{unique}/l/g/p"
    first, second = await objects.put(key, b"one"), await objects.put(key, b"two")
    for _ in range(2):
        await objects.delete_version(key, first.s3_version)
        with pytest.raises(NotFound):
            await objects.head(key, first.s3_version)
        assert await objects.get(key) == b"two"
    await objects.delete_version(key, second.s3_version)
    with pytest.raises(NotFound):
        await objects.head(key)
