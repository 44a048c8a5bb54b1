"""The few pages that people meet in a browser: plain HTML without scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import parse_qs

from aiohttp import web

from syncline.domain.errors import Refused
from syncline.serving.bodies import read_bytes

FORM_BYTES_MAX = 8_192
FORM_FIELDS_MAX = 10

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex">
<title>{title} – Syncline</title>
<style>body {{ font: 1.1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 4rem auto; padding: 0 1rem }}
button, input {{ font: inherit; padding: .5rem 1rem }}
label {{ display: block; margin: 1rem 0 }} input {{ display: block; width: 100%; box-sizing: border-box }}</style>
<h1>{title}</h1>
{body}
"""
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One thing to fill in. ``kind`` is the input's type, ``complete`` what browsers may fill in by themselves."""

    name: str
    label: str
    kind: str = "text"
    complete: str = "off"
    least: int = 1
    most: int = 255


NEW_PASSWORD = Field("password", "New password (8 characters or more)", "password", "new-password", 8, 1024)
PASSWORD = Field("password", "Your password", "password", "current-password", 1, 1024)
NAME = Field("name", "Your name, as others will see it", complete="name")


def form_page(
    title: str, *paragraphs: str, fields: Sequence[Field], button: str, wrong: str = "", status: int = 200
) -> web.Response:
    """A page with a form that posts to the same address. ``wrong`` says what was wrong with the last one."""
    inputs = "\n".join(
        f'<label>{escape(field.label)} <input name="{field.name}" type="{field.kind}" required '
        f'autocomplete="{field.complete}" minlength="{field.least}" maxlength="{field.most}"></label>'
        for field in fields
    )
    body = "\n".join(f"<p>{escape(text)}</p>" for text in paragraphs)
    if wrong:
        body += f'\n<p role="alert"><strong>{escape(wrong)}</strong></p>'
    body += f'\n<form method="post">{inputs}\n<button>{escape(button)}</button></form>'
    return _answer(title, body, status)


def refusal_page(error: Refused) -> web.Response:
    """What a link that does not work leads to."""
    answered = page("This link does not work", error.detail, status=error.status)
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


def page(title: str, *paragraphs: str, button: str = "", status: int = 200) -> web.Response:
    """A page with paragraphs of plain text and perhaps one button that posts to the same address."""
    body = "\n".join(f"<p>{escape(text)}</p>" for text in paragraphs)
    if button:
        body += (
            '\n<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click">'
            f"<button>{escape(button)}</button></form>"
        )
    return _answer(title, body, status)


def _answer(title: str, body: str, status: int) -> web.Response:
    text = _PAGE.format(title=escape(title), body=body)
    return web.Response(status=status, text=text, content_type="text/html", charset="utf-8", headers=_HEADERS)
