"""Mailboxes in the table ``mail``, each with a row that says when it is due.

Rows::

    pk = mailbox#{library}#{account}         sk = mailbox                                rev, body (packed Mailbox)
    pk = mailbox#{library}#{account}#{lane}  sk = mailbox                                the same, of another lane
    pk = due#{shard}                         sk = {due_at_ms, 15 digits}#{library}#{account}#{first}
    pk = due#{shard}                         sk = {due_at_ms, 15 digits}#{library}#{account}#{first}#{lane}

``account`` is the follower: an account or an outside follower.

The due rows lie in 16 shards, in order of time, so a sender reads only what is due. A mailbox and its due rows change
in one transaction, on the condition that the mailbox is as it was read (``rev``): neither is ever without the other.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Sequence

import msgspec

from services.notifier import windows
from services.notifier.windows import Mailbox, Window
from syncline.domain.errors import ConditionFailed, Temporary
from syncline.domain.preferences import DEFAULT, Terms
from syncline.ports.clock import Clock
from syncline.ports.tables import Absent, Delete, Equals, Key, Put, Row, Table, Tables
from syncline.store.aside import reading
from syncline.store.codec import blob, number, pack, unpack
from syncline.store.incarnations import Life

SHARDS = 16
TRIES = 8
"""A change of a mailbox that meets another one starts again at most so often."""
AT_ONCE = 16
KEPT_S = 90 * 24 * 3600
"""An untouched mailbox is forgotten after this; the checkpoint has long passed what it remembers."""


class Due(msgspec.Struct, frozen=True):
    """One due row: the window ``first`` of a mailbox."""

    due_at_ms: int
    library: str
    account: str
    first: int
    lane: str = ""


class Mailboxes:
    """All mailboxes of a stack. Raises ``Temporary`` when one keeps changing under a writer."""

    def __init__(self, tables: Tables, clock: Clock, *, window_ms: int) -> None:
        self._tables = tables
        self._clock = clock
        self._window_ms = window_ms
        self._at_once = asyncio.Semaphore(AT_ONCE)

    async def get(self, library: str, account: str, lane: str = "") -> Mailbox:
        box, _ = await self._read(Mailbox(library, account, lane=lane))
        return box

    async def tell(
        self,
        library: str,
        account: str,
        seqs: Sequence[int],
        *,
        life: Life,
        terms: Terms = DEFAULT,
        opens_from: int = 0,
    ) -> None:
        """These commits of the journal in its present ``life`` are news to this follower; those before ``opens_from``
        are not worth a mail of their own. Repeating is harmless."""

        def transition(box: Mailbox) -> Mailbox:
            if box.incarnation != life.incarnation:
                box = windows.rebuilt(box, life.incarnation, life.kept(box.incarnation))
            now_ms = self._clock.now_ms()
            due_at_ms = terms.due_at_ms(now_ms, immediate_ms=self._window_ms)
            return windows.tell(box, seqs, now_ms=now_ms, due_at_ms=due_at_ms, opens_from=opens_from)

        async with self._at_once:
            whose = Mailbox(library, account, lane=terms.lane, incarnation=life.incarnation)
            await self._change(whose, transition)

    async def tell_members(
        self, library: str, account: str, epochs: Sequence[int], *, terms: Terms, opens_from: int
    ) -> None:
        """As ``tell``, with epochs of the library's members."""

        def transition(box: Mailbox) -> Mailbox:
            now_ms = self._clock.now_ms()
            due_at_ms = terms.due_at_ms(now_ms, immediate_ms=self._window_ms)
            return windows.tell_members(box, epochs, now_ms=now_ms, due_at_ms=due_at_ms, opens_from=opens_from)

        async with self._at_once:
            await self._change(Mailbox(library, account, lane=terms.lane), transition)

    async def due(self, shard: int, *, limit: int) -> list[Due]:
        """What is due by now in a shard, the longest waiting first. Raises ``DamagedRow``."""
        last = f"{self._clock.now_ms():015d}~"
        rows = self._tables.query(Table.MAIL, f"due#{shard}", last=last, limit=limit)
        return [_due(row) async for row in rows]

    async def claim(self, due: Due) -> Mailbox | None:
        """The mailbox with the window claimed for us, None when another has it. One conditional write. The due row of a
        mailbox that is not there, since it was set aside, is forgotten."""
        box, rev = await self._read(Mailbox(due.library, due.account, lane=due.lane))
        if not rev:
            row = due_row(due)
            await self._tables.write(Delete(Table.MAIL, Key(str(row["pk"]), str(row["sk"]))))
            return None
        claimed = windows.claim(box, due.first, now_ms=self._clock.now_ms())
        if claimed is None:
            return None
        try:
            await self._write(box, claimed, rev)
        except ConditionFailed:
            return None  # another was faster, or more came to tell: the next round sees
        return claimed

    async def put_off(self, mine: Mailbox, until_ms: int) -> None:
        """Give a claimed window back, to be tried at ``until_ms``; nothing when the claim was lost meanwhile."""
        await self._settle(mine, lambda box: windows.put_off(box, until_ms))

    async def done(self, mine: Mailbox) -> None:
        """A claimed window needs no sending any more; nothing when the claim was lost meanwhile."""
        await self._settle(mine, windows.done)

    async def _settle(self, mine: Mailbox, transition: Callable[[Mailbox], Mailbox]) -> None:
        await self._change(mine, lambda box: transition(box) if windows.holds(box, mine) else box)

    async def _change(self, whose: Mailbox, transition: Callable[[Mailbox], Mailbox]) -> None:
        for _ in range(TRIES):
            box, rev = await self._read(whose)
            after = transition(box)
            if after == box:
                return
            try:
                await self._write(box, after, rev)
                return
            except ConditionFailed:
                continue
        raise Temporary(f"The mailbox of {whose.account} for {whose.library} keeps changing; try again")

    async def _read(self, whose: Mailbox) -> tuple[Mailbox, int]:
        """The mailbox of this library, follower and lane, as it is stored. Raises ``DamagedRow``."""
        row = await self._tables.get(Table.MAIL, _mailbox_key(whose))
        if row is None:
            return Mailbox(whose.library, whose.account, lane=whose.lane, incarnation=whose.incarnation), 0
        with reading(Table.MAIL, row):
            return unpack(Mailbox, blob(row, "body")), number(row, "rev")

    async def _write(self, before: Mailbox, after: Mailbox, rev: int) -> None:
        key = _mailbox_key(after)
        row: Row = {
            "pk": key.pk,
            "sk": key.sk,
            "rev": rev + 1,
            "body": pack(after),
            "expires_at": self._clock.now_ms() // 1000 + KEPT_S,
        }
        mailbox = Put(Table.MAIL, row, Equals({"rev": rev}) if rev else Absent())
        old, new = _due_keys(before), _due_keys(after)
        puts = [Put(Table.MAIL, {"pk": key.pk, "sk": key.sk}) for key in sorted(new - old, key=_by_sk)]
        deletes = [Delete(Table.MAIL, key) for key in sorted(old - new, key=_by_sk)]
        if puts or deletes:
            await self._tables.transact([mailbox, *puts, *deletes])
        else:
            await self._tables.write(mailbox)


def _mailbox_key(box: Mailbox) -> Key:
    return Key("#".join(["mailbox", *_whose(box)]), "mailbox")


def _whose(box: Mailbox) -> list[str]:
    return [box.library, box.account, *([box.lane] if box.lane else [])]


def _due_keys(box: Mailbox) -> set[Key]:
    return {_due_key(box, window) for window in box.windows}


def _due_key(box: Mailbox, window: Window) -> Key:
    row = due_row(Due(window.due_at_ms, box.library, box.account, window.first, box.lane))
    return Key(str(row["pk"]), str(row["sk"]))


def due_row(due: Due) -> Row:
    whose = f"{due.library}#{due.account}"
    lane = f"#{due.lane}" if due.lane else ""
    shard = zlib.crc32(f"{whose}{lane}".encode()) % SHARDS
    return {"pk": f"due#{shard}", "sk": f"{due.due_at_ms:015d}#{whose}#{due.first}{lane}"}


def _by_sk(key: Key) -> str:
    return key.sk


def _due(row: Row) -> Due:
    with reading(Table.MAIL, row):
        due_at, library, account, first, *lane = str(row["sk"]).split("#")
        return Due(int(due_at), library, account, int(first), "#".join(lane))
