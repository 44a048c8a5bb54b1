"""Comparing: equal sides cost one small request, differing ones are told apart."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

import msgspec
import pytest
from aiohttp.test_utils import TestClient

from services.syncer.trees import Trees
from syncline.domain.comparing import root_digest
from syncline.domain.nodes import Kind
from syncline.domain.tree import Tree
from syncline.messages import api
from syncline.serving.metrics import Metrics
from syncline.store.journal import Head, Journal
from tests.unit.syncer.world import World, headers_of, http
from tests.unit.writing import Writer, checksum_of


class CountingJournal(Journal):
    """Counts the commits that are read."""

    read_commits = 0

    async def read(self, library: str, after: int, upto: int | None = None) -> AsyncIterator[Any]:
        async for commit in super().read(library, after, upto):
            self.read_commits += 1
            yield commit


class Scene:
    def __init__(self, world: World, client: TestClient[Any, Any], alice: str, bob: str, photos: Writer) -> None:
        self.world, self.client, self.alice, self.bob, self.photos = world, client, alice, bob, photos

    def held(self) -> list[api.Held]:
        """What a client that has everything holds."""
        tree = Tree(self.photos.id)
        tree.apply_all(self.photos.commits)
        return [
            api.Held(
                path=tree.path(node),
                checksum=node.version.checksum if node.version else "",
                size_bytes=node.version.size_bytes if node.version else 0,
            )
            for node in tree.live_nodes()
        ]

    async def compare(self, held: list[api.Held] | None, digest: str = "") -> api.CompareAnswer:
        body = api.CompareRequest(digest=digest or digest_of(held or []), held=held)
        answer = await self.client.post(
            f"/v1/sync/libraries/{self.photos.id}/compare",
            data=msgspec.json.encode(body),
            headers=headers_of(self.world, self.bob) | {"Content-Type": "application/json"},
        )
        assert answer.status == 200, await answer.text()
        return msgspec.json.decode(await answer.read(), type=api.CompareAnswer)


def digest_of(held: Iterable[api.Held]) -> str:
    return root_digest((h.path, Kind.FILE if h.checksum else Kind.FOLDER, h.size_bytes, h.checksum) for h in held)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    world = World()
    alice, bob = await world.account("Alice"), await world.account("Bob")
    photos = await world.library("Photos", alice, bob)
    syncer = await world.syncer(listening=False)
    await photos.add(alice, "trip", kind=Kind.FOLDER)
    await photos.add(alice, "empty", kind=Kind.FOLDER)
    await photos.add(alice, "a.jpg", folder="trip")
    await photos.add(alice, "b.jpg")
    async with http(syncer) as client:
        yield Scene(world, client, alice, bob, photos)
    await world.close()


def states(answer: api.CompareAnswer) -> dict[str, str]:
    assert answer.differences is not None
    return {d.path: d.state for d in answer.differences}


async def test_equal_sides_are_told_by_the_digest_alone(scene: Scene) -> None:
    answer = await scene.compare(None, digest_of(scene.held()))
    assert (answer.equal, answer.seq, answer.differences) == (True, 4, None)
    other = await scene.compare(None, digest_of(scene.held()[1:]))
    assert (other.equal, other.differences) == (False, None)
    assert other.digest == answer.digest


async def test_the_digest_follows_every_move_of_the_library(scene: Scene) -> None:
    seen = set()
    for step in (
        lambda: scene.photos.update(scene.alice, "b.jpg"),
        lambda: scene.photos.move(scene.alice, "b.jpg", folder="trip"),
        lambda: scene.photos.remove(scene.alice, "empty"),
        lambda: scene.photos.remove(scene.alice, "trip"),
    ):
        await step()
        answer = await scene.compare(None, digest_of(scene.held()))
        assert (answer.equal, answer.seq) == (True, scene.photos.seq)
        seen.add(answer.digest)
    assert len(seen) == 4


async def test_every_kind_of_difference_is_told(scene: Scene) -> None:
    old = {h.path: h for h in scene.held()}
    await scene.photos.update(scene.alice, "b.jpg")
    held = [
        old["b.jpg"],  # as it was before the update
        api.Held(path="trip/a.jpg", checksum=checksum_of("edited here"), size_bytes=11),
        api.Held(path="trip"),
        api.Held(path="only-here.jpg", checksum=checksum_of("x"), size_bytes=1),
    ]
    answer = await scene.compare(held)
    assert not answer.equal
    assert states(answer) == {
        "b.jpg": "newer",
        "empty": "missing",
        "only-here.jpg": "extra",
        "trip/a.jpg": "different",
    }
    by_path = {d.path: d.node for d in answer.differences or []}
    assert by_path["only-here.jpg"] is None
    node = by_path["trip/a.jpg"]
    assert node is not None
    assert (node.id, node.path) == (scene.photos.node_id("a.jpg"), "trip/a.jpg")


async def test_a_content_of_another_file_is_not_an_earlier_version(scene: Scene) -> None:
    old = {h.path: h for h in scene.held()}
    await scene.photos.update(scene.alice, "b.jpg")
    held = [h for h in scene.held() if h.path != "trip/a.jpg"]
    held.append(api.Held(path="trip/a.jpg", checksum=old["b.jpg"].checksum, size_bytes=old["b.jpg"].size_bytes))
    assert states(await scene.compare(held)) == {"trip/a.jpg": "different"}


async def test_paths_are_compared_in_one_unicode_form(scene: Scene) -> None:
    await scene.photos.add(scene.alice, "\u00e9.jpg")
    held = [api.Held(path=h.path.replace("\u00e9", "e\u0301"), checksum=h.checksum, size_bytes=h.size_bytes)
            for h in scene.held()]  # fmt: skip
    assert (await scene.compare(held)).equal
    held[-1] = api.Held(path="e\u0301.jpg", checksum=checksum_of("else"), size_bytes=4)
    assert "\u00e9.jpg" in states(await scene.compare(held, "0" * 64))


async def test_a_path_that_nothing_can_have_is_refused(scene: Scene) -> None:
    answer = await scene.client.post(
        f"/v1/sync/libraries/{scene.photos.id}/compare",
        json={"digest": "", "held": [{"path": "a/../b", "checksum": checksum_of("x"), "size_bytes": 1}]},
        headers=headers_of(scene.world, scene.bob),
    )
    assert answer.status == 422
    assert (await answer.json(content_type="application/problem+json"))["at"] == "$.held[0].path"


async def test_strangers_compare_nothing(scene: Scene) -> None:
    carol = await scene.world.account("Carol")
    url = f"/v1/sync/libraries/{scene.photos.id}/compare"
    assert (await scene.client.post(url, json={"digest": ""}, headers=headers_of(scene.world, carol))).status == 404
    assert (await scene.client.post(url, json={"digest": ""})).status == 401


async def test_asking_again_reads_no_journal(scene: Scene) -> None:
    """Two equal sides whose digest is remembered cost the head and the cache, whatever the library's size."""
    digest = digest_of(scene.held())
    await scene.compare(None, digest)
    before = scene.world.tables.journal_batches
    assert (await scene.compare(None, digest)).equal
    assert scene.world.tables.journal_batches == before
    scene.world.cache.away = True
    assert (await scene.compare(None, digest)).equal


