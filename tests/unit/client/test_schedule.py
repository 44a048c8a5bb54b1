"""When a pass is due: after rest, at once when asked, never in a rush after a failure."""

from __future__ import annotations

import math

from hypothesis import given, strategies as st

from syncline.client.schedule import HASTE_S_MAX, RESTLESS_S_MAX, Schedule

TIMES = st.lists(st.floats(0, 20), min_size=1, max_size=30).map(sorted)


def rested() -> Schedule:
    """One whose first pass has just ended, at 0."""
    schedule = Schedule(debounce_s=0.3, rescan_s=300)
    schedule.begin()
    schedule.end(0.0)
    return schedule


def test_the_first_pass_is_due_at_once_and_the_next_by_and_by() -> None:
    assert Schedule(0.3, 300).due_at() < 0
    assert rested().due_at() == 300


@given(TIMES)
def test_changes_rest_before_they_are_looked_at_but_not_for_ever(changes: list[float]) -> None:
    schedule = rested()
    for at in changes:
        schedule.noticed(at)
    assert schedule.dirty
    assert schedule.due_at() == min(changes[-1] + 0.3, changes[0] + RESTLESS_S_MAX)
    schedule.begin()
    assert not schedule.dirty


@given(TIMES, st.floats(0.1, 100))
def test_after_a_failure_nothing_makes_it_rush(changes: list[float], pause: float) -> None:
    schedule = rested()
    schedule.begin()
    schedule.end(0.0, retry_after_s=pause)
    assert schedule.due_at() == pause
    for at in changes:
        schedule.noticed(at)
        schedule.ask()
        assert min(pause, HASTE_S_MAX) <= schedule.due_at() <= pause
    schedule.hasty_from = -math.inf
    assert schedule.due_at() < 0


def test_what_happens_during_a_pass_is_for_the_next() -> None:
    schedule = rested()
    schedule.begin()
    schedule.noticed(5.0)
    schedule.end(6.0)
    assert schedule.due_at() == 5.3
