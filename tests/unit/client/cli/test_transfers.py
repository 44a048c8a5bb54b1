"""put and get."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from syncline.client.transfer import PARTS_AT_ONCE, SMALL_AT_ONCE
from tests.unit.client.cli.people import Person, say
from tests.unit.client.cli.s3 import S3Face
from tests.unit.client.cli.service import Service

MIB = 1024 * 1024


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the commands are run."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def names(person: Person, path: str) -> list[str]:
    return [child["name"] for child in person.asks("ls", path)["children"]]


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def interrupt_once(s3: S3Face, when: Callable[[str], bool]) -> None:
    """What Ctrl-C does, at a step of S3's; not again for what is still under way when the command has ended."""

    def hook(step: str) -> None:
        if when(step):
            s3.hook = lambda _: None
            os.kill(os.getpid(), signal.SIGINT)

    s3.hook = hook


# -- one file


def test_a_file_goes_there_and_back(alice: Person, here: Path) -> None:
    plan = write(here / "plan.txt", "a plan")
    plan.chmod(0o755)
    os.utime(plan, ns=(1_700_000_000_000_000_000, 1_700_000_000_000_000_000))
    assert alice.does("put", "plan.txt", "Shared:docs/the plan.txt") == (
        "Sent Shared:docs/the plan.txt (6 B); made 1 folder\n"
    )
    assert alice.does("ls", "Shared:docs") == "the plan.txt*\n"
    assert alice.does("get", "Shared:docs/the plan.txt") == "Fetched the plan.txt (6 B)\n"
    fetched = here / "the plan.txt"
    assert fetched.read_text() == "a plan"
    assert os.access(fetched, os.X_OK)
    assert fetched.stat().st_mtime_ns == 1_700_000_000_000_000_000


def test_an_empty_file(alice: Person, here: Path) -> None:
    write(here / "empty", "")
    alice.does("put", "empty", "Shared:")
    assert alice.asks("get", "Shared:empty", "copy")["files"][0]["fetched"] is True
    assert (here / "copy").read_bytes() == b""


def test_where_a_file_goes(alice: Person, here: Path) -> None:
    write(here / "a.txt", "a")
    write(here / "b.txt", "b")
    alice.does("mkdir", "Shared:docs")
    alice.does("put", "a.txt", "Shared:docs")
    alice.does("put", "a.txt", "Shared:new/")
    alice.does("put", "a.txt", "b.txt", "Shared:both")
    alice.does("put", "a.txt", "Shared:")
    assert names(alice, "Shared:") == ["a.txt", "both", "docs", "new"]
    assert [names(alice, f"Shared:{folder}") for folder in ("docs", "new", "both")] == [
        ["a.txt"],
        ["a.txt"],
        ["a.txt", "b.txt"],
    ]
    (here / "into").mkdir()
    alice.does("get", "Shared:a.txt", "into")
    alice.does("get", "Shared:a.txt", "other/")
    assert (here / "into/a.txt").exists()
    assert (here / "other/a.txt").exists()


def test_a_changed_file_becomes_a_version_and_the_same_one_is_not_sent_again(
    alice: Person, here: Path, service: Service
) -> None:
    plan = write(here / "plan.txt", "one")
    alice.does("put", "plan.txt", "Shared:")
    service.world.s3.heard.clear()
    said = alice.does("put", "plan.txt", "Shared:plan.txt")
    assert said == "1 file was there already, with the same content\n"
    assert service.world.s3.heard == []
    write(plan, "two, longer")
    answer = alice.asks("put", "plan.txt", "Shared:plan.txt")
    assert answer["files"][0]["status"] == "applied"
    versions = alice.asks("history", "Shared:plan.txt")["versions"]
    assert [version["size_bytes"] for version in versions] == [11, 3]
    alice.does("get", "Shared:plan.txt", "old.txt", "--version", versions[1]["id"])
    assert (here / "old.txt").read_text() == "one"
    alice.is_refused("no-such-version", "get", "Shared:plan.txt", "x", "--version", "a" * 20)


def test_bytes_that_came_in_by_the_other_road_count_as_sent(alice: Person, here: Path, service: Service) -> None:
    """S3's event may be quicker than the command's own commit."""
    write(here / "plan.txt", "a plan")
    service.world.decider.events_are_quicker = True
    assert alice.does("put", "plan.txt", "Shared:") == "Sent Shared:plan.txt (6 B)\n"


def test_a_large_file_goes_in_parts(alice: Person, here: Path, service: Service) -> None:
    content = os.urandom(MIB) * 20
    write(here / "film", content)
    alice.does("put", "film", "Shared:")
    assert service.world.s3.heard.count("PART") == 3
    alice.does("get", "Shared:film", "copy")
    assert (here / "copy").read_bytes() == content


