"""No faster than SES allows, however many mails wait; slower when it throttles."""

from __future__ import annotations

import asyncio
from email.message import EmailMessage

import pytest
from hypothesis import given, settings, strategies as st

from services.notifier.pacing import (
    ASK_AGAIN_MS,
    ASK_EVERY_MS,
    CAUTIOUS,
    PER_SECOND_MIN,
    WAIT_MS_MAX,
    PacedMailer,
)
from syncline.domain.errors import Broken, Temporary
from syncline.memory.cache import MemoryCache
from syncline.memory.clock import ManualClock
from syncline.memory.mail import MemoryMailer
from syncline.ports.mail import SendRate


class Ses(MemoryMailer):
    """Notes when each mail came; throttles and fails to tell its limits as told. ``strict``: throttles what is too
    fast."""

    def __init__(self, clock: ManualClock, allowed: SendRate) -> None:
        super().__init__(allowed=allowed)
        self.clock = clock
        self.at_ms: list[int] = []
        self.throttles = 0
        self.asked = 0
        self.silent: Exception | None = None
        self.strict = False
        self.refused = 0
        self._tokens, self._filled_ms = allowed.per_second, 0

    async def send(self, message: EmailMessage, *, to: str) -> str:
        if self.throttles or (self.strict and not self._has_token()):
            self.throttles = max(0, self.throttles - 1)
            self.refused += 1
            raise Temporary("Maximum sending rate exceeded")
        self.at_ms.append(self.clock.now_ms())
        return await super().send(message, to=to)

    def _has_token(self) -> bool:
        """SES's own bucket: a second's mails fit into it."""
        now_ms, per_second = self.clock.now_ms(), self.allowed.per_second
        self._tokens = min(max(1.0, per_second), self._tokens + (now_ms - self._filled_ms) / 1000 * per_second)
        self._filled_ms = now_ms
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    async def rate(self) -> SendRate:
        self.asked += 1
        if self.silent is not None:
            raise self.silent
        return await super().rate()


class Scene:
    """One notifier, or several, with a cache between them."""

    def __init__(self, per_second: float, left_today: float = 10**6, notifiers: int = 1) -> None:
        self.clock = ManualClock()
        self.cache = MemoryCache(self.clock)
        self.ses = Ses(self.clock, SendRate(per_second, left_today))
        self.mailers = [PacedMailer(self.ses, self.clock, self.cache) for _ in range(notifiers)]

    async def send(self, count: int, *, within_s: float) -> list[str | BaseException]:
        """So many mails by each notifier."""
        sending = [
            asyncio.create_task(mailer.send(EmailMessage(), to="a@example.org"))
            for mailer in self.mailers
            for _ in range(count)
        ]
        await self.clock.run_for(within_s)
        assert all(task.done() for task in sending)
        return await asyncio.gather(*sending, return_exceptions=True)

    def most_in_a_second(self) -> int:
        at_ms = self.ses.at_ms
        return max(sum(start <= at < start + 1000 for at in at_ms) for start in at_ms)


async def test_no_second_holds_more_mails_than_ses_allows() -> None:
    scene = Scene(per_second=14)
    await scene.send(200, within_s=20)
    assert len(scene.ses.at_ms) == 200
    assert scene.most_in_a_second() <= 14
    # And no slower than it need be.
    assert scene.ses.at_ms[-1] - scene.ses.at_ms[0] <= 200 * 1000 / 14 + 200


async def test_what_would_wait_too_long_is_put_off_and_takes_no_turn() -> None:
    scene = Scene(per_second=1)
    await scene.send(1, within_s=2)
    scene.ses.at_ms.clear()
    ends = await scene.send(100, within_s=WAIT_MS_MAX / 1000 + 1)
    put_off = [end for end in ends if isinstance(end, Temporary)]
    assert len(scene.ses.at_ms) == len(ends) - len(put_off) == WAIT_MS_MAX // 1000 + 1


async def test_throttling_halves_the_pace_and_it_comes_back() -> None:
    scene = Scene(per_second=8)
    scene.ses.throttles = 3
    ends = await scene.send(3, within_s=5)
    assert all(isinstance(end, Temporary) for end in ends)
    await scene.send(2, within_s=5)
    first, second = scene.ses.at_ms
    assert second - first >= 900
    for _ in range(60):
        await scene.send(1, within_s=1)
    scene.ses.at_ms.clear()
    await scene.send(9, within_s=5)
    assert scene.ses.at_ms[-1] - scene.ses.at_ms[0] <= 1001


async def test_the_pace_never_stops_altogether() -> None:
    scene = Scene(per_second=8)
    scene.ses.throttles = 40
    for _ in range(40):
        await scene.send(1, within_s=2 / PER_SECOND_MIN)
    assert await scene.send(1, within_s=2 / PER_SECOND_MIN) == ["memory-1"]


