"""``GET /v1/sync/heads``: answered at once when something differs from the asker's token, else held until it does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from services.syncer.heads import HeadsReader, Memberships, answer_of, token_of
from services.syncer.hub import Hold, Hub
from syncline.messages import api
from syncline.ports import tracing
from syncline.ports.clock import Clock
from syncline.serving.sync_routes import HEADS_WAIT_S_MAX
from syncline.store.journal import Head

MEMBERSHIP_READ_MS = 10_000
"""While Redis is away nobody tells of rights, so what one may do is looked at so often: a library that one was added to
wakes within this time, and a device that was signed out is refused. With Redis there, whatever was not told for once is
found by the next request, after ``HEADS_WAIT_S_MAX`` at most."""

StillAllowed = Callable[[], Awaitable[None]]
"""Raises ``Refused`` (401) once the asker's device was signed out."""


async def _always() -> None:
    return


class Holding:
    """Answers what moved, waiting for it where that was asked."""

    def __init__(self, hub: Hub, reader: HeadsReader, memberships: Memberships, clock: Clock) -> None:
        self._hub = hub
        self._reader = reader
        self._memberships = memberships
        self._clock = clock

    async def heads(self, account: str, since: str, wait_s: int, still_allowed: StillAllowed = _always) -> api.Heads:
        """All heads of the account, once their token is not ``since`` or ``wait_s`` (at most 50) are over.

        Raises ``Refused`` (503) when too many requests are held already, what ``still_allowed`` raises, ``Temporary``.
        """
        mark = self._hub.touches.mark
        libraries = await self._memberships.of(account)
        heads = await self._reader.read(libraries)
        if token_of(heads) == since and wait_s > 0 and not self._hub.draining:
            with self._hub.hold(account) as hold:
                # Who was told between reading and being held looks again.
                hold.touched = self._hub.touches.since(account, mark)
                wait_ms = min(wait_s, HEADS_WAIT_S_MAX) * 1000
                with tracing.span_within("held") as span:
                    heads = await self._wait(hold, libraries, since, wait_ms, still_allowed)
                    for trace in hold.traces:
                        span.link(trace)
            if token_of(heads) != since:
                await still_allowed()
        return answer_of(heads)

    async def _wait(
        self, hold: Hold, libraries: frozenset[str], since: str, wait_ms: int, still_allowed: StillAllowed
    ) -> dict[str, Head]:
        deadline_ms = self._clock.now_ms() + wait_ms
        self._hub.watch(hold, libraries)
        alone = False
        while True:
            # Cleared before reading: what moves meanwhile wakes again.
            hold.woken.clear()
            if hold.touched or alone:
                hold.touched = False
                await still_allowed()
                self._hub.watch(hold, await self._memberships.of(hold.account))
            heads = await self._reader.read(hold.libraries)
            hold.known = heads
            if token_of(heads) != since or self._hub.draining:
                return heads
            alone = await self._rest(hold, deadline_ms)
            # Who was not woken in all this time would read the same again.
            if self._clock.now_ms() >= deadline_ms and not hold.woken.is_set() and not alone:
                return heads

    async def _rest(self, hold: Hold, deadline_ms: int) -> bool:
        """Until woken or ``deadline_ms``. True when it is time to look without having been told, Redis being away."""
        while not hold.woken.is_set() and (left_ms := deadline_ms - self._clock.now_ms()) > 0:
            await self._sleep(hold, min(left_ms, MEMBERSHIP_READ_MS))
            if not hold.woken.is_set() and not self._hub.hears_redis:
                return True
        return False

    async def _sleep(self, hold: Hold, wait_ms: int) -> None:
        """Until woken, or ``wait_ms`` are over."""
        waits = [
            asyncio.ensure_future(hold.woken.wait()),
            asyncio.ensure_future(self._clock.sleep(wait_ms / 1000)),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
