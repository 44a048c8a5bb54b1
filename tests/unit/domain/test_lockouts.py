"""When the next attempt at a password is allowed."""

from __future__ import annotations

from hypothesis import given, strategies as st

from syncline.domain.lockouts import (
    COUNT_MAX,
    EMAIL,
    FORGET_MS,
    PAIR,
    Allowance,
    Failures,
    attempted,
    succeeded,
    wait_s,
)


def failing(allowance: Allowance, times: int, now_ms: int = 10**12) -> tuple[Failures, int]:
    """After so many failures, each as soon as it is allowed; and the time then."""
    failures = Failures()
    for _ in range(times):
        now_ms += wait_s(failures, now_ms) * 1000
        failures = attempted(failures, allowance, now_ms)
    return failures, now_ms


def test_the_first_attempts_are_free_then_the_wait_doubles_up_to_a_bound() -> None:
    waits = [wait_s(*failing(PAIR, times)) for times in range(1, 13)]
    assert waits == [0, 0, 0, 0, 30, 60, 120, 240, 480, 900, 900, 900]


def test_an_address_tried_from_everywhere_waits_a_minute_at_most() -> None:
    waits = [wait_s(*failing(EMAIL, times)) for times in range(1, 200)]
    assert set(waits[:49]) == {0}
    assert waits[49:55] == [2, 4, 8, 16, 32, 60]
    assert max(waits) == EMAIL.max_s


def test_a_day_without_failures_forgets_them() -> None:
    failures, now_ms = failing(PAIR, 20)
    assert attempted(failures, PAIR, now_ms + FORGET_MS + 1).count == 1
    assert attempted(failures, PAIR, now_ms + FORGET_MS).count == 21


def test_the_right_password_clears_and_is_remembered() -> None:
    failures, now_ms = failing(PAIR, 4)
    cleared = succeeded(now_ms)
    assert (cleared.count, wait_s(cleared, now_ms), cleared.known) == (0, 0, True)
    assert attempted(cleared, PAIR, now_ms).known
    assert failures.count == 4


@given(
    st.lists(st.integers(0, 2 * FORGET_MS), max_size=100),
    st.sampled_from([PAIR, EMAIL]),
)
def test_no_wait_and_no_count_grows_beyond_its_bound(pauses: list[int], allowance: Allowance) -> None:
    now_ms, failures = 10**12, Failures()
    for pause in pauses:
        now_ms += pause
        failures = attempted(failures, allowance, now_ms)
        assert 0 < failures.count <= COUNT_MAX
        assert 0 <= wait_s(failures, now_ms) <= allowance.max_s
