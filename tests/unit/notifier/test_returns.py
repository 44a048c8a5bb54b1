"""Bounces and complaints stop mail; only SNS's own signature, on our own topic, is believed."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from services.notifier.signatures import Envelope, certificate_url, signed_text, verify
from syncline.messages.envelope import Unreadable
from syncline.messages.mail_returned import MailReturned, decode
from syncline.ports.queues import Queue
from syncline.store.suppressions import Suppressions
from tests.unit.notifier.world import World

TOPIC = "arn:aws:sns:eu-central-1:123456789012:teal-mail-events"
URL = "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-9c6465fa7f48f5cacd23014631ec1136.pem"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ENVELOPE = Envelope("Notification", "m1", TOPIC, "", "2026-01-01T00:00:00.000Z", "2", "", URL)


@cache
def signer(_name: str) -> tuple[rsa.RSAPrivateKey, bytes]:
    """A key and its certificate, for tests only."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), NOW, NOW + timedelta(9)
    )
    return key, builder.sign(key, SHA256()).public_bytes(Encoding.PEM)


def signed(message: str, **changed: Any) -> Envelope:
    envelope = msgspec.structs.replace(ENVELOPE, Message=message, **changed)
    algorithm = SHA1() if envelope.SignatureVersion == "1" else SHA256()
    signature = signer("sns")[0].sign(signed_text(envelope).encode(), padding.PKCS1v15(), algorithm)
    return msgspec.structs.replace(envelope, Signature=base64.b64encode(signature).decode())


def bounce(address: str, kind: str = "Permanent", *, named: str = "eventType") -> str:
    recipients = [{"emailAddress": address, "diagnosticCode": "smtp; 550 no such user"}]
    event = {"bounceType": kind, "bounceSubType": "General", "bouncedRecipients": recipients}
    return json.dumps({named: "Bounce", "mail": {"messageId": "m"}, "bounce": event})


def complaint(address: str) -> str:
    event = {"complaintFeedbackType": "abuse", "complainedRecipients": [{"emailAddress": address}]}
    return json.dumps({"notificationType": "Complaint", "complaint": event})


# -- what SES says --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", ["eventType", "notificationType"])
def test_a_lasting_bounce_and_a_complaint_are_returns(named: str) -> None:
    wanted = [MailReturned("a@example.org", "bounce: General smtp; 550 no such user")]
    assert decode(bounce("a@example.org", named=named).encode()) == wanted
    assert decode(complaint("b@example.org").encode()) == [MailReturned("b@example.org", "complaint: abuse")]


@pytest.mark.parametrize(
    "event",
    [
        bounce("a@example.org", "Transient"),
        bounce("a@example.org", "Undetermined"),
        '{"eventType": "Delivery", "delivery": {}}',
        '{"notificationType": "AmazonSnsSubscriptionSucceeded"}',
        '{"eventType": "Bounce"}',
    ],
)
def test_what_may_pass_and_what_is_none_returns_nothing(event: str) -> None:
    assert decode(event.encode()) == []


@pytest.mark.parametrize(
    "wire", [b"", b"{}", b"[]", b"\xff", b'{"eventType": 5}', b'{"eventType":"Bounce","bounce":[]}']
)
def test_what_is_no_event_is_unreadable(wire: bytes) -> None:
    with pytest.raises(Unreadable):
        decode(wire)


# -- signatures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("subject", [None, "Amazon SES Email Event Notification"])
def test_what_sns_signed_is_believed(version: str, subject: str | None) -> None:
    verify(signed("text ü\n", SignatureVersion=version, Subject=subject), signer("sns")[1])


@pytest.mark.parametrize(
    "change",
    [
        {"Message": "other"},
        {"MessageId": "m2"},
        {"Timestamp": "2026-01-02T00:00:00.000Z"},
        {"Subject": "added"},
        {"TopicArn": TOPIC + "x"},
        {"SignatureVersion": "1"},
        {"SignatureVersion": "3"},
        {"Signature": ""},
        {"Signature": "FAKE"},
        {"Signature": base64.b64encode(b"x" * 256).decode()},
    ],
)
def test_what_was_changed_is_not(change: dict[str, str]) -> None:
    with pytest.raises(Unreadable):
        verify(msgspec.structs.replace(signed("text"), **change), signer("sns")[1])


@pytest.mark.parametrize("pem", [b"", b"no certificate"])
def test_a_damaged_certificate_proves_nothing(pem: bytes) -> None:
    with pytest.raises(Unreadable):
        verify(signed("text"), pem)


