"""follow with terms, mail, followers: what goes to the service and what is said."""

from __future__ import annotations

import pytest

from syncline.client.cli.commands.terms import terms_text
from syncline.domain.digests import Happened
from syncline.domain.preferences import Every
from syncline.messages.api import MailTerms
from tests.unit.client.cli.people import Person, say

ALL = list(Happened)


@pytest.mark.parametrize(
    ("terms", "text"),
    [
        (MailTerms(window=Every.IMMEDIATE, hour=8, zone="UTC", kinds=ALL), "immediate"),
        (MailTerms(window=Every.HOURLY, hour=8, zone="UTC", kinds=[Happened.ADDED]), "hourly; added"),
        (MailTerms(window=Every.DAILY, hour=0, zone="Europe/Berlin", kinds=ALL), "daily at 0:00 Europe/Berlin"),
    ],
)
def test_terms_read_as_a_person_would_say_them(terms: MailTerms, text: str) -> None:
    assert terms_text(terms) == text


@pytest.mark.parametrize(
    "arguments",
    [
        ["follow", "Shared", "--window", "weekly"],
        ["follow", "Shared", "--hour", "24"],
        ["follow", "Shared", "--kinds", "added,shouted"],
        ["follow", "Shared", "--kinds", ","],
        ["mail", "set", "--language", "xx"],
        ["followers", "links", "Shared", "maybe"],
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_sent(arguments: list[str], tmp_path: object) -> None:
    said = say({"SYNCLINE_HOME": str(tmp_path)}, *arguments)
    assert said.code == 2
    assert arguments[-2] in said.err or arguments[-1] in said.err


def test_a_follow_on_terms_and_what_holds_for_all_mail(alice: Person) -> None:
    said = alice.does(
        "follow", "Shared", "--window", "daily", "--hour", "8", "--zone", "Europe/Berlin", "--kinds", "added"
    )
    assert said == "You follow Shared: daily at 8:00 Europe/Berlin; added.\n"
    assert "daily at 8:00 Europe/Berlin; added" in alice.does("follows")
    assert "immediate" in alice.does("mail", "show")
    alice.does("mail", "set", "--window", "hourly", "--language", "de")
    settings = alice.asks("mail", "set", "--zone", "Asia/Tokyo")
    assert (settings["said"]["window"], settings["said"]["zone"], settings["said"]["language"]) == (
        "hourly",
        "Asia/Tokyo",
        "de",
    )
    assert alice.does("follow", "Shared") == "You follow Shared: hourly.\n"
    alice.is_refused("bad-zone", "follow", "Shared", "--zone", "Mars/Olympus")
    assert alice.asks("mail", "lift")["address"] == alice.email


def test_webhooks_are_added_listed_and_removed(alice: Person) -> None:
    url = "https://hooks.example.org/in"
    assert alice.does("library", "webhook", "list", "Shared") == "Shared has no webhook.\n"
    made = alice.asks("library", "webhook", "add", "Shared", url)
    assert made["secret"].startswith("whsec_")
    listed = alice.does("library", "webhook", "list", "Shared")
    assert url in listed
    assert "told up to" in listed
    assert made["secret"] not in listed
    assert "whsec_" in alice.does("library", "webhook", "add", "Shared", url)
    assert alice.asks("library", "webhook", "list", "Shared")["webhooks"][0]["url"] == url
    assert alice.asks("library", "webhook", "enable", "Shared", made["webhook"]["id"]) == made["webhook"]
    alice.does("library", "webhook", "remove", "Shared", made["webhook"]["id"])
    alice.is_refused("no-such-webhook", "library", "webhook", "enable", "Shared", made["webhook"]["id"])
    assert len(alice.asks("library", "webhook", "list", "Shared")["webhooks"]) == 1
    alice.is_refused("no-such-webhook", "library", "webhook", "remove", "Shared", made["webhook"]["id"])
    alice.is_refused("bad-webhook", "library", "webhook", "add", "Shared", "https://127.0.0.1/")


def test_people_outside_are_asked_listed_and_removed(alice: Person) -> None:
    assert alice.does("followers", "list", "Shared") == "Nobody outside follows Shared.\n"
    said = alice.does("followers", "invite", "Shared", "eve@example.net", "--window", "daily", "--language", "de")
    assert said == "eve@example.net is asked whether to get mail about Shared.\n"
    assert "eve@example.net" in alice.does("followers", "list", "Shared")
    assert alice.asks("followers", "links", "Shared", "on") == {"links": True}
    assert "open files" in alice.does("followers", "list", "Shared")
    alice.does("followers", "remove", "Shared", "Eve@example.net")
    assert alice.asks("followers", "list", "Shared")["followers"] == []
    alice.is_refused("no-such-follower", "followers", "remove", "Shared", "eve@example.net")
    alice.is_refused("already-member", "followers", "invite", "Shared", alice.email)
