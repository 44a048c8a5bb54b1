"""The trash, restoring, a library at a time, and rewinding."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.unit.gateway.world import Person, World

DOCS, DEEP, NEW = "f" * 20, "g" * 20, "h" * 20


class Desk:
    """Alice's library ``docs/a``, ``docs/deep/b`` and an empty ``docs/deep/hollow``; what she does is counted."""

    def __init__(self, alice: Person, library: str) -> None:
        self.alice, self.library, self.counter = alice, library, 0
        self.base = f"/v1/libraries/{library}"
        self.files: dict[str, dict[str, Any]] = {}

    async def fill(self) -> Desk:
        await self.folder(DOCS, self.library, "docs")
        await self.folder(DEEP, DOCS, "deep")
        await self.folder(NEW, DEEP, "hollow")
        await self.put(DOCS, "a", b"one")
        await self.put(DEEP, "b", b"two")
        return self

    async def do(self, *requests: dict[str, Any]) -> dict[str, Any]:
        self.counter += 1
        return await self.alice.commit(self.library, *requests, counter=self.counter)

    async def folder(self, node: str, parent: str, name: str) -> None:
        await self.do({"op": "folder", "node": node, "parent": parent, "name": name})

    async def put(self, parent: str, name: str, content: bytes) -> None:
        self.counter += 1
        permitted = await self.alice.permit(self.library, content, parent=parent, name=name, counter=self.counter)
        await self.do({"op": "add", "permit": permitted["permit"]})
        self.files[name] = permitted

    async def edit(self, name: str, content: bytes) -> None:
        self.counter += 1
        was = self.files[name]
        permitted = await self.alice.permit(
            self.library, content, node=was["node"], base_version=was["version"], counter=self.counter
        )
        await self.do({"op": "add", "permit": permitted["permit"]})
        self.files[name] = permitted

    async def remove(self, node: str, *, held_all: bool = False) -> None:
        await self.do({"op": "remove", "node": node, "base_seq": await self.seq(), "held_all": held_all})

    async def move(self, node: str, parent: str, name: str) -> None:
        await self.do({"op": "move", "node": node, "base_seq": await self.seq(), "parent": parent, "name": name})

    async def seq(self) -> int:
        return int((await self.alice.ask("GET", self.base))[1]["seq"])

    async def ask(self, method: str, path: str, body: Any = None, /, **params: str) -> tuple[int, Any]:
        return await self.alice.ask(method, f"{self.base}{path}", body, params=params)

    async def trash(self, limit: int = 50) -> list[str]:
        seen, after = [], ""
        while True:
            status, page = await self.ask("GET", "/trash", limit=str(limit), after=after)
            assert status == 200, page
            assert len(page["removed"]) <= limit
            seen += [one["path"] for one in page["removed"]]
            after = page["after"]
            if not after:
                return seen

    async def tree(self, **params: str) -> dict[str, str | None]:
        """Path → content's checksum, None for a folder."""
        found: dict[str, str | None] = {}

        async def walk(folder: str, path: str) -> None:
            status, page = await self.ask("GET", f"/folders/{folder}/children", **params)
            assert status == 200, page
            for child in page["children"]:
                at = f"{path}{child['name']}"
                found[at] = child["version"]["checksum"] if child.get("version") else None
                if child["kind"] == "folder":
                    await walk(child["id"], f"{at}/")

        await walk(self.library, "")
        return found


@pytest.fixture
async def desk(world: World) -> Desk:
    alice = await world.person("alice")
    return await Desk(alice, await alice.library()).fill()


async def test_the_trash_tells_what_was_removed_newest_first_in_pages(desk: Desk) -> None:
    for name in ("x", "y", "z"):
        await desk.put(desk.library, name, name.encode())
    for name in ("y", "x", "z"):
        await desk.remove(desk.files[name]["node"])
    await desk.remove(DOCS, held_all=True)
    for limit in (1, 2, 50):
        assert await desk.trash(limit) == ["docs", "z", "x", "y"]
    _, page = await desk.ask("GET", "/trash", limit="2")
    folder, file = page["removed"]
    assert (folder["kind"], file["kind"], file["size_bytes"]) == ("folder", "file", 1)
    assert (file["account"], file["device"]) == (desk.alice.account, desk.alice.device)
    assert file["at_ms"] > 0


