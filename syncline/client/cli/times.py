"""Times as people say them: ``2 hours ago``, ``yesterday 14:00``, ``2026-11-23T09:00+01:00``."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import click

from syncline.domain.errors import Refused

UNITS_S = {
    "s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3_600, "hour": 3_600, "d": 86_400,
    "day": 86_400, "w": 604_800, "week": 604_800,
}  # fmt: skip
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SEQ_DIGITS_MAX = 12
_PART = re.compile(r"\s*(\d{1,6}|an?)\s*([a-z]+?)s?(?=[\s\d]|$)")
_DAY = re.compile(rf"(today|yesterday|(?:last )?(?:{'|'.join(WEEKDAYS)}))(?:\s+(?:at\s+)?(\S+))?")
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")
FORMS = "Say it like: 2 hours ago, yesterday 14:00, monday, 9:30, 2026-11-23, 2026-11-23T09:00+01:00."


def moment(text: str, now: datetime, zone: tzinfo | None = None) -> datetime:
    """The past moment that is meant, in UTC. ``zone`` is where the speaker is; None: this machine's.

    A day alone is its first moment, a time of day alone the last time it was that late, a weekday the last one before
    today. Raises ``Refused("bad-time")`` for what is none, or lies in the future.
    """
    said = " ".join(text.lower().split())
    now = now.astimezone(UTC)  # so that an hour ago is an hour ago when clocks were changed
    here = now.astimezone(zone)
    try:
        found = _ago(said, now) or _by_day(said, here, zone) or _by_clock(said, here, zone) or _iso(text.strip(), zone)
    except (ValueError, OverflowError):
        raise Refused("bad-time", f"{text!r} is no time. {FORMS}", status=422) from None
    if found > now:
        raise Refused("bad-time", f"{text!r} lies in the future.", status=422)
    return found.astimezone(UTC)


def _ago(said: str, now: datetime) -> datetime | None:
    """``1 hour 30 minutes ago``, ``90m ago``; ``now``."""
    if said == "now":
        return now
    amount, found, ago = said.rpartition(" ago")
    if not found or ago:
        return None
    seconds, end = 0, 0
    while end < len(amount):
        part = _PART.match(amount, end)
        if part is None or part[2] not in UNITS_S:
            raise ValueError(said)
        seconds += (int(part[1]) if part[1].isdigit() else 1) * UNITS_S[part[2]]
        end = part.end()
    return now - timedelta(seconds=seconds)


def _by_day(said: str, here: datetime, zone: tzinfo | None) -> datetime | None:
    found = _DAY.fullmatch(said)
    if found is None:
        return None
    word = found[1].removeprefix("last ")
    back = (0, 1)[word == "yesterday"] if word not in WEEKDAYS else (here.weekday() - WEEKDAYS.index(word) - 1) % 7 + 1
    return _local(here - timedelta(days=back), found[2] or "0:00", zone)


def _by_clock(said: str, here: datetime, zone: tzinfo | None) -> datetime | None:
    if _CLOCK.fullmatch(said) is None:
        return None
    today = _local(here, said, zone)
    return today if today <= here else _local(here - timedelta(days=1), said, zone)


def _local(day: datetime, clock: str, zone: tzinfo | None) -> datetime:
    """A time of day on the day of ``day``."""
    found = _CLOCK.fullmatch(clock)
    if found is None:
        raise ValueError(clock)
    hour, minute, second = (int(part or 0) for part in found.groups())
    return _placed(day.replace(hour=hour, minute=minute, second=second, microsecond=0, tzinfo=None), zone)


def _iso(text: str, zone: tzinfo | None) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo is not None else _placed(found, zone)


def _placed(naive: datetime, zone: tzinfo | None) -> datetime:
    return naive.replace(tzinfo=zone) if zone is not None else naive.astimezone()


class TimeType(click.ParamType[str]):
    """A moment in RFC 3339, in UTC; with ``seqs`` also a library's seq in digits. "" is none."""

    name = "TIME"

    def __init__(self, *, seqs: bool = False) -> None:
        self._seqs = seqs

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        if not text:
            return text
        if self._seqs and text.isascii() and text.isdigit() and len(text) <= SEQ_DIGITS_MAX:
            return text
        try:
            return moment(text, datetime.now(UTC)).isoformat()
        except Refused as refused:
            self.fail(refused.detail, param, ctx)


PAST = TimeType()
PAST_OR_SEQ = TimeType(seqs=True)


def time_ms(rfc_3339: str) -> int:
    """Unix ms of what ``PAST`` gave."""
    return int(datetime.fromisoformat(rfc_3339).timestamp() * 1000)
