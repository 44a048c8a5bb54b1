"""Limits: never more than was said over any length of time, at the times of the day they were said for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from hypothesis import given, strategies as st

from syncline.client.progress import Way
from syncline.client.settings import FOR_EVER, MINUTES_A_DAY, Limits, Settings, Window
from syncline.client.throttle import BURST_S, Bucket, Throttle

TAKEN = st.lists(st.tuples(st.integers(1, 300_000), st.floats(0, 5)), min_size=1, max_size=40)
MINUTES = st.integers(0, MINUTES_A_DAY - 1)


@given(st.integers(1_000, 10_000_000), TAKEN)
def test_no_stretch_of_time_sees_more_than_the_rate(rate: int, taken: list[tuple[int, float]]) -> None:
    """Each taking is used when its wait is over; between any two uses no more goes than the rate and one burst."""
    bucket, now, uses = Bucket(rate, 0.0), 0.0, []
    for amount, pause in taken:
        now += pause
        uses.append((now + bucket.take(amount, now), amount))
    assert uses == sorted(uses, key=lambda use: use[0])  # first come, first served
    for i, (start, _) in enumerate(uses):
        gone = 0
        for at, amount in uses[i + 1 :]:
            gone += amount
            assert gone <= rate * (at - start + BURST_S) * (1 + 1e-9) + 1


@given(st.integers(1_000, 10_000_000), TAKEN)
def test_nobody_waits_longer_than_the_rate_asks_for(rate: int, taken: list[tuple[int, float]]) -> None:
    bucket, now, owed = Bucket(rate, 0.0), 0.0, 0.0
    for amount, pause in taken:
        owed = max(0.0, owed - pause)
        now += pause
        owed += amount / rate
        assert bucket.take(amount, now) <= owed + 1e-6


@given(MINUTES, MINUTES, MINUTES)
def test_a_window_holds_from_its_first_minute_to_before_its_last(first: int, last: int, minute: int) -> None:
    window = Window(first, last, 1, 1)
    minutes = (last - first) % MINUTES_A_DAY or MINUTES_A_DAY
    assert window.holds_at(minute) == ((minute - first) % MINUTES_A_DAY < minutes)


def test_the_first_window_that_holds_counts() -> None:
    limits = Limits(5, 6, (Window(60, 120, 1, 2), Window(0, 600, 3, 4)))
    assert [limits.at(minute) for minute in (60, 119, 120, 0, 600)] == [(1, 2), (1, 2), (3, 4), (3, 4), (5, 6)]


async def test_no_limit_takes_no_time_and_a_changed_one_frees_who_waits() -> None:
    throttle = Throttle(Limits(up=1_000), now=lambda: 0.0, minute=lambda: 0)
    await throttle.spend(Way.DOWN, 10**12)
    waiting = asyncio.create_task(throttle.spend(Way.UP, 10**12))
    await asyncio.sleep(0)
    assert not waiting.done()
    throttle.adopt(Limits())
    async with asyncio.timeout(60):
        await waiting
    await throttle.spend(Way.UP, 10**12)


def at(minute: list[int]) -> Callable[[], int]:
    return lambda: minute[0]


def test_the_time_of_the_day_decides() -> None:
    minute = [0]
    throttle = Throttle(Limits(windows=(Window(480, 1080, 100, 200),)), minute=at(minute))
    assert throttle.rate(Way.UP) == 0
    minute[0] = 480
    assert (throttle.rate(Way.UP), throttle.rate(Way.DOWN)) == (100, 200)


def test_pauses_end_by_the_clock_or_never() -> None:
    settings = Settings(pauses={"a": 1_000, "b": FOR_EVER})
    assert settings.paused_until_ms("a", 999) == 1_000
    assert settings.paused_until_ms("a", 1_000) == 0
    assert settings.paused_until_ms("b", 10**15) == float("inf")
    assert settings.paused_until_ms("c", 0) == 0
    assert Settings(pauses={"*": FOR_EVER}).paused_until_ms("c", 0) == float("inf")
