"""The operator looks at libraries and reads their journals."""

from __future__ import annotations

import asyncio

import pytest

from syncline.admin.answers import Exit
from syncline.admin.app import run
from syncline.ports.tables import Delete, Table
from syncline.store.journal import commit_key
from tests.unit.admin.test_accounts import refused
from tests.unit.admin.test_records import ask, begun
from tests.unit.admin.world import Operated
from tests.unit.metadata.world import ALICE, BOB, LIBRARY


def archived() -> Operated:
    world = begun()
    asyncio.run(world.archive())
    return world


def test_libraries_of_the_bucket_and_of_an_account(capsys: pytest.CaptureFixture[str]):
    world = archived()
    listed = ask(world, capsys, "libraries", "list")["libraries"]
    assert listed == [{"id": LIBRARY, "name": "Papers"}]
    assert ask(world, capsys, "libraries", "list", "--after", LIBRARY)["libraries"] == []
    mine = ask(world, capsys, "libraries", "list", "bob@example.org")["libraries"]
    assert mine == [{"id": LIBRARY, "name": "Papers", "role": "editor"}]
    world.lose_tables()
    assert ask(world, capsys, "libraries", "list")["libraries"] == [{"id": LIBRARY, "name": ""}]


def test_a_library_is_shown_with_its_journals_end(capsys: pytest.CaptureFixture[str]):
    world = begun()
    shown = ask(world, capsys, "libraries", "show", LIBRARY)
    assert (shown["name"], shown["members"], shown["owners"]) == ("Papers", 2, ["alice@example.org"])
    assert shown["head"]["seq"] == asyncio.run(world.tree()).seq
    assert shown["retention"]["hold"] is False
    assert refused(world, capsys, "libraries", "show", "x" * 20) == (Exit.REFUSED, "not-found")


def test_members_are_listed_with_their_roles(capsys: pytest.CaptureFixture[str]):
    members = ask(begun(), capsys, "libraries", "members", LIBRARY)["members"]
    assert [(one["account"], one["role"], one["direct"]) for one in members] == [
        (ALICE, "owner", True),
        (BOB, "editor", True),
    ]


def test_the_journal_says_who_did_what_to_which_path(capsys: pytest.CaptureFixture[str]):
    world = begun()
    read = ask(world, capsys, "journal", LIBRARY)
    commits = read["commits"]
    assert [one["seq"] for one in commits] == list(range(1, read["head"] + 1))
    assert {(one["email"], one["device_name"]) for one in commits} == {("alice@example.org", "alice-laptop")}
    told = [(one["effect"], one["path"], one.get("was")) for commit in commits for one in commit["changes"]]
    assert ("added", "plans", None) in told
    assert ("added", "plans/b.txt", None) in told
    assert ("moved", "moved.txt", "plans/b.txt") in told
    assert ("removed", "gone.txt", "gone.txt") in told
    assert [one for one in told if one[:2] == ("updated", "a.txt")]


def test_the_journal_is_read_in_parts(capsys: pytest.CaptureFixture[str]):
    world = begun()
    head = ask(world, capsys, "journal", LIBRARY)["head"]
    part = ask(world, capsys, "journal", LIBRARY, "--after", "1", "--limit", "2")["commits"]
    assert [one["seq"] for one in part] == [2, 3]
    newest = ask(world, capsys, "journal", LIBRARY, "--limit", "1")["commits"]
    assert [one["seq"] for one in newest] == [head]
    assert ask(world, capsys, "journal", LIBRARY, "--after", "1000000")["commits"] == []


def test_the_journal_for_people(capsys: pytest.CaptureFixture[str]):
    capsys.readouterr()
    assert run(begun().open_ports, ["journal", LIBRARY]) == Exit.OK
    told = capsys.readouterr().out
    assert "alice@example.org (alice-laptop)" in told
    assert "moved    moved.txt  (was plans/b.txt)" in told
    assert "added    plans/" in told


def test_a_journal_with_a_gap_is_read_around_it(capsys: pytest.CaptureFixture[str]):
    world = begun()
    asyncio.run(world.tables.write(Delete(Table.JOURNAL, commit_key(LIBRARY, 3))))
    assert refused(world, capsys, "journal", LIBRARY) == (Exit.REFUSED, "broken")
    part = ask(world, capsys, "journal", LIBRARY, "--after", "3", "--limit", "2")["commits"]
    assert [one["seq"] for one in part] == [4, 5]
