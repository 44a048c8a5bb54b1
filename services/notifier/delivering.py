"""Tells webhooks what is due: claim, compose, post, say what became of it. The states are in ``hooks``."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable

from services.notifier import hooks
from services.notifier.aside import SettingAside
from services.notifier.due import DUE_PER_SHARD, DueLoop, pause_ms
from services.notifier.hooks import LEASE_MS
from services.notifier.reaching import Poster
from syncline.domain.commits import Change, Commit
from syncline.domain.cursors import Cursor, encode_cursor
from syncline.domain.errors import ConditionFailed, SynclineError, Temporary
from syncline.domain.ids import id_from_bytes
from syncline.domain.rights import may_govern
from syncline.domain.webhooks import sign
from syncline.messages.send_letter import Letter, SendLetter, encode as encode_letter
from syncline.messages.webhook_delivery import SIGNATURE_HEADER, WEBHOOK_HEADER, Delivery, ToldChange, encode
from syncline.ports.clock import Clock
from syncline.ports.queues import Queue, Queues
from syncline.ports.tables import Row, Table, Tables
from syncline.serving.logging import get_logger
from syncline.serving.metrics import Metrics
from syncline.store.directory import Directory
from syncline.store.follows import Follows
from syncline.store.incarnations import Life
from syncline.store.journal import Journal
from syncline.store.webhooks import SHARDS, Due, Webhook, Webhooks, due_row

TICK_S = 2.0
AT_ONCE = 8
TRIES = 8
DELIVER_S_MAX = 30.0
"""Composing and posting one delivery; well below the lease."""
CHANGES_MAX = 100
"""A delivery carries no more changes; the receiver reads the others by cursor."""
OWNERS_TOLD_MAX = 20
NOTICE_LIFE_S = 3 * 24 * 3600
NOT_OWNED = "Who made it is no owner of the library any more."

assert DELIVER_S_MAX * 1000 < LEASE_MS


class Hooks:
    """Hears of what happened and keeps it for the webhooks of the library. Doing it again tells nobody twice."""

    def __init__(self, tables: Tables, clock: Clock) -> None:
        self._webhooks = Webhooks(tables)
        self._clock = clock

    async def tell(self, library: str, life: Life, upto: int) -> None:
        """Raises ``Temporary`` when one keeps changing."""
        for hook in await self._webhooks.of_library(library):
            if not hook.disabled_at_ms:
                await self._tell_one(hook, life, upto)

    async def _tell_one(self, hook: Webhook, life: Life, upto: int) -> None:
        def transition(now: Webhook) -> Webhook:
            if now.incarnation != life.incarnation:
                now = hooks.rebuilt(now, life.incarnation, life.kept(now.incarnation))
            return hooks.tell(now, upto, now_ms=self._clock.now_ms())

        await change(self._webhooks, hook, transition)


class Deliverer(DueLoop[Due]):
    """The part of the service that tells webhooks."""

    def __init__(
        self, tables: Tables, queues: Queues, poster: Poster, aside: SettingAside, *, clock: Clock, metrics: Metrics
    ) -> None:
        super().__init__(clock, aside, tick_s=TICK_S, at_once=AT_ONCE)
        self._webhooks = Webhooks(tables)
        self._journal = Journal(tables)
        self._directory = Directory(tables)
        self._follows = Follows(tables)
        self._queues = queues
        self._poster = poster
        self._results = metrics.counter("webhooks", "Deliveries to webhooks by what became of them.", ("result",))

    async def find_due(self) -> list[Due]:
        now_ms = self._clock.now_ms()
        return [
            due
            for shard in range(SHARDS)
            for due in await self._webhooks.due(shard, now_ms=now_ms, limit=DUE_PER_SHARD)
        ]

    async def do(self, due: Due) -> None:
        mine = await self._claim(due)
        if mine is None:
            return
        try:
            async with asyncio.timeout(DELIVER_S_MAX):
                result, transition = await self._attempt(mine)
        except (SynclineError, TimeoutError) as error:
            # Ours, not the receiver's: it is not counted against the webhook.
            get_logger().warning("webhook-put-off", webhook=mine.id, reason=str(error)[:200])
            until_ms = self._clock.now_ms() + pause_ms(mine.attempts)
            result, transition = "put-off", lambda hook: hooks.put_off(hook, until_ms)
        await change(self._webhooks, mine, lambda hook: transition(hook) if hooks.holds(hook, mine) else hook)
        self._results.labels(result).inc()
        get_logger().info("webhook", library=mine.library, webhook=mine.id, result=result)

    def row_of(self, due: Due) -> tuple[Table, Row]:
        return Table.MAIL, due_row(due)

    async def _claim(self, due: Due) -> Webhook | None:
        """The webhook in our hands, None when another has it or it is gone. One conditional write."""
        found = await self._webhooks.get(due.library, due.webhook)
        if found is None:
            await self._webhooks.forget(due)
            return None
        hook, rev = found
        claimed = hooks.claim(hook, now_ms=self._clock.now_ms())
        if claimed is None:
            return None
        try:
            await self._webhooks.change(hook, claimed, rev)
        except ConditionFailed:
            return None  # another was faster, or more came to tell: the next round sees
        return claimed

    async def _attempt(self, mine: Webhook) -> tuple[str, Callable[[Webhook], Webhook]]:
        """What became of it, and what that makes of the webhook."""
        if mine.disabled_at_ms:
            await self._notice(mine)
            return "disabled", hooks.noticed
        # What holds now decides: the webhook was made days or years ago.
        if not may_govern(await self._directory.member(mine.library, mine.made_by)):
            now_ms = self._clock.now_ms()
            return "not-owned", lambda hook: hooks.disable(hook, NOT_OWNED, now_ms=now_ms)
        body = encode(await self._compose(mine))
        try:
            status = await self._poster.post(mine.url, body, self._headers(mine, body))
            problem = "" if 200 <= status < 300 else f"HTTP status {status}"
        except Temporary as error:
            problem = str(error)
        now_ms = self._clock.now_ms()
        if problem:
            return "failed", lambda hook: hooks.failed(hook, problem, now_ms=now_ms)
        return "delivered", lambda hook: hooks.delivered(hook, mine.known, now_ms=now_ms)

    def _headers(self, mine: Webhook, body: bytes) -> dict[str, str]:
        return {
            "Content-Type": "application/json",
            "User-Agent": "Syncline-Webhook/1",
            WEBHOOK_HEADER: mine.id,
            SIGNATURE_HEADER: sign(mine.secret, self._clock.now_ms() // 1000, body),
        }

    async def _compose(self, mine: Webhook) -> Delivery:
        head = await self._journal.head(mine.library)
        if head is None or head.incarnation != mine.incarnation:
            raise Temporary("the journal was made again; the next commit says from where on to tell")
        changes: list[ToldChange] = []
        async for commit in self._journal.read(mine.library, mine.delivered, mine.known):
            room = CHANGES_MAX + 1 - len(changes)
            changes += [_told(commit, change) for change in commit.changes[:room]]
            if len(changes) > CHANGES_MAX:
                break
        return Delivery(
            library=mine.library,
            webhook=mine.id,
            from_seq=mine.delivered + 1,
            to_seq=mine.known,
            cursor=encode_cursor(Cursor(mine.incarnation, mine.delivered)),
            more=len(changes) > CHANGES_MAX,
            changes=tuple(changes[:CHANGES_MAX]),
        )

    async def _notice(self, hook: Webhook) -> None:
        """A letter to each owner; its id follows from the webhook, so that trying again sends no second one."""
        members = await self._directory.members(hook.library)
        owners = [member.account for member in members if may_govern(member.role)][:OWNERS_TOLD_MAX]
        for account, record in (await self._directory.accounts(owners)).items():
            language = (await self._follows.preferences(account)).language
            id = id_from_bytes(hashlib.sha256(f"webhook-disabled\0{hook.id}\0{account}".encode()).digest())
            not_after = self._clock.now_ms() // 1000 + NOTICE_LIFE_S
            about = {"library": hook.library, "webhook": hook.id}
            letter = SendLetter(id, Letter.WEBHOOK_DISABLED.value, record.email, about, language, not_after)
            await self._queues.send(Queue.LETTERS, encode_letter(letter))


async def change(webhooks: Webhooks, whose: Webhook, transition: Callable[[Webhook], Webhook]) -> None:
    """Nothing when it was removed. Raises ``Temporary`` when others keep changing it."""
    for _ in range(TRIES):
        found = await webhooks.get(whose.library, whose.id)
        if found is None:
            return
        before, rev = found
        after = transition(before)
        if after == before:
            return
        try:
            await webhooks.change(before, after, rev)
            return
        except ConditionFailed:
            continue
    raise Temporary(f"The webhook {whose.id} keeps changing; try again")


def _told(commit: Commit, change: Change) -> ToldChange:
    node, version = change.node, change.late or change.node.version
    return ToldChange(
        seq=commit.seq,
        at_ms=commit.at_ms,
        account=commit.account,
        effect=change.effect.value,
        node=node.id,
        kind=node.kind.value,
        parent=node.parent,
        name=node.name,
        was_parent=change.was.parent if change.was else "",
        was_name=change.was.name if change.was else "",
        version=version.id if version else "",
    )
