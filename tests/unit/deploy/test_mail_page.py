"""The page of the mail catcher: it shows everything, and lets no mail do anything."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient, TestServer

from deploy.local.mail import SentMail, write_mail
from deploy.local.mail_page import LISTED_MAX, mail_app

BEGAN = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>"


@pytest_asyncio.fixture
async def page(tmp_path: Path) -> AsyncIterator[TestClient]:
    async with TestClient(TestServer(mail_app(tmp_path))) as client:
        yield client


def sent(folder: Path, number: int = 0, subject: str = "Hello", text: str = "as text", html: str = "<p>as HTML") -> str:
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"], mail["Subject"] = "syncline@example.com", "bob@example.com", subject
    mail.set_content(text)
    mail.add_alternative(html, subtype="html")
    kept = SentMail(f"{number:08d}", ("bob@example.com",), mail.as_bytes())
    return write_mail(folder, kept, BEGAN + timedelta(seconds=number)).name


async def text_of(page: TestClient, path: str) -> str:
    answer = await page.get(path)
    assert answer.status == 200
    return await answer.text()


async def test_it_lists_all_mail_newest_first(page, tmp_path):
    assert "None was sent" in await text_of(page, "/")
    first, second = sent(tmp_path, 1, "One"), sent(tmp_path, 2, "Two")
    listed = await text_of(page, "/")
    assert 0 < listed.index(f"/mail/{second}") < listed.index(f"/mail/{first}")
    assert "One" in listed
    assert "bob@example.com" in listed


async def test_a_long_list_ends_and_says_so(page, tmp_path):
    names = [sent(tmp_path, number) for number in range(LISTED_MAX + 2)]
    listed = await text_of(page, "/")
    assert f"{LISTED_MAX} of {LISTED_MAX + 2}" in listed
    assert names[-1] in listed
    assert names[1] not in listed


async def test_it_shows_headers_text_html_and_source(page, tmp_path):
    name = sent(tmp_path, text="See https://sync.example/link?a=1&b=2 soon", html="<b>bold</b>")
    shown = await text_of(page, f"/mail/{name}")
    assert "<th>From</th><td>syncline@example.com</td>" in shown
    assert '<a href="https://sync.example/link?a=1&amp;b=2"' in shown
    assert "<b>bold</b>" in await text_of(page, f"/mail/{name}/html")
    assert "Subject: Hello" in await text_of(page, f"/mail/{name}/source")


async def test_what_a_mail_says_never_becomes_part_of_the_page(page, tmp_path):
    name = sent(tmp_path, subject=HOSTILE, text=HOSTILE, html=HOSTILE)
    for path in ("/", f"/mail/{name}"):
        assert HOSTILE not in await text_of(page, path)


@pytest.mark.parametrize("part", ["html", "source"])
async def test_a_mails_own_page_may_do_nothing(page, tmp_path, part):
    name = sent(tmp_path, html=HOSTILE)
    answer = await page.get(f"/mail/{name}/{part}")
    policy = answer.headers["Content-Security-Policy"]
    # No scripts, no forms, an origin of its own, and nothing fetched: not even a picture that tells of the reading.
    assert policy.startswith("sandbox; default-src 'none'")
    assert "http" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert '<iframe sandbox title="HTML"' in await text_of(page, f"/mail/{name}")


@pytest.mark.parametrize("name", ["..%2Fsecret.eml", ".hidden.eml", "secret.txt", "%2Fetc%2Fpasswd", "no-such.eml"])
async def test_nothing_but_mail_is_served(tmp_path, name):
    folder = tmp_path / "mail"
    folder.mkdir()
    for path in (tmp_path / "secret.eml", folder / ".hidden.eml", folder / "secret.txt"):
        path.write_text("secret")
    async with TestClient(TestServer(mail_app(folder))) as page:
        for path in (f"/mail/{name}", f"/mail/{name}/source"):
            assert (await page.get(path)).status == 404


async def test_an_encoding_that_there_is_not_is_no_failure(page, tmp_path):
    mail = tmp_path / "20261123T120000.000Z-bob@example.com-00000000.eml"
    mail.write_bytes(b"Subject: odd\r\nContent-Type: text/plain; charset=klingon\r\n\r\nna\xefve")
    assert "naïve" in await text_of(page, f"/mail/{mail.name}")


async def test_it_is_not_ready_without_its_folder(tmp_path):
    async with TestClient(TestServer(mail_app(tmp_path / "gone"))) as page:
        assert (await page.get("/readyz")).status == 503
