"""Announces changes of members: puts them into the windows of those who follow the library. Nobody outside hears."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from services.notifier.aside import SettingAside
from services.notifier.due import DUE_PER_SHARD, DueLoop
from services.notifier.mailboxes import Mailboxes
from services.notifier.windows import NEVER
from syncline.domain.digests import Happened
from syncline.domain.membership import is_news
from syncline.domain.preferences import Terms
from syncline.ports.clock import Clock
from syncline.ports.tables import Row, Table, Tables
from syncline.serving.logging import get_logger
from syncline.store.checkpoints import ANY_LIFE, MEMBERS, Checkpoints
from syncline.store.follows import NOTHING_SAID, Follows, terms_of
from syncline.store.membership import SHARDS, Changes, MemberChanges, MembersMoved, due_row

TICK_S = 3.0
AT_ONCE = 4
EPOCHS_AT_ONCE = 256


class Announcer(DueLoop[MembersMoved]):
    """Doing it again tells nobody twice: a mailbox knows the last epoch that it was told of."""

    def __init__(self, tables: Tables, mailboxes: Mailboxes, aside: SettingAside, *, clock: Clock) -> None:
        super().__init__(clock, aside, tick_s=TICK_S, at_once=AT_ONCE)
        self._changes = MemberChanges(tables)
        self._checkpoints = Checkpoints(tables)
        self._follows = Follows(tables)
        self._mailboxes = mailboxes

    async def find_due(self) -> list[MembersMoved]:
        return [moved for shard in range(SHARDS) for moved in await self._changes.due(shard, limit=DUE_PER_SHARD)]

    async def do(self, due: MembersMoved) -> None:
        """Each step only after the one before: a notifier that dies leaves the rest to the next round."""
        library, after = due.library, await self._checkpoints.get(MEMBERS, due.library, ANY_LIFE)
        following = await self._following(library)
        while read := await self._changes.read(library, after, due.epoch, limit=EPOCHS_AT_ONCE):
            await asyncio.gather(*(self._tell(library, one, terms, read) for one, terms in following.items()))
            epochs = [epoch for epoch, _ in read]
            await self._checkpoints.advance(MEMBERS, library, ANY_LIFE, epochs[-1])
            await self._changes.expire(library, epochs, now_s=self._clock.now_ms() // 1000)
            after = epochs[-1]
        await self._changes.settled(due)
        get_logger().info("members-announced", library=library, epoch=due.epoch, followers=len(following))

    def row_of(self, due: MembersMoved) -> tuple[Table, Row]:
        return Table.DIRECTORY, due_row(due)

    async def _following(self, library: str) -> dict[str, Terms]:
        """The members that follow the library itself and want to hear of this."""
        follows = [one for one in await self._follows.of_library(library) if one.node == library and not one.outside]
        preferences = await self._follows.preferences_of(sorted(follow.account for follow in follows))
        terms = {one.account: terms_of(one, preferences.get(one.account, NOTHING_SAID)) for one in follows}
        return {account: held for account, held in terms.items() if Happened.MEMBERS in held.kinds}

    async def _tell(self, library: str, follower: str, terms: Terms, read: Sequence[tuple[int, Changes]]) -> None:
        # What is no news by itself goes into a mail that is being gathered, so that this says what became of it all.
        news = (epoch for epoch, changes in read if any(is_news(change, follower) for change in changes))
        epochs, opens_from = [epoch for epoch, _ in read], next(news, NEVER)
        await self._mailboxes.tell_members(library, follower, epochs, terms=terms, opens_from=opens_from)
