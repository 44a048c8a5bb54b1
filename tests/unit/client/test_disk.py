"""The disk: nothing is replaced that was not looked at, nothing leads outside, nothing is lost by a removal."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncline.client.disk import Changed, Disk
from syncline.client.hashing import content_of
from syncline.client.renaming import exchange, rename_new
from syncline.client.scanner import Scanner
from syncline.client.trees import Content, Stat
from syncline.domain.errors import Refused


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    disk = Disk(tmp_path / "root")
    disk.mark("marker")
    return disk


def tree(disk: Disk) -> dict[str, str]:
    """Path → text of every file that is not the client's own; folders end in "/"."""
    found = {}
    for path in disk.root.rglob("*"):
        inside = path.relative_to(disk.root).as_posix()
        if not inside.startswith(".syncline"):
            found[inside + "/" * path.is_dir()] = path.read_text() if path.is_file() else ""
    return found


def write(disk: Disk, path: str, text: str) -> None:
    (disk.root / path).parent.mkdir(parents=True, exist_ok=True)
    (disk.root / path).write_text(text)


def look(disk: Disk, path: str) -> tuple[Stat, Content]:
    found = content_of(disk.root / path)
    assert found is not None
    return found


def install(disk: Disk, path: str, text: str, expected: str = "") -> None:
    check = disk.expecting((), look(disk, expected)[1]) if expected else None
    with disk.writing("temporary", len(text)) as (temporary, descriptor):
        disk.write(descriptor, text.encode(), 0)
        disk.install(temporary, descriptor, path, executable=False, mtime_ns=10**18, is_expected=check)


def test_a_file_is_installed_and_replaced(disk: Disk) -> None:
    install(disk, "f", "one")
    assert (disk.root / "f").stat().st_mtime_ns == 10**18
    (disk.root / "f").chmod(0o600)
    install(disk, "f", "two", expected="f")
    assert tree(disk) == {"f": "two"}
    assert (disk.root / "f").stat().st_mode & 0o777 == 0o600
    assert list((disk.own / "tmp").iterdir()) == []


def test_what_was_not_expected_is_not_replaced(disk: Disk) -> None:
    write(disk, "f", "someone's")
    with pytest.raises(Changed):
        install(disk, "f", "new")
    write(disk, "other", "looked at")
    with pytest.raises(Changed):
        install(disk, "f", "new", expected="other")
    assert tree(disk) == {"f": "someone's", "other": "looked at"}


def test_a_link_does_not_lead_outside(disk: Disk, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (disk.root / "d").symlink_to(tmp_path / "outside")
    with pytest.raises(Changed, match="d/f: d: Not a directory"):
        install(disk, "d/f", "text")
    with pytest.raises(Changed):
        disk.make_folder("d/e")
    assert list((tmp_path / "outside").iterdir()) == []


def test_removals_of_one_name_all_stay_in_the_trash(disk: Disk) -> None:
    for text in ("one", "two"):
        write(disk, "f", text)
        disk.trash_file("f", disk.expecting((), look(disk, "f")[1]))
    write(disk, "f/inside", "three")
    disk.trash_file("f/inside", disk.expecting((), look(disk, "f/inside")[1]))
    assert disk.remove_folder("f")
    assert tree(disk) == {}
    trashed = [path.read_text() for path in (disk.own / "trash").rglob("*") if path.is_file()]
    assert sorted(trashed) == ["one", "three", "two"]


def test_an_edited_file_is_not_removed(disk: Disk) -> None:
    write(disk, "f", "one")
    check = disk.expecting((look(disk, "f")[0],), look(disk, "f")[1])
    write(disk, "f", "two")
    with pytest.raises(Changed):
        disk.trash_file("f", check)
    assert tree(disk) == {"f": "two"}


def test_folders_that_hold_something_stay(disk: Disk) -> None:
    write(disk, "d/f", "kept")
    assert not disk.remove_folder("d")
    (disk.root / "e").mkdir()
    (disk.root / "e/link").symlink_to("nowhere")
    assert disk.remove_folder("e")
    assert disk.remove_folder("never there")
    assert tree(disk) == {"d/": "", "d/f": "kept"}


def test_moves_replace_nothing(disk: Disk) -> None:
    write(disk, "a", "a")
    write(disk, "b", "b")
    with pytest.raises(Changed):
        disk.move("a", "b")
    with pytest.raises(Changed):
        disk.move("gone", "c")
    disk.move("a", "c")
    assert tree(disk) == {"b": "b", "c": "a"}


def test_merging_folders_keeps_everything(disk: Disk) -> None:
    for path in ("a/f", "a/same/x", "a/only", "b/f", "b/same/x", "b/same/y"):
        write(disk, path, path)
    disk.merge_folder("a", "b")
    files = {path: text for path, text in tree(disk).items() if text}
    assert files == {
        "b/f": "b/f",
        "b/f (2)": "a/f",
        "b/only": "a/only",
        "b/same/x": "b/same/x",
        "b/same/x (2)": "a/same/x",
        "b/same/y": "b/same/y",
    }
    with pytest.raises(Changed):
        disk.merge_folder("b", "b/same")


def test_the_system_s_errors_are_ours(disk: Disk) -> None:
    with pytest.raises(Refused) as refused:
        disk.make_folder("n" * 300)
    assert refused.value.kind == "name-unfit"


def test_old_trash_and_leftovers_are_tidied(disk: Disk) -> None:
    (disk.own / "tmp/left").write_text("by a killed run")
    (disk.own / "trash/2001-01-01.3").mkdir(parents=True)
    (disk.own / "trash/2999-01-01").mkdir(parents=True)
    (disk.own / "trash/mine").mkdir(parents=True)
    disk.tidy()
    assert list((disk.own / "tmp").iterdir()) == []
    assert sorted(path.name for path in (disk.own / "trash").iterdir()) == ["2999-01-01", "mine"]


def test_renames(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("1")
    other.write_text("2")
    exchange(one, other)
    assert (one.read_text(), other.read_text()) == ("2", "1")
    with pytest.raises(FileExistsError):
        rename_new(one, other)
    with pytest.raises(FileNotFoundError):
        rename_new(tmp_path / "none", tmp_path / "free")


async def test_a_scan_hashes_only_what_changed(disk: Disk) -> None:
    write(disk, "d/f", "text")
    scanner = Scanner(disk)
    found = (await scanner.scan()).entries["d/f"]
    assert found.content
    remembered = Content(4, "as remembered", False)
    scanner.remembered["d/f"] = (found.stat, remembered)
    assert (await scanner.scan()).entries["d/f"].content == remembered
    write(disk, "d/f", "newer")
    newer = (await scanner.scan()).entries["d/f"].content
    assert newer is not None
    assert newer.size_bytes == 5
    assert newer != remembered
