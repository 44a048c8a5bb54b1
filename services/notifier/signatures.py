"""SNS's envelopes: what is signed, by whom, and whether it is. Pure, but for ``Certificates``.

An envelope counts only if it comes from our topic, names a certificate at SNS's own host in our region, and bears that
certificate's signature. Source: https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Protocol
from urllib.parse import urlsplit

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from syncline.domain.errors import Broken
from syncline.messages.envelope import Unreadable

_CERTIFICATE_PATH = re.compile(r"/SimpleNotificationService-[0-9a-zA-Z]{1,64}\.pem")
_HASHES = {"1": SHA1, "2": SHA256}


class Certificates(Protocol):
    """Where signing certificates are had."""

    async def get(self, url: str) -> bytes:
        """The PEM under a URL that ``certificate_url`` let pass. Raises ``Temporary``, ``Broken``."""
        ...


class NoCertificates:
    """Where events about mail come raw, or not at all."""

    async def get(self, url: str) -> bytes:
        raise Broken(f"There is nothing here that could fetch {url}")


NO_CERTIFICATES = NoCertificates()


class Envelope(msgspec.Struct, frozen=True):
    """SNS's JSON around a message that is not delivered raw."""

    Type: str
    MessageId: str
    TopicArn: str
    Message: str
    Timestamp: str
    SignatureVersion: str
    Signature: str
    SigningCertURL: str
    Subject: str | None = None


_decoder = msgspec.json.Decoder(Envelope)


def read_envelope(wire: bytes) -> Envelope:
    """Raises ``Unreadable``."""
    try:
        return _decoder.decode(wire)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unreadable(f"not an envelope of SNS: {error}") from None


def certificate_url(envelope: Envelope, topic_arn: str) -> str:
    """Where the certificate is. Raises ``Unreadable`` unless that is SNS's own address and the topic is ours."""
    if envelope.Type != "Notification" or envelope.TopicArn != topic_arn:
        raise Unreadable(f"a {envelope.Type} from {envelope.TopicArn}, which is not our topic")
    partition, region = topic_arn.split(":")[1], topic_arn.split(":")[3]
    host = f"sns.{region}.amazonaws.com{'.cn' if partition == 'aws-cn' else ''}"
    try:
        url = urlsplit(envelope.SigningCertURL)
    except ValueError:
        raise Unreadable("the signing certificate has no address") from None
    if (url.scheme, url.netloc) != ("https", host) or url.query or not _CERTIFICATE_PATH.fullmatch(url.path):
        raise Unreadable(f"the signing certificate is said to be at {envelope.SigningCertURL[:200]!r}, not at {host}")
    return envelope.SigningCertURL


def verify(envelope: Envelope, certificate_pem: bytes) -> None:
    """Raises ``Unreadable`` unless the certificate's key signed the envelope."""
    algorithm = _HASHES.get(envelope.SignatureVersion)
    if algorithm is None:
        raise Unreadable(f"signature version {envelope.SignatureVersion[:20]!r} is unknown")
    try:
        key = x509.load_pem_x509_certificate(certificate_pem).public_key()
        signature = base64.b64decode(envelope.Signature, validate=True)
    except (ValueError, binascii.Error):
        raise Unreadable("the signature or its certificate is damaged") from None
    if not isinstance(key, rsa.RSAPublicKey):
        raise Unreadable("the signing certificate's key is not RSA")
    try:
        key.verify(signature, signed_text(envelope).encode(), padding.PKCS1v15(), algorithm())
    except InvalidSignature:
        raise Unreadable("the signature is not SNS's") from None


def signed_text(envelope: Envelope) -> str:
    """The text that SNS signs: names and values in order, each on a line; ``Subject`` only if there is one."""
    names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    pairs = [(name, getattr(envelope, name)) for name in names]
    return "".join(f"{name}\n{value}\n" for name, value in pairs if value is not None)
