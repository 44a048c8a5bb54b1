"""Giving up because an owner says so: what goes, what stays, and who may."""

from __future__ import annotations

from typing import Any

import pytest

from syncline.store.retentions import Retentions
from tests.unit.gateway.test_history import DEEP, DOCS, Desk
from tests.unit.gateway.world import World


@pytest.fixture
async def desk(world: World) -> Desk:
    alice = await world.person("alice")
    return await Desk(alice, await alice.library()).fill()


async def purge(desk: Desk, **body: Any) -> dict[str, Any]:
    status, answer = await desk.ask("POST", "/purge", body)
    assert status == 200, answer
    return dict(answer)


def counts(answer: dict[str, Any]) -> tuple[int, int, int, int]:
    return answer["files"], answer["folders"], answer["versions"], answer["size_bytes"]


def gone(desk: Desk, *versions: str) -> list[bool]:
    tree = desk.alice.world.decider.trees[desk.library]
    return [tree.is_purged(version) for version in versions]


async def test_a_dry_run_tells_and_changes_nothing(desk: Desk) -> None:
    await desk.edit("a", b"newer")
    await desk.remove(DOCS, held_all=True)
    seq = await desk.seq()
    for node in (DOCS, ""):
        told = await purge(desk, node=node, dry_run=True)
        assert (counts(told), told["dry_run"], told["upto"], told["more"]) == ((2, 1, 3, 11), True, seq, False)
    assert (await desk.seq(), await desk.trash()) == (seq, ["docs"])


async def test_a_removed_folder_goes_with_all_that_was_in_it_and_what_has_its_bytes_stays(
    world: World, desk: Desk
) -> None:
    old = desk.files["a"]["version"]
    await desk.edit("a", b"newer")
    await desk.put(desk.library, "other", b"other")
    await desk.remove(desk.files["other"]["node"])
    await desk.remove(DOCS, held_all=True)
    answer = await purge(desk, node=DOCS)
    assert (counts(answer), answer["done"], answer["more"], answer["left"]) == ((2, 1, 3, 11), True, False, [])
    assert await desk.trash() == ["other"]
    files = [desk.files[name]["version"] for name in ("a", "b", "other")]
    assert gone(desk, old, *files) == [True, True, True, False]
    status, problem = await desk.ask("POST", f"/nodes/{desk.files['b']['node']}/restore", {})
    assert (status, problem["type"].rsplit("/")[-1]) == (410, "version-purged")
    # Somebody comes back for the bytes, although nobody has said how long things are kept.
    assert (await Retentions(world.tables).retained(desk.library)) is not None
    seq = await desk.seq()
    again = await purge(desk, node=DOCS)
    assert (counts(again), again["command"], await desk.seq()) == ((0, 0, 0, 0), "", seq)


async def test_what_was_removed_one_by_one_with_its_folder_goes_with_it(desk: Desk) -> None:
    seq = await desk.seq()
    nodes = [desk.files["a"]["node"], desk.files["b"]["node"], DEEP, DOCS]
    await desk.do({"op": "remove", "node": "h" * 20, "base_seq": seq, "held_all": True})
    await desk.do(*({"op": "remove", "node": node, "base_seq": seq, "held_all": False} for node in nodes))
    assert counts(await purge(desk, node=DOCS))[:3] == (2, 2, 2)
    assert await desk.trash() == ["docs/deep/hollow"], "it was removed before, by itself"
    assert counts(await purge(desk)) == (0, 1, 0, 0)
    assert await desk.trash() == []


async def test_one_file_of_a_removed_folder_goes_alone(desk: Desk) -> None:
    await desk.remove(DOCS, held_all=True)
    assert counts(await purge(desk, node=desk.files["a"]["node"])) == (1, 0, 1, 3)
    assert gone(desk, desk.files["a"]["version"], desk.files["b"]["version"]) == [True, False]
    _, answer = await desk.ask("POST", f"/nodes/{DOCS}/restore", {})
    assert answer["restored"] == 1


