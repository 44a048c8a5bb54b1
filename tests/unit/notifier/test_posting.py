"""Letters about accounts: sent once where that is possible, not for nothing, not too many, not too late."""

from __future__ import annotations

from email.message import EmailMessage

import pytest

from services.notifier.app import Notifier, Ports, make_notifier
from services.notifier.posting import PER_ADDRESS_AND_HOUR_MAX
from syncline.domain.errors import Refused
from syncline.memory.mail import MemoryMailer
from syncline.messages.send_letter import Letter, SendLetter, encode
from syncline.ports.queues import LETTER_RECEIVES_MAX, Queue
from syncline.store.suppressions import Suppressions
from tests.unit.notifier.world import LINK_KEYS, PUBLIC_URL, FlakyMailer, World

ALICE = "alice@example.org"


class Post:
    def __init__(self, mailer: MemoryMailer | None = None) -> None:
        self.world = World()
        self.mailer = mailer or MemoryMailer()
        self.notifier: Notifier = make_notifier(
            Ports(self.world.tables, self.world.queues, self.mailer, self.world.clock),
            link_keys=LINK_KEYS,
            public_url=PUBLIC_URL,
            mail_from="Syncline <mail@sync.example.org>",
            window_s=10,
        )
        self._count = 0

    async def send(
        self, kind: str, *, to: str = "", id: str = "", life_s: int = 3600, about: dict[str, str] | None = None
    ) -> None:
        self._count += 1
        not_after = self.world.clock.now_ms() // 1000 + life_s
        letter = SendLetter(id or f"{self._count:a>20}", kind, to, about or {}, "en", not_after)
        await self.world.queues.send(Queue.LETTERS, encode(letter))

    async def work(self) -> list[EmailMessage]:
        while await self.notifier.letters.run_once():
            pass
        return [sent.message for sent in self.mailer.sent]

    async def dead(self) -> list[str]:
        return [reason for _, reason in await self.world.queues.dead_letters(Queue.LETTERS)]


async def test_a_letter_is_text_and_html_from_us_and_no_list() -> None:
    post = Post()
    await post.world.account("Alice")
    await post.send(Letter.PASSWORD_RESET, to=ALICE)
    [message] = await post.work()
    assert (message["From"], message["To"]) == ("Syncline <mail@sync.example.org>", ALICE)
    assert message["Auto-Submitted"] == "auto-generated"
    assert "List-Unsubscribe" not in message
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    assert f"{PUBLIC_URL}/v1/reset?lang=en&token=" in text.get_content()
    assert f'href="{PUBLIC_URL}/v1/reset?lang=en&amp;token=' in html.get_content()
    assert "<img" not in html.get_content()


@pytest.mark.parametrize("kind", ["password-changed", "address-changed", "account-removed"])
async def test_a_notice_has_nothing_to_click(kind: str) -> None:
    post = Post()
    await post.send(kind, to=ALICE)
    [message] = await post.work()
    text = message.get_body(("plain",))
    assert text is not None
    assert "http" not in text.get_content()


async def test_a_repeated_message_is_one_letter() -> None:
    post = Post()
    for _ in range(3):
        await post.send(Letter.PASSWORD_CHANGED, to=ALICE, id="s" * 20)
    assert len(await post.work()) == 1


async def test_a_late_letter_is_not_sent() -> None:
    post = Post()
    await post.send(Letter.PASSWORD_CHANGED, to=ALICE, life_s=60)
    post.world.clock.advance(60)
    assert await post.work() == []
    assert await post.dead() == []


@pytest.mark.parametrize(
    ("kind", "about"),
    [
        ("invitation", {"invitation": "i" * 20}),
        ("invitation", {}),
        ("address-new", {"account": "a" * 20, "change": "c" * 20}),
        ("address-old", {}),
        ("password-reset", {}),
        ("password-changed", {}),
    ],
)
async def test_a_letter_about_what_is_gone_is_not_sent(kind: str, about: dict[str, str]) -> None:
    post = Post()
    await post.send(kind, about=about)
    assert await post.work() == []
    assert await post.dead() == []


async def test_a_suppressed_address_gets_none() -> None:
    post = Post()
    await Suppressions(post.world.tables, post.world.clock).add(ALICE, "bounce")
    await post.send(Letter.PASSWORD_CHANGED, to=ALICE)
    assert await post.work() == []


async def test_strangers_cannot_have_an_address_flooded() -> None:
    post = Post()
    await post.world.account("Alice")
    for _ in range(PER_ADDRESS_AND_HOUR_MAX + 5):
        await post.send(Letter.PASSWORD_RESET, to=ALICE)
    assert len(await post.work()) == PER_ADDRESS_AND_HOUR_MAX
    # What really happened is told all the same; and an hour later others may ask again.
    await post.send(Letter.PASSWORD_CHANGED, to=ALICE)
    assert len(await post.work()) == PER_ADDRESS_AND_HOUR_MAX + 1
    post.world.clock.advance(3600)
    await post.send(Letter.PASSWORD_RESET, to=ALICE)
    assert len(await post.work()) == PER_ADDRESS_AND_HOUR_MAX + 2


async def test_letters_wait_for_a_mail_service_that_is_away_for_hours() -> None:
    post = Post(FlakyMailer(LETTER_RECEIVES_MAX // 4))
    await post.world.account("Alice")
    await post.send(Letter.PASSWORD_RESET, to=ALICE, life_s=3 * 24 * 3600)
    for _ in range(LETTER_RECEIVES_MAX):
        await post.notifier.letters.run_once()
        post.world.clock.advance(405)
    assert len(post.mailer.sent) == 1
    assert await post.dead() == []


async def test_a_rejected_letter_is_over_and_an_unknown_one_set_aside() -> None:
    class Rejecting(MemoryMailer):
        async def send(self, message: EmailMessage, *, to: str) -> str:
            raise Refused("mail-rejected", "no such address")

    post = Post(Rejecting())
    await post.send(Letter.PASSWORD_CHANGED, to=ALICE)
    await post.send("a-kind-of-the-future", to=ALICE)
    await post.work()
    [reason] = await post.dead()
    assert "a-kind-of-the-future" in reason
