"""Outside followers: only after confirming, only what they follow, only until it ends."""

from __future__ import annotations

import msgspec
import pytest

from syncline.domain.capabilities import FollowCapability, open_capability
from syncline.domain.nodes import Kind
from syncline.messages.send_letter import SendLetter, encode
from syncline.ports.queues import Queue
from syncline.store.outsiders import (
    OUTSIDE_LIFE_S,
    RENEWAL_S,
    OutsiderRecord,
    Outsiders,
    OutsideRules,
    State,
    outsider_id,
)
from tests.unit.notifier.world import LINK_KEYS, WINDOW_S, World, body_of, rows
from tests.unit.writing import Writer

HOUR_S = 3_600
EMAIL = "eve@example.net"


class Scene:
    """Alice's Plans hold "secret" and, in it, "open", which Eve from outside follows."""

    def __init__(self, world: World, alice: str, plans: Writer) -> None:
        self.world, self.alice, self.plans = world, alice, plans
        self.notifier = world.notifier()
        self.outsiders = Outsiders(world.tables)
        self.eve = OutsiderRecord(
            outsider_id(plans.id, EMAIL), plans.id, EMAIL, State.CONFIRMED, "en", alice, 0, plans.node_id("open"),
            ends_at_s=world.clock.now_ms() // 1000 + OUTSIDE_LIFE_S,
        )  # fmt: skip

    async def mails(self, after_s: float = HOUR_S) -> list[str]:
        await self.world.told(self.notifier, self.plans)
        self.world.clock.advance(after_s)
        await self.notifier.sender.round()
        sent = [mail for mail in self.world.mailer.sent if mail.to == EMAIL]
        return [body_of(mail.message) for mail in sent]


@pytest.fixture
async def scene() -> Scene:
    world = World()
    alice = await world.account("Alice")
    plans = await world.library("Plans", alice)
    await plans.add(alice, "secret", kind=Kind.FOLDER)
    await plans.add(alice, "open", folder="secret", kind=Kind.FOLDER)
    await plans.add(alice, "hidden", folder="secret", kind=Kind.FOLDER)
    scene = Scene(world, alice, plans)
    await world.told(scene.notifier, plans)
    await scene.outsiders.put(scene.eve)
    await world.follows.follow(plans.id, plans.node_id("open"), scene.eve.id, outside=True)
    return scene


async def test_they_hear_hourly_of_what_they_follow_and_see_no_folder_above_it(scene: Scene) -> None:
    await scene.plans.add(scene.alice, "deep", folder="open", kind=Kind.FOLDER)
    await scene.plans.add(scene.alice, "a.txt", folder="deep")
    await scene.plans.add(scene.alice, "nothing for eve.txt", folder="hidden")
    assert await scene.mails(WINDOW_S) == []
    (text,) = await scene.mails()
    assert "a.txt in open/deep" in text
    assert "secret" not in text
    assert "eve" not in text
    assert "because you confirmed" in text


async def test_there_are_links_to_files_only_where_the_library_allows_it(scene: Scene) -> None:
    await scene.plans.add(scene.alice, "a.txt", folder="open")
    (closed,) = await scene.mails()
    assert "/v1/links/" not in closed
    await scene.outsiders.set_rules(scene.plans.id, OutsideRules(links=True))
    await scene.plans.add(scene.alice, "b.txt", folder="open")
    _, opened = await scene.mails()
    assert opened.count("/v1/links/") == 1


async def test_what_comes_from_elsewhere_and_goes_there_tells_nothing_of_elsewhere(scene: Scene) -> None:
    await scene.plans.add(scene.alice, "in.txt", folder="hidden")
    await scene.plans.add(scene.alice, "out.txt", folder="open")
    await scene.mails()
    await scene.plans.move(scene.alice, "in.txt", folder="open")
    await scene.plans.move(scene.alice, "out.txt", folder="hidden", to="new name.txt")
    text = (await scene.mails())[-1]
    assert "in.txt in open (came from elsewhere)" in text
    assert "out.txt (went elsewhere)" in text
    assert "hidden" not in text
    assert "new name" not in text


@pytest.mark.parametrize("state", [State.INVITED, State.LEFT])
async def test_nothing_before_confirming_and_nothing_after_leaving(scene: Scene, state: State) -> None:
    await scene.outsiders.put(msgspec.structs.replace(scene.eve, state=state))
    await scene.plans.add(scene.alice, "a.txt", folder="open")
    assert await scene.mails() == []
    assert rows(scene.world.tables, "due#") == []


async def test_it_ends_and_asks_before_whether_to_go_on(scene: Scene) -> None:
    await scene.plans.add(scene.alice, "a.txt", folder="open")
    (early,) = await scene.mails()
    assert "/v1/confirm?" not in early
    scene.world.clock.advance(OUTSIDE_LIFE_S - RENEWAL_S)
    await scene.plans.add(scene.alice, "b.txt", folder="open")
    late = (await scene.mails())[-1]
    assert "Keep getting it: https://sync.example.org/v1/confirm?lang=en&token=" in " ".join(late.split())
    scene.world.clock.advance(RENEWAL_S)
    await scene.plans.add(scene.alice, "c.txt", folder="open")
    assert len(await scene.mails()) == 2


@pytest.mark.parametrize(("language", "words"), [("en", "Yes, send me mail"), ("de", "Ja, schickt mir Mails")])
async def test_an_invited_address_is_asked_once_with_a_link_that_confirms(
    scene: Scene, language: str, words: str
) -> None:
    await scene.outsiders.put(msgspec.structs.replace(scene.eve, state=State.INVITED))
    node, ends_at = scene.plans.node_id("open"), scene.world.clock.now_ms() // 1000 + 3600
    about = {"library": scene.plans.id, "follower": scene.eve.id, "node": node}
    letter = SendLetter("l" * 20, "follow", "", about, language, ends_at)
    for _ in range(2):
        await scene.world.queues.send(Queue.LETTERS, encode(letter))
    while await scene.notifier.letters.run_once():
        pass
    (mail,) = scene.world.mailer.sent
    assert mail.to == EMAIL
    text = body_of(mail.message)
    assert words in text
    assert "Alice Example" in text
    assert "open" in str(mail.message["Subject"])
    assert "secret" not in str(mail.message)
    (link,) = [line for line in text.splitlines() if line.startswith("https://")]
    capability = open_capability(link.rpartition("token=")[2], LINK_KEYS, now_s=ends_at - 1)
    assert capability == FollowCapability(scene.eve.id, scene.plans.id, node, ends_at)