def test_ctrl_c_while_sending_and_going_on_later(alice: Person, here: Path, service: Service) -> None:
    write(here / "film", os.urandom(MIB) * 64)
    s3 = service.world.s3
    interrupt_once(s3, lambda step: step == "PART" and s3.heard.count("PART") == PARTS_AT_ONCE + 1)
    said = alice.tries("put", "film", "Shared:")
    assert (said.code, said.out, said.err) == (130, "", "")
    assert names(alice, "Shared:") == []
    s3.hook = lambda _: None
    s3.heard.clear()
    alice.does("put", "film", "Shared:")
    assert s3.heard.count("BEGIN") == 0
    assert 0 < s3.heard.count("PART") < 8
    assert names(alice, "Shared:") == ["film"]


def test_ctrl_c_while_fetching_leaves_nothing_half_written(alice: Person, here: Path, service: Service) -> None:
    write(here / "a/film", os.urandom(MIB) * 20)
    write(here / "a/note", "note")
    alice.does("put", "-r", "a", "Shared:a")
    interrupt_once(service.world.s3, lambda step: step == "GET")
    said = alice.tries("get", "-r", "Shared:a", "b")
    assert (said.code, said.out, said.err) == (130, "", "")
    assert not list((here / "b").rglob("*.part"))
    assert all(files(here / "b")[path] == files(here / "a")[path] for path in files(here / "b"))


def test_a_file_to_stdout(alice: Person, here: Path) -> None:
    write(here / "plan.txt", "a plan\n")
    alice.does("put", "plan.txt", "Shared:")
    assert alice.does("get", "Shared:plan.txt", "-") == "a plan\n"
    assert alice.tries("get", "Shared:plan.txt", "-", "--json").code == 2


# -- folders


def test_a_folder_goes_there_and_back(alice: Person, here: Path) -> None:
    pictures = here / "Pictures"
    for n in range(SMALL_AT_ONCE + 5):
        write(pictures / "2026" / f"{n}.jpg", f"picture {n}")
    write(pictures / "note.txt", "note")
    (pictures / "empty").mkdir()
    said = alice.does("put", "-r", "Pictures", "Shared:pictures")
    assert said.startswith("Sent 22 files (")
    assert said.endswith("made 3 folders\n")
    assert alice.does("put", "-r", "Pictures", "Shared:pictures") == (
        "22 files were there already, with the same content\n"
    )
    assert names(alice, "Shared:pictures") == ["2026", "empty", "note.txt"]
    assert alice.does("get", "-r", "Shared:pictures", "back").startswith("Fetched 22 files (")
    assert files(here / "back") == files(pictures)
    assert (here / "back/empty").is_dir()
    assert alice.does("get", "-r", "Shared:pictures", "back").endswith("; 22 files were the same already\n")
    alice.does("get", "-r", "Shared:")
    assert files(here / "Shared/pictures") == files(pictures)
    assert not list(here.rglob("*.part"))


def test_one_credential_and_one_command_for_many_files(alice: Person, here: Path, service: Service) -> None:
    for n in range(50):
        write(here / "many" / f"{n}", f"{n}")
    before = len(service.world.credentials.issued), len(service.world.decider.decided)
    alice.does("put", "-r", "many", "Shared:many")
    after = len(service.world.credentials.issued), len(service.world.decider.decided)
    assert (after[0] - before[0], after[1] - before[1]) == (1, 2)  # folders, then files
    alice.does("get", "-r", "Shared:many")
    assert len(service.world.credentials.issued) - after[0] <= 1


def test_a_folder_under_its_own_name(alice: Person, here: Path) -> None:
    write(here / "a/x", "x")
    write(here / "b/y", "y")
    alice.does("put", "-r", "a", "b", "Shared:both")
    alice.does("put", "-r", "a", "Shared:into/")
    assert names(alice, "Shared:both") == ["a", "b"]
    assert names(alice, "Shared:into") == ["a"]


def test_folders_need_r(alice: Person, here: Path) -> None:
    write(here / "a/x", "x")
    assert "-r" in alice.is_refused("is-a-folder", "put", "a", "Shared:")
    alice.does("put", "-r", "a", "Shared:a")
    assert "-r" in alice.is_refused("is-a-folder", "get", "Shared:a")
    assert alice.tries("get", "-r", "Shared:a", "--version", "b" * 20).code == 2


def test_what_is_no_file_is_left_out_and_named(alice: Person, here: Path) -> None:
    write(here / "a/x", "x")
    (here / "a/link").symlink_to("../x")
    os.mkfifo(here / "a/pipe")
    said = alice.tries("put", "-r", "a", "Shared:a")
    assert said.code == 5
    assert "a/link was left out: a symbolic link that leads out of the folder: ../x" in said.err
    assert "a/pipe was left out: neither a file nor a folder" in said.err
    assert names(alice, "Shared:a") == ["x"]
    document = alice.tries("put", "-r", "a", "Shared:a", "--json")
    assert (document.code, document.err) == (5, "")
    assert [one["path"] for one in document.json["left_out"]] == ["a/link", "a/pipe"]
    alice.is_refused("not-a-file", "put", "a/pipe", "Shared:")


