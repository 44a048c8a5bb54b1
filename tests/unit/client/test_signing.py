"""Signatures against AWS's own signer, over anything a request may hold."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from hypothesis import given, strategies as st

from syncline.client.signing import EMPTY_HASH, UNSIGNED, encode_path, encode_query, signed_headers

words = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FFF, blacklist_categories=["Cs", "Zs"]), min_size=1)
header_names = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1).map("x-amz-meta-{}".format)
header_values = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1)
secrets = st.text("ABCDEFabcdef0123456789/+", min_size=16, max_size=40)


def botocore_signed(
    method: str, url: str, headers: dict[str, str], *, secret: str, token: str, region: str, payload: bool
) -> tuple[str, datetime]:
    """The Authorization that botocore would send, and the moment it signed for."""
    config = Config(s3={"payload_signing_enabled": payload})
    request = AWSRequest(method=method, url=url, headers=headers)
    request.context["client_config"] = config
    S3SigV4Auth(Credentials("AKID", secret, token or None), "s3", region).add_auth(request)
    now = datetime.strptime(request.context["timestamp"] + "+0000", "%Y%m%dT%H%M%SZ%z")
    found: Any = request.headers["Authorization"]
    return str(found), now


@given(
    method=st.sampled_from(["GET", "PUT", "POST", "HEAD", "DELETE"]),
    segments=st.lists(words, min_size=1, max_size=4),
    query=st.dictionaries(words, words, max_size=4),
    headers=st.dictionaries(header_names, header_values, max_size=4),
    secret=secrets,
    token=st.one_of(st.just(""), secrets),
    payload_hash=st.sampled_from([UNSIGNED, EMPTY_HASH]),
)
def test_signed_as_aws_signs(
    method: str,
    segments: list[str],
    query: dict[str, str],
    headers: dict[str, str],
    secret: str,
    token: str,
    payload_hash: str,
) -> None:
    path = "/" + "/".join(segments)
    url = f"https://bucket.example.com:9000{encode_path(path)}" + (f"?{encode_query(query)}" if query else "")
    theirs, now = botocore_signed(
        method, url, headers, secret=secret, token=token, region="eu-central-1", payload=payload_hash != UNSIGNED
    )
    ours = signed_headers(
        method=method,
        host="bucket.example.com:9000",
        path=path,
        query=query,
        headers=headers,
        payload_hash=payload_hash,
        access_key_id="AKID",
        secret_access_key=secret,
        session_token=token,
        region="eu-central-1",
        now=now,
    )
    assert ours["authorization"] == theirs


@pytest.mark.parametrize(
    ("path", "encoded"), [("/a b+c", "/a%20b%2Bc"), ("/~-._", "/~-._"), ("/é", "/%C3%A9"), ("/a//b", "/a//b")]
)
def test_paths_are_encoded_once(path: str, encoded: str) -> None:
    assert encode_path(path) == encoded
