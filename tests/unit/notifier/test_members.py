"""Who joined, left or has another role: told to members who follow the library, once, whatever dies in between."""

from __future__ import annotations

import contextlib

import pytest

from services.notifier.app import Notifier
from services.notifier.windows import LEASE_MS
from syncline.domain.digests import Happened
from syncline.domain.preferences import Every, Wishes
from syncline.domain.rights import Role
from syncline.ports.tables import Table
from syncline.store.directory import GroupRecord
from syncline.store.follows import MailPreferences
from syncline.store.groups import Groups
from syncline.store.outsiders import OutsiderRecord, Outsiders, State, outsider_id
from tests.unit.notifier.world import WINDOW_S, Crash, CrashingTables, DyingMailer, World, body_of, rows
from tests.unit.writing import Writer, made_id

GROUP = made_id("group")


class Scene:
    """Alice owns Photos, Bob follows it, and there are Carol and Dave. What made Bob a member was told of."""

    async def ready(self) -> Scene:
        self.world = World()
        self.alice, self.bob, self.carol, self.dave = [
            await self.world.account(name) for name in ("Alice", "Bob", "Carol", "Dave")
        ]
        self.photos: Writer = await self.world.library("Photos", self.alice, self.bob)
        self.notifier = self.world.notifier()
        await self.notifier.announcer.round()
        await self.world.follows.follow(self.photos.id, self.photos.id, self.bob)
        return self

    async def member(self, account: str, role: Role | None, *, by: str = "") -> None:
        await self.world.directory.set_member(self.photos.id, account, role, by=by or self.alice)

    async def window_over(self, notifier: Notifier | None = None) -> None:
        one = notifier or self.notifier
        await one.announcer.round()
        await self.world.window_over(one)

    def told(self, name: str = "Bob") -> list[str]:
        return [body_of(mail).replace("\r", "").partition("--")[0].strip() for mail in self.world.sent_to(name)]


@pytest.fixture
async def scene() -> Scene:
    return await Scene().ready()


async def test_who_joined_left_and_has_another_role_is_one_mail(scene: Scene) -> None:
    await scene.member(scene.carol, Role.VIEWER)
    await scene.member(scene.dave, Role.VIEWER)
    await scene.window_over()
    await scene.member(scene.carol, Role.OWNER)
    await scene.member(scene.dave, None, by=scene.dave)
    await scene.member(scene.bob, Role.VIEWER, by=scene.carol)
    await scene.window_over()
    first, second = scene.told()
    assert first == (
        "Photos\n2 changes by Alice Example\n\nWho shares it:\n"
        "  - Carol Example (shares it now (viewer); by Alice Example)\n"
        "  - Dave Example (shares it now (viewer); by Alice Example)"
    )
    assert second == (
        "Photos\n3 changes by Alice Example, Dave Example and Carol Example\n\nWho shares it:\n"
        "  - Carol Example (owner now, viewer before; by Alice Example)\n"
        "  - Dave Example (does not share it any more)\n"
        "  - Bob Example (viewer now, editor before; by Carol Example)"
    )
    assert [mail["Subject"] for mail in scene.world.sent_to("Bob")] == [
        "Photos: 2 changes by Alice Example",
        "Photos: 3 changes by Alice Example, Dave Example and Carol Example",
    ]
    await scene.window_over()
    assert len(scene.told()) == 2


async def test_members_and_files_share_a_mail_also_when_they_opened_it(scene: Scene) -> None:
    await scene.member(scene.carol, Role.VIEWER)
    await scene.notifier.announcer.round()
    await scene.photos.add(scene.alice, "a.jpg")
    await scene.world.told(scene.notifier, scene.photos)
    await scene.window_over()
    (told,) = scene.told()
    assert "Alice Example added 1 file:\n  - a.jpg" in told
    assert "Carol Example (shares it now (viewer); by Alice Example)" in told
    assert told.startswith("Photos\n2 changes by Alice Example\n")


