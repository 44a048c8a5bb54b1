"""Which addresses a webhook may have, which may be connected to, and the signature as a receiver checks it."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from syncline.domain.errors import Refused
from syncline.domain.webhooks import check_address, is_public, secret_from_bytes, sign


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "172.32.0.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "2a00:1450::1"]
)
def test_addresses_of_the_open_internet_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.9.10",
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.127.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:a9fe:a9fe",
        "::ffff:100.64.0.1",
        "::127.0.0.1",
        "::8.8.8.8",
        "64:ff9b::7f00:1",
        "64:ff9b::8.8.8.8",
        "64:ff9b:1::a00:1",
        "2002:7f00:1::1",
        "2001:0:7f00:1::",
        "fe80::1",
        "fe80::1%eth0",
        "2a00:1450::1%eth0",
        "fec0::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "2001:db8::1",
        "100::1",
        "",
        "localhost",
        "127.1",
        "2130706433",
        "0x7f000001",
        "010.0.0.1",
    ],
)
def test_others_are_not(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://hooks.example.org", "hooks.example.org"),
        ("https://hooks.example.org:8443/a/b?token=x", "hooks.example.org"),
        ("https://8.8.8.8/x", "8.8.8.8"),
        ("https://[2606:4700:4700::1111]/", "2606:4700:4700::1111"),
        ("HTTPS://xn--bcher-kva.example/", "xn--bcher-kva.example"),
    ],
)
def test_an_https_address_is_taken(url: str, host: str) -> None:
    assert check_address(url) == host


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example.org",
        "http://hooks.example.org/",
        "ftp://hooks.example.org/",
        "file:///etc/passwd",
        "https://",
        "https:///x",
        "https://user@hooks.example.org/",
        "https://user:word@hooks.example.org/",
        "https://hooks.example.org/#x",
        "https://hooks.example.org:0/",
        "https://hooks.example.org:99999/",
        "https://hooks.example.org:x/",
        "https://localhost/",
        "https://localhost./",
        "https://redis:6379/",
        "https://127.0.0.1/",
        "https://127.0.0.1./",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://a.0x7f/",
        "https://0177.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[::1/",
        "https://169.254.169.254/latest/meta-data",
        "https://hooks.example.org\\@10.0.0.1/",
        "https://hooks.example.org/ x",
        "https://hooks.example.org/\r\nX: y",
        "https://b\u00fccher.example/",
        "https://hooks.example.org/" + "x" * 2_000,
    ],
)
def test_no_other_is(url: str) -> None:
    with pytest.raises(Refused) as refused:
        check_address(url)
    assert refused.value.kind == "bad-webhook"


def test_a_receiver_checks_the_signature_with_the_secret_the_time_and_the_body() -> None:
    secret, body = secret_from_bytes(bytes(range(32))), b'{"library":"x"}'
    header = dict(part.split("=", 1) for part in sign(secret, 1_700_000_000, body).split(","))
    expected = hmac.new(secret.encode(), b"1700000000." + body, hashlib.sha256).hexdigest()
    assert header == {"t": "1700000000", "v1": expected}
    assert sign(secret, 1_700_000_001, body).partition(",")[2] != f"v1={expected}"
    assert sign(secret, 1_700_000_000, body + b" ").partition(",")[2] != f"v1={expected}"
    assert sign(secret + "x", 1_700_000_000, body).partition(",")[2] != f"v1={expected}"


def test_the_signature_is_frozen() -> None:
    """Receivers have written it down."""
    assert sign("whsec_x", 1_700_000_000, b"{}") == (
        "t=1700000000,v1=be8cb8325f2202445260a855532f967e30ad2a9394ce28da66ee02880ddcb661"
    )
