"""ls, mkdir, mv, rm, history, restore, follow, over a library with files in it."""

import re

import pytest

from tests.unit.client.cli.people import Person
from tests.unit.client.cli.service import Service


@pytest.fixture
def shared(alice: Person, service: Service) -> str:
    """The id of Shared, which holds plan.txt (three versions), and docs/."""
    library = str(alice.asks("library", "list")["libraries"][0]["id"])
    for content in (b"one", b"two, longer", b"three" * 1000):
        service.put(alice.email, library, "plan.txt", content)
    alice.does("mkdir", "Shared:docs")
    return library


def names(person: Person, path: str) -> list[str]:
    return [child["name"] for child in person.asks("ls", path)["children"]]


# -- ls


def test_listing_a_folder(alice: Person, shared: str) -> None:
    assert alice.does("ls", "Shared:") == "docs/\nplan.txt\n"
    long = alice.does("ls", "-l", "Shared:").splitlines()
    assert long[0].endswith("docs/")
    assert long[1].startswith("4.9 KiB  ")
    assert long[1].endswith("plan.txt")
    assert alice.does("ls", "Shared:plan.txt") == "plan.txt\n"
    assert alice.does("ls", "Shared:docs") == ""
    answer = alice.asks("ls", f"{shared}:plan.txt")
    assert (answer["library"], answer["node"]["name"], answer["children"]) == (shared, "plan.txt", [])


def test_listing_libraries(alice: Person) -> None:
    alice.does("library", "create", "Another")
    assert alice.does("ls") == "Another:\nShared:\n"
    assert [library["name"] for library in alice.asks("ls")["libraries"]] == ["Another", "Shared"]


def test_what_is_not_there_is_named(alice: Person, shared: str) -> None:
    told = alice.is_refused("no-such-node", "ls", "Shared:docs/nothing")
    assert told == "syncline: Shared:docs/nothing is not there. Run: syncline ls Shared:docs\n"


def test_a_path_needs_its_library(alice: Person) -> None:
    said = alice.tries("ls", "docs/plan.txt")
    assert said.code == 2
    assert "LIBRARY:PATH" in said.err
    assert said.err.count("\n") == 1
    problem = alice.tries("ls", "docs/plan.txt", "--json").problem
    assert (problem["kind"], problem["exit_code"]) == ("usage", 2)


@pytest.mark.parametrize("path", ["Shared:a//b", "Shared:../b", "Shared:" + "n" * 256])
def test_a_bad_path_is_a_usage_error(alice: Person, path: str) -> None:
    assert alice.tries("ls", path).code == 2


def test_names_cannot_play_with_the_terminal(alice: Person, shared: str) -> None:
    alice.does("mkdir", "Shared:evil\x1b[2Jname")
    listed = alice.does("ls", "Shared:")
    assert "\x1b" not in listed
    assert "evil\\x1b[2Jname/" in listed
    assert "evil\x1b[2Jname" in names(alice, "Shared:")


# -- mkdir


def test_making_folders(alice: Person, shared: str) -> None:
    assert alice.does("mkdir", "Shared:music", "Shared:docs/old") == "Made Shared:music/\nMade Shared:docs/old/\n"
    assert names(alice, "Shared:") == ["docs", "music", "plan.txt"]
    answer = alice.asks("mkdir", "-p", "Shared:a/b/c", "Shared:a/b/d", "Shared:docs")
    assert [result["path"] for result in answer["results"]] == [
        "Shared:a",
        "Shared:a/b",
        "Shared:a/b/c",
        "Shared:a/b/d",
    ]
    assert {result["status"] for result in answer["results"]} == {"applied"}
    assert names(alice, "Shared:a/b") == ["c", "d"]
    assert alice.does("mkdir", "-p", "Shared:a/b/c") == ""


def test_refusals_of_mkdir(alice: Person, shared: str) -> None:
    alice.is_refused("exists", "mkdir", "Shared:docs")
    assert "-p" in alice.is_refused("no-such-folder", "mkdir", "Shared:x/y")
    alice.is_refused("not-a-folder", "mkdir", "-p", "Shared:plan.txt/inside")
    alice.is_refused("no-such-library", "mkdir", "Elsewhere:x")
    assert alice.tries("mkdir", "Shared:x", "Other:y").code == 2
    assert names(alice, "Shared:") == ["docs", "plan.txt"]


# -- mv


def test_renaming_and_moving(alice: Person, shared: str) -> None:
    assert alice.does("mv", "Shared:plan.txt", "Shared:plan 2.txt") == "Moved Shared:plan.txt to Shared:plan 2.txt\n"
    assert alice.does("mv", "Shared:plan 2.txt", "Shared:docs") == "Moved Shared:plan 2.txt to Shared:docs/plan 2.txt\n"
    alice.does("mkdir", "Shared:a", "Shared:b")
    assert alice.asks("mv", "Shared:a", "Shared:b", "Shared:docs/")["results"][1]["status"] == "applied"
    assert names(alice, "Shared:docs") == ["a", "b", "plan 2.txt"]
    alice.does("mv", "Shared:docs/a", "Shared:")
    alice.does("mv", "Shared:docs/b", "Shared:B")
    assert names(alice, "Shared:") == ["B", "a", "docs"]


