"""What pages say, in the language of the link they were opened by, else in one that the browser asks for.

A new language is a new file beside ``languages/en.toml`` with the same keys.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from aiohttp import web

from services.gateway.letters import LANGUAGES, language_of
from syncline.domain.errors import Refused

FOLDER = Path(__file__).parent / "languages"
LANGUAGE_PARAMETER = "lang"


class Words:
    """The texts of one language. What is filled in stands as it is, braces and all."""

    def __init__(self, code: str, texts: Mapping[str, str]) -> None:
        self.code = code
        self.texts = texts

    def say(self, key: str, **values: str) -> str:
        return self.texts[key].format_map(values)

    def problem(self, error: Refused) -> str:
        """Why something was refused; in English where this language has no text for it."""
        return self.texts.get(f"problem-{error.kind}", error.detail)

    def named(self, name: str | None) -> str:
        """A library's name in quotation marks; None when it is gone."""
        return self.say("gone-library") if name is None else self.say("named", name=name)


@cache
def words(code: str) -> Words:
    """Raises ``OSError`` for a language without a file."""
    return Words(code, tomllib.loads((FOLDER / f"{code}.toml").read_text(encoding="utf-8")))


ENGLISH = words("en")
"""Of pages for those who write programs."""


def words_for(request: web.Request) -> Words:
    wanted = request.query.get(LANGUAGE_PARAMETER, "")
    return words(wanted if wanted in LANGUAGES else language_of(request))
