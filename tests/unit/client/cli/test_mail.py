"""follow with terms, mail, followers: what goes to the service and what is said."""

from __future__ import annotations

import pytest

from syncline.client.cli.commands.terms import terms_text
from syncline.domain.digests import Happened
from syncline.domain.preferences import Every
from syncline.messages.api import MailTerms
from tests.unit.client.cli.people import say

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
