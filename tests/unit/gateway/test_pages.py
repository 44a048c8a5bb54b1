"""Pages behind mailed links: in the mail's language, else the browser's; every language says all that pages need."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from services.gateway import account_table, mail_table, table
from services.gateway.letters import LANGUAGES
from services.gateway.pages import LANG
from services.gateway.wording import ENGLISH, words
from services.notifier.languages import language
from syncline.domain.capabilities import FileCapability, UnsubscribeCapability, seal_capability
from syncline.domain.errors import Refused
from syncline.domain.preferences import LANGUAGES as MAIL_LANGUAGES
from syncline.serving.problems import PROBLEMS
from tests.unit.gateway.mailroom import Mailroom, link_in, text_of
from tests.unit.gateway.world import LINK_KEYS, Person, World

OF_EVERY_ROUTE = {"temporarily-unavailable", "internal", "overloaded", "unavailable"}
_BRACES = re.compile(r"\{[^}]*\}")


async def page(world: World, path: str, method: str = "GET", **more: Any) -> tuple[int, str]:
    status, body, response = await world.ask(method, path.removeprefix("http://syncline.test"), **more)
    assert response.content_type == "text/html"
    return status, bytes(body).decode()


@pytest.mark.parametrize("code", [code for code in LANGUAGES if code != "en"])
def test_every_language_says_all_that_english_says(code: str) -> None:
    assert words(code).texts.keys() == ENGLISH.texts.keys()
    for key, text in words(code).texts.items():
        assert sorted(_BRACES.findall(text)) == sorted(_BRACES.findall(ENGLISH.texts[key])), key
        assert text != ENGLISH.texts[key], key


def test_pages_speak_the_languages_of_mail() -> None:
    assert set(LANGUAGES) == set(MAIL_LANGUAGES) == {language(code).code for code in LANGUAGES}


def test_every_language_says_why_a_page_refuses() -> None:
    routes = [one for routes in (table, account_table, mail_table) for one in routes.ROUTES if LANG in one.query]
    assert len(routes) >= 11
    kinds = {kind for route in routes for kind in route.problems if kind in PROBLEMS}
    for code in LANGUAGES:
        missing = {kind for kind in kinds if f"problem-{kind}" not in words(code).texts}
        assert missing <= OF_EVERY_ROUTE
        assert words(code).problem(Refused("unheard-of", "In English then.")) == "In English then."


async def test_an_invitation_is_german_from_the_mail_to_the_welcome(world: World) -> None:
    mailroom, alice = Mailroom(world), await world.person("alice")
    library = await alice.library("Fotos")
    await alice.ask("POST", f"/v1/libraries/{library}/members", {"email": "eve@example.org", "role": "editor"},
                    headers={"Accept-Language": "de"})  # fmt: skip
    letter = await mailroom.last("eve@example.org")
    assert "möchte Fotos mit dir teilen" in text_of(letter)
    link = link_in(letter)
    assert "?lang=de&token=" in link
    # The mail's language wins over the browser's.
    _, shown = await page(world, link, headers={"Accept-Language": "en"})
    assert '<html lang="de">' in shown
    assert "alice lädt eve@example.org zu „Fotos“ ein." in shown
    status, again = await page(world, link, "POST", data={"name": "Eve", "password": "kurz"})
    assert (status, "Das Passwort hat 8 Zeichen oder mehr" in again) == (422, True)
    _, done = await page(world, link, "POST", data={"name": "Eve", "password": "lang genug, sicher"})
    assert "Melde dich als eve@example.org an: „Fotos“ ist da." in done
    status, gone = await page(world, link)
    assert (status, "Diese Einladung wurde schon angenommen" in gone) == (410, True)


async def test_a_new_password_in_german(world: World) -> None:
    mailroom = Mailroom(world)
    await world.person("alice")
    await world.ask("POST", "/v1/password-resets", {"email": "alice@example.org"}, headers={"Accept-Language": "de"})
    link = link_in(await mailroom.last("alice@example.org"))
    _, shown = await page(world, link)
    assert "Es wird das Passwort von alice@example.org." in shown
    _, done = await page(world, link, "POST", data={"password": "ein ganz neues"})
    assert "Dein Passwort ist gesetzt" in done
    _, used = await page(world, link)
    assert "Er wurde schon benutzt" in used


async def _unsubscribe(world: World, alice: Person) -> str:
    library = await alice.library("Fotos")
    ends_at = world.clock.now_ms() // 1000 + 60
    return f"/v1/unsubscribe?token={seal_capability(UnsubscribeCapability(alice.account, library, ends_at), LINK_KEYS)}"


async def _file(world: World, alice: Person) -> str:
    token = seal_capability(FileCapability("x" * 20, "y" * 20, "z" * 20, world.clock.now_ms()), LINK_KEYS)
    return f"/v1/links/{token}?"


@pytest.mark.parametrize(
    ("link", "german", "english"),
    [
        (_unsubscribe, "Du bekommst Mails, wenn sich in „Fotos“ etwas ändert.", "You get mail when something changes"),
        (_file, "Du bist nicht mehr dabei", "You are not a member of the library any more"),
    ],
)
async def test_the_link_s_language_else_the_browser_s_else_english(
    world: World, link: Callable[[World, Person], Any], german: str, english: str
) -> None:
    path = await link(world, await world.person("alice"))
    for more, accepted, wanted in [
        ("", "de-AT,de;q=0.9", german),
        ("", "fr, en", english),
        ("", "", english),
        ("&lang=de", "en", german),
        ("&lang=en", "de", english),
        ("&lang=klingon", "de", german),
    ]:
        _, shown = await page(world, path + more, headers={"Accept-Language": accepted})
        assert wanted in shown
