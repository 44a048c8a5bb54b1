"""Signing requests to S3: AWS Signature Version 4, in the header form.

By hand because the client is light to install and a signature costs a few hashes. The algorithm is AWS's
"Authenticating Requests: Using the Authorization Header"; S3 encodes the path once, not twice as others do.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import quote

UNSIGNED = "UNSIGNED-PAYLOAD"
EMPTY_HASH = hashlib.sha256(b"").hexdigest()

_ALGORITHM = "AWS4-HMAC-SHA256"
_UNRESERVED = "-_.~"


def encode_path(path: str) -> str:
    """A path as S3 signs and gets it: every byte but letters, digits, ``-_.~`` and "/" percent-encoded."""
    return quote(path, safe=f"/{_UNRESERVED}")


def encode_query(query: Mapping[str, str]) -> str:
    """A query in canonical order and encoding; sent as it was signed."""
    pairs = sorted((quote(name, safe=_UNRESERVED), quote(value, safe=_UNRESERVED)) for name, value in query.items())
    return "&".join(f"{name}={value}" for name, value in pairs)


def signed_headers(
    *,
    method: str,
    host: str,
    path: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    payload_hash: str,
    access_key_id: str,
    secret_access_key: str,
    session_token: str,
    region: str,
    now: datetime,
) -> dict[str, str]:
    """All headers to send, with ``Authorization``.

    ``path`` is not yet encoded. ``payload_hash`` is the body's SHA-256 in hex, or ``UNSIGNED``. ``now`` is UTC.
    ``host`` is as the HTTP library sends it (with a port that is not the scheme's own).
    """
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    sent = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    sent |= {"host": host, "x-amz-date": stamp, "x-amz-content-sha256": payload_hash}
    if session_token:
        sent["x-amz-security-token"] = session_token
    names = ";".join(sorted(sent))
    canonical = "\n".join(
        [
            method,
            encode_path(path),
            encode_query(query),
            *(f"{name}:{sent[name]}" for name in sorted(sent)),
            "",
            names,
            payload_hash,
        ]
    )
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    to_sign = "\n".join([_ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = _signing_key(secret_access_key, stamp[:8], region)
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    sent["authorization"] = (
        f"{_ALGORITHM} Credential={access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return sent


def _signing_key(secret_access_key: str, day: str, region: str) -> bytes:
    key = b"AWS4" + secret_access_key.encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
