"""Names and paths: what is stored, refused, reported; how conflict copies are called."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, strategies as st

from syncline.domain.errors import Refused
from syncline.domain.paths import (
    MAX_NAME_BYTES,
    MAX_PATH_BYTES,
    clean_name,
    clean_path,
    conflict_name,
    hard_to_hold,
    join_path,
    name_before_conflict,
    settled_name,
    split_path,
)

anything = st.text(st.characters(codec="utf-8"), max_size=300)


def is_clean(name: str) -> bool:
    try:
        return clean_name(name) == name
    except Refused:
        return False


names = anything.map(lambda text: unicodedata.normalize("NFC", text)).filter(is_clean)


@given(st.text(max_size=300))
def test_a_name_is_clean_or_refused(text):
    try:
        name = clean_name(text)
    except Refused:
        return
    assert name == unicodedata.normalize("NFC", text)
    assert 0 < len(name.encode()) <= MAX_NAME_BYTES
    assert clean_name(name) == name


@pytest.mark.parametrize("text", ["", ".", "..", "a/b", "/", "a\0b", "\ud800", "x" * 256, "\u00e9" * 128])
def test_names_that_are_refused(text):
    with pytest.raises(Refused) as refused:
        clean_name(text)
    assert refused.value.kind == "bad-name"


@pytest.mark.parametrize("text", ["x" * 255, "...", " ", "CON", "a\\b", "\n", ".hidden", "\u00e9" * 127])
def test_names_that_are_stored_as_they_are(text):
    assert clean_name(text) == text


def test_both_unicode_forms_are_one_name():
    assert clean_name("e\u0301") == clean_name("\u00e9") == "\u00e9"


@given(st.lists(names, max_size=6))
def test_a_path_is_its_names(parts):
    path = "/".join(parts)
    if len(path.encode()) > MAX_PATH_BYTES:
        with pytest.raises(Refused):
            clean_path(path)
    else:
        assert clean_path(f"/{path}/") == path
        assert split_path(path) == parts
        assert join_path(*parts) == path


@pytest.mark.parametrize("text", ["a//b", "a/../b", "./a", "a/\0"])
def test_paths_that_are_refused(text):
    with pytest.raises(Refused):
        clean_path(text)


def test_the_root_has_no_names():
    assert clean_path("/") == clean_path("") == ""
    assert split_path("") == []
    assert join_path("", "a", "", "b/c") == "a/b/c"


@pytest.mark.parametrize(
    "name",
    ["CON", "con.txt", "Lpt1.a.b", "COM\u00b9", "nul .txt", "a.", "a ", "a\x01", "a:b", "a?", '"a"', "a\\b"],
)
def test_names_that_some_system_cannot_hold(name):
    assert hard_to_hold(name)
    assert clean_name(name) == name


@pytest.mark.parametrize("name", ["a", "console", "com", "com10", ".con", "a.b", "\u00e9", "a b", "lpt"])
def test_names_that_every_system_can_hold(name):
    assert hard_to_hold(name) is None


@pytest.mark.parametrize(
    ("name", "n", "expected"),
    [
        ("plan.ods", 1, "plan (conflict 2026-11-23 alice-laptop).ods"),
        ("plan.ods", 2, "plan (conflict 2026-11-23 alice-laptop 2).ods"),
        ("plan", 1, "plan (conflict 2026-11-23 alice-laptop)"),
        ("a.tar.gz", 1, "a.tar (conflict 2026-11-23 alice-laptop).gz"),
        (".profile", 1, ".profile (conflict 2026-11-23 alice-laptop)"),
        ("." + "x" * 60 + ".y", 1, "." + "x" * 60 + " (conflict 2026-11-23 alice-laptop).y"),
    ],
)
def test_what_a_conflict_copy_is_called(name, n, expected):
    assert conflict_name(name, "2026-11-23", "alice-laptop", n) == expected


@given(names, st.text(max_size=100), st.integers(1, 10_000))
def test_a_conflict_name_is_always_a_clean_other_name(name, device, n):
    made = conflict_name(name, "2026-11-23", device, n)
    assert is_clean(made)
    assert made != name
    stem, dot, extension = name.rpartition(".")
    if stem and dot and len(extension.encode()) < 40:
        assert made.endswith(f").{extension}")


@given(names, st.text(max_size=100))
def test_other_numbers_are_other_names(name, device):
    assert len({conflict_name(name, "2026-11-23", device, n) for n in range(1, 30)}) == 29


@given(names, st.integers(1, 120))
def test_a_settled_name_is_clean_and_another_for_each_number(name, n):
    copy = conflict_name(name, "2026-11-23", "alice's (old) laptop", n)
    for given_name in (name, copy):
        settled = settled_name(given_name, n)
        assert is_clean(settled)
        assert settled != given_name
        assert settled != settled_name(given_name, n + 1)


@pytest.mark.parametrize(
    ("copy", "settled", "before"),
    [
        ("plan (conflict 2026-11-23 bob).ods", "plan (2026-11-23 bob).ods", "plan.ods"),
        ("plan (conflict 2026-11-23 bob 2)", "plan (2026-11-23 bob 2)", "plan"),
        ("a (conflict 2026-11-23 (bob)).tar.gz", "a (conflict 2026-11-23 (bob)).tar 2.gz", None),
        ("a.tar (conflict 2026-11-23 (bob)).gz", "a.tar (2026-11-23 (bob)).gz", "a.tar.gz"),
        (
            "a (conflict 2026-11-23 x) (conflict 2026-11-24 y)",
            "a (conflict 2026-11-23 x) (2026-11-24 y)",
            "a (conflict 2026-11-23 x)",
        ),
        ("plain.ods", "plain 2.ods", None),
    ],
)
def test_the_mark_of_a_conflict_is_taken_off_a_name(copy, settled, before):
    assert settled_name(copy) == settled
    assert name_before_conflict(copy) == (before or copy)