# -- trees in memory ------------------------------------------------------------------------------------------------


async def test_a_tree_is_brought_forward_not_folded_anew(scene: Scene) -> None:
    journal = CountingJournal(scene.world.tables)
    trees = Trees(journal, Metrics("test"))
    async with trees.at(scene.photos.id, await scene.photos.head()) as tree:
        assert tree.seq == 4
    await scene.photos.add(scene.alice, "c.jpg")
    async with trees.at(scene.photos.id, await scene.photos.head()) as tree:
        assert tree.find("c.jpg") is not None
    assert journal.read_commits == 5


async def test_trees_beyond_the_bound_are_dropped_the_least_used_first(scene: Scene) -> None:
    journal = CountingJournal(scene.world.tables)
    trees = Trees(journal, Metrics("test"), weight_max=6)
    plans = await scene.world.library("Plans", scene.alice)
    await plans.add(scene.alice, "x")
    for library in (scene.photos, plans):
        async with trees.at(library.id, await library.head()):
            pass
    assert trees.weight == 5
    await plans.add_all(scene.alice, ["y", "z"])
    async with trees.at(plans.id, await plans.head()):
        pass
    assert trees.weight == 3
    before = journal.read_commits
    async with trees.at(scene.photos.id, await scene.photos.head()) as tree:
        assert tree.seq == 4
    assert journal.read_commits == before + 4


async def test_a_tree_larger_than_the_bound_is_used_and_not_kept(scene: Scene) -> None:
    trees = Trees(Journal(scene.world.tables), Metrics("test"), weight_max=2)
    async with trees.at(scene.photos.id, await scene.photos.head()) as tree:
        assert tree.seq == 4
    assert trees.weight == 0


async def test_a_restored_library_is_folded_anew(scene: Scene) -> None:
    trees = Trees(Journal(scene.world.tables), Metrics("test"))
    head = await scene.photos.head()
    async with trees.at(scene.photos.id, head) as tree:
        pass
    restored = Head(2, head.epoch, "another")
    async with trees.at(scene.photos.id, restored) as again:
        assert again is not tree
        assert again.seq == 2
