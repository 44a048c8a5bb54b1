"""The trash of a linked folder."""

import os
from pathlib import Path

import pytest

from syncline.client.disk import Changed, Disk
from syncline.client.local_trash import empty, restore, trashed
from syncline.domain.errors import Refused


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    disk = Disk(tmp_path / "folder")
    disk.mark("marker")
    return disk


def throw_away(disk: Disk, path: str, content: str) -> None:
    target = disk.root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(content)
    disk.trash_file(path, disk.expecting((disk.stat(path),), None))


def test_what_was_removed_is_listed_and_put_back_where_it_was(disk: Disk) -> None:
    assert trashed(disk) == []
    throw_away(disk, "docs/plan", "one")
    throw_away(disk, "docs/deep/note", "a note")
    (disk.root / "docs/deep").rmdir()
    assert {(one.path, one.size_bytes) for one in trashed(disk)} == {("docs/plan", 3), ("docs/deep/note", 6)}
    assert [one.path for one in trashed(disk, "docs/deep")] == ["docs/deep/note"]
    assert trashed(disk, "doc") == []
    assert {at for _, at in restore(disk, "docs")} == {"docs/plan", "docs/deep/note"}
    assert (disk.root / "docs/deep/note").read_text() == "a note"
    assert trashed(disk) == []


def test_the_last_of_several_comes_back_and_nothing_is_replaced(disk: Disk) -> None:
    for content in ("first", "second", "third"):
        throw_away(disk, "plan.txt", content)
    (disk.root / "plan.txt").write_text("there by now")
    contents = []
    for _ in range(3):
        [(_, at)] = restore(disk, "plan.txt")
        contents.append((at, (disk.root / at).read_text()))
    assert [at for at, _ in contents] == ["plan (restored).txt", "plan (restored 2).txt", "plan (restored 3).txt"]
    assert sorted(content for _, content in contents) == ["first", "second", "third"]
    assert contents[0][1] == "third"
    assert (disk.root / "plan.txt").read_text() == "there by now"
    with pytest.raises(Refused, match="not in the trash"):
        restore(disk, "plan.txt")


def test_a_link_on_the_way_does_not_lead_outside(disk: Disk, tmp_path: Path) -> None:
    throw_away(disk, "docs/plan", "one")
    (disk.root / "docs").rmdir()
    (tmp_path / "outside").mkdir()
    (disk.root / "docs").symlink_to(tmp_path / "outside")
    with pytest.raises(Changed):
        restore(disk, "docs/plan")
    assert os.listdir(tmp_path / "outside") == []
    assert len(trashed(disk)) == 1


def test_a_file_where_its_folder_was_leaves_it_in_the_trash(disk: Disk) -> None:
    throw_away(disk, "docs/plan", "one")
    (disk.root / "docs").rmdir()
    (disk.root / "docs").write_text("a file")
    with pytest.raises(Changed):
        restore(disk, "docs/plan")
    assert len(trashed(disk)) == 1


def test_emptied_it_is_gone(disk: Disk) -> None:
    throw_away(disk, "plan", "one")
    assert [one.path for one in empty(disk)] == ["plan"]
    assert trashed(disk) == list(empty(disk)) == []
    throw_away(disk, "plan", "two")
    assert len(trashed(disk)) == 1
