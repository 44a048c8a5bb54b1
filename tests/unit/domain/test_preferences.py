"""When a window is due, in every time zone and on the days when clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from syncline.domain.digests import Happened
from syncline.domain.errors import Refused
from syncline.domain.preferences import DEFAULT, HOUR_MS, Every, Wishes, next_hour_ms, settle

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia"]
from_2000_to_2035 = st.integers(946_684_800_000, 2_051_222_400_000)


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1000)


@given(now_ms=from_2000_to_2035, hour=st.integers(0, 23), zone=st.sampled_from(ZONES))
def test_the_next_hour_is_ahead_and_shows_on_local_clocks(now_ms: int, hour: int, zone: str) -> None:
    due_ms = next_hour_ms(now_ms, hour, zone)
    assert due_ms > now_ms
    # A day, and an hour for clocks that change; Samoa left out a whole day in 2011.
    assert due_ms - now_ms <= (49 if zone == "Pacific/Apia" else 25) * HOUR_MS
    local = datetime.fromtimestamp(due_ms / 1000, ZoneInfo(zone))
    before = local - timedelta(hours=1)
    left_out = local.utcoffset() != before.astimezone(UTC).astimezone(ZoneInfo(zone)).utcoffset()
    assert (local.hour, local.minute) == (hour, 0) or left_out or zone == "Pacific/Apia"


@given(start_ms=from_2000_to_2035, hour=st.integers(0, 23), zone=st.sampled_from(ZONES))
def test_one_mail_a_day_however_clocks_change(start_ms: int, hour: int, zone: str) -> None:
    due = [next_hour_ms(start_ms, hour, zone)]
    for _ in range(400):
        due.append(next_hour_ms(due[-1], hour, zone))
    pauses = {(later - earlier) / HOUR_MS for earlier, later in pairwise(due)}
    assert pauses <= {23, 23.5, 24, 24.5, 25, 48}
    assert pauses - {24} == set() or zone not in ("UTC", "Asia/Kathmandu")


def test_an_hour_that_is_left_out_counts_as_the_one_after() -> None:
    # On 2026-03-29 Berlin's clocks go from 02:00 to 03:00.
    assert next_hour_ms(ms("2026-03-28T12:00+01:00"), 2, "Europe/Berlin") == ms("2026-03-29T03:00+02:00")
    assert next_hour_ms(ms("2026-03-29T03:00+02:00"), 2, "Europe/Berlin") == ms("2026-03-30T02:00+02:00")


def test_of_an_hour_that_comes_twice_the_first_counts() -> None:
    # On 2026-10-25 Berlin's clocks go from 03:00 back to 02:00.
    first = ms("2026-10-25T02:00+02:00")
    assert next_hour_ms(ms("2026-10-24T12:00+02:00"), 2, "Europe/Berlin") == first
    assert next_hour_ms(first, 2, "Europe/Berlin") == ms("2026-10-26T02:00+01:00")
    assert next_hour_ms(first + HOUR_MS, 2, "Europe/Berlin") == ms("2026-10-26T02:00+01:00")


def test_eight_in_the_morning_stays_eight_in_summer_and_winter() -> None:
    assert next_hour_ms(ms("2026-07-01T12:00+00:00"), 8, "Europe/Berlin") == ms("2026-07-02T06:00+00:00")
    assert next_hour_ms(ms("2026-12-01T12:00+00:00"), 8, "Europe/Berlin") == ms("2026-12-02T07:00+00:00")


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "../etc/passwd", "/etc/passwd", "Europe", "UTC#", "x" * 99])
def test_a_zone_that_is_none_is_refused(zone: str) -> None:
    with pytest.raises(Refused) as refused:
        next_hour_ms(0, 8, zone)
    assert refused.value.kind == "bad-zone"


def test_a_follow_decides_before_its_account_and_that_before_the_default() -> None:
    account = Wishes(window=Every.DAILY, hour=18, zone="Europe/Berlin")
    follow = Wishes(hour=7, kinds=frozenset({Happened.REMOVED}))
    terms = settle([follow, account])
    assert (terms.window, terms.hour, terms.zone) == (Every.DAILY, 7, "Europe/Berlin")
    assert terms.kinds == {Happened.REMOVED}
    assert settle([]) == settle([Wishes(), Wishes()]) == DEFAULT


def test_follows_of_one_schedule_share_a_window() -> None:
    daily = settle([Wishes(window=Every.DAILY)])
    later = settle([Wishes(window=Every.DAILY, hour=9)])
    hourly = settle([Wishes(window=Every.HOURLY)])
    hourly_at_nine = settle([Wishes(window=Every.HOURLY, hour=9)])
    assert hourly.lane == hourly_at_nine.lane
    assert len({DEFAULT.lane, hourly.lane, daily.lane, later.lane}) == 4


def test_an_hour_from_the_first_change() -> None:
    assert settle([Wishes(window=Every.HOURLY)]).due_at_ms(5, immediate_ms=1) == 5 + HOUR_MS
    assert DEFAULT.due_at_ms(5, immediate_ms=120_000) == 120_005