async def test_in_german(scene: Scene) -> None:
    await scene.world.follows.prefer(scene.bob, MailPreferences(language="de"))
    await scene.member(scene.carol, Role.VIEWER)
    await scene.member(scene.bob, Role.OWNER)
    await scene.window_over()
    assert scene.told() == [
        "Photos\n2 Änderungen durch Alice Example\n\nWer dabei ist:\n"
        "  - Carol Example (ist jetzt dabei (Betrachter); durch Alice Example)\n"
        "  - Bob Example (Rolle jetzt: Eigentümer, zuvor: Bearbeiter; durch Alice Example)"
    ]


async def test_a_group_that_shares_and_who_joins_and_leaves_it(scene: Scene) -> None:
    groups = Groups(scene.world.tables)
    await groups.create(GroupRecord(GROUP, "Sales", scene.alice, 0))
    await groups.add(GROUP, scene.carol, at_ms=0, by=scene.alice)
    await groups.share(scene.photos.id, GROUP, Role.EDITOR, by=scene.alice)
    await scene.window_over()
    await groups.add(GROUP, scene.dave, at_ms=0, by=scene.alice)
    await groups.remove(GROUP, scene.carol, by=scene.carol)
    await scene.window_over()
    first, second = scene.told()
    assert first.endswith("\n  - The group Sales (shares it now (editor); by Alice Example)")
    assert second.endswith(
        "\n  - Dave Example (shares it now, in the group Sales (editor); by Alice Example)"
        "\n  - Carol Example (is not in the group Sales any more)"
    )


async def test_who_stays_through_a_group_is_not_said_to_be_gone(scene: Scene) -> None:
    groups = Groups(scene.world.tables)
    await groups.create(GroupRecord(GROUP, "Sales", scene.alice, 0))
    await groups.add(GROUP, scene.carol, at_ms=0)
    await groups.share(scene.photos.id, GROUP, Role.VIEWER)
    await scene.member(scene.carol, Role.EDITOR)
    await scene.window_over()
    await scene.member(scene.carol, None)
    await scene.window_over()
    assert scene.told()[1].endswith("\n  - Carol Example (viewer now, editor before; by Alice Example)")


async def test_a_change_of_a_group_that_was_cut_short_is_told_once(scene: Scene) -> None:
    groups = Groups(scene.world.tables)
    other = await scene.world.library("Other", scene.alice, scene.bob)
    await groups.create(GroupRecord(GROUP, "Sales", scene.alice, 0))
    for library in (scene.photos, other):
        await groups.share(library.id, GROUP, Role.EDITOR, by=scene.alice)
    await scene.window_over()
    for at in range(1, 9):
        tables = CrashingTables(scene.world.tables, at, after=False)
        with contextlib.suppress(Crash):
            await Groups(tables).add(GROUP, scene.carol, at_ms=0, by=scene.alice)
        await scene.window_over()
    await groups.add(GROUP, scene.carol, at_ms=0, by=scene.alice)
    await scene.window_over()
    assert sum("Carol Example (shares it now, in the group Sales" in told for told in scene.told()) == 1


async def test_not_told_are_own_deeds_own_joining_and_what_was_taken_back(scene: Scene) -> None:
    await scene.member(scene.dave, Role.VIEWER, by=scene.bob)
    await scene.member(scene.carol, Role.VIEWER)
    await scene.world.follows.follow(scene.photos.id, scene.photos.id, scene.carol)
    await scene.member(scene.carol, None)
    await scene.member(scene.carol, Role.VIEWER)
    await scene.window_over()
    assert scene.told() == ["Photos\n1 change by Alice Example\n\nWho shares it:\n"
        "  - Carol Example (shares it now (viewer); by Alice Example)"]  # fmt: skip
    assert scene.told("Carol") == ["Photos\n1 change by Bob Example\n\nWho shares it:\n"
        "  - Dave Example (shares it now (viewer); by Bob Example)"]  # fmt: skip
    await scene.member(scene.carol, Role.EDITOR)
    await scene.member(scene.carol, Role.VIEWER)
    await scene.window_over()
    assert len(scene.told()) == 1


