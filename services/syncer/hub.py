"""The hub: the held requests of this process, and what wakes them.

Three things tell it that a library moved: this process's own share of the queue ``sync``, what the other syncers
publish on Redis, and, while Redis is away, reading the heads of all held requests at once every two seconds.

What an account may do can change as well (members came or went, a device was signed out): the gateway publishes it,
and who is held for that account looks again.

Whether Redis is there shows a pulse: the hub publishes one every two seconds on the very channel that wake-ups come
over, and hears it back. What it does not hear it does not trust.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import contextmanager

from services.syncer.heads import HeadsReader
from services.syncer.touches import Touches
from syncline.domain.errors import Refused, Temporary
from syncline.messages import accounts_touched
from syncline.messages.envelope import Unreadable
from syncline.messages.library_moved import WAKE_CHANNEL, LibraryMoved, decode, encode
from syncline.ports import tracing
from syncline.ports.cache import Cache
from syncline.ports.clock import Clock
from syncline.ports.tracing import LINKS_MAX
from syncline.serving.logging import get_logger
from syncline.serving.metrics import Metrics
from syncline.store.journal import Head

HELD_MAX = 2_000
HELD_PER_ACCOUNT_MAX = 32
PULSE_S = 2.0
PULSE_MISSED_MS = 3_000
"""Without a pulse for so long, heads are read."""
RETRY_AFTER_S = 5

PULSE = LibraryMoved(library="", seq=0, incarnation="")
"""A wake-up of no library: other syncers wake nobody by it."""


class Hold:
    """One held request: ``known`` is what its asker knows, ``woken`` says that there may be more, ``touched`` that
    the asker's rights may have changed, ``traces`` are the contexts of what woke it."""

    def __init__(self, account: str) -> None:
        self.account = account
        self.known: Mapping[str, Head] = {}
        self.libraries: frozenset[str] = frozenset()
        self.woken = asyncio.Event()
        self.touched = False
        self.traces: list[str] = []

    def touch(self) -> None:
        """What the asker may do has changed."""
        self.touched = True
        self.woken.set()

    def hear(self, moved: LibraryMoved) -> None:
        head = self.known.get(moved.library)
        if head is None or head.incarnation != moved.incarnation or head.seq < moved.seq:
            self.woken.set()
            if moved.trace and len(self.traces) < LINKS_MAX:
                self.traces.append(moved.trace)


