"""Mail of the local SES as files."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default

import pytest

from deploy.local.mail import SentMail, sent_mail, write_mail

NOW = datetime(2026, 11, 23, 17, 14, 5, 678_000, tzinfo=UTC)


def raw_request(raw: bytes, **destination: list[str]) -> dict[str, object]:
    return {"Destination": destination, "Content": {"Raw": {"Data": base64.b64encode(raw).decode()}}}


def test_raw_mail_keeps_its_headers_and_gets_the_id_of_ses():
    raw = (
        b"Message-ID: <mine@client>\nFrom: s@example.com\nList-Unsubscribe: <http://u>,\n <mailto:u@x>\n"
        b"DATE: Mon, 23 Nov 2026 00:00:00 +0000\n\nMessage-ID: <in the body>\n"
    )
    mail = sent_mail(raw_request(raw, ToAddresses=["b@example.com"], BccAddresses=["c@x"]), "id@ses", NOW)
    assert mail.recipients == ("b@example.com", "c@x")
    message = message_from_bytes(mail.content, policy=default)
    assert message.get_all("Message-ID") == ["<id@ses>"]
    assert message["List-Unsubscribe"] == "<http://u>, <mailto:u@x>"
    assert message.get_all("Date") == ["Mon, 23 Nov 2026 00:00:00 +0000"]
    assert mail.content.endswith(b"\r\n\r\nMessage-ID: <in the body>\r\n")


def test_mail_without_a_date_gets_one():
    mail = sent_mail(raw_request(b"Subject: x\r\n\r\ny"), "id@ses", NOW)
    assert message_from_bytes(mail.content, policy=default)["Date"] == "Mon, 23 Nov 2026 17:14:05 +0000"


def test_simple_mail_is_composed():
    request = {
        "FromEmailAddress": "s@example.com",
        "Destination": {"ToAddresses": ["b@example.com"]},
        "Content": {
            "Simple": {
                "Subject": {"Data": "Überraschung"},
                "Body": {"Text": {"Data": "text"}, "Html": {"Data": "<p>html</p>"}},
                "Headers": [{"Name": "List-Unsubscribe", "Value": "<http://u>"}],
            }
        },
    }
    message = message_from_bytes(sent_mail(request, "id@ses", NOW).content, policy=default)
    assert (message["Subject"], message["To"]) == ("Überraschung", "b@example.com")
    assert message["List-Unsubscribe"] == "<http://u>"
    assert [part.get_content_type() for part in message.walk()] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]


def test_other_content_is_refused():
    with pytest.raises(ValueError, match="neither raw nor simple"):
        sent_mail({"Content": {"Template": {}}}, "id@ses", NOW)


def test_a_file_is_named_by_time_and_recipient_and_is_whole(tmp_path):
    path = write_mail(tmp_path, SentMail("abcd-ef01-2345@ses", ("../b@example.com",), b"whole"), NOW)
    assert path.name == "20261123T171405.678Z-.._b@example.com-abcdef01.eml"
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]
