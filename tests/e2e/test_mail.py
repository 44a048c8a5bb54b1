"""Mail to somebody outside, for real: asked, agreed, told, opened, bounced, lifted."""

from __future__ import annotations

import asyncio
import json
from email.message import EmailMessage
from pathlib import Path

import aiohttp

from deploy.local import aws
from syncline.domain.preferences import Every
from syncline.messages import api as m
from tests.e2e.embedded import EmbeddedStack, aws_client
from tests.e2e.people import Person, eventually, person

CONTENT = b"the minutes of the meeting\n"


async def test_somebody_outside_is_asked_agrees_and_is_told(stack: EmbeddedStack, tmp_path: Path):
    async with person(stack.url, tmp_path, "alice") as alice:
        eve = alice.email.replace("alice", "eve")
        library = await alice.library(name="Board")
        await alice.api.set_outside_rules(library, m.OutsideRules(links=True))
        invited = await alice.api.invite_follower(
            library, m.NewOutsideFollower(email=eve, node=library, window=Every.IMMEDIATE, language="de")
        )
        assert invited.state == "invited"
        [asked] = await eventually(lambda: _mails_to(stack, eve), until=bool)
        link = _link(asked, "/v1/confirm?")
        await _ask("GET", link)
        assert (await _follower(alice, library)).state == "invited"
        await _ask("POST", link)
        assert (await _follower(alice, library)).state == "confirmed"

        await alice.add(library, "minutes.txt", CONTENT)
        [_, told] = await eventually(lambda: _mails_to(stack, eve), until=lambda mails: len(mails) > 1)
        assert told["Subject"] == "Board: 1 Änderung durch Alice"
        assert await _ask("GET", _link(told, "/v1/links/")) == CONTENT

        await _ask("POST", str(told["List-Unsubscribe"]).strip("<>"))
        assert (await _follower(alice, library)).state == "left"


async def test_a_bounce_is_told_to_whom_it_concerns_and_lifted(stack: EmbeddedStack, tmp_path: Path):
    async with person(stack.url, tmp_path, "bob") as bob:
        event = {
            "eventType": "Bounce",
            "bounce": {"bounceType": "Permanent", "bouncedRecipients": [{"emailAddress": bob.email}]},
        }
        # As SES would: on the topic, whose subscription is the definition's own.
        async with aws_client(stack.place, "sns", aws.root_key(stack.place)) as sns:
            await sns.publish(TopicArn=stack.definition.names.mail_topic_arn, Message=json.dumps(event))

        async def suppressed() -> m.Suppressed | None:
            return (await bob.api.mail_settings()).suppressed

        told = await eventually(suppressed, until=bool)
        assert told is not None
        assert (told.address, told.reason.partition(":")[0]) == (bob.email, "bounce")
        assert (await bob.api.lift_mail()).suppressed is None


async def _follower(alice: Person, library: str) -> m.OutsideFollower:
    [follower] = (await alice.api.outside_followers(library)).followers
    return follower


async def _mails_to(stack: EmbeddedStack, email: str) -> list[EmailMessage]:
    return await asyncio.to_thread(lambda: [mail for mail in stack.mails() if email in str(mail["To"])])


def _link(mail: EmailMessage, path: str) -> str:
    part = mail.get_body(("plain",))
    assert part is not None
    return next(word for word in str(part.get_content()).split() if path in word)


async def _ask(method: str, url: str) -> bytes:
    async with aiohttp.ClientSession() as http, http.request(method, url) as answer:
        assert answer.ok, await answer.text()
        return await answer.read()