async def test_a_file_comes_back_and_leaves_the_trash(desk: Desk) -> None:
    before = await desk.tree()
    for name in ("a", "b"):
        await desk.remove(desk.files[name]["node"])
    status, answer = await desk.ask("POST", f"/nodes/{desk.files['a']['node']}/restore", {})
    assert (status, answer["done"], answer["more"], answer["restored"], answer["failed"]) == (200, True, False, 1, [])
    assert (answer["node"], answer["parent"], answer["name"]) == (desk.files["a"]["node"], DOCS, "a")
    for limit in (1, 50):
        assert await desk.trash(limit) == ["docs/deep/b"]
    await desk.ask("POST", f"/nodes/{desk.files['b']['node']}/restore", {})
    assert await desk.trash() == []
    assert await desk.tree() == before
    status, problem = await desk.ask("POST", f"/nodes/{desk.files['b']['node']}/restore", {})
    assert (status, problem["type"].rsplit("/")[-1]) == (409, "not-removed")


async def test_a_folder_comes_back_with_all_that_lived_below_it(desk: Desk) -> None:
    await desk.put(DEEP, "gone before", b"three")
    await desk.remove(desk.files["gone before"]["node"])
    before = await desk.tree()
    await desk.remove(DOCS, held_all=True)
    assert await desk.tree() == {}
    status, answer = await desk.ask("POST", f"/nodes/{DOCS}/restore", {})
    assert (status, answer["more"], answer["restored"], answer["failed"]) == (200, False, 2, [])
    assert await desk.tree() == before
    assert await desk.trash() == ["docs/deep/gone before"]
    _, file = await desk.ask("GET", f"/nodes/{desk.files['b']['node']}")
    assert (file["removed"], file["path"]) == (False, "docs/deep/b")


async def test_what_was_removed_node_by_node_with_its_folder_comes_back_with_it(desk: Desk) -> None:
    before, seq = await desk.tree(), await desk.seq()
    nodes = [desk.files["a"]["node"], desk.files["b"]["node"], NEW, DEEP, DOCS]
    await desk.do(*({"op": "remove", "node": node, "base_seq": seq, "held_all": False} for node in nodes))
    assert await desk.tree() == {}
    assert len(await desk.trash()) == 5
    status, answer = await desk.ask("POST", f"/nodes/{DOCS}/restore", {})
    assert (status, answer["more"], answer["failed"]) == (200, False, [])
    assert await desk.tree() == before
    assert await desk.trash() == []


async def test_a_folder_comes_back_elsewhere_beside_one_that_has_its_name_now(desk: Desk) -> None:
    await desk.remove(DOCS, held_all=True)
    await desk.folder("i" * 20, desk.library, "docs")
    await desk.folder("j" * 20, desk.library, "attic")
    status, answer = await desk.ask("POST", f"/nodes/{DOCS}/restore", {"to": "j" * 20, "name": "old docs"})
    assert (status, answer["failed"], answer["parent"], answer["name"]) == (200, [], "j" * 20, "old docs")
    paths = set(await desk.tree())
    assert {"docs", "attic/old docs/a", "attic/old docs/deep/b", "attic/old docs/deep/hollow"} <= paths
    assert "docs/a" not in paths
    await desk.remove(desk.files["a"]["node"])
    _, answer = await desk.ask("POST", f"/nodes/{desk.files['a']['node']}/restore", {"to": desk.library, "name": "c"})
    assert (answer["parent"], answer["name"]) == (desk.library, "c")