async def test_only_who_asked_for_it_follows_the_library_and_is_a_member(scene: Scene) -> None:
    follows, library = scene.world.follows, scene.photos.id
    await scene.photos.add(scene.alice, "a.jpg")
    await follows.follow(library, library, scene.bob, wishes=Wishes(kinds=frozenset({Happened.ADDED})))
    await scene.member(scene.carol, Role.VIEWER)
    await follows.follow(library, scene.photos.node_id("a.jpg"), scene.carol)
    id = outsider_id(library, "eve@example.org")
    await Outsiders(scene.world.tables).put(
        OutsiderRecord(id, library, "eve@example.org", State.CONFIRMED, "en", scene.alice, 0, library, ends_at_s=2**32)
    )
    await follows.follow(library, library, id, wishes=Wishes(window=Every.IMMEDIATE), outside=True)
    await scene.member(scene.dave, Role.VIEWER)
    await scene.window_over()
    assert scene.world.mailer.sent == []
    await scene.photos.add(scene.alice, "b.jpg")
    await scene.world.told(scene.notifier, scene.photos)
    await scene.window_over()
    assert len(scene.told("Eve")) == len(scene.told()) == 1
    assert not any("Who shares it" in told for told in (*scene.told("Eve"), *scene.told()))


async def test_it_comes_on_the_terms_of_the_follow(scene: Scene) -> None:
    hourly = Wishes(window=Every.HOURLY)
    await scene.world.follows.follow(scene.photos.id, scene.photos.id, scene.bob, wishes=hourly)
    await scene.member(scene.carol, Role.VIEWER)
    await scene.window_over()
    assert scene.told() == []
    scene.world.clock.advance(3600)
    await scene.window_over()
    assert len(scene.told()) == 1


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(1, 13))
async def test_a_crash_at_any_write_loses_no_change(scene: Scene, at: int, after: bool) -> None:
    world = scene.world
    await scene.member(scene.dave, Role.VIEWER)
    await scene.notifier.announcer.round()
    await world.follows.follow(scene.photos.id, scene.photos.id, scene.dave)
    await scene.window_over()
    world.mailer.sent.clear()
    tables = CrashingTables(world.tables, at, after=after)
    dying = world.notifier(tables=tables, mailer=DyingMailer(tables, world.mailer))
    await scene.member(scene.carol, Role.VIEWER)
    await scene.member(scene.carol, Role.EDITOR)
    with contextlib.suppress(Crash):
        await scene.window_over(dying)
    for _ in range(4):
        world.clock.advance(LEASE_MS / 1000)
        await scene.window_over()
    for name in ("Bob", "Dave"):
        mails = world.sent_to(name)
        assert {body_of(mail).count("Carol Example (shares it now (editor)") for mail in mails} == {1}
        # Only a death between SES's answer and `done` sends again, and then the same mail.
        assert len({mail["Message-ID"] for mail in mails}) == 1
        assert len(mails) <= (1 if at <= BEFORE_SENDING else 2)
    assert rows(world.tables, "due#") == []


BEFORE_SENDING = 8  # two windows opened, the checkpoint, two rows' ends, the mark, two claims


async def test_what_was_told_is_kept_for_a_while_only_and_nothing_is_looked_at_twice(scene: Scene) -> None:
    await scene.member(scene.carol, Role.VIEWER)
    await scene.notifier.announcer.round()
    assert await scene.notifier.announcer.find_due() == []
    partition = scene.world.tables._partitions[Table.DIRECTORY, f"memberchanges#{scene.photos.id}"]
    assert len(partition.rows) == 2
    assert all("expires_at" in row for row in partition.rows.values())


async def test_several_notifiers_tell_once(scene: Scene) -> None:
    other = scene.world.notifier()
    await scene.member(scene.carol, Role.VIEWER)
    for notifier in (scene.notifier, other, other):
        await notifier.announcer.round()
    scene.world.clock.advance(WINDOW_S)
    for notifier in (other, scene.notifier):
        await notifier.sender.round()
    assert len(scene.told()) == 1
