"""One mail per follower and window, with what others did and what the follower may see."""

from __future__ import annotations

import asyncio

import pytest

from services.notifier.app import Notifier
from services.notifier.due import RETRY_S
from services.notifier.mailboxes import SHARDS
from services.notifier.sending import GIVE_UP_MS
from services.notifier.windows import LEASE_MS
from syncline.domain.capabilities import FileCapability, UnsubscribeCapability, open_capability
from syncline.domain.nodes import Kind
from syncline.memory.mail import MemoryMailer
from syncline.ports.queues import Queue
from syncline.store.checkpoints import Checkpoints
from syncline.store.suppressions import Suppressions
from tests.unit.notifier.world import (
    LINK_KEYS,
    PUBLIC_URL,
    WINDOW_S,
    Crash,
    CrashingTables,
    DyingMailer,
    FlakyMailer,
    World,
    rows,
)
from tests.unit.writing import INCARNATION, Writer


class Scene:
    """Alice shares Photos with Bob and Carol; Bob follows all of it."""

    def __init__(self, world: World, alice: str, bob: str, carol: str, photos: Writer) -> None:
        self.world, self.alice, self.bob, self.carol, self.photos = world, alice, bob, carol, photos


@pytest.fixture
async def scene() -> Scene:
    world = World()
    alice, bob, carol = [await world.account(name) for name in ("Alice", "Bob", "Carol")]
    photos = await world.library("Photos", alice, bob, carol)
    await world.follows.follow(photos.id, photos.id, bob)
    return Scene(world, alice, bob, carol, photos)


def text_of(message) -> str:
    return message.get_body(("plain",)).get_content()


def html_of(message) -> str:
    return message.get_body(("html",)).get_content()


async def test_a_window_becomes_one_mail(scene: Scene) -> None:
    world, notifier = scene.world, scene.world.notifier()
    for n in range(5):
        await scene.photos.add(scene.alice, f"{n}.jpg")
        await world.told(notifier, scene.photos)
        world.clock.advance(10)
        await notifier.sender.round()
    assert world.mailer.sent == []
    world.clock.advance(WINDOW_S)
    await notifier.sender.round()
    await notifier.sender.round()
    (mail,) = world.sent_to("Bob")
    assert mail["Subject"] == "Photos: 5 changes by Alice Example"
    assert "Alice Example added 5 files" in text_of(mail)
    assert rows(world.tables, "due#") == []


async def test_the_mail_leaves_when_the_window_is_over_and_not_before(scene: Scene) -> None:
    world, notifier = scene.world, scene.world.notifier()
    await scene.photos.add(scene.alice, "a.jpg")
    await world.told(notifier, scene.photos)
    world.clock.advance(WINDOW_S - 1)
    await notifier.sender.round()
    assert world.mailer.sent == []
    world.clock.advance(1)
    await notifier.sender.round()
    assert len(world.mailer.sent) == 1


async def test_ones_own_changes_open_no_window(scene: Scene) -> None:
    world, notifier = scene.world, scene.world.notifier()
    await scene.photos.add(scene.bob, "mine.jpg")
    await world.told(notifier, scene.photos)
    assert rows(world.tables, "mailbox#") == []
    await scene.photos.add(scene.alice, "hers.jpg")
    await world.told(notifier, scene.photos)
    await world.window_over(notifier)
    (mail,) = world.sent_to("Bob")
    assert "hers.jpg" in text_of(mail)
    assert "mine.jpg" not in text_of(mail)


async def test_each_follower_gets_a_mail_of_their_own(scene: Scene) -> None:
    world, notifier = scene.world, scene.world.notifier()
    await world.follows.follow(scene.photos.id, scene.photos.id, scene.carol)
    await scene.photos.add(scene.alice, "a.jpg")
    await scene.photos.add(scene.bob, "b.jpg")
    await world.told(notifier, scene.photos)
    await world.window_over(notifier)
    (to_bob,), (to_carol,) = world.sent_to("Bob"), world.sent_to("Carol")
    assert to_bob["Subject"] == "Photos: 1 change by Alice Example"
    assert to_carol["Subject"] == "Photos: 2 changes by Alice Example and Bob Example"


