"""Folders chosen to be on this disk or not, and what is ignored: on real folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncline.client.ignoring import IGNORE_FILE
from syncline.client.selecting import choices, choose
from syncline.client.trees import Remote
from syncline.domain.errors import Refused
from tests.unit.client.clients import Client
from tests.unit.client.fakes import Stack
from tests.unit.client.model import LIBRARY
from tests.unit.client.planned import remote_node

TREE = (
    remote_node("photos", folder=True),
    remote_node("old", parent="photos", folder=True),
    remote_node("a", parent="old", text="12345"),
    remote_node("b", parent="photos", text="123"),
    remote_node("docs", folder=True),
    remote_node("c", text="1"),
)
REMOTE = Remote(LIBRARY, {node.node: node for node in TREE}, 9)


def test_what_there_is_to_choose_from() -> None:
    found = [(one.path, one.here, one.files, one.size_bytes) for one in choices(REMOTE, {"old"})]
    assert found == [("docs", True, 0, 0), ("photos", True, 2, 8), ("photos/old", False, 1, 5)]


@pytest.mark.parametrize(
    ("before", "exclude", "include", "after"),
    [
        ([], ["photos"], [], ["photos"]),
        ([], ["/photos/old/"], [], ["old"]),
        (["photos"], ["photos/old"], [], ["photos"]),
        (["old"], ["photos"], [], ["photos"]),
        (["photos", "docs"], [], ["photos"], ["docs"]),
        (["photos"], ["photos/old"], ["photos"], ["old"]),
        (["gone"], ["docs"], [], ["docs"]),
    ],
)
def test_choosing(before: list[str], exclude: list[str], include: list[str], after: list[str]) -> None:
    assert choose(REMOTE, set(before), exclude=exclude, include=include) == set(after)


@pytest.mark.parametrize(
    ("exclude", "include", "kind"),
    [
        (["nothing"], [], "no-such-folder"),
        (["c"], [], "no-such-folder"),
        ([""], [], "root-not-deselected"),
        ([], ["photos/old"], "deselected-above"),
    ],
)
def test_what_cannot_be_chosen(exclude: list[str], include: list[str], kind: str) -> None:
    with pytest.raises(Refused) as refused:
        choose(REMOTE, {"photos"}, exclude=exclude, include=include)
    assert refused.value.kind == kind


async def two(folder: Path) -> tuple[Client, Client]:
    stack = Stack()
    alice, bob = Client(stack, folder, "alice"), Client(stack, folder, "bob")
    alice.write("photos/old/a", "old")
    alice.write("photos/b", "new")
    alice.write("c", "c")
    await alice.sync()
    await bob.sync()
    return alice, bob


async def test_a_deselected_folder_leaves_this_disk_and_no_other(tmp_path: Path) -> None:
    alice, bob = await two(tmp_path)
    link = bob.engine.links()[0]
    bob.write("photos/old/mine", "not sent yet")
    found = await bob.engine.select(link, exclude=["photos/old"])
    assert {one.path: one.here for one in found} == {"photos": True, "photos/old": False}
    summary = await bob.sync()
    assert summary.complete
    assert bob.files() == {"photos/b": b"new", "c": b"c"}
    alice.write("photos/old/a", "newer")
    await alice.sync()
    assert alice.files()["photos/old/mine"] == b"not sent yet"
    assert (await bob.sync()).changes == 0
    assert bob.files() == {"photos/b": b"new", "c": b"c"}
    assert not (bob.folder / ".syncline" / "trash").exists()
    await bob.engine.select(link, include=["photos/old"])
    await bob.sync()
    assert bob.files() == alice.files()


async def test_what_holds_a_deselected_folder_is_not_removed_with_what_is_seen(tmp_path: Path) -> None:
    alice, bob = await two(tmp_path)
    link = bob.engine.links()[0]
    await bob.engine.select(link, exclude=["photos/old"])
    await bob.sync()
    (bob.folder / "photos" / "b").unlink()
    (bob.folder / "photos").rmdir()
    await bob.sync()
    await alice.sync()
    assert alice.files() == {"photos/old/a": b"old", "c": b"c"}


async def test_a_new_folder_of_the_name_of_a_deselected_one_is_another(tmp_path: Path) -> None:
    alice, bob = await two(tmp_path)
    await bob.engine.select(bob.engine.links()[0], exclude=["photos"])
    await bob.sync()
    bob.write("photos/mine", "mine")
    await bob.sync()
    await bob.sync()
    await alice.sync()
    assert alice.files() == {"photos/old/a": b"old", "photos/b": b"new", "c": b"c", "photos (2)/mine": b"mine"}
    assert bob.files() == {"photos (2)/mine": b"mine", "c": b"c"}


async def test_what_is_ignored_later_stays_where_it_is(tmp_path: Path) -> None:
    alice, bob = await two(tmp_path)
    alice.write(IGNORE_FILE, "old/\n*.log\n")
    alice.write("x.log", "never sent")
    await alice.sync()
    await bob.sync()
    assert bob.files()[IGNORE_FILE] == b"old/\n*.log\n"
    assert alice.files()["photos/old/a"] == bob.files()["photos/old/a"] == b"old"
    bob.write("photos/old/a", "bob's own now")
    (alice.folder / "photos/old/a").unlink()
    for client in (alice, bob, alice, bob):
        assert (await client.sync()).complete
    assert bob.files()["photos/old/a"] == b"bob's own now"
    assert "x.log" not in bob.files()
    # Minded again: the library's content and what each device has meet as they would at any time.
    (alice.folder / IGNORE_FILE).unlink()
    for client in (alice, bob, alice):
        await client.sync()
    assert alice.files() == bob.files()
    contents = set(alice.files().values())
    assert {b"old", b"bob's own now", b"never sent"} <= contents


async def test_a_folder_removed_elsewhere_stays_for_what_is_ignored_in_it(tmp_path: Path) -> None:
    alice, bob = await two(tmp_path)
    alice.write(IGNORE_FILE, "*.log\n")
    await alice.sync()
    await bob.sync()
    bob.write("photos/old/x.log", "log")
    bob.write("photos/.DS_Store", "litter")
    for one in ("photos/old/a", "photos/b"):
        (alice.folder / one).unlink()
    (alice.folder / "photos" / "old").rmdir()
    (alice.folder / "photos").rmdir()
    for client in (alice, bob, alice, bob):
        assert (await client.sync()).complete
    assert "photos" not in alice.paths()
    assert bob.files()["photos/old/x.log"] == b"log"
    (bob.folder / "photos" / "old" / "x.log").unlink()
    (bob.folder / "photos" / "old").rmdir()
    bob.write("photos/more", "more")
    for client in (bob, alice):
        await client.sync()
    assert alice.files()["photos/more"] == b"more"


async def test_rules_that_cannot_be_read_stop_everything(tmp_path: Path) -> None:
    alice, _ = await two(tmp_path)
    (alice.folder / IGNORE_FILE).mkdir()
    with pytest.raises(Refused) as refused:
        await alice.sync()
    assert refused.value.kind == "ignores-unreadable"
