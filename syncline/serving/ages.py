"""How old the oldest of what waits is, as far as this process has met it."""

from __future__ import annotations

from collections.abc import Hashable

KEPT_MAX = 10_000
"""What is met beyond that counts at its meeting only."""


class Ages:
    """Things that were met, and are done or come again. Times are Unix ms."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, tuple[int, int]] = {}
        self._oldest_met_ms = 0

    def met(self, key: Hashable, since_ms: int, *, now_ms: int, until_ms: int) -> None:
        """It has waited since ``since_ms``. Not met again until ``until_ms``, somebody else has done it."""
        since_ms = min(since_ms, self._waiting.get(key, (since_ms, 0))[0])
        self._oldest_met_ms = max(self._oldest_met_ms, now_ms - since_ms)
        if key in self._waiting or len(self._waiting) < KEPT_MAX:
            self._waiting[key] = since_ms, until_ms

    def done(self, key: Hashable) -> None:
        """It waits no more."""
        self._waiting.pop(key, None)

    def oldest_s(self, now_ms: int) -> float:
        """The age of the oldest that waits, or that was met since this was last asked; 0 when there is none."""
        self._waiting = {key: (since, until) for key, (since, until) in self._waiting.items() if until >= now_ms}
        oldest_ms = max([now_ms - since for since, _ in self._waiting.values()], default=0)
        oldest_ms, self._oldest_met_ms = max(oldest_ms, self._oldest_met_ms), 0
        return oldest_ms / 1000