async def test_followers_of_a_folder_or_a_file_hear_of_nothing_else(scene: Scene) -> None:
    world, notifier, photos = scene.world, scene.world.notifier(), scene.photos
    await photos.add(scene.alice, "trip", kind=Kind.FOLDER)
    await photos.add(scene.alice, "day1", folder="trip", kind=Kind.FOLDER)
    await photos.add(scene.alice, "plan.txt")
    await world.follows.unfollow(photos.id, photos.id, scene.bob)
    await world.told(notifier, photos)
    await world.follows.follow(photos.id, photos.node_id("trip"), scene.bob)
    await world.follows.follow(photos.id, photos.node_id("plan.txt"), scene.carol)
    await photos.add(scene.alice, "deep.jpg", folder="day1")
    await photos.add(scene.alice, "elsewhere.jpg")
    await photos.update(scene.alice, "plan.txt")
    await world.told(notifier, photos)
    await world.window_over(notifier)
    (to_bob,), (to_carol,) = world.sent_to("Bob"), world.sent_to("Carol")
    assert "deep.jpg in trip/day1" in text_of(to_bob)
    assert "elsewhere" not in text_of(to_bob)
    assert "plan.txt" not in text_of(to_bob)
    assert "Alice Example changed 1 file" in text_of(to_carol)
    assert "jpg" not in text_of(to_carol)


async def test_a_file_moved_out_of_a_followed_folder_is_told(scene: Scene) -> None:
    world, notifier, photos = scene.world, scene.world.notifier(), scene.photos
    await photos.add(scene.alice, "trip", kind=Kind.FOLDER)
    await photos.add(scene.alice, "a.jpg", folder="trip")
    await world.follows.unfollow(photos.id, photos.id, scene.bob)
    await world.told(notifier, photos)
    await world.follows.follow(photos.id, photos.node_id("trip"), scene.bob)
    await photos.move(scene.alice, "a.jpg")
    await world.told(notifier, photos)
    await world.window_over(notifier)
    (mail,) = world.sent_to("Bob")
    assert "a.jpg (was in trip)" in text_of(mail)


async def test_a_folder_that_left_after_the_window_is_still_where_the_window_saw_it(scene: Scene) -> None:
    world, notifier, photos = scene.world, scene.world.notifier(), scene.photos
    await photos.add(scene.alice, "trip", kind=Kind.FOLDER)
    await world.follows.unfollow(photos.id, photos.id, scene.bob)
    await world.told(notifier, photos)
    await world.follows.follow(photos.id, photos.node_id("trip"), scene.bob)
    await photos.add(scene.alice, "day1", folder="trip", kind=Kind.FOLDER)
    await photos.add(scene.alice, "a.jpg", folder="day1")
    await world.told(notifier, photos)
    world.clock.advance(WINDOW_S)
    await photos.move(scene.alice, "day1")
    await notifier.sender.round()
    (mail,) = world.sent_to("Bob")
    assert "a.jpg" in text_of(mail)


async def test_a_removed_member_gets_no_mail(scene: Scene) -> None:
    world, notifier = scene.world, scene.world.notifier()
    await scene.photos.add(scene.alice, "secret.jpg")
    await world.told(notifier, scene.photos)
    await world.directory.set_member(scene.photos.id, scene.bob, None)
    await world.window_over(notifier)
    assert world.mailer.sent == []
    assert rows(world.tables, "due#") == []


async def test_who_unfollowed_meanwhile_gets_no_mail(scene: Scene) -> None:
    world, notifier = scene.world, scene.world.notifier()
    await scene.photos.add(scene.alice, "a.jpg")
    await world.told(notifier, scene.photos)
    await world.follows.drop_all(scene.bob, scene.photos.id)
    await world.window_over(notifier)
    assert world.mailer.sent == []


async def test_what_came_and_went_within_the_window_is_no_mail(scene: Scene) -> None:
    world, notifier = scene.world, scene.world.notifier()
    await scene.photos.add(scene.alice, "slip.jpg")
    await scene.photos.remove(scene.alice, "slip.jpg")
    await world.told(notifier, scene.photos)
    await world.window_over(notifier)
    assert world.mailer.sent == []
    assert rows(world.tables, "due#") == []


async def test_a_library_without_followers_only_moves_the_checkpoint(scene: Scene) -> None:
    world, notifier = scene.world, scene.world.notifier()
    await world.follows.drop_all(scene.bob)
    await scene.photos.add_all(scene.alice, [f"{n}.jpg" for n in range(100)])
    await world.told(notifier, scene.photos)
    assert await Checkpoints(world.tables).get("notifier", scene.photos.id, INCARNATION) == scene.photos.seq
    assert rows(world.tables, "") == []


