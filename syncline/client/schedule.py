"""When a link's next pass is due: after changes have rested, when asked, after a failure, and now and then."""

from __future__ import annotations

import math
from dataclasses import dataclass

RESTLESS_S_MAX = 5.0
"""A folder written to without rest is looked at nevertheless, so often."""
HASTE_S_MAX = 10.0
"""After a failure, what is new hastens the next try, but never below this (or the pause, where that is shorter)."""


@dataclass
class Schedule:
    """Seconds of one monotonic clock throughout. Nothing is due before ``begin`` has been followed by ``end``."""

    debounce_s: float
    rescan_s: float
    asked: bool = True
    first_change: float | None = None
    last_change: float | None = None
    retry_at: float | None = None
    hasty_from: float = -math.inf
    passed_at: float = -math.inf

    @property
    def dirty(self) -> bool:
        """Something was noticed that no pass has looked at since."""
        return self.asked or self.last_change is not None

    def noticed(self, now: float) -> None:
        """Something changed in the folder."""
        self.first_change = now if self.first_change is None else self.first_change
        self.last_change = now

    def ask(self) -> None:
        """A pass is wanted without waiting for rest: the library moved, or the server is back."""
        self.asked = True

    def begin(self) -> None:
        """A pass begins now: it sees all that was noticed so far."""
        self.asked, self.first_change, self.last_change, self.retry_at = False, None, None, None

    def end(self, now: float, *, retry_after_s: float | None = None) -> None:
        """The pass has ended; ``retry_after_s`` when it left something to do."""
        self.passed_at = now
        if retry_after_s is None:
            self.retry_at, self.hasty_from = None, -math.inf
        else:
            self.retry_at, self.hasty_from = now + retry_after_s, now + min(retry_after_s, HASTE_S_MAX)

    def due_at(self) -> float:
        """When the next pass is to begin."""
        ripe = math.inf
        if self.first_change is not None and self.last_change is not None:
            ripe = min(self.last_change + self.debounce_s, self.first_change + max(RESTLESS_S_MAX, self.debounce_s))
        if self.asked:
            ripe = -math.inf
        else_at = self.passed_at + self.rescan_s if self.retry_at is None else self.retry_at
        return min(max(ripe, self.hasty_from), else_at)