async def test_more_than_one_commit_holds_comes_back_by_asking_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.gateway.history.MAX_REQUESTS", 5)
    for n in range(7):
        await desk.put(DEEP, f"file {n}", b"%d" % n)
    before = await desk.tree()
    await desk.remove(DOCS, held_all=True)
    rounds, restored = 0, 0
    while True:
        _, answer = await desk.ask("POST", f"/nodes/{DOCS}/restore", {})
        rounds, restored = rounds + 1, restored + answer["restored"]
        assert rounds < 20
        if not answer["more"]:
            break
        assert await desk.trash() == ["docs"]
    assert (rounds > 1, restored, await desk.trash()) == (True, 9, [])
    assert await desk.tree() == before


async def test_viewers_look_at_the_trash_and_change_nothing(world: World, desk: Desk) -> None:
    bob, eve = await world.person("bob"), await world.person("eve")
    await desk.alice.share(desk.library, bob, "viewer")
    await desk.remove(DOCS, held_all=True)
    assert (await bob.ask("GET", f"{desk.base}/trash"))[0] == 200
    for path, body in [("restore", {}), ("rewind", {"at": "1"})]:
        status, problem = await bob.ask("POST", f"{desk.base}/nodes/{DOCS}/{path}", body)
        assert (status, problem["type"].rsplit("/")[-1]) == (403, "not-allowed")
        assert (await eve.ask("POST", f"{desk.base}/nodes/{DOCS}/{path}", body))[0] == 404
    assert (await eve.ask("GET", f"{desk.base}/trash"))[0] == 404
    assert (await bob.ask("PUT", f"{desk.base}/retention", {"trash_days": 1}))[0] == 403
    assert (await eve.ask("GET", f"{desk.base}/retention"))[0] == 404


async def test_a_library_is_read_as_of_a_seq_or_a_time(world: World, desk: Desk) -> None:
    seq, before = await desk.seq(), await desk.tree()
    when = datetime.fromtimestamp(world.clock.now_ms() / 1000, UTC).isoformat()
    world.clock.advance(60)
    old = desk.files["a"]
    await desk.edit("a", b"newer")
    await desk.move(DEEP, desk.library, "moved")
    await desk.remove(desk.files["b"]["node"])
    for at in (str(seq), when):
        assert await desk.tree(at=at) == before
        _, node = await desk.ask("GET", "/nodes", path="docs/deep/b", at=at)
        assert (node["id"], node["removed"]) == (desk.files["b"]["node"], False)
        _, node = await desk.ask("GET", f"/nodes/{old['node']}", at=at)
        assert node["version"]["id"] == old["version"]
        _, page = await desk.ask("GET", f"/files/{old['node']}/versions", at=at)
        assert [version["id"] for version in page["versions"]] == [old["version"]]
        assert (await desk.ask("GET", f"/nodes/{desk.files['b']['node']}", at=at))[1]["path"] == "docs/deep/b"
        status, _, response = await world.ask(
            "GET", f"{desk.base}/files/{old['node']}/content?at={at.replace('+', '%2B')}", token=desk.alice.token
        )
        assert (status, old["key"] in response.headers["Location"]) == (302, True)
    assert await desk.tree(at="0") == {}
    assert await desk.tree(at="2001-01-01T00:00:00Z") == {}
    assert await desk.tree(at=str(await desk.seq())) == await desk.tree(at="2100-01-01T00:00:00Z") == await desk.tree()


@pytest.mark.parametrize("at", ["999999", "9" * 30, "yesterday", "2026-11-23", "2026-11-23T18:00:00", "-1", "²"])
async def test_what_is_no_time_is_refused(desk: Desk, at: str) -> None:
    for method, path, body, params in [
        ("GET", f"/folders/{desk.library}/children", None, {"at": at}),
        ("POST", f"/nodes/{DOCS}/rewind", {"at": at}, {}),
    ]:
        status, problem = await desk.ask(method, path, body, **params)
        assert (status, problem["type"].rsplit("/")[-1]) == (422, "bad-time")


