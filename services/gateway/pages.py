"""The few pages that people meet in a browser: plain HTML without scripts, as the mail looks that leads there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import parse_qs

from aiohttp import web

from services.gateway.wording import LANGUAGE_PARAMETER, Words
from syncline.domain.errors import Refused
from syncline.serving.bodies import read_bytes
from syncline.serving.routes import Query

LANG = Query(LANGUAGE_PARAMETER, "The language of the page (`en`, `de`); else by Accept-Language.")
LINK_QUERY = (Query("token", "The token of the link in the mail.", required=True), LANG)
"""What the links in mail carry."""
FORM_BYTES_MAX = 8_192
FORM_FIELDS_MAX = 10

_PAGE = """<!doctype html>
<html lang="{language}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>{title} – Syncline</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ margin: 0; padding: 32px 16px; background: #ffffff; color: #1c2024; font: 16px/1.5 system-ui, -apple-system,
  "Segoe UI", Roboto, Helvetica, Arial, sans-serif; }}
main {{ max-width: 480px; margin: 0 auto; overflow-wrap: anywhere; }}
h1 {{ margin: 0 0 16px; font-size: 24px; line-height: 1.3; }}
p {{ margin: 0 0 16px; }}
label {{ display: block; margin: 0 0 16px; }}
button, input {{ box-sizing: border-box; font: inherit; padding: 10px 14px; border-radius: 6px; }}
input {{ display: block; width: 100%; margin-top: 4px; border: 1px solid #6b757d; background: #ffffff;
  color: #1c2024; }}
button {{ border: 0; background: #0b57a4; color: #ffffff; cursor: pointer; }}
:focus-visible {{ outline: 3px solid #e08a00; outline-offset: 2px; }}
.wrong {{ padding: 10px 14px; border-left: 4px solid #b3261e; background: #fbecea; }}
@media (prefers-color-scheme: dark) {{
  body {{ background: #14171a; color: #e6e9eb; }}
  input {{ border-color: #8a949c; background: #1d2226; color: #e6e9eb; }}
  button {{ background: #7cb8f2; color: #14171a; }}
  .wrong {{ border-color: #f2877f; background: #33201f; }}
}}
</style>
<main>
<h1>{title}</h1>
{body}
</main>
"""
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One thing to fill in. ``label`` is a key of the language's texts, ``kind`` the input's type, ``complete`` what
    browsers may fill in by themselves."""

    name: str
    label: str
    kind: str = "text"
    complete: str = "off"
    least: int = 1
    most: int = 255


NEW_PASSWORD = Field("password", "field-new-password", "password", "new-password", 8, 1024)
PASSWORD = Field("password", "field-password", "password", "current-password", 1, 1024)
NAME = Field("name", "field-name", complete="name")


def form_page(
    words: Words,
    title: str,
    *paragraphs: str,
    fields: Sequence[Field],
    button: str,
    wrong: str = "",
    status: int = 200,
) -> web.Response:
    """A page with a form that posts to the same address. ``wrong`` says what was wrong with the last one."""
    inputs = "\n".join(
        f'<label>{escape(words.say(field.label))} <input name="{field.name}" type="{field.kind}" required '
        f'autocomplete="{field.complete}" minlength="{field.least}" maxlength="{field.most}"></label>'
        for field in fields
    )
    body = "\n".join(f"<p>{escape(text)}</p>" for text in paragraphs)
    if wrong:
        body += f'\n<p role="alert" class="wrong">{escape(wrong)}</p>'
    body += f'\n<form method="post">{inputs}\n<button>{escape(button)}</button></form>'
    return _answer(words, title, body, status)


def refusal_page(words: Words, error: Refused) -> web.Response:
    """What a link that does not work leads to."""
    answered = page(words, words.say("link-broken"), words.problem(error), status=error.status)
    if "retry_after_s" in error.facts:
        answered.headers["Retry-After"] = str(error.facts["retry_after_s"])
    return answered


async def read_form(request: web.Request) -> Mapping[str, str]:
    """The fields of a form that a browser sent, each once. Raises ``Refused`` for what is none."""
    wire = await read_bytes(request, bytes_max=FORM_BYTES_MAX)
    try:
        parsed = parse_qs(wire.decode(), max_num_fields=FORM_FIELDS_MAX, errors="strict")
    except ValueError:
        raise Refused("malformed-body", "The form could not be read.") from None
    return {name: values[0] for name, values in parsed.items()}


def page(words: Words, title: str, *paragraphs: str, button: str = "", status: int = 200) -> web.Response:
    """A page with paragraphs of plain text and perhaps one button that posts to the same address."""
    body = "\n".join(f"<p>{escape(text)}</p>" for text in paragraphs)
    if button:
        body += (
            '\n<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click">'
            f"<button>{escape(button)}</button></form>"
        )
    return _answer(words, title, body, status)


def _answer(words: Words, title: str, body: str, status: int) -> web.Response:
    text = _PAGE.format(language=words.code, title=escape(title), body=body)
    return web.Response(status=status, text=text, content_type="text/html", charset="utf-8", headers=_HEADERS)
