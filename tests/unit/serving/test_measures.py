"""Figures of a window, read off Prometheus' counters; and ages of what waits."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from syncline.domain.errors import Temporary
from syncline.domain.figures import PULSE_S, WINDOW_S
from syncline.serving.ages import KEPT_MAX, Ages
from syncline.serving.measures import Count, Gauge, Percentile, Tallies, buckets, quantile, total
from syncline.serving.metrics import Metrics

PULSES = WINDOW_S // PULSE_S


async def test_a_count_is_told_for_the_window_and_since_the_last_time():
    metrics = Metrics("gateway")
    counter = metrics.counter("things", "Things.", ("kind",))
    counter.labels("good").inc(100)
    tallies = Tallies([Count("things", total(counter, lambda labels: labels["kind"] == "good"))])
    told = []
    for n in range(PULSES + 5):
        counter.labels("good").inc(2 if n == 0 else 1)
        counter.labels("bad").inc(7)
        told.append(await tallies.take())
    # What was counted before the tallies began is no news, and what is older than the window is forgotten.
    assert [since["things"] for _, since in told[:3]] == [2, 1, 1]
    assert [window["things"] for window, _ in told[:3]] == [2, 3, 4]
    assert told[PULSES - 1][0]["things"] == PULSES + 1
    assert told[-1][0]["things"] == PULSES


@given(st.lists(st.integers(0, 20), min_size=PULSES + 2, max_size=2 * PULSES))
async def test_what_lines_tell_sums_up_to_what_rows_tell(happened: list[int]):
    counter = Metrics("gateway").counter("things", "Things.")
    tallies = Tallies([Count("things", total(counter))])
    lines: list[float] = []
    for n in happened:
        counter.inc(n)
        window, since = await tallies.take()
        lines.append(since["things"])
        assert window["things"] == sum(lines[-PULSES:])


async def test_a_percentile_is_of_the_window_and_of_enough_cases():
    histogram = Metrics("gateway").histogram("seconds", "Time.")
    tallies = Tallies([Percentile("p99_s", buckets(histogram), least=10)])
    for _ in range(9):
        histogram.observe(0.2)
    assert (await tallies.take())[0] == {}
    histogram.observe(20)
    slow = (await tallies.take())[0]["p99_s"]
    assert 10 < slow <= 30
    for _ in range(PULSES):
        histogram.observe(0.2)
        window, _ = await tallies.take()
    assert window["p99_s"] <= 0.25


async def test_a_gauge_that_cannot_be_read_hides_no_other():
    async def away() -> float:
        raise Temporary("the table is away")

    async def unknown() -> None:
        return None

    async def known() -> float:
        return 3.14159

    tallies = Tallies([Gauge("away", away), Gauge("unknown", unknown), Gauge("known", known)])
    assert await tallies.take() == ({"known": 3.142}, {"known": 3.142})


def test_quantiles():
    assert quantile({}, 0.99) is None
    assert quantile({1.0: 0.0, float("inf"): 0.0}, 0.99) is None
    assert quantile({1.0: 100.0, 2.0: 100.0, float("inf"): 100.0}, 0.5) == 0.5
    assert quantile({1.0: 50.0, 2.0: 100.0, float("inf"): 100.0}, 0.75) == 1.5
    assert quantile({1.0: 50.0, 2.0: 60.0, float("inf"): 100.0}, 0.99) == 2.0, "above all bounds"


@given(st.lists(st.floats(0, 59), min_size=1, max_size=50), st.sampled_from([0.5, 0.9, 0.99]))
def test_a_quantile_lies_in_the_bucket_of_the_case_it_means(cases: list[float], share: float):
    histogram = Metrics("gateway").histogram("seconds", "Time.")
    for case in cases:
        histogram.observe(case)
    counts = buckets(histogram)()
    figure = quantile(counts, share)
    assert figure is not None
    meant = sorted(cases)[min(len(cases) - 1, max(0, -int(-share * len(cases) // 1) - 1))]
    bound = min(bound for bound in counts if bound >= meant)
    assert figure <= bound


def test_the_oldest_that_waits_grows_older_until_it_is_done():
    ages = Ages()
    ages.met("a", 1_000, now_ms=2_000, until_ms=60_000)
    ages.met("b", 5_000, now_ms=5_000, until_ms=60_000)
    assert ages.oldest_s(11_000) == 10
    assert ages.oldest_s(21_000) == 20
    ages.done("a")
    assert ages.oldest_s(21_000) == 16
    ages.done("b")
    assert ages.oldest_s(21_000) == 0


def test_what_was_met_and_done_in_between_is_told_once():
    ages = Ages()
    ages.met("a", 0, now_ms=40_000, until_ms=99_000)
    ages.done("a")
    assert ages.oldest_s(50_000) == 40
    assert ages.oldest_s(50_000) == 0


def test_what_does_not_come_again_was_done_by_somebody_else():
    ages = Ages()
    ages.met("a", 0, now_ms=0, until_ms=10_000)
    assert ages.oldest_s(10_000) == 10
    assert ages.oldest_s(10_001) == 0


def test_what_comes_again_is_as_old_as_it_was_first():
    ages = Ages()
    ages.met("a", 0, now_ms=0, until_ms=10_000)
    ages.met("a", 9_000, now_ms=9_000, until_ms=20_000)
    assert ages.oldest_s(15_000) == 15


@pytest.mark.parametrize("more", [1, 100])
def test_it_keeps_no_more_than_it_may(more: int):
    ages = Ages()
    for n in range(KEPT_MAX + more):
        ages.met(n, n, now_ms=KEPT_MAX, until_ms=10**9)
    assert len(ages._waiting) == KEPT_MAX
    assert ages.oldest_s(KEPT_MAX) == KEPT_MAX / 1000
