"""What mail looks like in a real browser: narrow and wide, light and dark, in every language, with the longest names.

Needs chromium; without it these tests are skipped. ``SYNCLINE_SCREENSHOTS=FOLDER`` keeps pictures to look at.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from html import escape, unescape
from pathlib import Path

import msgspec
import pytest

from services.gateway.pages import NAME, NEW_PASSWORD, form_page, page
from services.gateway.wording import words
from services.notifier.languages import language
from services.notifier.letters import Letter, Surroundings, write_letter
from services.notifier.letters_accounts import write_follow
from services.notifier.rendering import Renderer
from syncline.domain.digests import Happened, Told, arrange
from syncline.domain.membership import Membership, MembersTold
from syncline.domain.nodes import Author, Kind, Node, Place
from syncline.domain.preferences import LANGUAGES
from syncline.domain.rights import Role
from tests.unit.notifier.world import body_of

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next((path for name in BROWSERS if (path := shutil.which(name))), "")
SECONDS_MAX = 60
CONTRAST_MIN = 4.5
"""WCAG 2.2, level AA, for text of normal size."""

TOKEN = "k6QyMDI2xEqVpGZpbGW0YWFhYWFhYWFhYWFhYWFhYWFh" * 4
LINK = f"https://sync.example.org/v1/links/{TOKEN}"
RENDERER = Renderer("Syncline <mail@sync.example.org>")

# The mail stands in a frame of its own, as in a webmail program, so that its width is ours to choose.
PAGE = """<!doctype html><meta charset="utf-8"><style>html {{ color-scheme: {scheme} }} body {{ margin: 0 }}
iframe {{ border: 0; display: block; color-scheme: {scheme} }}</style>
<iframe width="{width}" height="{height}" srcdoc="{mail}"></iframe><pre id="seen"></pre>
<script>
function light(color) {{
  const part = c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4;
  const [r, g, b] = color.match(/[0-9.]+/g).map(c => part(c / 255));
  return .2126 * r + .7152 * g + .0722 * b;
}}
function contrast(a, b) {{ const [x, y] = [light(a), light(b)].sort((m, n) => n - m); return (x + .05) / (y + .05); }}
addEventListener("load", () => {{
  const frame = document.querySelector("iframe"), page = frame.contentDocument, view = frame.contentWindow;
  const ground = e => {{
    for (; e; e = e.parentElement) {{
      const c = view.getComputedStyle(e).backgroundColor;
      if (c !== "rgba(0, 0, 0, 0)") return c;
    }}
    return "rgb(255, 255, 255)";
  }};
  const texts = [...page.querySelectorAll("h1, h2, p, bdi, a, div.quiet, li, label, input, button")];
  const loads = performance.getEntriesByType("resource").concat(view.performance.getEntriesByType("resource"));
  document.getElementById("seen").textContent = JSON.stringify({{
    wide: page.documentElement.scrollWidth, room: view.innerWidth, tall: page.documentElement.scrollHeight,
    outside: texts.filter(e => e.getBoundingClientRect().right > view.innerWidth + .5).map(e => e.textContent.trim()),
    contrast: Math.min(...texts.map(e => contrast(view.getComputedStyle(e).color, ground(e)))),
    ground: ground(page.body), loads: loads.map(e => e.name), lang: page.documentElement.lang,
  }});
}});
</script>"""


class Seen(msgspec.Struct):
    """What the browser made of a mail: pixels, the least contrast of a text with its ground, what it fetched."""

    wide: int
    room: int
    tall: int
    outside: list[str]
    contrast: float
    ground: str
    loads: list[str]
    lang: str


pytestmark = pytest.mark.skipif(not BROWSER, reason="there is no chromium here")


def told(name: str, happened: Happened, *, folder: str = "docs", was: Place | None = None, who: str = "ann") -> Told:
    kind = Kind.FOLDER if name.endswith("/") else Kind.FILE
    node = Node(f"node {name}", folder, name.rstrip("/"), kind, None, 1, 1, 1, False, Author("", "", 0, 0))
    return Told(node, happened, was, (who,), 3, 0)


def a_letter(code: str) -> Letter:
    """Everything a mail can hold, and names that have no place to break."""
    long = "Protokoll_der_Sitzung_vom_23_November_2026_endgültige_Fassung" * 3 + ".ods"
    tolds = [
        *[told(f"IMG_{n:04}.jpg", Happened.ADDED, folder="trip" if n < 30 else "docs") for n in range(60)],
        told(long, Happened.UPDATED),
        told("plan.ods", Happened.UPDATED, folder="root"),
        told("notes.txt", Happened.MOVED, was=Place("trip", "notes.txt")),
        told("Entwurf (2).odt", Happened.MOVED, was=Place("docs", "Entwurf.odt"), who="bob"),
        told("تقرير.pdf", Happened.ADDED, who="bob"),
        told("写真/", Happened.ADDED, who="bob"),
        told("old.zip", Happened.REMOVED, who="bob"),
    ]
    known = Surroundings(
        library="Vorstand & Öffentlichkeitsarbeit",
        people={"ann": "Ann Example", "bob": "Dr. Bartholomäus-Maximilian von und zu Beispielhausen"},
        folders={"docs": "Dokumente/2026/Vorstand", "trip": "Fotos/Reise", "root": ""},
        links={one.node.id: LINK for one in tolds},
        unsubscribe=f"https://sync.example.org/v1/unsubscribe?token={TOKEN}",
        language=language(code),
        members=MembersTold(
            (
                Membership("bob", "", None, Role.OWNER, ("ann",)),
                Membership("", "board", None, Role.EDITOR, ("ann",)),
                Membership("ann", "board", Role.EDITOR, None, ("bob",)),
            ),
            {"board": "Vorstandssitzungsvorbereitungsgruppe " * 2},
        ),
        outside=True,
        ends_at_ms=1_798_000_000_000,
        renew=f"https://sync.example.org/v1/confirm?token={TOKEN}",
    )
    return write_letter(arrange(tolds), known)


def a_question(code: str) -> str:
    asked = write_follow(
        language(code), who="Ann Example", what="Öffentlichkeitsarbeit" * 4, link=LINK, ends_at_ms=1_798_000_000_000
    )
    return body_of(RENDERER.about_account(asked, to="eve@example.net", name="x", now_ms=0), "html")


def pages(code: str) -> dict[str, str]:
    """What links in mail lead to: one that asks, one with a form that was filled in wrong, one that has no button."""
    said = words(code)
    library, email = said.named("Öffentlichkeitsarbeit" * 3), f"{'bartholomaeus.' * 5}@beispiel.example"
    asked = page(
        said,
        said.say("unsubscribe-title"),
        said.say("unsubscribe-text", library=library),
        button=said.say("unsubscribe-button"),
    )
    form = form_page(
        said,
        said.say("invitation-title"),
        said.say("invitation-text", who="Ann Example", email=email, what=library),
        fields=[NAME, NEW_PASSWORD],
        button=said.say("invitation-register"),
        wrong=said.say("problem-invalid-body"),
    )
    broken = page(said, said.say("link-broken"), said.say("problem-link-used"))
    return {name: str(made.text) for name, made in (("ask", asked), ("form", form), ("broken", broken))}


def browse(folder: Path, page: str, *more: str) -> str:
    file = folder / "page.html"
    file.write_text(page, encoding="utf-8")
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
        f"--user-data-dir={folder / 'profile'}", *more, file.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX, check=True)
    return done.stdout


def look(folder: Path, html: str, *, width: int, scheme: str, name: str) -> Seen:
    page = PAGE.format(mail=escape(html), width=width, height=600, scheme=scheme)
    dom = browse(folder, page, "--dump-dom")
    found = re.search(r'<pre id="seen">(.*?)</pre>', dom, re.DOTALL)
    assert found is not None
    seen = msgspec.json.decode(unescape(found[1]), type=Seen)
    if pictures := os.environ.get("SYNCLINE_SCREENSHOTS"):
        tall = PAGE.format(mail=escape(html), width=width, height=seen.tall, scheme=scheme)
        path = Path(pictures) / f"{name}-{scheme}-{width}.png"
        browse(folder, tall, f"--screenshot={path}", f"--window-size={max(width, 500)},{seen.tall}")
    return seen


@pytest.mark.parametrize("width", [320, 720])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("code", LANGUAGES)
def test_a_mail_fits_is_readable_and_loads_nothing(tmp_path: Path, code: str, scheme: str, width: int) -> None:
    seen = look(tmp_path, RENDERER.html(a_letter(code)), width=width, scheme=scheme, name=f"digest-{code}")
    assert (seen.wide, seen.room) == (width, width)
    assert seen.outside == []
    assert seen.contrast >= CONTRAST_MIN
    assert seen.ground == ("rgb(20, 23, 26)" if scheme == "dark" else "rgb(255, 255, 255)")
    assert seen.loads == []
    assert seen.lang == code


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("code", LANGUAGES)
def test_a_question_with_a_button_does_too(tmp_path: Path, code: str, scheme: str) -> None:
    seen = look(tmp_path, a_question(code), width=320, scheme=scheme, name=f"question-{code}")
    assert seen.wide == 320
    assert seen.outside == []
    assert seen.contrast >= CONTRAST_MIN
    assert seen.loads == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("code", LANGUAGES)
def test_so_do_the_pages_behind_links(tmp_path: Path, code: str, scheme: str) -> None:
    for name, html in pages(code).items():
        seen = look(tmp_path, html, width=320, scheme=scheme, name=f"page-{name}-{code}")
        assert (seen.wide, seen.outside, seen.loads, seen.lang) == (320, [], [], code)
        assert seen.contrast >= CONTRAST_MIN
        assert seen.ground == ("rgb(20, 23, 26)" if scheme == "dark" else "rgb(255, 255, 255)")


def test_what_does_not_fit_is_seen(tmp_path: Path) -> None:
    """The measure measures: a mail without its line breaks, in grey on grey, fails."""
    html = RENDERER.html(a_letter("de")).replace("overflow-wrap: anywhere; word-break: break-word;", "")
    html = html.replace("color: #5a646c", "color: #cccccc")
    seen = look(tmp_path, html, width=320, scheme="light", name="broken")
    assert seen.wide > 320
    assert seen.outside != []
    assert seen.contrast < CONTRAST_MIN
