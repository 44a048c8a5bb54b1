"""Webhooks: addresses that are told over HTTPS what changed in a library, and how far they have been told.

Rows in the table ``mail``::

    pk = webhooks#{library}   sk = {webhook}                                  rev, body (packed Webhook)
    pk = webhooks#{library}   sk = !count                                     count
    pk = webhookdue#{shard}   sk = {due_at_ms, 15 digits}#{library}#{webhook}

A webhook and its due row change in one transaction, on the condition that the webhook is as it was read (``rev``).
Only a webhook that is removed leaves its due row behind: whoever comes upon it forgets it. The secret lies in the row:
who signs has to have it. The table is encrypted at rest, and the secret never leaves but in the answer that makes it.
"""

from __future__ import annotations

import contextlib
import zlib

import msgspec

from syncline.domain.errors import ConditionFailed, Refused
from syncline.ports.tables import Absent, Below, Delete, Equals, Exists, Key, Put, Row, Table, Tables, Update
from syncline.store.aside import reading
from syncline.store.codec import blob, number, pack, unpack

WEBHOOKS_MAX = 10
"""Of one library, those that are disabled among them."""
COUNTED_MAX = 1_000
SHARDS = 4
_FIRST_ID = "2"
"""Ids come after what is no webhook."""


class Webhook(msgspec.Struct, frozen=True, array_like=True):
    """``(delivered, known]`` are the seqs to tell, of the journal's ``incarnation``; ``due_at_ms`` 0: nothing is due.

    ``attempts`` counts those since the last success, ``failing_since_ms`` is when they began to fail, ``problem`` says
    why. One that is disabled is due once more, for the notice to its library's owners.
    """

    id: str
    library: str
    url: str
    secret: str
    made_by: str
    made_at_ms: int
    incarnation: str
    delivered: int
    known: int
    due_at_ms: int = 0
    attempts: int = 0
    failing_since_ms: int = 0
    problem: str = ""
    disabled_at_ms: int = 0


class Due(msgspec.Struct, frozen=True):
    """One due row."""

    due_at_ms: int
    library: str
    webhook: str


class Webhooks:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def get(self, library: str, webhook: str) -> tuple[Webhook, int] | None:
        """A webhook and its ``rev``. Raises ``DamagedRow``."""
        row = await self._tables.get(Table.MAIL, _key(library, webhook))
        if row is None:
            return None
        with reading(Table.MAIL, row):
            return unpack(Webhook, blob(row, "body")), number(row, "rev")

    async def of_library(self, library: str) -> list[Webhook]:
        """All of them, by id."""
        rows = self._tables.query(Table.MAIL, f"webhooks#{library}", first=_FIRST_ID, limit=WEBHOOKS_MAX)
        return [unpack(Webhook, row["body"]) async for row in rows]

    async def add(self, webhook: Webhook) -> None:
        """Raises ``Refused("too-many-webhooks")``, however many are added at once; ``ConditionFailed`` when the id is
        taken."""
        await self._count(webhook.library)
        one_more = Update(Table.MAIL, _count_key(webhook.library), add={"count": 1}, when=Below("count", WEBHOOKS_MAX))
        try:
            await self._tables.transact([Put(Table.MAIL, _row(webhook, 1), Absent()), one_more])
        except ConditionFailed as failed:
            if failed.index == 0:
                raise
            detail = f"A library has {WEBHOOKS_MAX} webhooks; remove one."
            raise Refused("too-many-webhooks", detail, status=409) from None

    async def remove(self, library: str, webhook: str) -> None:
        """Raises ``Refused("no-such-webhook")``."""
        await self._count(library)
        try:
            one_less = Update(Table.MAIL, _count_key(library), add={"count": -1})
            await self._tables.transact([Delete(Table.MAIL, _key(library, webhook), Exists()), one_less])
        except ConditionFailed:
            raise no_such_webhook() from None

    async def _count(self, library: str) -> None:
        """Webhooks may be older than the row that counts them: then that is made first."""
        key = _count_key(library)
        if await self._tables.get(Table.MAIL, key) is None:
            rows = self._tables.query(Table.MAIL, key.pk, first=_FIRST_ID, limit=COUNTED_MAX)
            present = len([row async for row in rows])
            with contextlib.suppress(ConditionFailed):
                await self._tables.write(Put(Table.MAIL, {"pk": key.pk, "sk": key.sk, "count": present}, Absent()))

    async def change(self, before: Webhook, after: Webhook, rev: int) -> None:
        """Raises ``ConditionFailed`` when it is not as it was read any more."""
        put = Put(Table.MAIL, _row(after, rev + 1), Equals({"rev": rev}))
        old, new = _due_key(before), _due_key(after)
        dues: list[Put | Delete] = []
        if old != new:
            dues += [] if new is None else [Put(Table.MAIL, {"pk": new.pk, "sk": new.sk})]
            dues += [] if old is None else [Delete(Table.MAIL, old)]
        await self._tables.transact([put, *dues])

    async def due(self, shard: int, *, now_ms: int, limit: int) -> list[Due]:
        """What is due by now in a shard, the longest waiting first. Raises ``DamagedRow``."""
        rows = self._tables.query(Table.MAIL, f"webhookdue#{shard}", last=f"{now_ms:015d}~", limit=limit)
        return [_due(row) async for row in rows]

    async def forget(self, due: Due) -> None:
        """The due row of a webhook that was removed."""
        await self._tables.write(Delete(Table.MAIL, _due_row_key(due.webhook, due.library, due.due_at_ms)))


def no_such_webhook() -> Refused:
    return Refused("no-such-webhook", "This library has no webhook with this id.", status=404)


def _row(webhook: Webhook, rev: int) -> Row:
    key = _key(webhook.library, webhook.id)
    return {"pk": key.pk, "sk": key.sk, "rev": rev, "body": pack(webhook)}


def _key(library: str, webhook: str) -> Key:
    return Key(f"webhooks#{library}", webhook)


def _count_key(library: str) -> Key:
    return Key(f"webhooks#{library}", "!count")


def _due_key(webhook: Webhook) -> Key | None:
    return _due_row_key(webhook.id, webhook.library, webhook.due_at_ms) if webhook.due_at_ms else None


def _due_row_key(webhook: str, library: str, due_at_ms: int) -> Key:
    return Key(f"webhookdue#{zlib.crc32(webhook.encode()) % SHARDS}", f"{due_at_ms:015d}#{library}#{webhook}")


def due_row(due: Due) -> Row:
    key = _due_row_key(due.webhook, due.library, due.due_at_ms)
    return {"pk": key.pk, "sk": key.sk}


def _due(row: Row) -> Due:
    with reading(Table.MAIL, row):
        due_at, library, webhook = str(row["sk"]).split("#")
        return Due(int(due_at), library, webhook)
