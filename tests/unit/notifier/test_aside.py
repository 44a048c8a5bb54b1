"""A row that cannot be read, or something due that can never be done, is set aside; the rest goes on."""

from __future__ import annotations

import pytest

from services.notifier.app import Notifier
from services.notifier.mailboxes import SHARDS
from syncline.domain.rights import Role
from syncline.ports.tables import Key, Put, Row, Table, Update
from syncline.store.aside import Aside
from syncline.store.codec import pack
from tests.unit.notifier.world import WINDOW_S, World
from tests.unit.writing import Writer

DAMAGED = b"\x01\xff\xff"


class Scene:
    """Bob follows two libraries of Alice, Photos and Papers; Carol is there to be added."""

    async def ready(self) -> Scene:
        self.world = World()
        self.alice, self.bob, self.carol = [await self.world.account(name) for name in ("Alice", "Bob", "Carol")]
        self.notifier: Notifier = self.world.notifier()
        self.photos = await self.followed("Photos")
        self.papers = await self.followed("Papers")
        return self

    async def followed(self, name: str) -> Writer:
        library = await self.world.library(name, self.alice, self.bob)
        await self.notifier.announcer.round()
        await self.world.follows.follow(library.id, library.id, self.bob)
        return library

    async def add_carol(self, *libraries: Writer) -> None:
        for library in libraries:
            await self.world.directory.set_member(library.id, self.carol, Role.VIEWER, by=self.alice)

    async def rows(self, table: Table, pk: str) -> list[Row]:
        return [row async for row in self.world.tables.query(table, pk)]

    async def damage(self, row: Row) -> None:
        key = Key(str(row["pk"]), str(row["sk"]))
        table = Table.DIRECTORY if key.pk.startswith("member") else Table.MAIL
        await self.world.tables.write(Update(table, key, set={"body": DAMAGED}))

    async def window_over(self, rounds: int = 2) -> None:
        self.world.clock.advance(WINDOW_S)
        for _ in range(rounds):
            await self.notifier.sender.round()

    def told(self) -> list[str]:
        return sorted(str(mail["Subject"]).partition(":")[0] for mail in self.world.sent_to("Bob"))

    async def aside(self) -> list[tuple[str, str]]:
        return [(one.part, str(one.row["pk"]).partition("#")[0]) for one in await Aside(self.world.tables).all(100)]

    def counted(self, part: str) -> float:
        metric = self.notifier.announcer._aside.rows.labels(part)
        value: float = metric._value.get()
        return value


@pytest.fixture
async def scene() -> Scene:
    return await Scene().ready()


async def test_damaged_news_of_members_hold_up_no_others(scene: Scene) -> None:
    await scene.add_carol(scene.photos, scene.papers)
    row = (await scene.rows(Table.DIRECTORY, f"memberchanges#{scene.photos.id}"))[-1]
    await scene.damage(row)
    for _ in range(2):
        await scene.notifier.announcer.round()
    await scene.window_over()
    assert scene.told() == ["Papers"]
    assert (await scene.aside(), scene.counted("Announcer")) == ([("Announcer", "memberchanges")], 1)
    await scene.world.directory.set_member(scene.photos.id, scene.carol, Role.EDITOR, by=scene.alice)
    await scene.notifier.announcer.round()
    await scene.window_over()
    assert scene.told() == ["Papers", "Photos"], "what comes later is told"


@pytest.mark.parametrize(
    ("part", "table", "row"),
    [
        ("Announcer", Table.DIRECTORY, {"pk": "memberdue#0", "sk": "!"}),
        ("Sender", Table.MAIL, {"pk": f"due#{SHARDS - 1}", "sk": "000000000000001#damaged"}),
        ("Deliverer", Table.MAIL, {"pk": "webhookdue#0", "sk": "000000000000001"}),
    ],
)
async def test_damaged_due_rows_hold_up_no_others(scene: Scene, part: str, table: Table, row: Row) -> None:
    await scene.world.tables.write(Put(table, row))
    await scene.add_carol(scene.papers)
    for loop in (scene.notifier.announcer, scene.notifier.deliverer):
        await loop.round()
    await scene.window_over()
    assert scene.told() == ["Papers"]
    [one] = await Aside(scene.world.tables).all(100)
    assert (one.part, one.table, dict(one.row), scene.counted(part)) == (part, table, dict(row), 1)


async def test_a_damaged_mailbox_is_set_aside_and_a_new_one_begins(scene: Scene) -> None:
    await scene.add_carol(scene.photos, scene.papers)
    await scene.notifier.announcer.round()
    [box] = await scene.rows(Table.MAIL, f"mailbox#{scene.photos.id}#{scene.bob}")
    await scene.damage(box)
    await scene.window_over()
    assert scene.told() == ["Papers"]
    assert await scene.aside() == [("Sender", "mailbox")]
    due = [row for n in range(SHARDS) for row in await scene.rows(Table.MAIL, f"due#{n}")]
    assert due == [], "nobody looks for it again"
    await scene.world.directory.set_member(scene.photos.id, scene.carol, Role.EDITOR, by=scene.alice)
    await scene.notifier.announcer.round()
    await scene.window_over()
    assert scene.told() == ["Papers", "Photos"]


async def test_what_is_mended_is_put_back_and_done(scene: Scene) -> None:
    await scene.add_carol(scene.photos)
    row = (await scene.rows(Table.DIRECTORY, f"memberchanges#{scene.photos.id}"))[-1]
    good = row["body"]
    await scene.damage(row)
    await scene.notifier.announcer.round()
    store = Aside(scene.world.tables)
    [one] = await store.all(10)
    assert await store.put_back(one)
    assert await store.all(10) == []
    await scene.world.tables.write(Update(Table.DIRECTORY, Key(str(row["pk"]), str(row["sk"])), set={"body": good}))
    await scene.notifier.announcer.round()
    await scene.window_over()
    assert scene.told() == ["Photos"]


async def test_a_row_that_was_mended_meanwhile_is_not_taken(scene: Scene) -> None:
    await scene.add_carol(scene.photos)
    row = (await scene.rows(Table.DIRECTORY, f"memberchanges#{scene.photos.id}"))[-1]
    await scene.damage(row)
    await scene.notifier.announcer.round()
    store = Aside(scene.world.tables)
    [one] = await store.all(10)
    await scene.world.tables.write(Put(Table.DIRECTORY, {"pk": row["pk"], "sk": row["sk"], "body": pack(())}))
    assert not await store.put_back(one)
    assert not await store.put(one), "another row is there by now"
    assert await store.all(10) == [one]