async def test_a_publication_that_was_lost_heals_with_the_next(scene: Scene) -> None:
    world, notifier = scene.world, scene.world.notifier()
    await scene.photos.add(scene.alice, "lost.jpg")
    await scene.photos.add(scene.alice, "next.jpg")
    await world.told(notifier, scene.photos)
    await world.told(notifier, scene.photos)  # and one that comes twice
    await world.window_over(notifier)
    (mail,) = world.sent_to("Bob")
    assert mail["Subject"] == "Photos: 2 changes by Alice Example"


async def test_what_comes_while_sending_opens_a_new_window(scene: Scene) -> None:
    world, notifier = scene.world, scene.world.notifier()
    await scene.photos.add(scene.alice, "first.jpg")
    await world.told(notifier, scene.photos)
    world.clock.advance(WINDOW_S)
    (due,) = [due for shard in range(SHARDS) for due in await notifier.mailboxes.due(shard, limit=9)]
    claimed = await notifier.mailboxes.claim(due)
    assert claimed is not None
    await scene.photos.add(scene.alice, "second.jpg")
    await world.told(notifier, scene.photos)
    await notifier.mailboxes.done(claimed)
    await world.window_over(notifier)
    (mail,) = world.sent_to("Bob")
    assert "second.jpg" in text_of(mail)
    assert "first.jpg" not in text_of(mail)


# -- several workers, crashes, and a mail service that fails --------------------------------------------------------


async def test_two_workers_send_one_mail(scene: Scene) -> None:
    world = scene.world
    one, other = world.notifier(), world.notifier()
    await scene.photos.add(scene.alice, "a.jpg")
    for _ in range(4):
        await world.published(scene.photos)
    await asyncio.gather(*(n.consumer.run_once() for n in (one, other, one, other)))
    world.clock.advance(WINDOW_S)
    await asyncio.gather(*(n.sender.round() for n in (one, other, one, other)))
    assert len(world.mailer.sent) == 1


async def test_two_workers_telling_at_once_lose_nothing(scene: Scene) -> None:
    world = scene.world
    one, other = world.notifier(), world.notifier()
    for n in range(20):
        await scene.photos.add(scene.alice, f"{n}.jpg")
        await world.published(scene.photos)
    while any(await asyncio.gather(one.consumer.run_once(), other.consumer.run_once())):
        pass
    assert await world.queues.depth(Queue.NOTIFY) == 0
    await world.window_over(one)
    (mail,) = world.sent_to("Bob")
    assert mail["Subject"] == "Photos: 20 changes by Alice Example"


WRITES_BEFORE_SENDING = 5  # two windows opened, the checkpoint, two claims


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(1, 8))
async def test_a_crash_at_any_write_loses_no_change(scene: Scene, at: int, after: bool) -> None:
    world = scene.world
    await world.follows.follow(scene.photos.id, scene.photos.id, scene.carol)
    tables = CrashingTables(world.tables, at, after=after)
    dying = world.notifier(tables=tables, mailer=DyingMailer(tables, world.mailer))
    await scene.photos.add(scene.alice, "a.jpg")
    await scene.photos.add(scene.alice, "b.jpg")
    await world.published(scene.photos)
    with pytest.raises(Crash):
        await one_round(world, dying)
    # Another worker takes over; the message comes again, the lease runs out.
    heir = world.notifier()
    for _ in range(4):
        world.clock.advance(LEASE_MS / 1000)
        while await heir.consumer.run_once():
            pass
        await heir.sender.round()
    for name in ("Bob", "Carol"):
        mails = world.sent_to(name)
        assert mails[0]["Subject"] == "Photos: 2 changes by Alice Example"
        # Only a death between SES's answer and `done` sends again, and then the same mail.
        assert len({mail["Message-ID"] for mail in mails}) == 1
        assert len(mails) <= (1 if at <= WRITES_BEFORE_SENDING else 2)
    assert rows(world.tables, "due#") == []


async def one_round(world: World, notifier: Notifier) -> None:
    await notifier.consumer.run_once()
    await world.window_over(notifier)


async def test_a_crash_between_claim_and_mail_is_made_good_when_the_lease_is_over(scene: Scene) -> None:
    class Dying(MemoryMailer):
        async def send(self, message: object, *, to: str) -> str:
            raise Crash

    world = scene.world
    dying, heir = world.notifier(mailer=Dying()), world.notifier()
    await scene.photos.add(scene.alice, "a.jpg")
    await world.told(dying, scene.photos)
    with pytest.raises(Crash):
        await world.window_over(dying)
    await heir.sender.round()
    assert world.mailer.sent == []
    world.clock.advance(LEASE_MS / 1000)
    await heir.sender.round()
    assert len(world.sent_to("Bob")) == 1