class Hub:
    """Holds requests and wakes them. A part of the service's life."""

    def __init__(
        self, cache: Cache, reader: HeadsReader, clock: Clock, metrics: Metrics, *, held_max: int = HELD_MAX
    ) -> None:
        self._cache = cache
        self._reader = reader
        self._clock = clock
        self._held_max = held_max
        self._holds: set[Hold] = set()
        self._by_library: dict[str, set[Hold]] = {}
        self._by_account: dict[str, set[Hold]] = {}
        self.touches = Touches()
        self._heard_ms: int | None = None
        self._draining = asyncio.Event()
        self._gauge = metrics.gauge("held_requests", "Requests held open until a library moves.")
        self._wakes = metrics.counter("wakes", "Wake-ups by where they came from.", ("source",))

    @property
    def held(self) -> int:
        """How many requests are held."""
        return len(self._holds)

    @property
    def draining(self) -> bool:
        return self._draining.is_set()

    @property
    def hears_redis(self) -> bool:
        """Whether wake-ups by Redis came through just now."""
        return self._heard_ms is not None and self._clock.now_ms() - self._heard_ms < PULSE_MISSED_MS

    @contextmanager
    def hold(self, account: str) -> Iterator[Hold]:
        """Hold a request. Raises ``Refused`` (503, Retry-After) when too many are held."""
        if len(self._holds) >= self._held_max or len(self._by_account.get(account, ())) >= HELD_PER_ACCOUNT_MAX:
            detail = "Too many requests wait here already; ask again in a moment."
            raise Refused("temporarily-unavailable", detail, status=503, retry_after_s=RETRY_AFTER_S)
        hold = Hold(account)
        self._holds.add(hold)
        self._by_account.setdefault(account, set()).add(hold)
        self._gauge.set(len(self._holds))
        if self.draining:
            hold.woken.set()
        try:
            yield hold
        finally:
            self.watch(hold, frozenset())
            self._holds.discard(hold)
            self._by_account[account].discard(hold)
            if not self._by_account[account]:
                del self._by_account[account]
            self._gauge.set(len(self._holds))

    def watch(self, hold: Hold, libraries: frozenset[str]) -> None:
        """From now on wake ``hold`` when one of these libraries moves beyond what it knows."""
        for library in hold.libraries - libraries:
            waiting = self._by_library[library]
            waiting.discard(hold)
            if not waiting:
                del self._by_library[library]
        for library in libraries - hold.libraries:
            self._by_library.setdefault(library, set()).add(hold)
        hold.libraries = libraries

    def moved(self, moved: LibraryMoved, source: str) -> None:
        """Wake those who wait for this. ``source`` (queue, redis, reading) is counted."""
        holds = self._by_library.get(moved.library, ())
        if not holds:
            return
        self._wakes.labels(source).inc()
        for hold in holds:
            hold.hear(moved)
        if moved.trace:
            tracing.begin("wake", parent=moved.trace, attributes={"syncline.held": len(holds)}).end()

    def touched(self, accounts: Iterable[str]) -> None:
        """Have those who are held for these accounts look at once at what they may do."""
        for account in accounts:
            self.touches.touch(account)
            for hold in self._by_account.get(account, ()):
                hold.touch()
                self._wakes.labels("rights").inc()

    # -- life ---------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Nothing to make ready: until the first pulse is heard, heads are read."""

    async def run(self) -> None:
        works = (self._listen(), self._listen_for_rights(), self._watch_over())
        tasks = [asyncio.create_task(work) for work in works]
        draining = asyncio.create_task(self._draining.wait())
        try:
            await asyncio.wait([*tasks, draining], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (*tasks, draining):
                task.cancel()
            ends = await asyncio.gather(*tasks, draining, return_exceptions=True)
        for end in ends:
            if isinstance(end, Exception):
                raise end

    async def drain(self) -> None:
        """Every held request answers now, with the heads as they are."""
        self._draining.set()
        for hold in self._holds:
            hold.woken.set()

    async def stop(self) -> None:
        await self.drain()

    async def _listen(self) -> None:
        async with self._cache.subscribe(WAKE_CHANNEL) as messages:
            await self._hear_all(messages)

    async def _hear_all(self, messages: AsyncIterator[bytes]) -> None:
        async for wire in messages:
            try:
                moved = decode(wire)
            except Unreadable as error:
                get_logger().warning("wake-unreadable", reason=str(error)[:200])
                continue
            self._heard_ms = self._clock.now_ms()
            self.moved(moved, "redis")

    async def _listen_for_rights(self) -> None:
        async with self._cache.subscribe(accounts_touched.CHANNEL) as messages:
            async for wire in messages:
                try:
                    self.touched(accounts_touched.decode(wire).accounts)
                except Unreadable as error:
                    get_logger().warning("touch-unreadable", reason=str(error)[:200])

    async def _watch_over(self) -> None:
        while True:
            await self._cache.publish(WAKE_CHANNEL, encode(PULSE))
            await self._clock.sleep(PULSE_S)
            if self._holds and not self.hears_redis:
                await self._read_heads()

    async def _read_heads(self) -> None:
        """One reading for everyone who waits."""
        try:
            heads = await self._reader.read(list(self._by_library))
        except Temporary as error:
            # The next turn tries again; whoever waits asks by itself when its time is over.
            get_logger().warning("heads-not-read", reason=str(error)[:200])
            return
        for moved in _as_moves(heads.items()):
            self.moved(moved, "reading")


def _as_moves(heads: Iterable[tuple[str, Head]]) -> Iterator[LibraryMoved]:
    return (LibraryMoved(library, head.seq, head.incarnation) for library, head in heads)
