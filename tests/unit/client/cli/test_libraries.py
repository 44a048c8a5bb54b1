"""library create, list, share, unshare, members."""

import pytest

from tests.unit.client.cli.people import Person


def test_a_library_is_created_and_listed(alice: Person) -> None:
    created = alice.asks("library", "create", "Papers")
    assert created["role"] == "owner"
    assert "Papers" in alice.does("library", "create", "Papers 2")
    names = [library["name"] for library in alice.asks("library", "list")["libraries"]]
    assert names == ["Papers", "Papers 2", "Shared"]
    listed = alice.does("library", "list").splitlines()
    assert listed[0].split() == ["id", "role", "created", "name"]
    assert listed[1].startswith(created["id"])


def test_without_libraries_the_way_on_is_told(bob: Person) -> None:
    assert bob.asks("library", "list") == {"libraries": []}
    assert "syncline library create" in bob.does("library", "list")


def test_sharing_makes_members_and_changes_roles(alice: Person, bob: Person) -> None:
    assert alice.does("library", "share", "Shared", bob.email) == "Bob <bob@example.org> is now editor of Shared.\n"
    assert bob.asks("library", "list")["libraries"][0]["role"] == "editor"
    shared = alice.asks("library", "share", "Shared", bob.email, "--role", "viewer")
    assert shared["member"]["role"] == "viewer"
    members = alice.asks("library", "members", "Shared")["members"]
    assert {member["email"]: member["role"] for member in members} == {alice.email: "owner", bob.email: "viewer"}
    shown = alice.does("library", "members", "Shared:")
    assert "viewer  bob@example.org" in shown


def test_unsharing_ends_membership(alice: Person, bob: Person) -> None:
    alice.does("library", "share", "Shared", bob.email)
    assert "no member" in alice.does("library", "unshare", "Shared", bob.email)
    bob.is_refused("no-such-library", "ls", "Shared:")
    told = alice.is_refused("no-such-member", "library", "unshare", "Shared", bob.email)
    assert "syncline library members" in told


def test_a_member_may_leave(alice: Person, bob: Person) -> None:
    alice.does("library", "share", "Shared", bob.email)
    bob.does("library", "unshare", "Shared", bob.email)
    assert bob.asks("library", "list") == {"libraries": []}


def test_refusals_of_sharing(alice: Person, bob: Person) -> None:
    told = alice.is_refused("no-such-account", "library", "transfer", "Shared", "nobody@example.org")
    assert "syncline register" in told
    alice.is_refused("last-owner", "library", "unshare", "Shared", alice.email)
    alice.does("library", "share", "Shared", bob.email)
    bob.is_refused("not-allowed", "library", "share", "Shared", alice.email, "--role", "viewer")


def test_libraries_of_one_name_must_be_told_apart(alice: Person) -> None:
    ids = [library["id"] for library in alice.asks("library", "list")["libraries"]]
    ids.append(alice.asks("library", "create", "Shared")["id"])
    told = alice.is_refused("ambiguous-library", "ls", "Shared:")
    assert all(one in told for one in ids)
    for one in ids:
        assert alice.asks("ls", f"{one}:")["library"] == one


@pytest.mark.parametrize("words", [("ls", "shared:"), ("follow", "SHARED"), ("library", "members", "ShAreD")])
def test_a_name_nearly_right_is_suggested(alice: Person, words: tuple[str, ...]) -> None:
    assert "Did you mean Shared?" in alice.is_refused("no-such-library", *words)