def test_refusals_of_mv(alice: Person, shared: str, service: Service) -> None:
    service.put(alice.email, shared, "other.txt", b"other")
    alice.is_refused("exists", "mv", "Shared:plan.txt", "Shared:other.txt")
    alice.does("mkdir", "Shared:docs/plan.txt")
    alice.is_refused("exists", "mv", "Shared:plan.txt", "Shared:docs")
    alice.is_refused("no-such-node", "mv", "Shared:nothing", "Shared:x")
    alice.is_refused("no-such-folder", "mv", "Shared:plan.txt", "Shared:nowhere/")
    alice.is_refused("not-a-folder", "mv", "Shared:docs", "Shared:plan.txt", "Shared:other.txt")
    alice.is_refused("is-the-root", "mv", "Shared:", "Shared:docs/x")
    assert names(alice, "Shared:") == ["docs", "other.txt", "plan.txt"]


def test_a_folder_does_not_go_into_itself(alice: Person, shared: str) -> None:
    alice.does("mkdir", "Shared:docs/in")
    said = alice.tries("mv", "Shared:docs", "Shared:docs/in")
    assert said.code == 1
    assert said.out == ""
    assert said.err.startswith("syncline: Shared:docs: ")
    answer = alice.tries("mv", "Shared:docs", "Shared:docs/in", "--json")
    assert (answer.code, answer.json["results"][0]["reason"]) == (1, "cycle")


def test_partly_done_says_what_was_not(alice: Person, shared: str) -> None:
    alice.does("mkdir", "Shared:docs/in", "Shared:music")
    said = alice.tries("mv", "Shared:docs", "Shared:music", "Shared:docs/in/")
    assert said.code == 5
    assert said.err.startswith("syncline: Shared:docs: ")
    assert "Shared:music:" not in said.err
    assert names(alice, "Shared:docs/in") == ["music"]


# -- rm, history, restore


def test_removing_and_bringing_back(alice: Person, shared: str) -> None:
    said = alice.does("rm", "Shared:plan.txt")
    assert said.startswith("Removed Shared:plan.txt  (to bring it back: syncline restore Shared:@")
    assert names(alice, "Shared:") == ["docs"]
    alice.does(*said.partition("syncline ")[2].rstrip(")\n").split())
    assert names(alice, "Shared:") == ["docs", "plan.txt"]


def test_a_folder_is_removed_with_r_only(alice: Person, shared: str) -> None:
    alice.does("mv", "Shared:plan.txt", "Shared:docs")
    assert "-r" in alice.is_refused("is-a-folder", "rm", "Shared:docs")
    assert alice.does("rm", "-r", "Shared:docs") == "Removed Shared:docs/ and everything in it\n"
    assert names(alice, "Shared:") == []
    alice.is_refused("no-such-node", "rm", "-r", "Shared:docs")
    alice.is_refused("is-the-root", "rm", "-r", "Shared:")


def test_nothing_is_removed_when_one_path_is_wrong(alice: Person, shared: str) -> None:
    alice.is_refused("no-such-node", "rm", "Shared:plan.txt", "Shared:nothing")
    assert names(alice, "Shared:") == ["docs", "plan.txt"]


def test_the_history_of_a_file(alice: Person, shared: str) -> None:
    lines = alice.does("history", "Shared:plan.txt").splitlines()
    assert lines[0].split() == ["version", "when", "size", "by"]
    assert [re.split("  +", line)[2] for line in lines[1:]] == ["4.9 KiB", "11 B", "3 B"]
    assert lines[1].endswith("Alice  current")
    answer = alice.asks("history", "Shared:plan.txt", "-n", "2")
    assert [version["size_bytes"] for version in answer["versions"]] == [5000, 11]
    assert answer["more"]
    assert "older" in alice.does("history", "Shared:plan.txt", "-n", "2")
    alice.is_refused("not-a-file", "history", "Shared:docs")


def test_restoring_an_older_version(alice: Person, shared: str) -> None:
    versions = [version["id"] for version in alice.asks("history", "Shared:plan.txt")["versions"]]
    assert versions[2] in alice.does("restore", "Shared:plan.txt", "--version", versions[2])
    now = alice.asks("history", "Shared:plan.txt")["versions"]
    assert [version["size_bytes"] for version in now] == [3, 5000, 11, 3]
    answer = alice.asks("restore", "Shared:plan.txt", "--version", versions[2])
    assert answer["results"][0]["status"] == "unchanged"
    alice.is_refused("no-such-version", "restore", "Shared:plan.txt", "--version", "a" * 20)
    alice.is_refused("no-such-node", "restore", "Shared:plan.txt")  # it is not in the trash


def test_a_viewer_reads_only(alice: Person, bob: Person, shared: str) -> None:
    alice.does("library", "share", "Shared", bob.email, "--role", "viewer")
    assert names(bob, "Shared:") == ["docs", "plan.txt"]
    bob.is_refused("not-allowed", "mkdir", "Shared:mine")
    bob.is_refused("not-allowed", "rm", "Shared:plan.txt")
    assert names(bob, "Shared:") == ["docs", "plan.txt"]


# -- follow


def test_following(alice: Person, shared: str) -> None:
    assert "syncline follow" in alice.does("follows")
    assert alice.does("follow", "Shared") == "You follow Shared: immediate.\n"
    node = alice.asks("follow", "Shared:plan.txt")["node"]
    follows = alice.asks("follows")["follows"]
    assert {follow["node"] for follow in follows} == {shared, node}
    assert "Shared:plan.txt" in alice.does("follows")
    alice.does("rm", "Shared:plan.txt")
    assert "any more" in alice.does("unfollow", f"Shared:@{node}")
    alice.asks("unfollow", "Shared:")
    assert alice.asks("follows") == {"follows": []}
    alice.is_refused("no-such-node", "follow", "Shared:nothing")
