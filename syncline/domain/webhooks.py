"""Webhooks: which addresses may be told, and how what they are told is signed. Pure.

A service that posts to addresses its users name can be made to post to its own network (SSRF). So an address is
``https``, and what its host resolves to is judged at every delivery, just before connecting (``is_public``).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
from urllib.parse import SplitResult, urlsplit

from syncline.domain.errors import Refused

URL_CHARACTERS_MAX = 2_000
SECRET_BYTES = 32
SIGNATURE_VERSION = "v1"
_SECRET_PREFIX = "whsec_"
_EMBEDDING = tuple(
    map(
        ipaddress.IPv6Network,
        # IPv4-compatible, NAT64 (two), Teredo, 6to4, site-local: each leads to an IPv4 or inner address of its own.
        ("::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16", "fec0::/10"),
    )
)
_RELAYS = ipaddress.IPv4Network("192.88.99.0/24")


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet: not private, loopback, link-local, shared, of a group, ….

    An IPv4 address written as IPv6 is judged as what it is; addresses that hide another are not public. Nor is what is
    no address.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_public(str(ip.ipv4_mapped))
        if ip.scope_id is not None or any(ip in network for network in _EMBEDDING):
            return False
    elif ip in _RELAYS:
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified or ip.is_private)


def check_address(url: str) -> str:
    """The host of a webhook's address. Raises ``Refused("bad-webhook")`` unless it is ``https`` and may be public."""
    if len(url) > URL_CHARACTERS_MAX or not url.isascii() or not url.isprintable() or any(c in url for c in ' \\"<>'):
        raise _bad("Write the address with visible ASCII characters; names with others in their xn-- form.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _bad("This is no address.") from None
    if parts.scheme != "https" or not parts.hostname:
        raise _bad("Webhooks are told over https only: the address begins with https://.")
    if parts.username is not None or parts.password is not None or parts.fragment or port == 0:
        raise _bad("An address has no user, password or fragment; put a token into its path.")
    return _check_host(parts)


def _check_host(parts: SplitResult) -> str:
    host = (parts.hostname or "").rstrip(".")
    literal = _literal(host)
    # Resolvers read names that end in a number as IPv4 addresses, in forms that nobody else knows.
    numeric = host.rpartition(".")[2]
    if literal is None and (numeric.isdigit() or numeric.startswith("0x") or "." not in host):
        raise _bad("The host is no name of the open internet.")
    if literal is not None and not is_public(literal):
        raise _bad("The host is no address of the open internet.")
    return host


def _literal(host: str) -> str | None:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return None


def secret_from_bytes(random_bytes: bytes) -> str:
    """The secret of a webhook; its text is the key. At least ``SECRET_BYTES`` random bytes."""
    return _SECRET_PREFIX + base64.urlsafe_b64encode(random_bytes[:SECRET_BYTES]).decode().rstrip("=")


def sign(secret: str, at_s: int, body: bytes) -> str:
    """The value of the header ``Syncline-Signature``: HMAC-SHA256 over the time, a dot, and the body."""
    signature = hmac.new(secret.encode(), b"%d." % at_s + body, hashlib.sha256).hexdigest()
    return f"t={at_s},{SIGNATURE_VERSION}={signature}"


def _bad(detail: str) -> Refused:
    return Refused("bad-webhook", detail, status=422)
