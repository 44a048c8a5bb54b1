"""Which accounts' rights changed lately: closes the gap between reading memberships and being held."""

from __future__ import annotations

ACCOUNTS_MAX = 10_000
"""So many are remembered; after forgetting one, everybody who began before counts as touched."""


class Touches:
    """``mark`` is taken before reading; ``since`` says whether what was read may be old by now."""

    def __init__(self, *, accounts_max: int = ACCOUNTS_MAX) -> None:
        self._accounts_max = accounts_max
        self._last: dict[str, int] = {}
        self._count = 0
        self._forgotten = 0

    @property
    def mark(self) -> int:
        return self._count

    def touch(self, account: str) -> None:
        self._count += 1
        self._last.pop(account, None)  # to the end: the dictionary stays in order of touching
        self._last[account] = self._count
        if len(self._last) > self._accounts_max:
            self._forgotten = self._last.pop(next(iter(self._last)))

    def since(self, account: str, mark: int) -> bool:
        return self._last.get(account, 0) > mark or self._forgotten > mark