async def test_who_lost_a_claim_settles_nothing(scene: Scene) -> None:
    """A sender that was slow for longer than its lease must not close the window that another has in hand."""
    world, notifier = scene.world, scene.world.notifier()
    await scene.photos.add(scene.alice, "a.jpg")
    await world.told(notifier, scene.photos)
    world.clock.advance(WINDOW_S)
    (due,) = [due for shard in range(SHARDS) for due in await notifier.mailboxes.due(shard, limit=9)]
    slow = await notifier.mailboxes.claim(due)
    assert slow is not None
    world.clock.advance(LEASE_MS / 1000)
    other = await notifier.mailboxes.claim(due)
    assert other is not None
    await notifier.mailboxes.done(slow)
    await notifier.mailboxes.put_off(slow, world.clock.now_ms() + 1)
    assert await notifier.mailboxes.get(scene.photos.id, scene.bob) == other
    await notifier.mailboxes.done(other)
    assert rows(world.tables, "due#") == []


async def test_a_throttled_mail_waits_and_goes_out_later(scene: Scene) -> None:
    world = scene.world
    mailer = world.mailer = FlakyMailer(fails=2)
    notifier = world.notifier()
    await scene.photos.add(scene.alice, "a.jpg")
    await world.told(notifier, scene.photos)
    await world.window_over(notifier)
    await notifier.sender.round()
    assert (mailer.sent, mailer.fails) == ([], 1)
    world.clock.advance(RETRY_S[0])
    await notifier.sender.round()
    assert (mailer.sent, mailer.fails) == ([], 0)
    world.clock.advance(RETRY_S[1])
    await notifier.sender.round()
    assert len(mailer.sent) == 1


async def test_while_one_window_waits_the_next_does_not_overtake_it(scene: Scene) -> None:
    world = scene.world
    mailer = world.mailer = FlakyMailer(fails=4)
    notifier = world.notifier()
    await scene.photos.add(scene.alice, "first.jpg")
    await world.told(notifier, scene.photos)
    await world.window_over(notifier)
    await scene.photos.add(scene.alice, "second.jpg")
    await world.told(notifier, scene.photos)
    for _ in range(40):
        world.clock.advance(60)
        await notifier.sender.round()
    assert [("first.jpg" in text_of(m.message), "second.jpg" in text_of(m.message)) for m in mailer.sent] == [
        (True, False),
        (False, True),
    ]


