"""Times as people say them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from syncline.client.cli.times import UNITS_S, moment, time_ms
from syncline.domain.errors import Refused

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 23, 15, 30, tzinfo=BERLIN)  # a Monday


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("now", "2026-11-23T14:30"),
        ("2 hours ago", "2026-11-23T12:30"),
        ("an hour ago", "2026-11-23T13:30"),
        ("1 hour 30 minutes ago", "2026-11-23T13:00"),
        ("90m ago", "2026-11-23T13:00"),
        ("1h30m ago", "2026-11-23T13:00"),
        ("45 secs ago", "2026-11-23T14:29:15"),
        ("3 days ago", "2026-11-20T14:30"),
        ("a week ago", "2026-11-16T14:30"),
        ("today", "2026-11-22T23:00"),
        ("Yesterday 14:00", "2026-11-22T13:00"),
        ("yesterday at 14:00", "2026-11-22T13:00"),
        ("yesterday", "2026-11-21T23:00"),
        ("monday", "2026-11-15T23:00"),
        ("sunday 9:05", "2026-11-22T08:05"),
        ("last tuesday", "2026-11-16T23:00"),
        ("9:30", "2026-11-23T08:30"),
        ("16:00", "2026-11-22T15:00"),
        ("15:30:00", "2026-11-23T14:30"),
        ("2026-11-23", "2026-11-22T23:00"),
        ("2026-07-01 12:00", "2026-07-01T10:00"),
        ("2026-11-23T09:00+01:00", "2026-11-23T08:00"),
        ("2026-11-23T09:00:00Z", "2026-11-23T09:00"),
    ],
)
def test_what_is_said_is_meant(said: str, meant: str) -> None:
    assert moment(said, NOW, BERLIN) == datetime.fromisoformat(meant).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "said",
    ["", "ago", "soon", "2 fortnights ago", "two hours ago", "2 hours", "25:00", "yesterday 99:00", "2026-13-01",
     "2026-11-24", "today 15:31", "yesterday noon", "-1 hours ago", "99999999 days ago", "999999 weeks ago"],
)  # fmt: skip
def test_what_is_no_past_time_is_refused(said: str) -> None:
    with pytest.raises(Refused, match=r"no time|future"):
        moment(said, NOW, BERLIN)


@given(st.text(max_size=30))
def test_whatever_is_said_it_is_a_time_or_refused(said: str) -> None:
    try:
        assert moment(said, NOW, BERLIN) <= NOW
    except Refused:
        return


@given(st.integers(0, 10_000), st.sampled_from(sorted(UNITS_S)))
def test_so_long_ago_is_so_long_ago(number: int, unit: str) -> None:
    said = moment(f"{number} {unit} ago", NOW, BERLIN)
    assert NOW - said == timedelta(seconds=number * UNITS_S[unit])
    assert time_ms(said.isoformat()) == int(said.timestamp() * 1000)
