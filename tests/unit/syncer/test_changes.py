"""Changes after a cursor: whole commits, newest states, and cursors of another life."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp.test_utils import TestClient
from hypothesis import given, strategies as st

from services.syncer.changes import encode_page, read_page
from syncline.domain.commits import Effect
from syncline.domain.cursors import Cursor, decode_cursor, encode_cursor
from syncline.domain.nodes import Kind
from syncline.domain.tree import Tree
from syncline.messages import api
from syncline.ports import tracing
from syncline.serving.bodies import JSON, MSGPACK
from syncline.store.journal import Journal
from tests.traces import traced
from tests.unit.syncer.world import World, headers_of, http
from tests.unit.writing import INCARNATION, Writer


class Scene:
    def __init__(self, world: World, client: TestClient[Any, Any], alice: str, bob: str, photos: Writer) -> None:
        self.world, self.client, self.alice, self.bob, self.photos = world, client, alice, bob, photos

    async def page(self, cursor: str = "", limit: int = 2_000, who: str = "") -> api.Changes:
        params: dict[str, str] = {"limit": str(limit)} | ({"cursor": cursor} if cursor else {})
        answer = await self.get(params, headers_of(self.world, who or self.bob))
        assert answer.status == 200, await answer.text()
        return msgspec.json.decode(await answer.read(), type=api.Changes)

    async def get(self, params: dict[str, str], headers: dict[str, str]) -> aiohttp.ClientResponse:
        path = f"/v1/sync/libraries/{self.photos.id}/changes"
        return await self.client.get(path, params=params, headers=headers)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    world = World()
    alice, bob = await world.account("Alice"), await world.account("Bob")
    photos = await world.library("Photos", alice, bob)
    syncer = await world.syncer(listening=False)
    async with http(syncer) as client:
        yield Scene(world, client, alice, bob, photos)
    await world.close()


async def test_from_the_beginning_every_node_comes_once_with_its_newest_state(scene: Scene) -> None:
    await scene.photos.add(scene.alice, "a.jpg")
    await scene.photos.add(scene.alice, "b.jpg")
    await scene.photos.update(scene.bob, "a.jpg")
    await scene.photos.late(scene.bob, "b.jpg")
    page = await scene.page()
    assert [(c.node.name, c.effect, c.node.seq, c.account) for c in page.changes] == [
        ("a.jpg", Effect.UPDATED, 3, scene.bob),
        ("b.jpg", Effect.ADDED, 2, scene.alice),
    ]
    assert (page.seq, page.more) == (4, False)
    version = scene.photos.nodes["a.jpg"].version
    state = page.changes[0].node.version
    assert version is not None
    assert state is not None
    assert (state.id, state.key, state.checksum) == (version.id, version.location.key, version.checksum)


async def test_a_cursor_goes_on_where_the_page_ended(scene: Scene) -> None:
    await scene.photos.add(scene.alice, "a.jpg")
    first = await scene.page()
    assert (await scene.page(first.cursor)).changes == []
    await scene.photos.remove(scene.alice, "a.jpg")
    second = await scene.page(first.cursor)
    assert [(c.effect, c.node.removed) for c in second.changes] == [(Effect.REMOVED, True)]
    assert decode_cursor(second.cursor) == Cursor(INCARNATION, 2)


async def test_pages_end_on_commits_and_lose_nothing(scene: Scene) -> None:
    await scene.photos.add(scene.alice, "trip", kind=Kind.FOLDER)
    for n in range(6):
        await scene.photos.add_all(scene.alice, [f"{n}-{m}" for m in range(n + 1)], folder="trip")
        await scene.photos.update(scene.alice, "0-0")
    for limit in (1, 3, 4, 100):
        tree: dict[str, api.NodeState] = {}
        cursor, more, pages = "", True, 0
        while more:
            page = await scene.page(cursor, limit)
            # Whole commits: what one commit changed is never torn apart.
            assert page.seq in {c.seq for c in scene.photos.commits}
            assert len(page.changes) <= max(limit, 6)
            tree |= {c.node.id: c.node for c in page.changes}
            cursor, more, pages = page.cursor, page.more, pages + 1
        assert {n.id: n.seq for n in tree.values()} == {n.id: n.seq for n in scene.photos.nodes.values()}
        assert pages > 1 or limit == 100


@pytest.mark.parametrize("cursor", [Cursor("another", 0), Cursor("another", 1), Cursor(INCARNATION, 2)])
async def test_a_cursor_of_another_life_is_gone_and_says_where_to_start(scene: Scene, cursor: Cursor) -> None:
    await scene.photos.add(scene.alice, "a.jpg")
    answer = await scene.get({"cursor": encode_cursor(cursor)}, headers_of(scene.world, scene.bob))
    problem = await answer.json(content_type="application/problem+json")
    assert answer.status == 410
    assert problem["type"].endswith("/problems/cursor-gone")
    assert [c.node.name for c in (await scene.page(problem["start"])).changes] == ["a.jpg"]


async def test_garbage_is_no_cursor(scene: Scene) -> None:
    answer = await scene.get({"cursor": "garbage"}, headers_of(scene.world, scene.bob))
    assert answer.status == 422
    assert (await answer.json(content_type="application/problem+json"))["type"].endswith("/problems/bad-cursor")


@pytest.mark.parametrize("limit", ["0", "-1", "ten", "1000000"])
async def test_a_limit_out_of_bounds_is_refused(scene: Scene, limit: str) -> None:
    assert (await scene.get({"limit": limit}, headers_of(scene.world, scene.bob))).status == 422


async def test_only_members_read_and_a_removed_one_no_more(scene: Scene) -> None:
    carol = await scene.world.account("Carol")
    assert (await scene.get({}, {})).status == 401
    assert (await scene.get({}, headers_of(scene.world, carol))).status == 404
    assert (await scene.get({}, headers_of(scene.world, scene.bob))).status == 200
    await scene.world.directory.set_member(scene.photos.id, scene.bob, None)
    assert (await scene.get({}, headers_of(scene.world, scene.bob))).status == 404


async def test_msgpack_and_gzip_when_accepted(scene: Scene) -> None:
    await scene.photos.add_all(scene.alice, [f"{n}.jpg" for n in range(700)])
    plain = await scene.page()
    headers = headers_of(scene.world, scene.bob) | {"Accept": MSGPACK, "Accept-Encoding": "gzip, deflate"}
    path = f"/v1/sync/libraries/{scene.photos.id}/changes"
    async with aiohttp.ClientSession(auto_decompress=False) as raw:
        answer = await raw.get(scene.client.make_url(path), headers=headers)
        body = await answer.read()
    assert (answer.headers["Content-Encoding"], answer.headers["Content-Type"]) == ("gzip", MSGPACK)
    assert msgspec.msgpack.decode(gzip.decompress(body), type=api.Changes) == plain
    assert len(body) < len(msgspec.msgpack.encode(plain)) / 2


async def test_what_does_not_accept_gzip_gets_none(scene: Scene) -> None:
    await scene.photos.add_all(scene.alice, [f"{n}.jpg" for n in range(50)])
    headers = headers_of(scene.world, scene.bob) | {"Accept-Encoding": "identity"}
    answer = await scene.get({}, headers)
    assert "Content-Encoding" not in answer.headers
    assert len(msgspec.json.decode(await answer.read(), type=api.Changes).changes) == 50


def a_change(number: int) -> api.ChangeState:
    node = api.NodeState(id=f"{number}", parent="p", name=f"näme {number}", kind=Kind.FILE, seq=number)
    return api.ChangeState(effect=Effect.ADDED, node=node, account="a", device="d", at_ms=number)


@given(st.integers(0, 450) | st.sampled_from([15, 16, 200, 201, 66_000]), st.booleans())
def test_the_pieces_are_the_whole(count: int, more: bool) -> None:
    page = api.Changes(changes=[a_change(n) for n in range(count)], cursor="c", seq=count, more=more)
    assert b"".join(encode_page(page, JSON)) == msgspec.json.encode(page)
    assert b"".join(encode_page(page, MSGPACK)) == msgspec.msgpack.encode(page)


async def test_pages_applied_in_turn_make_the_tree(scene: Scene) -> None:
    """What a client folds from pages is what the commits say."""
    photos, alice = scene.photos, scene.alice
    await photos.add(alice, "x", kind=Kind.FOLDER)
    await photos.add(alice, "y", kind=Kind.FOLDER)
    await photos.add(alice, "f", folder="x")
    await photos.move(alice, "x", folder="y")
    await photos.move(alice, "f", folder="y", to="g")
    await photos.remove(alice, "x")
    tree = Tree(photos.id)
    tree.apply_all(photos.commits)
    journal, head = Journal(scene.world.tables), await photos.head()
    for limit in (1, 2, 10):
        states: dict[str, api.NodeState] = {}
        seq = 0
        while seq < head.seq:
            page = await read_page(journal, photos.id, seq, head, limit)
            states |= {c.node.id: c.node for c in page.changes}
            seq = page.seq
        for state in states.values():
            node = tree.node(state.id)
            assert node is not None
            assert (state.parent, state.name, state.removed) == (node.parent, node.name, node.removed)


async def test_a_change_names_its_trace_where_that_was_recorded(scene: Scene) -> None:
    with traced(), tracing.span("alice's"):
        await scene.photos.add(scene.alice, "a.jpg")
        trace = tracing.current()
    await scene.photos.add(scene.alice, "b.jpg")
    page = await scene.page()
    assert {change.node.name: change.trace for change in page.changes} == {"a.jpg": trace, "b.jpg": ""}
    answer = await scene.get({}, headers_of(scene.world, scene.bob))
    told = msgspec.json.decode(await answer.read())["changes"]
    assert ["trace" in change for change in told] == [True, False], "nothing is sent where nothing was recorded"