async def test_when_the_day_is_used_up_mail_waits_until_ses_allows_more() -> None:
    scene = Scene(per_second=100, left_today=3)
    ends = await scene.send(5, within_s=1)
    assert sum(isinstance(end, Temporary) for end in ends) == 2
    scene.ses.allowed = SendRate(100, 50)
    scene.clock.advance(ASK_AGAIN_MS / 1000)
    assert not any(isinstance(end, Exception) for end in await scene.send(5, within_s=1))


async def test_limits_are_asked_for_every_hour() -> None:
    scene = Scene(per_second=100)
    await scene.send(20, within_s=1)
    assert scene.ses.asked == 1
    scene.ses.allowed = SendRate(2, 10**6)
    scene.clock.advance(ASK_EVERY_MS / 1000)
    scene.ses.at_ms.clear()
    await scene.send(10, within_s=10)
    assert scene.ses.asked == 2
    assert scene.most_in_a_second() <= 2


@pytest.mark.parametrize("failure", [Temporary("away"), Broken("no permission")])
async def test_unknown_limits_are_taken_for_the_least(failure: Exception) -> None:
    scene = Scene(per_second=100)
    scene.ses.silent = failure
    await scene.send(5, within_s=10)
    assert scene.most_in_a_second() <= CAUTIOUS.per_second
    scene.ses.silent = None
    scene.clock.advance(ASK_AGAIN_MS / 1000)
    await scene.send(1, within_s=5)
    scene.ses.at_ms.clear()
    await scene.send(50, within_s=2)
    assert len(scene.ses.at_ms) == 50


# -- several notifiers ----------------------------------------------------------------------------------------------


@given(st.sampled_from([0.5, 1.0, 3.5, 14.0, 50.0]), st.integers(2, 4), st.integers(0, 1999))
@settings(max_examples=25, deadline=None)
def test_several_notifiers_share_the_rate_and_are_hardly_throttled(rate: float, notifiers: int, begin_ms: int) -> None:
    async def work() -> None:
        scene = Scene(rate, notifiers=notifiers)
        await scene.clock.run_for(begin_ms / 1000)
        scene.ses.strict = True
        count = max(1, int(rate * 4 / notifiers))
        ends = await scene.send(count, within_s=20)
        # Who begins just before a second ends may be one too many in it, once.
        assert scene.ses.refused <= notifiers
        assert sum(isinstance(end, str) for end in ends) == count * notifiers - scene.ses.refused
        # And no slower than it need be: the windows under way at the beginning and at the end may not be full.
        assert scene.ses.at_ms[-1] - scene.ses.at_ms[0] <= (count * notifiers / rate + 2 / min(1, rate)) * 1000

    asyncio.run(work())


async def test_without_the_cache_several_begin_slowly_and_settle_by_being_throttled() -> None:
    scene = Scene(per_second=8, notifiers=2)
    scene.cache.away = True
    scene.ses.strict = True
    taken = 0
    for _ in range(40):
        ends = await scene.send(8, within_s=30)
        taken += sum(isinstance(end, str) for end in ends)
    assert scene.ses.at_ms[1] - scene.ses.at_ms[0] >= 0
    first = [at for at in scene.ses.at_ms if at < scene.ses.at_ms[0] + 3_000]
    assert len(first) <= 2 * 5
    # Mail that was throttled comes again later; most is taken the first time.
    assert taken >= 0.9 * 40 * 16


async def test_when_the_cache_goes_away_the_pace_begins_anew_and_comes_back_with_it() -> None:
    scene = Scene(per_second=10)
    await scene.send(20, within_s=5)
    scene.cache.away = True
    await scene.send(1, within_s=2)
    scene.ses.at_ms.clear()
    await scene.send(4, within_s=6)
    assert scene.ses.at_ms[-1] - scene.ses.at_ms[0] >= 2_500
    scene.cache.away = False
    await scene.send(1, within_s=2)
    scene.ses.at_ms.clear()
    await scene.send(11, within_s=5)
    assert scene.ses.at_ms[-1] - scene.ses.at_ms[0] <= 1_101


async def test_without_any_cache_a_lone_notifier_comes_to_the_whole_rate() -> None:
    scene = Scene(per_second=14)
    scene.mailers = [PacedMailer(scene.ses, scene.clock, None)]
    for _ in range(20):
        await scene.send(8, within_s=10)
    scene.ses.at_ms.clear()
    await scene.send(15, within_s=5)
    assert scene.ses.at_ms[-1] - scene.ses.at_ms[0] <= 1_015