async def test_a_window_that_cannot_be_sent_for_days_is_given_up(scene: Scene) -> None:
    world = scene.world
    mailer = world.mailer = FlakyMailer(fails=10_000)
    notifier = world.notifier()
    await scene.photos.add(scene.alice, "a.jpg")
    await world.told(notifier, scene.photos)
    for _ in range(GIVE_UP_MS // 3_600_000 + 5):
        world.clock.advance(3_600)
        await notifier.sender.round()
    assert mailer.sent == []
    assert rows(world.tables, "due#") == []
    assert 10_000 - mailer.fails < 100


async def test_a_refused_address_is_suppressed_with_the_reason_and_others_go_on(scene: Scene) -> None:
    world = scene.world
    await world.follows.follow(scene.photos.id, scene.photos.id, scene.carol)
    world.mailer.rejected.add("bob@example.org")
    notifier = world.notifier()
    await scene.photos.add(scene.alice, "a.jpg")
    await world.told(notifier, scene.photos)
    await world.window_over(notifier)
    assert (len(world.sent_to("Bob")), len(world.sent_to("Carol"))) == (0, 1)
    reason = await Suppressions(world.tables, world.clock).reason("Bob@example.org ")
    assert reason is not None
    assert reason.startswith("mail-rejected:")
    # Later windows are not even tried.
    world.mailer.rejected.clear()
    await scene.photos.add(scene.alice, "b.jpg")
    await world.told(notifier, scene.photos)
    await world.window_over(notifier)
    assert (len(world.sent_to("Bob")), len(world.sent_to("Carol"))) == (0, 2)
    assert rows(world.tables, "due#") == []


async def test_a_message_that_is_none_is_set_aside_and_its_neighbours_are_not(scene: Scene) -> None:
    world, notifier = scene.world, scene.world.notifier()
    await scene.photos.add(scene.alice, "a.jpg")
    await world.queues.send(Queue.NOTIFY, b"garbage")
    await world.told(notifier, scene.photos)
    ((letter, reason),) = await world.queues.dead_letters(Queue.NOTIFY)
    assert letter.body == b"garbage"
    assert "Unreadable" in reason
    await world.window_over(notifier)
    assert len(world.sent_to("Bob")) == 1


# -- what the mail says ---------------------------------------------------------------------------------------------


async def test_links_lead_to_the_files_that_are_there_for_seven_days(scene: Scene) -> None:
    world, notifier, photos = scene.world, scene.world.notifier(), scene.photos
    await photos.add(scene.alice, "kept.jpg")
    await photos.add(scene.bob, "gone.jpg")
    await photos.remove(scene.alice, "gone.jpg")
    await world.told(notifier, photos)
    await world.window_over(notifier)
    (mail,) = world.sent_to("Bob")
    prefix = f"{PUBLIC_URL}/v1/links/"
    links = [line.strip() for line in text_of(mail).splitlines() if line.strip().startswith(prefix)]
    (token,) = [link.removeprefix(prefix) for link in links]
    now_s = world.clock.now_ms() // 1000
    capability = open_capability(token, LINK_KEYS, now_s=now_s)
    assert capability == FileCapability(scene.bob, photos.id, photos.node_id("kept.jpg"), now_s + 7 * 24 * 3600)
    assert f'href="{prefix}{token}"' in html_of(mail)
    assert "Alice Example removed 1 file" in text_of(mail)


async def test_what_is_gone_by_now_has_no_link(scene: Scene) -> None:
    world, notifier, photos = scene.world, scene.world.notifier(), scene.photos
    await photos.add(scene.alice, "trip", kind=Kind.FOLDER)
    await photos.add(scene.alice, "inside.jpg", folder="trip")
    await photos.add(scene.alice, "alone.jpg")
    await world.told(notifier, photos)
    world.clock.advance(WINDOW_S)
    await photos.remove(scene.bob, "trip")
    await photos.remove(scene.bob, "alone.jpg")
    await notifier.sender.round()
    (mail,) = world.sent_to("Bob")
    assert "inside.jpg" in text_of(mail)
    assert "alone.jpg" in text_of(mail)
    assert "/v1/links/" not in text_of(mail) + html_of(mail)


async def test_headers_let_mail_programs_unsubscribe_and_thread(scene: Scene) -> None:
    world, notifier = scene.world, scene.world.notifier()
    for name in ("a.jpg", "b.jpg"):
        await scene.photos.add(scene.alice, name)
        await world.told(notifier, scene.photos)
        await world.window_over(notifier)
    first, second = world.sent_to("Bob")
    assert first["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert first["Auto-Submitted"] == "auto-generated"
    assert first["List-Id"] == f"<{scene.photos.id}.sync.example.org>"
    assert first["References"] == second["References"]
    assert first["Message-ID"] != second["Message-ID"]
    assert first["From"] == "Syncline <mail@sync.example.org>"
    assert first["To"] == "Bob Example <bob@example.org>"
    assert first["Date"].datetime.timestamp() == (world.clock.now_ms() // 1000) - WINDOW_S
    url = first["List-Unsubscribe"].strip("<>")
    prefix = f"{PUBLIC_URL}/v1/unsubscribe?token="
    assert url.startswith(prefix)
    capability = open_capability(url.removeprefix(prefix), LINK_KEYS, now_s=world.clock.now_ms() // 1000)
    assert isinstance(capability, UnsubscribeCapability)
    assert (capability.account, capability.library) == (scene.bob, scene.photos.id)


async def test_a_long_journal_is_told_in_steps_and_cut_in_the_mail(scene: Scene) -> None:
    world, notifier = scene.world, scene.world.notifier()
    for batch in range(3):
        await scene.photos.add_all(scene.alice, [f"{batch}-{n}.jpg" for n in range(50)])
    for n in range(150):
        await scene.photos.update(scene.alice, f"0-{n % 50}.jpg")
    await world.told(notifier, scene.photos)
    assert await Checkpoints(world.tables).get("notifier", scene.photos.id, INCARNATION) == 153
    await world.window_over(notifier)
    (mail,) = world.sent_to("Bob")
    assert mail["Subject"] == "Photos: 150 changes by Alice Example"
    assert "and 130 more" in text_of(mail)
    assert "and 130 more" in html_of(mail)