async def test_a_folder_becomes_what_it_was_as_one_commit(desk: Desk) -> None:
    await desk.folder("k" * 20, desk.library, "else")
    await desk.put("k" * 20, "guest", b"guest")
    seq, before = await desk.seq(), await desk.tree()
    await desk.edit("a", b"newer")
    await desk.move(desk.files["b"]["node"], desk.library, "b elsewhere")
    await desk.move(desk.files["guest"]["node"], DEEP, "b")
    await desk.remove(NEW, held_all=True)
    await desk.folder("l" * 20, DOCS, "fresh")
    await desk.put("l" * 20, "c", b"see")
    changed, at = await desk.tree(), await desk.seq()
    status, told = await desk.ask("POST", f"/nodes/{DOCS}/rewind", {"at": str(seq), "dry_run": True})
    assert (status, told["dry_run"], told["at_seq"], told["total"]) == (200, True, seq, 5)
    assert {(one["effect"], one["path"]) for one in told["changes"]} == {
        ("changed", "docs/a"), ("moved", "docs/deep/b"), ("moved", "else/guest"),
        ("restored", "docs/deep/hollow"), ("removed", "docs/fresh"),
    }  # fmt: skip
    assert (await desk.tree(), await desk.seq()) == (changed, at)
    status, done = await desk.ask("POST", f"/nodes/{DOCS}/rewind", {"at": str(seq)})
    assert (status, done["done"], done["failed"], done["changes"]) == (200, True, [], told["changes"])
    assert await desk.tree() == before
    assert await desk.seq() == at + 1
    status, again = await desk.ask("POST", f"/nodes/{DOCS}/rewind", {"at": str(seq)})
    assert (status, again["total"], again["command"], await desk.seq()) == (200, 0, "", at + 1)
    assert await desk.trash() == ["docs/fresh"]
    await desk.ask("POST", f"/nodes/{DOCS}/rewind", {"at": str(at)})
    assert await desk.tree() == changed


async def test_going_back_past_the_removal_of_a_folder(desk: Desk) -> None:
    seq, before = await desk.seq(), await desk.tree()
    await desk.remove(DOCS, held_all=True)
    status, told = await desk.ask("POST", f"/nodes/{desk.library}/rewind", {"at": str(seq)})
    assert (status, told["total"], told["failed"]) == (200, 5, [])
    assert await desk.tree() == before
    assert await desk.trash() == []
    _, told = await desk.ask("POST", f"/nodes/{desk.library}/rewind", {"at": str(seq), "dry_run": True})
    assert told["total"] == 0


async def test_more_than_a_commit_holds_is_not_gone_back_to_at_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.gateway.history.MAX_REQUESTS", 2)
    seq = await desk.seq()
    for n in range(3):
        await desk.put(desk.library, f"new {n}", b"%d" % n)
    path = f"/nodes/{desk.library}/rewind"
    status, problem = await desk.ask("POST", path, {"at": str(seq)})
    assert (status, problem["type"].rsplit("/")[-1], problem["changes"]) == (409, "too-many-changes", 3)
    assert (await desk.ask("POST", path, {"at": str(seq), "dry_run": True}))[1]["total"] == 3
    status, problem = await desk.ask("POST", f"/nodes/{desk.files['a']['node']}/rewind", {"at": str(seq)})
    assert (status, problem["type"].rsplit("/")[-1]) == (409, "not-a-folder")
    assert (await desk.ask("POST", f"/nodes/{DOCS}/rewind", {"at": "0"}))[0] == 404


async def test_owners_say_how_long_history_is_kept(desk: Desk) -> None:
    nothing = {"versions_days": 0, "versions_max": 0, "trash_days": 0, "hold": False}
    assert await desk.ask("GET", "/retention") == (200, nothing)
    wanted = {"versions_days": 30, "versions_max": 5, "trash_days": 90, "hold": True}
    assert await desk.ask("PUT", "/retention", wanted) == (200, wanted)
    assert await desk.ask("GET", "/retention") == (200, wanted)
    assert (await desk.ask("PUT", "/retention", {"trash_days": -1}))[0] == 422
