"""Permits: nobody but us can make one, and none is good for anything but what it says."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st
from msgspec.structs import replace

from syncline.domain.commands import Permit
from syncline.domain.errors import Broken, Refused
from syncline.domain.permits import (
    MAX_SEALED_BYTES,
    PermitKey,
    PermitKeys,
    check_landed,
    object_key,
    open_permit,
    parse_key,
    read_prefixes,
    seal_permit,
    write_prefix,
)

OLD, NEW, OTHER = (PermitKey(name, name.encode() * 8) for name in ("old-", "new-", "other-"))
KEYS = PermitKeys((NEW, OLD))
ID = "a" * 20
PERMIT = Permit(
    ID, ID, ID, ID, ID, 2**40, 7, object_key(ID, ID, ID), ID, True, ID, "plan.ods", ID, 5 * 2**40, "c" * 50,
    2**62, True, 1_800_000_000,
)  # fmt: skip


def is_refused(text: str, keys: PermitKeys = KEYS) -> bool:
    try:
        open_permit(text, keys)
    except Refused as refused:
        return refused.kind == "bad-permit"
    return False


def test_what_is_sealed_can_be_opened():
    assert open_permit(seal_permit(PERMIT, KEYS), KEYS) == PERMIT


def test_it_fits_into_an_objects_metadata_with_the_longest_name():
    for name in ("x" * 255, "\u00e9" * 127, "\U0001f600" * 63):
        text = seal_permit(replace(PERMIT, name=name), KEYS)
        assert len(text) <= MAX_SEALED_BYTES
        assert text.isascii()
        assert text.isprintable()


def test_one_that_does_not_fit_is_not_made():
    with pytest.raises(Refused, match="bytes"):
        seal_permit(replace(PERMIT, name="x" * 2_000), KEYS)


def test_an_old_key_still_verifies_and_no_longer_signs():
    assert open_permit(seal_permit(PERMIT, PermitKeys((OLD,))), KEYS) == PERMIT
    assert is_refused(seal_permit(PERMIT, KEYS), PermitKeys((OLD,)))


def test_a_key_of_the_same_name_with_another_secret():
    assert is_refused(seal_permit(PERMIT, PermitKeys((replace_secret(NEW),))))


def replace_secret(key: PermitKey) -> PermitKey:
    return PermitKey(key.id, OTHER.secret)


def test_no_character_can_be_changed_or_left_out():
    text = seal_permit(PERMIT, KEYS)
    for at in range(len(text)):
        other = "A" if text[at] != "A" else "B"
        assert is_refused(text[:at] + other + text[at + 1 :])
        assert is_refused(text[:at] + text[at + 1 :])
        assert is_refused(text[:at])


@pytest.mark.parametrize("added", ["=", "==", " ", "\n", "A", "\u00e9", "+"])
def test_nothing_can_be_added(added):
    text = seal_permit(PERMIT, KEYS)
    assert is_refused(text + added)
    assert is_refused(added + text)
    assert is_refused(text[:9] + added + text[9:])


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_anything_else_is_refused(text):
    assert is_refused(text)


@pytest.mark.parametrize("keys", [(), (PermitKey("short", b"123"),)])
def test_keys_that_protect_nothing(keys):
    with pytest.raises(Broken):
        PermitKeys(keys)


def test_secrets_are_not_shown():
    assert "new-new" not in repr(KEYS)


def landed(**other: object) -> str:
    facts: dict[str, object] = {
        "key": PERMIT.key, "size_bytes": PERMIT.size_bytes, "checksum": PERMIT.checksum,
        "last_modified": PERMIT.expires_at,
    }  # fmt: skip
    try:
        check_landed(PERMIT, **{**facts, **other})  # type: ignore[arg-type]
    except Refused as refused:
        return refused.kind
    return "good"


def test_what_landed_must_be_what_was_permitted():
    assert landed() == "good"
    assert landed(key=object_key(ID, ID, "b" * 20)) == "permit-other-key"
    assert landed(size_bytes=1) == "permit-mismatch"
    assert landed(checksum="") == "permit-mismatch"
    assert landed(checksum="d" * 50) == "permit-mismatch"
    assert landed(last_modified=PERMIT.expires_at + 1) == "permit-expired"
    assert landed(last_modified=0) == "good"


@pytest.mark.parametrize("direct", [False, True])
def test_keys_say_where_they_belong(direct):
    library, grant, permit = "l" * 20, "g" * 20, "p" * 20
    key = object_key(library, grant, permit, direct)
    parsed = parse_key(key)
    assert parsed is not None
    assert (parsed.library, parsed.grant, parsed.permit, parsed.direct) == (library, grant, permit, direct)
    assert key.startswith(write_prefix(library, grant, direct))
    assert any(key.startswith(prefix) for prefix in read_prefixes(library))


@pytest.mark.parametrize(
    "key",
    ["", "commands/x/y", f"objects/{ID}/{ID}", f"objects/{ID}/{ID}/{ID}/x", f"other/{ID}/{ID}/{ID}", "objects/a/b/c"],
)
def test_other_keys_are_no_uploads(key):
    assert parse_key(key) is None