def test_another_key_proves_nothing() -> None:
    with pytest.raises(Unreadable):
        verify(signed("text"), signer("somebody")[1])


@pytest.mark.parametrize(
    "url",
    [
        "http://sns.eu-central-1.amazonaws.com/SimpleNotificationService-1.pem",
        "https://sns.eu-central-1.amazonaws.com.evil.example/SimpleNotificationService-1.pem",
        "https://sns.eu-central-1.amazonaws.com@evil.example/SimpleNotificationService-1.pem",
        "https://sns.eu-central-1.amazonaws.com:8443/SimpleNotificationService-1.pem",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-1.pem",
        "https://bucket.s3.amazonaws.com/SimpleNotificationService-1.pem",
        "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-1.pem?x=1",
        "https://sns.eu-central-1.amazonaws.com/../evil.pem",
        "https://sns.eu-central-1.amazonaws.com/evil.pem",
        "https://[sns",
        "",
    ],
)
def test_certificates_come_from_sns_alone(url: str) -> None:
    with pytest.raises(Unreadable):
        certificate_url(msgspec.structs.replace(ENVELOPE, SigningCertURL=url), TOPIC)


def test_only_our_topic_and_only_notifications_count() -> None:
    assert certificate_url(ENVELOPE, TOPIC) == URL
    for change in ({"TopicArn": TOPIC.replace("1234", "9999")}, {"Type": "SubscriptionConfirmation"}):
        with pytest.raises(Unreadable):
            certificate_url(msgspec.structs.replace(ENVELOPE, **change), TOPIC)


# -- what becomes of it ---------------------------------------------------------------------------------------------


async def take(world: World, *wires: bytes) -> None:
    notifier = world.notifier()
    for wire in wires:
        await world.queues.send(Queue.BOUNCES, wire)
    while await notifier.returns.run_once():
        pass


def signed_world() -> World:
    world = World()
    world.mail_topic_arn = TOPIC
    world.certificates[URL] = signer("sns")[1]
    return world


async def test_a_bounce_stops_mail_until_it_is_lifted() -> None:
    world = signed_world()
    alice, bob = [await world.account(name) for name in ("Alice", "Bob")]
    photos = await world.library("Photos", alice, bob)
    await world.follows.follow(photos.id, photos.id, bob)
    notifier, suppressions = world.notifier(), Suppressions(world.tables, world.clock)
    await take(world, *[msgspec.json.encode(signed(bounce("Bob@Example.org")))] * 2)
    for name in ("a.jpg", "b.jpg"):
        await photos.add(alice, name)
        await world.told(notifier, photos)
        await world.window_over(notifier)
        assert len(world.sent_to("Bob")) == (name == "b.jpg")
        assert (await suppressions.reason("bob@example.org") is None) == (name == "b.jpg")
        await suppressions.lift("bob@example.org")


async def test_what_is_forged_is_set_aside_and_suppresses_nobody() -> None:
    world = signed_world()
    forged = msgspec.structs.replace(signed(bounce("eve@example.org")), Message=bounce("bob@example.org"))
    elsewhere = signed(bounce("bob@example.org"), SigningCertURL="https://evil.example/SimpleNotificationService-1.pem")
    await take(world, msgspec.json.encode(forged), msgspec.json.encode(elsewhere), bounce("bob@example.org").encode())
    assert await Suppressions(world.tables, world.clock).reason("bob@example.org") is None
    assert len(await world.queues.dead_letters(Queue.BOUNCES)) == 3


async def test_while_sns_does_not_answer_the_event_waits() -> None:
    world = signed_world()
    pem = world.certificates.pop(URL)
    await take(world, msgspec.json.encode(signed(bounce("bob@example.org"))))
    assert await world.queues.dead_letters(Queue.BOUNCES) == []
    world.certificates[URL] = pem
    world.clock.advance(600)
    await take(world)
    assert await Suppressions(world.tables, world.clock).reason("bob@example.org") is not None


async def test_without_a_topic_nothing_counts_and_nothing_is_lost() -> None:
    world = World()
    world.certificates[URL] = signer("sns")[1]
    await take(world, complaint("bob@example.org").encode(), msgspec.json.encode(signed(bounce("bob@example.org"))))
    assert await Suppressions(world.tables, world.clock).reason("bob@example.org") is None
    assert len(await world.queues.dead_letters(Queue.BOUNCES)) == 2


async def test_where_events_come_raw_they_are_read_raw() -> None:
    world = World()
    world.mail_events_raw = True
    await take(world, complaint("bob@example.org").encode())
    assert await Suppressions(world.tables, world.clock).reason("bob@example.org") == "complaint: abuse"
