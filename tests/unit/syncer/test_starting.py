"""Where clients start: snapshots over HTTP, and cursors that are gone."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import urlsplit

import pytest

from services.syncer.app import Keeping
from syncline.domain.cursors import Cursor, encode_cursor
from syncline.messages.tree_stream import TreeDecoder
from syncline.store.incarnations import Incarnations, Lineage
from syncline.store.segments import Origin
from tests.unit.syncer.world import World, headers_of, http
from tests.unit.writing import INCARNATION


class Scene:
    """A library of three commits; a snapshot after two changes, three commits retained."""

    async def begin(self, commits: int = 3) -> Scene:
        self.world = World()
        self.alice = await self.world.account("Alice")
        self.photos = await self.world.library("photos", self.alice)
        self.syncer = await self.world.syncer(keeping=Keeping(60, 2, 3))
        for number in range(commits):
            await self.photos.add(self.alice, f"{number}.jpg")
        return self

    async def get(self, path: str, **query: str):
        async with http(self.syncer) as client:
            url = f"/v1/sync/libraries/{self.photos.id}/{path}"
            answer = await client.get(url, params=query, headers=headers_of(self.world, self.alice))
            return answer.status, await answer.json(content_type=None)


@pytest.fixture
async def scene():
    scene = await Scene().begin()
    yield scene
    await scene.world.close()


async def test_a_small_or_young_library_has_none(scene):
    status, problem = await scene.get("snapshot")
    assert (status, problem["type"].rsplit("/")[-1]) == (404, "no-snapshot")


async def test_a_snapshot_is_what_it_says_and_changes_go_on_from_it(scene):
    await scene.syncer.archiver.archive(scene.photos.id)
    await scene.photos.update(scene.alice, "0.jpg")
    status, snapshot = await scene.get("snapshot")
    assert (status, snapshot["seq"], snapshot["nodes"]) == (200, 3, 3)
    key = urlsplit(snapshot["url"]).path.lstrip("/")
    body = await scene.world.objects.get(key)
    assert len(body) == snapshot["size_bytes"]
    assert base64.b64encode(hashlib.sha256(body).digest()).decode() == snapshot["checksum"]
    decoder = TreeDecoder()
    names = {node.name for node in decoder.feed(body)}
    decoder.finish()
    assert names == {"0.jpg", "1.jpg", "2.jpg"}
    _, changes = await scene.get("changes", cursor=snapshot["cursor"])
    assert [change["node"]["name"] for change in changes["changes"]] == ["0.jpg"]


async def test_only_members_get_one(scene):
    await scene.syncer.archiver.archive(scene.photos.id)
    scene.alice = await scene.world.account("Mallory")
    status, _ = await scene.get("snapshot")
    assert status == 404


async def test_a_cursor_far_behind_is_sent_to_the_snapshot_and_keeps_what_was_agreed(scene):
    for _ in range(4):
        await scene.photos.update(scene.alice, "0.jpg")
    old, young = (encode_cursor(Cursor(INCARNATION, seq)) for seq in (1, 5))
    status, _ = await scene.get("changes", cursor=old)
    assert status == 200  # there is no snapshot to be sent to
    await scene.syncer.archiver.archive(scene.photos.id)
    status, problem = await scene.get("changes", cursor=old)
    assert (status, problem["resync"], problem["known_to"]) == (410, "apply-differences", 7)
    assert problem["snapshot"] == f"/v1/sync/libraries/{scene.photos.id}/snapshot"
    status, _ = await scene.get("changes", cursor=young)
    assert status == 200


@pytest.mark.parametrize(
    ("incarnation", "seq", "resync", "known_to"),
    [
        ("before", 2, "apply-differences", 2),
        ("before", 3, "upload-differences", 2),
        ("unheard-of", 1, "upload-differences", 0),
        (INCARNATION, 9, "upload-differences", 0),
    ],
)
async def test_a_cursor_of_another_life_is_told_how_much_of_it_is_known(scene, incarnation, seq, resync, known_to):
    lineage = Lineage(5, (Origin("before", 2),))
    await Incarnations(scene.world.tables).record(scene.photos.id, INCARNATION, lineage)
    status, problem = await scene.get("changes", cursor=encode_cursor(Cursor(incarnation, seq)))
    assert (status, problem["resync"], problem["known_to"]) == (410, resync, known_to)
    assert "snapshot" not in problem
    _, changes = await scene.get("changes", cursor=problem["start"])
    assert len(changes["changes"]) == 3
