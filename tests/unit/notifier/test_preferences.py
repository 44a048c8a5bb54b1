"""Each follower hears as often, and of what, they wished."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from syncline.domain.digests import Happened
from syncline.domain.nodes import Kind
from syncline.domain.preferences import Every, Wishes
from syncline.store.follows import MailPreferences
from tests.unit.notifier.world import WINDOW_S, World, body_of, rows
from tests.unit.writing import Writer

NOTHING = Wishes()
DAILY_AT_EIGHT = Wishes(window=Every.DAILY, hour=8, zone="Europe/Berlin")


class Scene:
    """Alice shares Photos with Bob; there is a folder "trip"."""

    def __init__(self, world: World, alice: str, bob: str, photos: Writer) -> None:
        self.world, self.alice, self.bob, self.photos = world, alice, bob, photos
        self.notifier = world.notifier()

    async def told(self) -> None:
        await self.world.told(self.notifier, self.photos)

    async def after(self, seconds: float) -> list[str]:
        """The texts of all mail to Bob when so much time has passed."""
        self.world.clock.advance(seconds)
        await self.notifier.sender.round()
        return [body_of(mail) for mail in self.world.sent_to("Bob")]

    async def follow(self, name: str, wishes: Wishes) -> None:
        node = self.photos.node_id(name)
        at_ms = self.world.clock.now_ms()
        await self.world.follows.follow(self.photos.id, node, self.bob, at_ms=at_ms, wishes=wishes)

    async def prefer(self, wishes: Wishes = NOTHING, language: str = "") -> None:
        preferences = MailPreferences(wishes, language, self.world.clock.now_ms())
        await self.world.follows.prefer(self.bob, preferences)


@pytest.fixture
async def scene() -> Scene:
    world = World()
    alice, bob = [await world.account(name) for name in ("Alice", "Bob")]
    scene = Scene(world, alice, bob, await world.library("Photos", alice, bob))
    await scene.photos.add(alice, "trip", kind=Kind.FOLDER)
    await scene.told()
    return scene


async def test_hourly_mail_comes_an_hour_after_the_first_change(scene: Scene) -> None:
    await scene.follow("", Wishes(window=Every.HOURLY))
    for n in range(3):
        await scene.photos.add(scene.alice, f"{n}.jpg")
        await scene.told()
        scene.world.clock.advance(1_000)
    assert await scene.after(599) == []
    (text,) = await scene.after(1)
    assert "added 3 files" in text


async def test_daily_mail_comes_at_the_followers_hour_where_they_are(scene: Scene) -> None:
    await scene.follow("", DAILY_AT_EIGHT)
    await scene.photos.add(scene.alice, "a.jpg")
    await scene.told()
    (due,) = rows(scene.world.tables, "due#")
    at = datetime.fromtimestamp(int(due.split()[1].split("#")[0]) / 1000, UTC)
    assert (at.hour, at.minute) in ((6, 0), (7, 0))  # in summer and in winter
    wait_s = at.timestamp() - scene.world.clock.now_ms() / 1000
    assert await scene.after(wait_s - 1) == []
    assert len(await scene.after(1)) == 1


async def test_what_the_account_wants_holds_where_the_follow_says_nothing(scene: Scene) -> None:
    await scene.prefer(Wishes(window=Every.HOURLY))
    await scene.follow("", Wishes())
    await scene.photos.add(scene.alice, "a.jpg")
    await scene.told()
    assert await scene.after(WINDOW_S) == []
    assert len(await scene.after(3_600)) == 1


async def test_the_nearest_follow_decides_and_nothing_is_told_twice(scene: Scene) -> None:
    await scene.follow("", DAILY_AT_EIGHT)
    await scene.follow("trip", Wishes(window=Every.IMMEDIATE))
    await scene.photos.add(scene.alice, "in.jpg", folder="trip")
    await scene.photos.add(scene.alice, "out.jpg")
    await scene.told()
    (at_once,) = await scene.after(WINDOW_S)
    assert ("in.jpg" in at_once, "out.jpg" in at_once) == (True, False)
    _, daily = await scene.after(25 * 3_600)
    assert ("in.jpg" in daily, "out.jpg" in daily) == (False, True)
    assert rows(scene.world.tables, "due#") == []


async def test_mails_of_two_schedules_have_names_of_their_own_and_one_thread(scene: Scene) -> None:
    await scene.follow("", Wishes(window=Every.HOURLY))
    await scene.follow("trip", Wishes(window=Every.IMMEDIATE))
    scene.world.clock.advance(1)
    await scene.photos.move(scene.alice, "trip", to="Trip")
    await scene.told()
    await scene.after(WINDOW_S)
    await scene.after(3_600)
    await scene.photos.add(scene.alice, "b.jpg")
    await scene.told()
    await scene.after(3_600)
    mails = scene.world.sent_to("Bob")
    assert len(mails) == 2
    assert len({mail["Message-ID"] for mail in mails}) == 2
    assert len({mail["References"] for mail in mails}) == 1


async def test_only_the_kinds_that_were_asked_for(scene: Scene) -> None:
    await scene.follow("", Wishes(kinds=frozenset({Happened.REMOVED})))
    await scene.photos.add(scene.alice, "a.jpg")
    await scene.photos.add(scene.alice, "b.jpg")
    await scene.photos.update(scene.alice, "b.jpg")
    await scene.told()
    assert rows(scene.world.tables, "mailbox#") == []
    await scene.photos.remove(scene.alice, "a.jpg")
    await scene.photos.update(scene.alice, "b.jpg")
    await scene.told()
    (text,) = await scene.after(WINDOW_S)
    assert "Alice Example removed 1 file" in text
    assert "b.jpg" not in text


async def test_what_goes_again_while_gathering_is_not_told_as_added(scene: Scene) -> None:
    await scene.follow("", Wishes(kinds=frozenset({Happened.ADDED})))
    await scene.photos.add(scene.alice, "slip.jpg")
    await scene.told()
    await scene.photos.remove(scene.alice, "slip.jpg")
    await scene.told()
    assert await scene.after(WINDOW_S) == []


async def test_a_change_of_schedule_loses_nothing_that_was_gathered(scene: Scene) -> None:
    await scene.follow("", DAILY_AT_EIGHT)
    await scene.photos.add(scene.alice, "before.jpg")
    await scene.told()
    scene.world.clock.advance(60)
    await scene.follow("", Wishes(window=Every.HOURLY))
    await scene.photos.add(scene.alice, "after.jpg")
    await scene.told()
    texts = [text for hours in range(26) for text in (await scene.after(3_600))[hours and -2 :]]
    assert sum("before.jpg" in text for text in set(texts)) == 1
    assert sum("after.jpg" in text for text in set(texts)) == 1


async def test_mail_speaks_the_followers_language(scene: Scene) -> None:
    await scene.prefer(language="de")
    await scene.follow("", Wishes())
    await scene.photos.add(scene.alice, "a.jpg")
    await scene.photos.add(scene.alice, "b.jpg")
    await scene.told()
    (text,) = await scene.after(WINDOW_S)
    assert "Alice Example hat 2 Dateien hinzugefügt" in text
    (mail,) = scene.world.sent_to("Bob")
    assert mail["Subject"] == "Photos: 2 Änderungen durch Alice Example"
    assert '<html lang="de">' in body_of(mail, "html")


async def test_an_unknown_zone_in_a_row_stops_nobodys_mail(scene: Scene) -> None:
    await scene.follow("", Wishes(window=Every.DAILY, zone="Mars/Olympus"))
    await scene.photos.add(scene.alice, "a.jpg")
    await scene.told()
    assert len(await scene.after(25 * 3_600)) == 1