async def test_the_whole_trash_goes_by_asking_again_and_what_lives_stays(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.gateway.purging.MAX_REQUESTS", 3)
    monkeypatch.setattr("syncline.store.purging.MAX_REQUESTS", 3)
    for n in range(7):
        await desk.put(desk.library, f"file {n}", b"%d" % n)
        await desk.remove(desk.files[f"file {n}"]["node"])
    before, rounds, files = await desk.tree(), 0, 0
    assert counts(await purge(desk, dry_run=True))[0] == 7
    while True:
        answer = await purge(desk)
        rounds, files = rounds + 1, files + answer["files"]
        assert rounds < 10
        if not answer["more"]:
            break
    assert (rounds > 1, files, await desk.trash(), await desk.tree()) == (True, 7, [], before)


async def test_what_was_removed_after_it_was_told_stays(desk: Desk) -> None:
    await desk.remove(desk.files["a"]["node"])
    told = await purge(desk, dry_run=True)
    await desk.remove(desk.files["b"]["node"])
    assert counts(await purge(desk, upto=told["upto"]))[0] == 1
    assert await desk.trash() == ["docs/deep/b"]
    status, problem = await desk.ask("POST", "/purge", {"node": desk.files["b"]["node"], "upto": told["upto"]})
    assert (status, problem["type"].rsplit("/")[-1]) == (409, "not-removed")


async def test_versions_go_that_were_superseded_by_then_and_never_the_current_one(desk: Desk) -> None:
    versions = [desk.files["a"]["version"]]
    for content in (b"second", b"third", b"fourth"):
        await desk.edit("a", content)
        versions.append(desk.files["a"]["version"])
        if content == b"second":
            then = str(await desk.seq())
    node = desk.files["a"]["node"]
    assert counts(await purge(desk, node=node, versions_before=then)) == (1, 0, 1, 3)
    assert gone(desk, *versions) == [True, False, False, False]
    assert counts(await purge(desk, node=node, versions_before=str(await desk.seq()))) == (1, 0, 2, 11)
    assert gone(desk, *versions) == [True, True, True, False]
    await desk.remove(node)
    assert counts(await purge(desk, node=node, versions_before=str(await desk.seq()))) == (0, 0, 0, 0)
    assert gone(desk, versions[-1]) == [False]
    for body, kind in [
        ({"node": DOCS, "versions_before": "1"}, "not-a-file"),
        ({"node": node, "versions_before": "soon"}, "bad-time"),
        ({"versions_before": "1"}, "no-such-node"),
        ({"node": DOCS}, "not-removed"),
        ({"node": desk.library}, "not-removed"),
        ({"node": "z" * 20}, "no-such-node"),
    ]:
        assert (await desk.ask("POST", "/purge", body))[1]["type"].rsplit("/")[-1] == kind


async def test_owners_alone_and_never_under_a_hold(world: World, desk: Desk) -> None:
    bob, eve = await world.person("bob"), await world.person("eve")
    await desk.alice.share(desk.library, bob, "editor")
    await desk.remove(DOCS, held_all=True)
    for dry_run in (True, False):
        told: dict[str, Any] = {"node": DOCS, "dry_run": dry_run}
        assert (await bob.ask("POST", f"{desk.base}/purge", told))[0] == 403
        assert (await eve.ask("POST", f"{desk.base}/purge", told))[0] == 404
    await desk.ask("PUT", "/retention", {"hold": True})
    for body in ({}, {"node": DOCS}, {"dry_run": True}):
        status, problem = await desk.ask("POST", "/purge", body)
        assert (status, problem["type"].rsplit("/")[-1]) == (409, "under-hold")
    assert await desk.trash() == ["docs"]


async def test_what_was_given_up_is_in_the_audit_log(desk: Desk) -> None:
    await desk.remove(DOCS, held_all=True)
    await purge(desk, node=DOCS)
    _, page = await desk.ask("GET", "/audit")
    [entry] = [one for one in page["entries"] if one["action"] == "library.purge"]
    assert entry["result"] == "done"
    assert {name: entry["details"][name] for name in ("node", "files", "folders", "versions", "size_bytes")} == {
        "node": DOCS, "files": 2, "folders": 1, "versions": 2, "size_bytes": 6,
    }  # fmt: skip


async def test_a_folder_with_too_much_in_it_is_left_and_named(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("syncline.store.purging.NODES_IN_TRASH_AT_ONCE", 2)
    await desk.remove(DOCS, held_all=True)
    answer = await purge(desk)
    assert answer["left"] == [{"node": DOCS, "path": "docs", "reason": "too-large"}]
    assert await desk.trash() == ["docs"]
    assert (await purge(desk, node=DEEP))["left"] == []
