"""The few pages that people meet in a browser: plain HTML without scripts."""

from __future__ import annotations

from html import escape

from aiohttp import web

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex">
<title>{title} – Syncline</title>
<style>body {{ font: 1.1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 4rem auto; padding: 0 1rem }}
button {{ font: inherit; padding: .5rem 1rem }}</style>
<h1>{title}</h1>
{body}
"""
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}


def page(title: str, *paragraphs: str, button: str = "", status: int = 200) -> web.Response:
    """A page with paragraphs of plain text and perhaps one button that posts to the same address."""
    body = "\n".join(f"<p>{escape(text)}</p>" for text in paragraphs)
    if button:
        body += (
            '\n<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click">'
            f"<button>{escape(button)}</button></form>"
        )
    text = _PAGE.format(title=escape(title), body=body)
    return web.Response(status=status, text=text, content_type="text/html", charset="utf-8", headers=_HEADERS)
