"""What callers of the credential issuer may rely on (syncline/ports/credentials.py)."""

import pytest

from syncline.domain.errors import Broken

PREFIXES = {"write_prefixes": ("objects/lib/grant/",), "read_prefixes": ("objects/lib/", "direct/lib/")}


async def test_a_credential_says_where_and_until_when(subject):
    before = subject.clock.now_ms() // 1000
    credential = await subject.credentials.issue(session_name="grant", duration_s=900, **PREFIXES)
    assert before + 890 <= credential.expires_at <= subject.clock.now_ms() // 1000 + 910
    assert credential.access_key_id
    assert credential.secret_access_key
    assert credential.session_token
    assert credential.bucket
    assert credential.region
    other = await subject.credentials.issue(session_name="grant", duration_s=3600, **PREFIXES)
    assert other.access_key_id != credential.access_key_id
    assert other.expires_at > credential.expires_at


@pytest.mark.parametrize("duration_s", [899, 3601])
async def test_a_credential_lasts_15_minutes_to_an_hour(subject, duration_s):
    with pytest.raises(Broken):
        await subject.credentials.issue(session_name="grant", duration_s=duration_s, **PREFIXES)


@pytest.mark.parametrize("prefix", ["", "objects", "objects/lib", "/objects/", "objects/*/", "objects/?/", "a${x}/"])
async def test_a_prefix_that_would_open_more_is_broken(subject, prefix):
    with pytest.raises(Broken):
        await subject.credentials.issue(
            session_name="grant", write_prefixes=(prefix,), read_prefixes=(), duration_s=900
        )
    with pytest.raises(Broken):
        await subject.credentials.issue(
            session_name="grant", write_prefixes=(), read_prefixes=("objects/lib/", prefix), duration_s=900
        )


async def test_a_credential_for_nothing_is_broken(subject):
    with pytest.raises(Broken):
        await subject.credentials.issue(session_name="grant", write_prefixes=(), read_prefixes=(), duration_s=900)
