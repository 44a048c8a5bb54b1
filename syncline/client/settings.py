"""What a person has set for this client: limits, pauses, how long changes rest. Kept in SYNCLINE_HOME."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import msgspec

from syncline.client.home import Home
from syncline.domain.errors import Broken

DEBOUNCE_MS = 300
DEBOUNCE_MS_MAX = 60_000
RESCAN_S = 300.0
FOR_EVER = 0
MINUTES_A_DAY = 24 * 60
ALL_LINKS = "*"
WINDOWS_MAX = 24


class Window(msgspec.Struct, frozen=True):
    """A time of the day and its limits: from one minute of the day to before another, over midnight if that is
    earlier (the whole day if it is the same). Bytes a second; 0: no limit."""

    from_minute: int
    to_minute: int
    up: int
    down: int

    def holds_at(self, minute: int) -> bool:
        if self.from_minute < self.to_minute:
            return self.from_minute <= minute < self.to_minute
        return minute >= self.from_minute or minute < self.to_minute


class Limits(msgspec.Struct, frozen=True):
    """How many bytes a second may go up and down (0: as many as can), and at which times of the day others hold: the
    first window that holds counts."""

    up: int = 0
    down: int = 0
    windows: tuple[Window, ...] = ()

    def at(self, minute: int) -> tuple[int, int]:
        """(up, down) at this minute of the day."""
        for window in self.windows:
            if window.holds_at(minute):
                return window.up, window.down
        return self.up, self.down


class Settings(msgspec.Struct, frozen=True):
    """``pauses``: by link (``ALL_LINKS`` for all), until when (Unix ms; ``FOR_EVER``: until it is resumed)."""

    limits: Limits = Limits()
    pauses: dict[str, int] = {}
    debounce_ms: int = DEBOUNCE_MS
    rescan_s: float = RESCAN_S

    def paused_until_ms(self, link: str, now_ms: int) -> float:
        """Until when a link is paused: infinity for a pause without end, 0 when it is not paused."""
        until = [self.pauses[name] for name in (link, ALL_LINKS) if name in self.pauses]
        return max((math.inf if at == FOR_EVER else at if at > now_ms else 0 for at in until), default=0)


class SettingsFile:
    """``settings.json`` of a home."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._path = home.path / "settings.json"

    def load(self) -> Settings:
        """Raises ``Broken`` when the file is damaged."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Settings)
        except FileNotFoundError:
            return Settings()
        except (msgspec.DecodeError, OSError) as error:
            raise Broken(f"{self._path} cannot be read ({error}); remove it to begin with none.") from None

    def change(self, how: Callable[[Settings], Settings]) -> Settings:
        """Change what is set, in one step and against other processes. Raises ``Refused("busy")``."""
        with self._home.locked("settings"):
            changed = how(self.load())
            temporary = self._path.with_suffix(".new")
            temporary.write_bytes(msgspec.json.format(msgspec.json.encode(changed)))
            temporary.replace(self._path)
            return changed


def minute_now() -> int:
    """The minute of the day here."""
    now = time.localtime()
    return now.tm_hour * 60 + now.tm_min
