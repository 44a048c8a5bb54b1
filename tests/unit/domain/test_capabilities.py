"""Links in mail: nobody can make, alter or outlive one."""

import msgspec
import pytest
from hypothesis import assume, given, strategies as st

from syncline.domain.capabilities import (
    MAX_TOKEN_LENGTH,
    Capability,
    FileCapability,
    UnsubscribeCapability,
    open_capability,
    seal_capability,
)
from syncline.domain.errors import Broken, Refused


class Key(msgspec.Struct, frozen=True):
    id: str
    secret: bytes


OLD = Key("2025", b"o" * 32)
NEW = Key("2026", b"n" * 32)
ids = st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=20, max_size=20)
ends = st.integers(1, 2**40)
capabilities = st.one_of(
    st.builds(UnsubscribeCapability, account=ids, library=ids, ends_at=ends),
    st.builds(FileCapability, account=ids, library=ids, node=ids, ends_at=ends),
)
FILE = FileCapability("a" * 20, "b" * 20, "c" * 20, 1_800_000_000)
UNSUBSCRIBE = UnsubscribeCapability("a" * 20, "b" * 20, 1_800_000_000)


@given(capabilities)
def test_what_was_sealed_is_opened_until_its_end(capability: Capability) -> None:
    token = seal_capability(capability, [NEW, OLD])
    assert len(token) <= MAX_TOKEN_LENGTH
    assert open_capability(token, [NEW], now_s=capability.ends_at - 1) == capability
    with pytest.raises(Refused) as refused:
        open_capability(token, [NEW], now_s=capability.ends_at)
    assert (refused.value.kind, refused.value.status) == ("link-expired", 410)


@given(capabilities, st.data())
def test_an_altered_token_is_none_of_ours(capability: Capability, data: st.DataObject) -> None:
    token = seal_capability(capability, [NEW])
    at = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.sampled_from("abcXYZ019-_=+/é\n"))
    altered = data.draw(st.sampled_from([token[:at] + letter + token[at + 1 :], token[:at], token + letter]))
    assume(altered != token)
    with pytest.raises(Refused) as refused:
        open_capability(altered, [NEW], now_s=0)
    assert refused.value.kind == "bad-link"


@given(st.text(max_size=600))
def test_garbage_is_refused(token: str) -> None:
    with pytest.raises(Refused, match="link"):
        open_capability(token, [NEW, OLD], now_s=0)


def test_an_old_key_still_verifies_and_a_withdrawn_one_does_not() -> None:
    token = seal_capability(FILE, [OLD])
    assert open_capability(token, [NEW, OLD], now_s=0) == FILE
    with pytest.raises(Refused):
        open_capability(token, [NEW], now_s=0)


def test_a_key_of_the_same_name_with_another_secret_verifies_nothing() -> None:
    token = seal_capability(FILE, [Key(NEW.id, b"x" * 32)])
    with pytest.raises(Refused):
        open_capability(token, [NEW], now_s=0)


def test_a_link_to_a_file_does_not_unsubscribe() -> None:
    assert isinstance(open_capability(seal_capability(FILE, [NEW]), [NEW], now_s=0), FileCapability)
    opened = open_capability(seal_capability(UNSUBSCRIBE, [NEW]), [NEW], now_s=0)
    assert isinstance(opened, UnsubscribeCapability)


def test_without_a_key_nothing_is_signed() -> None:
    with pytest.raises(Broken):
        seal_capability(FILE, [])


def test_the_wire_form_stays() -> None:
    """Mail that was sent keeps its links: this token was sealed by the first release."""
    token = seal_capability(FILE, [NEW])
    assert token == GOLDEN


GOLDEN = (
    "k6QyMDI2xEqVpGZpbGW0YWFhYWFhYWFhYWFhYWFhYWFhYWG0YmJiYmJiYmJiYmJiYmJiYmJiYmK0Y2Nj"
    "Y2NjY2NjY2NjY2NjY2NjY2POa0nSAMQgrnq8owtvr9J6xmSuwU4UOhwPbk7e3ODQah03O40-D4Y"
)
