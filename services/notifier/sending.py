"""Sends what is due: claim, compose, send, done. The states are in ``windows``."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable

from services.notifier.aside import SettingAside
from services.notifier.composing import Composer, Nothing
from services.notifier.due import DUE_PER_SHARD, DueLoop, pause_ms
from services.notifier.mailboxes import SHARDS, Due, Mailboxes, due_row
from services.notifier.windows import LEASE_MS, Mailbox, Window
from syncline.domain.errors import ConditionFailed, Refused, SynclineError, Temporary
from syncline.ports import tracing
from syncline.ports.clock import Clock
from syncline.ports.mail import Mailer
from syncline.ports.tables import Row, Table
from syncline.ports.tracing import Span
from syncline.serving.ages import Ages
from syncline.serving.logging import get_logger
from syncline.serving.metrics import Metrics, Stages
from syncline.store.suppressions import Suppressions

TICK_S = 3.0
SENDS_AT_ONCE = 8
READS_AT_ONCE = 4
ROUND_MS_MAX = 600_000
"""What a round found has had its turn by then."""
AGAIN_MS_MAX = 30_000
"""A window that is not found again so long after it was due again was sent by another notifier."""
SEND_S_MAX = 60.0
"""Composing and sending one mail; well below the lease, so that nobody else begins meanwhile."""
FINISH_RETRY_S = (0.2, 1.0, 5.0)
GIVE_UP_MS = 3 * 24 * 3600 * 1000
"""A window that could not be sent for three days (as mail servers do) is given up and counted."""

assert SEND_S_MAX * 1000 < LEASE_MS


class Sender(DueLoop[Due]):
    """The part of the service that sends. ``suppressions`` gets the addresses that SES refuses."""

    def __init__(
        self,
        mailboxes: Mailboxes,
        composer: Composer,
        mailer: Mailer,
        suppressions: Suppressions,
        aside: SettingAside,
        *,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        super().__init__(clock, aside, tick_s=TICK_S, at_once=SENDS_AT_ONCE)
        self._mailboxes = mailboxes
        self._composer = composer
        self._mailer = mailer
        self._suppressions = suppressions
        self._reading = asyncio.Semaphore(READS_AT_ONCE)
        self._ages = Ages()
        self.mails = metrics.counter("mails", "Windows by what became of them.", ("result",))
        self._stages = Stages(metrics)
        self._late = metrics.histogram("mail_late_seconds", "Time from when a window was due to its sending.")

    async def find_due(self) -> list[Due]:
        shards = await asyncio.gather(*(self._due(shard) for shard in range(SHARDS)))
        found = [due for dues in shards for due in dues]
        for due in found:
            self._waits(due, due.due_at_ms, self._clock.now_ms() + ROUND_MS_MAX)
        return found

    async def late_s(self) -> float:
        """For how long the mail has been due that waits the longest, as this instance has met it."""
        return self._ages.oldest_s(self._clock.now_ms())

    def _waits(self, due: Due, since_ms: int, until_ms: int) -> None:
        now_ms = self._clock.now_ms()
        self._ages.met(_identity(due), since_ms, now_ms=now_ms, until_ms=until_ms + AGAIN_MS_MAX)

    async def _due(self, shard: int) -> list[Due]:
        async with self._reading:
            return await self._mailboxes.due(shard, limit=DUE_PER_SHARD)

    async def do(self, due: Due) -> None:
        box = await self._mailboxes.claim(due)
        if box is None or box.sending is None:
            self._ages.done(_identity(due))
            return
        try:
            with tracing.span("mail", attributes={"syncline.library": box.library}) as span:
                async with asyncio.timeout(SEND_S_MAX):
                    result = await self._compose_and_send(box, box.sending, span)
        except (Temporary, ConditionFailed, TimeoutError) as error:
            await self._try_again(due, box, box.sending, error)
        except Exception as error:  # noqa: BLE001 (a bug or damaged data: kept, tried again, given up in the end)
            get_logger().error("mail-failed", library=box.library, account=box.account, exc_info=error)
            await self._try_again(due, box, box.sending, error)
        else:
            await self._finish(box)
            self._ages.done(_identity(due))
            self.mails.labels(result).inc()

    def row_of(self, due: Due) -> tuple[Table, Row]:
        return Table.MAIL, due_row(due)

    async def _finish(self, box: Mailbox) -> None:
        """Say that it is done, trying hard: a window that was sent but does not say so is sent again."""
        for pause_s in FINISH_RETRY_S:
            try:
                await self._mailboxes.done(box)
                return
            except Temporary:
                await self._clock.sleep(pause_s)
        await self._mailboxes.done(box)

    async def _compose_and_send(self, box: Mailbox, window: Window, span: Span) -> str:
        """What became of the window: ``sent``, ``rejected``, or why there was no mail."""
        try:
            composed = await self._composer.compose(box, window)
            if isinstance(composed, Nothing):
                return composed.reason
            if self._clock.now_ms() >= box.lease_until_ms:
                raise Temporary("composing took longer than the lease: another sender may have begun")
            for trace in composed.traces:
                span.link(trace)
            await self._mailer.send(composed.message, to=composed.to)
        except Refused as refused:
            if refused.kind != "mail-rejected":
                raise
            await self._suppress(box, refused)
            return "rejected"
        now_ms = self._clock.now_ms()
        self._late.observe(max(0, now_ms - window.due_at_ms) / 1000)
        if composed.since_ms:
            self._stages.passed("mailed", since_ms=composed.since_ms, now_ms=now_ms)
        get_logger().info("mail-sent", library=box.library, account=box.account, first=window.first)
        return "sent"

    async def _suppress(self, box: Mailbox, refused: Refused) -> None:
        """The address takes no mail: remember it with the reason, so that later windows are not tried."""
        address = await self._composer.address(box)
        if address:
            await self._suppressions.add(address, f"{refused.kind}: {refused.detail}")
        get_logger().warning("address-suppressed", library=box.library, account=box.account, kind=refused.kind)

    async def _try_again(self, due: Due, box: Mailbox, window: Window, error: Exception) -> None:
        now_ms = self._clock.now_ms()
        if now_ms - window.opened_at_ms > GIVE_UP_MS:
            get_logger().error("mail-given-up", library=box.library, account=box.account, reason=_reason(error))
            await self._mailboxes.done(box)
            self._ages.done(_identity(due))
            self.mails.labels("given-up").inc()
            return
        if isinstance(error, SynclineError | TimeoutError):
            get_logger().warning("mail-put-off", library=box.library, attempts=box.attempts, reason=_reason(error))
        until_ms = now_ms + pause_ms(box.attempts)
        await self._mailboxes.put_off(box, until_ms)
        self._waits(due, window.due_at_ms, until_ms)
        self.mails.labels("put-off").inc()


def _identity(due: Due) -> Hashable:
    """The same window, whenever it is due."""
    return due.library, due.account, due.lane, due.first


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]
