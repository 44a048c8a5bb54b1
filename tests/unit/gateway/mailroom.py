"""A notifier beside a gateway's world: the letters that people get, and the links in them."""

from __future__ import annotations

import re
from email.message import EmailMessage
from typing import Any
from urllib.parse import parse_qs, urlsplit

from services.notifier import app as notifier
from syncline.memory.mail import MemoryMailer
from tests.unit.gateway.world import LINK_KEYS, PASSWORD, Person, World

_LINK = re.compile(r"http://syncline\.test/\S+")


class Mailroom:
    def __init__(self, world: World) -> None:
        self.world = world
        self.mailer = MemoryMailer()
        self.notifier = notifier.make_notifier(
            notifier.Ports(world.tables, world.queues, self.mailer, world.clock),
            link_keys=LINK_KEYS,
            public_url="http://syncline.test",
            mail_from="Syncline <mail@syncline.test>",
            window_s=10,
        )

    async def deliver(self) -> None:
        while await self.notifier.letters.run_once():
            pass

    def letters(self, email: str) -> list[EmailMessage]:
        return [sent.message for sent in self.mailer.sent if sent.to == email]

    async def last(self, email: str) -> EmailMessage:
        """The newest letter to an address, after all that wait were sent."""
        await self.deliver()
        return self.letters(email)[-1]

    async def token(self, email: str) -> str:
        """The token in the link of the newest letter."""
        return token_in(await self.last(email))

    async def reset_token(self, email: str) -> str:
        status, _, _ = await self.world.ask("POST", "/v1/password-resets", {"email": email})
        assert status == 202
        return await self.token(email)


def text_of(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def link_in(message: EmailMessage) -> str:
    found = _LINK.search(text_of(message))
    assert found is not None, text_of(message)
    return found[0]


def token_in(message: EmailMessage) -> str:
    return parse_qs(urlsplit(link_in(message)).query)["token"][0]


async def refused(person: Person, method: str, path: str, body: Any = None) -> tuple[int, str]:
    status, problem = await person.ask(method, path, body)
    return status, kind_of(problem)


async def strangers(world: World, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, str]:
    """What somebody who is not signed in is answered."""
    status, problem, _ = await world.ask(method, path, body, **more)
    return status, kind_of(problem)


def kind_of(problem: Any) -> str:
    return str(problem["type"]).rsplit("/", 1)[-1] if isinstance(problem, dict) and "type" in problem else ""


async def sign_in(world: World, email: str, password: str = PASSWORD, address: str = "127.0.0.1") -> tuple[int, str]:
    body = {"email": email, "password": password, "device_name": "x"}
    return await strangers(world, "POST", "/v1/sessions", body, headers={"X-Forwarded-For": address})
