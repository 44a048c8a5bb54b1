"""devices, password, account, invitations, group, library transfer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.client.cli.people import PASSWORD, Person, Said, say
from tests.unit.client.cli.service import Service
from tests.unit.gateway.mailroom import Mailroom

NEW = "a wholly new password"


@pytest.fixture
def mail(service: Service) -> Mailroom:
    return Mailroom(service.world)


def token(service: Service, mail: Mailroom, email: str) -> str:
    return service.asks(mail.token(email))


def with_new(person: Person, *words: str, password: str = PASSWORD) -> Said:
    return say(person.environment | {"SYNCLINE_NEW_PASSWORD": NEW, "SYNCLINE_PASSWORD": password}, *words)


def second_home(person: Person, tmp_path: Path) -> Person:
    other = Person(person.name, person.environment["SYNCLINE_SERVER"], tmp_path / "second")
    other.does("login", other.email, "--device-name", "desk")
    return other


def test_devices_are_listed_and_signed_out(alice: Person, tmp_path: Path) -> None:
    desk = second_home(alice, tmp_path)
    shown = alice.does("devices")
    assert "alice-laptop (this one)" in shown
    assert "desk" in shown
    assert {one["name"] for one in alice.asks("devices", "list")["devices"]} == {"alice-laptop", "desk"}
    assert "desk: signed out" in alice.does("devices", "revoke", "desk")
    desk.is_refused("device-revoked", "whoami", code=3)
    assert [one["name"] for one in alice.asks("devices")["devices"]] == ["alice-laptop"]
    told = alice.is_refused("no-such-device", "devices", "revoke", "desk")
    assert "syncline devices" in told
    assert alice.tries("devices", "revoke").code == 2


def test_all_others_are_signed_out_in_one_go(alice: Person, tmp_path: Path) -> None:
    desk = second_home(alice, tmp_path)
    assert [one["name"] for one in alice.asks("devices", "revoke", "--others")["revoked"]] == ["desk"]
    desk.is_refused("device-revoked", "whoami", code=3)
    assert alice.tries("whoami").code == 0


def test_signing_this_one_out_forgets_the_session(alice: Person) -> None:
    alice.does("devices", "revoke", "alice-laptop")
    assert not (alice.home / "session.json").exists()


def test_a_lost_password_is_replaced_by_mail(alice: Person, service: Service, mail: Mailroom) -> None:
    answer = alice.does("password", "reset", alice.email)
    assert answer == alice.does("password", "reset", "nobody@example.org").replace("nobody@example.org", alice.email)
    said = with_new(alice, "password", "reset", "--token", token(service, mail, alice.email))
    assert (said.code, said.err) == (0, "")
    alice.is_refused("device-revoked", "whoami", code=3)
    assert say(alice.environment | {"SYNCLINE_PASSWORD": NEW}, "login", alice.email).code == 0


def test_the_present_device_may_stay(alice: Person, service: Service, mail: Mailroom, tmp_path: Path) -> None:
    desk = second_home(alice, tmp_path)
    alice.does("password", "reset", alice.email)
    words = ("password", "reset", "--token", token(service, mail, alice.email), "--keep-this-device")
    assert with_new(alice, *words).code == 0
    assert alice.tries("whoami").code == 0
    desk.is_refused("device-revoked", "whoami", code=3)
    again = with_new(alice, *words, "--json")
    assert (again.code, again.problem["kind"]) == (1, "link-used")
    assert "syncline password reset" in again.problem["hint"]


def test_a_password_is_changed_by_the_old_one(alice: Person, tmp_path: Path) -> None:
    desk = second_home(alice, tmp_path)
    said = with_new(alice, "password", "change", "--json", password="not this one")
    assert (said.code, said.problem["kind"]) == (1, "wrong-password")
    said = with_new(alice, "password", "change")
    assert (said.code, said.err) == (0, "")
    assert PASSWORD not in said.out
    assert NEW not in said.out
    assert alice.tries("whoami").code == 0
    desk.is_refused("device-revoked", "whoami", code=3)


def test_an_address_is_changed_with_both_tokens(alice: Person, service: Service, mail: Mailroom) -> None:
    alice.does("account", "address", "alice@example.com")
    old, new = token(service, mail, alice.email), token(service, mail, "alice@example.com")
    assert "other address" in alice.does("account", "address", "--token", new)
    assert alice.asks("account", "address", "--token", old) == {"done": True}
    assert alice.asks("whoami")["account"]["email"] == "alice@example.com"
    assert alice.tries("account", "address").code == 2


def test_an_account_is_removed_when_it_is_meant(alice: Person, bob: Person) -> None:
    told = alice.is_refused("not-confirmed", "account", "remove")
    assert "--yes" in told
    told = alice.is_refused("still-owns", "account", "remove", "--yes")
    assert "--hand-to" in told
    alice.does("account", "remove", "--yes", "--hand-to", bob.email)
    assert not (alice.home / "session.json").exists()
    assert [(one["name"], one["role"]) for one in bob.asks("library", "list")["libraries"]] == [("Shared", "owner")]
    assert say(alice.environment, "login", alice.email, "--json").problem["kind"] == "sign-in-failed"


def test_who_has_no_account_is_invited(alice: Person, service: Service, mail: Mailroom, tmp_path: Path) -> None:
    eve = Person("eve", service.url, tmp_path)
    shared = alice.does("library", "share", "Shared", eve.email, "-r", "viewer")
    assert shared == "eve@example.org has no account yet, and is invited to Shared by mail.\n"
    assert alice.asks("library", "share", "Shared", eve.email)["member"]["invited"]
    listed = alice.asks("invitations")["invitations"]
    assert [(one["invitation"]["email"], one["invitation"]["role"]) for one in listed] == [(eve.email, "editor")]
    assert "eve@example.org" in alice.does("invitations", "list", "Shared")
    invited = token(service, mail, eve.email)
    eve.does("register", eve.email, "--name", "Eve", "--invitation", invited)
    assert [one["name"] for one in eve.asks("library", "list")["libraries"]] == ["Shared"]
    assert alice.does("invitations") == "Nobody is invited.\n"


def test_an_invitation_is_accepted_or_revoked(alice: Person, service: Service, mail: Mailroom, tmp_path: Path) -> None:
    eve = Person("eve", service.url, tmp_path)
    alice.does("library", "share", "Shared", eve.email)
    invited = token(service, mail, eve.email)
    eve.does("register", eve.email, "--name", "Eve")
    assert "Shared" in eve.does("invitations", "accept", invited)
    eve.is_refused("invitation-gone", "invitations", "accept", invited)
    alice.does("library", "share", "Shared", "zoe@example.org")
    invited = token(service, mail, "zoe@example.org")
    assert "revoked" in alice.does("invitations", "revoke", "Shared", "zoe@example.org")
    alice.is_refused("no-such-invitation", "invitations", "revoke", "Shared", "zoe@example.org")
    zoe = Person("zoe", service.url, tmp_path)
    zoe.is_refused("invitation-gone", "register", zoe.email, "--name", "Zoe", "--invitation", invited)


def test_groups_share_libraries(alice: Person, bob: Person) -> None:
    group = alice.asks("group", "create", "Designers")
    assert "You are in no group" in bob.does("group", "list")
    assert "is in Designers now" in alice.does("group", "add", "Designers", bob.email)
    assert "editor of Shared" in alice.does("library", "share", "Shared", "group:Designers")
    assert bob.asks("library", "list")["libraries"][0]["role"] == "editor"
    listed = alice.asks("library", "members", "Shared")
    assert [one["name"] for one in listed["groups"]] == ["Designers"]
    assert {one["email"]: one["groups"] for one in listed["members"]} == {alice.email: [], bob.email: ["Designers"]}
    assert "group:Designers" in alice.does("library", "members", "Shared")
    alice.is_refused("member-by-group", "library", "unshare", "Shared", bob.email)
    assert bob.email in alice.does("group", "members", group["id"])
    assert "yours" in alice.does("group", "list")
    assert "not in Designers any more" in alice.does("group", "remove", "Designers", bob.email)
    bob.is_refused("no-such-library", "ls", "Shared:")
    alice.is_refused("no-such-member", "group", "remove", "Designers", bob.email)
    assert "no member" in alice.does("library", "unshare", "Shared", "group:Designers")
    assert "deleted" in alice.does("group", "delete", "Designers")
    told = alice.is_refused("no-such-group", "group", "members", "Designers")
    assert "syncline group list" in told
    alice.does("group", "create", "Twins")
    alice.does("group", "create", "Twins")
    alice.is_refused("ambiguous-group", "group", "delete", "Twins")


def test_a_library_is_handed_over(alice: Person, bob: Person) -> None:
    assert "owns Shared now" in alice.does("library", "transfer", "Shared", bob.email, "--keep", "viewer")
    assert alice.asks("library", "list")["libraries"][0]["role"] == "viewer"
    alice.is_refused("not-allowed", "library", "transfer", "Shared", bob.email)
    bob.does("library", "transfer", "Shared", alice.email, "--keep", "none")
    assert bob.asks("library", "list") == {"libraries": []}


def test_no_answer_carries_a_secret(alice: Person, service: Service, mail: Mailroom) -> None:
    alice.does("password", "reset", alice.email)
    link = token(service, mail, alice.email)
    said = with_new(alice, "password", "reset", "--token", link, "--json")
    assert json.loads(said.out) == {"changed": True}