def test_links_in_a_folder_are_sent_and_fetched_as_links(alice: Person, here: Path) -> None:
    write(here / "a/d/x", "x")
    (here / "a/d/link").symlink_to("../way")
    (here / "a/way").symlink_to("d")
    alice.does("put", "-r", "a", "Shared:a")
    assert sorted(names(alice, "Shared:a")) == ["d", "way"]
    assert "way@" in alice.does("ls", "Shared:a")
    alice.does("get", "-r", "Shared:a", "there")
    assert [os.readlink(here / "there" / path) for path in ("d/link", "way")] == ["../way", "d"]
    alice.does("get", "-r", "Shared:a", "there")
    assert alice.does("get", "Shared:a/way", "-") == "d"
    # By itself it would lead out of the folder it is fetched to.
    alice.is_refused("unsafe-link", "get", "Shared:a/d/link", "single")
    assert not os.path.lexists(here / "single")
    (here / "there/way").unlink()
    write(here / "there/way", "d")
    alice.is_refused("would-be-lost", "get", "Shared:a/way", "there/way")


def test_a_link_that_is_named_means_its_file(alice: Person, here: Path) -> None:
    write(here / "x", "content")
    (here / "link").symlink_to("x")
    alice.does("put", "link", "Shared:")
    assert alice.does("get", "Shared:link", "-") == "content"


def test_a_file_that_cannot_be_read_is_named_and_the_rest_is_sent(alice: Person, here: Path) -> None:
    write(here / "a/x", "x")
    alice.does("mkdir", "-p", "Shared:a/y")
    write(here / "a/y", "a folder there")
    said = alice.tries("put", "-r", "a", "Shared:a")
    assert said.code == 5
    assert said.err == "syncline: a/y was not sent: Shared:a/y is a folder; send the file under another name.\n"
    assert names(alice, "Shared:a") == ["x", "y"]


def test_two_files_of_one_name(alice: Person, here: Path) -> None:
    write(here / "a/x", "1")
    write(here / "b/x", "2")
    alice.is_refused("same-name", "put", "a/x", "b/x", "Shared:")
    assert names(alice, "Shared:") == []


# -- nothing is lost


def test_get_does_not_replace_what_the_library_does_not_have(alice: Person, here: Path) -> None:
    plan = write(here / "plan.txt", "one")
    alice.does("put", "plan.txt", "Shared:")
    write(plan, "not sent yet")
    told = alice.is_refused("would-be-lost", "get", "Shared:plan.txt")
    assert "--force" in told
    assert plan.read_text() == "not sent yet"
    alice.does("put", "plan.txt", "Shared:")
    write(plan, "one")
    alice.does("get", "Shared:plan.txt")  # what is here is an older version
    assert plan.read_text() == "not sent yet"
    write(plan, "mine alone")
    alice.does("get", "Shared:plan.txt", "--force")
    assert plan.read_text() == "not sent yet"
    (here / "folder/plan.txt").mkdir(parents=True)
    alice.is_refused("not-a-file", "get", "Shared:plan.txt", "folder")


def test_a_folder_is_fetched_but_for_what_would_be_lost(alice: Person, here: Path) -> None:
    write(here / "a/x", "x")
    write(here / "a/y", "y")
    alice.does("put", "-r", "a", "Shared:a")
    write(here / "b/x", "mine")
    said = alice.tries("get", "-r", "Shared:a", "b")
    assert said.code == 5
    assert "b/x was not fetched" in said.err
    assert files(here / "b") == {"x": b"mine", "y": b"y"}


def test_a_viewer_sends_nothing(alice: Person, bob: Person, here: Path) -> None:
    write(here / "x", "x")
    alice.does("put", "x", "Shared:")
    alice.does("library", "share", "Shared", bob.email, "--role", "viewer")
    bob.is_refused("not-allowed", "put", "x", "Shared:y")
    assert bob.does("get", "Shared:x", "-") == "x"


def test_a_wrong_path_here_is_a_usage_error(alice: Person, here: Path) -> None:
    said = alice.tries("put", "nothing", "Shared:")
    assert said.code == 2
    assert "nothing" in said.err


def test_an_unwritable_place(alice: Person, here: Path) -> None:
    write(here / "x", "x")
    alice.does("put", "x", "Shared:")
    write(here / "file", "no folder")
    said = say(alice.environment, "get", "Shared:x", "file/x")
    assert said.code == 1
    assert said.err.count("\n") == 1
    assert "file" in said.err
