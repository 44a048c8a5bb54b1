"""Every language says everything, with the same names filled in, in all forms that its numbers take."""

from __future__ import annotations

import string

import pytest

from services.notifier.languages import PLURALS, Language, language, load_catalogue
from syncline.domain.preferences import LANGUAGES

FORMS = {"one-other": {"one", "other"}, "zero-one-other": {"one", "other"}, "other": {"other"}}


def names_in(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_catalogue_is_complete(code: str) -> None:
    english, other = load_catalogue("en"), load_catalogue(code)
    assert other.texts.keys() == english.texts.keys()
    assert other.counts.keys() == english.counts.keys()
    assert len(other.months) == len(set(other.months)) == 12
    for key, text in other.texts.items():
        assert text.strip() == text != ""
        assert names_in(text) == names_in(english.texts[key]), key
    for key, forms in other.counts.items():
        assert forms.keys() == FORMS[other.plural], key
        for form, text in forms.items():
            # A form for one number alone may leave the number out.
            assert names_in(text) | {"n"} == names_in(english.counts[key]["other"]) | {"n"}, (key, form)


def test_every_rule_of_plurals_has_the_forms_it_names() -> None:
    assert {name: {rule(n) for n in range(200)} for name, rule in PLURALS.items()} == FORMS


def test_german_is_not_english() -> None:
    english, german = load_catalogue("en"), load_catalogue("de")
    same = [key for key, text in german.texts.items() if text == english.texts[key]]
    assert set(same) <= {"where", "count-in"}


def test_numbers_lists_and_dates_are_the_language_s_own() -> None:
    en, de = language("en"), language("de")
    assert (en.count("files", 1), en.count("files", 1234)) == ("1 file", "1,234 files")
    assert (de.count("files", 1), de.count("files", 1234)) == ("1 Datei", "1.234 Dateien")
    assert [en.list(list("abc"[:n])) for n in range(4)] == ["", "a", "a and b", "a, b and c"]
    assert de.list(["a", "b"]) == "a und b"
    assert (en.date(1_798_000_000_000), de.date(1_798_000_000_000)) == ("23 December 2026", "23. Dezember 2026")


def test_what_is_filled_in_is_no_template() -> None:
    assert language("en").say("why", library="{n} {0} {library.__class__}").count("{library.__class__}") == 1


def test_an_unknown_language_is_english() -> None:
    assert [language(code).code for code in ("fr", "", "de-AT", "../en", "de")] == ["en", "en", "en", "en", "de"]


def test_a_language_takes_no_other_names() -> None:
    with pytest.raises(KeyError):
        Language("en", load_catalogue("en")).say("subject")
