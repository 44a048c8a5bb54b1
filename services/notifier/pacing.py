"""A mailer that sends no faster than SES lets this account: mail waits for its turn, instead of being throttled.

The account's limits are asked for at the first mail and every hour. They are the whole account's, and several
notifiers do not know of each other: whoever is throttled all the same halves its own pace and gains it back slowly, so
that they come to share the rate. What cannot have its turn soon is ``Temporary``, and stays due.
"""

from __future__ import annotations

import asyncio
from email.message import EmailMessage

from syncline.domain.errors import SynclineError, Temporary
from syncline.ports.clock import Clock
from syncline.ports.mail import Mailer, SendRate
from syncline.serving.logging import get_logger

ASK_EVERY_MS = 3_600_000
ASK_AGAIN_MS = 60_000
"""After asking failed, and after the day's mail was used up."""
CAUTIOUS = SendRate(1.0, 200.0)
"""What every account of SES may send (its sandbox): until the real limits are known."""
PER_SECOND_MIN = 0.2
SLOWER = 0.5
FASTER = 1.05
"""After each mail that was taken: from half the pace to the whole in some 15 mails."""
WAIT_MS_MAX = 30_000
"""Well below what a sender has for one mail (``sending.SEND_S_MAX``)."""


class PacedMailer:
    """``Mailer`` around another. Besides its errors raises ``Temporary`` when there is no turn within 30 s."""

    def __init__(self, inner: Mailer, clock: Clock) -> None:
        self._inner = inner
        self._clock = clock
        self._asking = asyncio.Lock()
        self._ask_at_ms = 0.0
        self._allowed: SendRate | None = None
        self._per_second = CAUTIOUS.per_second
        self._left = CAUTIOUS.left_today
        self._next_ms = 0.0

    async def send(self, message: EmailMessage, *, to: str) -> str:
        await self._learn()
        await self._wait_for_turn()
        try:
            answer = await self._inner.send(message, to=to)
        except Temporary:
            self._per_second = max(PER_SECOND_MIN, self._per_second * SLOWER)
            raise
        allowed = self._allowed or CAUTIOUS
        self._per_second = min(allowed.per_second, self._per_second * FASTER)
        return answer

    async def rate(self) -> SendRate:
        return await self._inner.rate()

    async def _learn(self) -> None:
        async with self._asking:
            now_ms = self._clock.now_ms()
            if now_ms < self._ask_at_ms:
                return
            try:
                allowed = await self._inner.rate()
            except SynclineError as error:
                # What was known before is better than nothing; without it, the least.
                get_logger().warning("send-limits-unknown", reason=str(error)[:200])
                self._ask_at_ms = now_ms + ASK_AGAIN_MS
                return
            slowed = self._allowed is not None and self._per_second < self._allowed.per_second
            self._per_second = min(self._per_second, allowed.per_second) if slowed else allowed.per_second
            self._allowed, self._left = allowed, allowed.left_today
            self._ask_at_ms = now_ms + (ASK_EVERY_MS if allowed.left_today >= 1 else ASK_AGAIN_MS)

    async def _wait_for_turn(self) -> None:
        """Take the next turn; no two are closer together than the pace allows."""
        if self._left < 1:
            self._ask_at_ms = min(self._ask_at_ms, self._clock.now_ms() + ASK_AGAIN_MS)
            raise Temporary("the mail that SES allows in 24 hours is used up")
        now_ms = self._clock.now_ms()
        turn_ms = max(float(now_ms), self._next_ms)
        if turn_ms - now_ms > WAIT_MS_MAX:
            raise Temporary(f"no turn to send within {WAIT_MS_MAX} ms at {self._per_second:.1f} mails a second")
        self._next_ms = turn_ms + 1000 / self._per_second
        self._left -= 1
        if turn_ms > now_ms:
            await self._clock.sleep((turn_ms - now_ms) / 1000)
