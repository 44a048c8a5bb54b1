"""Tells the syncers whose rights changed, so that their held requests look again at once."""

from __future__ import annotations

from collections.abc import Sequence

from syncline.messages.accounts_touched import ACCOUNTS_MAX, CHANNEL, AccountsTouched, encode
from syncline.ports.cache import Cache


class Wakes:
    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    async def touch(self, *accounts: str) -> None:
        await self.touch_all(accounts)

    async def touch_all(self, accounts: Sequence[str]) -> None:
        for start in range(0, len(accounts), ACCOUNTS_MAX):
            message = AccountsTouched(tuple(accounts[start : start + ACCOUNTS_MAX]))
            await self._cache.publish(CHANNEL, encode(message))
