"""How often and of what a follower wants mail: windows, hours in a time zone, kinds of change. Pure.

A follower's account has preferences, each follow may differ from them. What neither says is ``DEFAULT``.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

import msgspec

from syncline.domain.digests import Happened
from syncline.domain.errors import Refused

HOUR_MS = 3_600_000
ZONE_CHARACTERS_MAX = 64
LANGUAGES = ("en", "de")
"""Languages that mail can be written in; the first where nothing else is said."""


class Every(StrEnum):
    """How long changes are gathered before they become a mail."""

    IMMEDIATE = "immediate"  # the stack's short window
    HOURLY = "hourly"  # an hour after the first change
    DAILY = "daily"  # at the follower's hour


class Wishes(msgspec.Struct, frozen=True, omit_defaults=True):
    """What someone said about mail; None is not said. ``hour`` is 0 to 23 in ``zone`` (IANA), for daily mail."""

    window: Every | None = None
    hour: int | None = None
    zone: str | None = None
    kinds: frozenset[Happened] | None = None


class Terms(msgspec.Struct, frozen=True):
    """What holds for one follow once all wishes are heard."""

    window: Every
    hour: int
    zone: str
    kinds: frozenset[Happened]

    @property
    def lane(self) -> str:
        """Names the schedule; follows of one schedule share a window. "" is the immediate one."""
        if self.window is Every.DAILY:
            return f"daily-{self.hour:02d}-{self.zone}"
        return "" if self.window is Every.IMMEDIATE else self.window.value

    def due_at_ms(self, now_ms: int, *, immediate_ms: int) -> int:
        """When a window that opens now is due; always later than now."""
        if self.window is Every.IMMEDIATE:
            return now_ms + immediate_ms
        if self.window is Every.HOURLY:
            return now_ms + HOUR_MS
        # A zone that this machine's data does not know must not stop everybody's mail.
        return next_hour_ms(now_ms, self.hour, self.zone if is_zone(self.zone) else DEFAULT.zone)


DEFAULT = Terms(Every.IMMEDIATE, 8, "UTC", frozenset(Happened))
OUTSIDE = Wishes(window=Every.HOURLY)
"""What holds for outside followers where their invitation says nothing."""


def settle(wishes: Iterable[Wishes]) -> Terms:
    """The terms of these wishes, the earlier ones before the later."""
    terms = DEFAULT
    for wish in reversed(list(wishes)):
        said = {name: value for name in Wishes.__struct_fields__ if (value := getattr(wish, name)) is not None}
        terms = msgspec.structs.replace(terms, **said)
    return terms


def next_hour_ms(now_ms: int, hour: int, zone: str) -> int:
    """The next time (Unix ms) that clocks in ``zone`` show ``hour``, after now.

    Once a day, also on days when clocks change: an hour that is left out counts as the one after it, of an hour that
    comes twice the first one counts. Raises ``Refused("bad-zone")``.
    """
    place = time_zone(zone)
    today = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(place).date()
    for days in range(3):
        local = datetime.combine(today + timedelta(days=days), time(hour), place)
        at_ms = int(local.astimezone(UTC).timestamp()) * 1000
        if at_ms > now_ms:
            return at_ms
    raise AssertionError("some day within three has this hour")


def time_zone(zone: str) -> ZoneInfo:
    """The zone of an IANA name such as ``Europe/Berlin``. Raises ``Refused("bad-zone")``."""
    try:
        if len(zone) > ZONE_CHARACTERS_MAX or "#" in zone:
            raise ValueError(zone)
        return ZoneInfo(zone)
    except (KeyError, ValueError, OSError):  # what ZoneInfo raises for unknown names, odd paths and folders
        detail = "There is no such time zone; name one as Europe/Berlin or UTC."
        raise Refused("bad-zone", detail, status=422, at="$.zone") from None


def is_zone(zone: str) -> bool:
    try:
        time_zone(zone)
    except Refused:
        return False
    return True


def language_of(wanted: str | None) -> str:
    """A language that mail can be written in: the wanted one, else English."""
    return wanted if wanted in LANGUAGES else LANGUAGES[0]
