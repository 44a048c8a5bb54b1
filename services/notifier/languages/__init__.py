"""The languages of mail: one catalogue (TOML) each, beside this file.

A new language is a new file with the keys of ``en.toml``, and its code in ``syncline.domain.preferences.LANGUAGES``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import msgspec

from syncline.domain.preferences import language_of

PLURALS: dict[str, Callable[[int], str]] = {
    "one-other": lambda n: "one" if n == 1 else "other",
    "zero-one-other": lambda n: "one" if n in (0, 1) else "other",  # French, Portuguese of Brazil
    "other": lambda _: "other",  # Japanese, Chinese, Turkish
}
"""Which form a number takes, named by the forms. A language that counts otherwise adds its rule here (CLDR)."""


class Catalogue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One language's file. ``counts``: texts by plural form."""

    name: str
    plural: str
    thousands: str
    months: tuple[str, ...]
    texts: Mapping[str, str]
    counts: Mapping[str, Mapping[str, str]]


class Language:
    """Says things in one language. What is filled in stands as it is, braces and all."""

    def __init__(self, code: str, catalogue: Catalogue) -> None:
        self.code = code
        self._catalogue = catalogue
        self._form = PLURALS[catalogue.plural]

    def say(self, key: str, **values: str) -> str:
        return self._catalogue.texts[key].format_map(values)

    def count(self, key: str, n: int, **values: str) -> str:
        """A text in the form that ``n`` takes; ``{n}`` in it is the number."""
        return self._catalogue.counts[key][self._form(n)].format_map({"n": self.number(n), **values})

    def number(self, n: int) -> str:
        return f"{n:,}".replace(",", self._catalogue.thousands)

    def list(self, items: Sequence[str]) -> str:
        """``a``, ``a and b``, ``a, b and c``."""
        if len(items) < 2:
            return "".join(items)
        return self.say("and", first=", ".join(items[:-1]), last=items[-1])

    def date(self, at_ms: int) -> str:
        day = datetime.fromtimestamp(at_ms // 1000, UTC)
        return self.say("date", day=str(day.day), month=self._catalogue.months[day.month - 1], year=str(day.year))


def load_catalogue(code: str) -> Catalogue:
    """Raises OSError for a language without a file, ``msgspec.ValidationError`` for one that lacks a part."""
    path = Path(__file__).parent / f"{code}.toml"
    return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Catalogue)


@cache
def language(wanted: str) -> Language:
    """The wanted language, or English."""
    code = language_of(wanted)
    return Language(code, load_catalogue(code))
