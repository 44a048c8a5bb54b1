"""A page with the mail that the local SES accepted: `python -m deploy.local.mail_page FOLDER HOST:PORT`.

Whoever writes a mail decides what its HTML says, so it is shown in a frame that may do nothing: an origin of its own,
no scripts, no forms, nothing fetched from anywhere.
"""

from __future__ import annotations

import asyncio
import heapq
import re
import sys
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Literal

from aiohttp import web
from jinja2 import DictLoader, Environment, select_autoescape

LISTED_MAX = 200
HEADER_BYTES_MAX = 64 * 1024
FOLDER: web.AppKey[Path] = web.AppKey("folder", Path)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._+-]{0,200}\.eml")
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem; color: #222 }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid #ddd }
td { overflow-wrap: anywhere }
iframe { width: 100%; height: 32rem; border: 1px solid #ccc; background: #fff }
pre { white-space: pre-wrap; overflow-wrap: anywhere }
nav a { margin-right: 1rem }
"""
_PAGES = {
    "page.html": """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title>
<style>{{ style | safe }}</style></head><body>{% block body %}{% endblock %}</body></html>""",
    "list.html": """{% extends "page.html" %}{% block body %}<h1>Mail</h1>
{% if mails %}<table><tr><th>Sent</th><th>To</th><th>Subject</th></tr>
{% for name, mail in mails %}<tr><td>{{ mail["date"] }}</td><td>{{ mail["to"] }}</td>
<td><a href="/mail/{{ name }}">{{ mail["subject"] or "(none)" }}</a></td></tr>{% endfor %}</table>
{% if more %}<p>The newest {{ mails | length }} of {{ mails | length + more }}.</p>{% endif %}
{% else %}<p>None was sent yet.</p>{% endif %}{% endblock %}""",
    "mail.html": """{% extends "page.html" %}{% block body %}<nav><a href="/">All mail</a>
<a href="/mail/{{ name }}/source">Source</a></nav><h1>{{ title }}</h1>
<table>{% for header, value in headers %}<tr><th>{{ header }}</th><td>{{ value }}</td></tr>{% endfor %}</table>
{% if html %}<h2>HTML</h2><iframe sandbox title="HTML" src="/mail/{{ name }}/html"></iframe>{% endif %}
<h2>Text</h2><pre>{{ text | urlize(target="_blank", rel="noreferrer noopener") }}</pre>{% endblock %}""",
}
_BASIC = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}
_OURS = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; frame-ancestors 'none'; base-uri 'none'"
_THEIRS = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"

_environment = Environment(loader=DictLoader(_PAGES), autoescape=select_autoescape())


@dataclass(frozen=True, slots=True)
class _Shown:
    headers: list[tuple[str, str]]
    text: str
    html: str


def mail_app(folder: Path) -> web.Application:
    """The page over the `.eml` files in `folder` (see `deploy.local.mail`)."""
    app = web.Application()
    app[FOLDER] = folder
    app.router.add_get("/readyz", _readyz)
    app.router.add_get("/", _list)
    app.router.add_get("/mail/{name}", _one)
    app.router.add_get("/mail/{name}/html", _html)
    app.router.add_get("/mail/{name}/source", _source)
    return app


async def _readyz(request: web.Request) -> web.Response:
    if not await asyncio.to_thread(request.app[FOLDER].is_dir):
        raise web.HTTPServiceUnavailable
    return web.Response(text="ready")


async def _list(request: web.Request) -> web.Response:
    mails, more = await asyncio.to_thread(_newest, request.app[FOLDER])
    return _page("list.html", title="Mail", mails=mails, more=more)


async def _one(request: web.Request) -> web.Response:
    name, content = await _asked(request)
    mail = _parsed(content)
    shown = _shown(mail)
    title = str(mail["subject"] or "(no subject)")
    return _page("mail.html", title=title, name=name, headers=shown.headers, text=shown.text, html=bool(shown.html))


async def _html(request: web.Request) -> web.Response:
    _, content = await _asked(request)
    headers = {**_BASIC, "Content-Security-Policy": _THEIRS}
    return web.Response(text=_shown(_parsed(content)).html, content_type="text/html", headers=headers)


async def _source(request: web.Request) -> web.Response:
    _, content = await _asked(request)
    headers = {**_BASIC, "Content-Security-Policy": _THEIRS}
    return web.Response(body=content, content_type="text/plain", charset="utf-8", headers=headers)


async def _asked(request: web.Request) -> tuple[str, bytes]:
    """The mail that the address names. Raises 404 for one that there is not, and for what is no mail's name."""
    name = request.match_info["name"]
    if not _NAME.fullmatch(name):
        raise web.HTTPNotFound
    try:
        return name, await asyncio.to_thread((request.app[FOLDER] / name).read_bytes)
    except FileNotFoundError:
        raise web.HTTPNotFound from None


def _newest(folder: Path) -> tuple[list[tuple[str, EmailMessage]], int]:
    """Up to LISTED_MAX mails by name, newest first (names begin with the time), and how many more there are."""
    names = [path.name for path in folder.glob("*.eml") if _NAME.fullmatch(path.name)]
    chosen = heapq.nlargest(LISTED_MAX, names)
    return [(name, _headers_of(folder / name)) for name in chosen], len(names) - len(chosen)


def _headers_of(path: Path) -> EmailMessage:
    with path.open("rb") as file:
        return _parsed(file.read(HEADER_BYTES_MAX).partition(b"\r\n\r\n")[0])


def _parsed(content: bytes) -> EmailMessage:
    return BytesParser(EmailMessage, policy=policy.default).parsebytes(content)


def _shown(mail: EmailMessage) -> _Shown:
    headers = [(name, str(value)) for name, value in mail.items()]
    return _Shown(headers, _body(mail, "plain"), _body(mail, "html"))


def _body(mail: EmailMessage, kind: Literal["plain", "html"]) -> str:
    """The text of that kind, "" for none. What is not in the encoding that it names is shown as well as it goes."""
    part = mail.get_body((kind,))
    if part is None:
        return ""
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)  # a text has no parts
    try:
        return content.decode(part.get_content_charset("utf-8"), errors="replace")
    except LookupError:
        return content.decode("latin-1")


def _page(template: str, **values: object) -> web.Response:
    text = _environment.get_template(template).render(style=_STYLE, **values)
    return web.Response(text=text, content_type="text/html", headers={**_BASIC, "Content-Security-Policy": _OURS})


def main(folder: str, listen: str) -> None:
    """Serve until SIGTERM or SIGINT."""
    host, _, port = listen.rpartition(":")
    web.run_app(mail_app(Path(folder)), host=host, port=int(port), print=None, access_log=None)


if __name__ == "__main__":
    main(*sys.argv[1:])
