"""Sweeping moves: finds commits that are appended and not in the views, or that the topic's consumers never heard of.

Every append leaves a row that says so (``syncline/store/moves.py``). Here it is removed once the views and the
consumers' checkpoints have come so far; until then the views are brought up and the library is published again, with
growing pauses. Doing it twice writes the same views and publishes once more, which consumers take for old news.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from services.metadata.desk import Desks
from services.metadata.measures import Measures
from syncline.domain.errors import Refused, SynclineError, Temporary
from syncline.messages import library_moved
from syncline.messages.library_moved import LibraryMoved
from syncline.ports.clock import Clock
from syncline.ports.tables import Tables
from syncline.ports.topics import ChangesTopic
from syncline.serving.logging import get_logger
from syncline.store.checkpoints import HEARERS, Checkpoints
from syncline.store.journal import Journal
from syncline.store.moves import MOVE_SHARDS, Move, Moves
from syncline.store.sweeps import Behind, Sweeps
from syncline.store.together import together
from syncline.store.views import Views

LIBRARIES_AT_ONCE = 8
SHARDS_AT_ONCE = 4
PAUSE_S_MAX = 6 * 3_600
GIVE_UP_AFTER_S = 14 * 24 * 3_600
"""As long as a queue keeps messages: a consumer that has not come so far by then fails at something else."""


class MoveSweep:
    """One of the sweep's jobs. ``grace_s``: a younger commit is still in its worker's hands."""

    name = "moves"

    def __init__(self, tables: Tables, topic: ChangesTopic, clock: Clock, measures: Measures, *, grace_s: int) -> None:
        self._moves = Moves(tables)
        self._journal = Journal(tables)
        self._views = Views(tables)
        self._desks = Desks(self._journal, self._views)
        self._checkpoints = Checkpoints(tables)
        self._sweeps = Sweeps(tables)
        self._topic = topic
        self._clock = clock
        self._measures = measures
        self._grace_s = grace_s

    async def round(self) -> None:
        """Look at all libraries that moved. Raises ``Temporary``; the next round does what was left."""
        left = _Left()
        await together(range(MOVE_SHARDS), lambda shard: self._sweep_shard(shard, left), at_once=SHARDS_AT_ONCE)
        await self._sweeps.leave(Behind(left.views_ms, left.news_ms))

    async def _sweep_shard(self, shard: int, left: _Left) -> None:
        now_ms = self._clock.now_ms()
        async for moves in self._moves.waiting(shard):
            old = [move for move in moves if now_ms >= move.at_ms + self._grace_s * 1000]
            if old:
                await self._sweep(old, left)

    async def _sweep(self, moves: Sequence[Move], left: _Left) -> None:
        libraries = [move.library for move in moves]
        applied = await self._views.applied_of(libraries)
        heard = await self._heard({move.library: move.incarnation for move in moves})

        async def one(move: Move) -> None:
            await self._settle(move, applied[move.library], heard[move.library], left)

        await together(moves, one, at_once=LIBRARIES_AT_ONCE)

    async def _heard(self, incarnations: Mapping[str, str]) -> Mapping[str, int]:
        """How far the slowest consumer has come in each library."""
        checkpoints = [await self._checkpoints.of_libraries(hearer, incarnations) for hearer in HEARERS]
        return {library: min(of[library] for of in checkpoints) for library in incarnations}

    async def _settle(self, move: Move, applied: int, heard: int, left: _Left) -> None:
        if heard < move.seq and move.tries:
            left.news(move)
        if heard >= move.seq and applied >= move.seq:
            await self._moves.settled(move)
            return
        if self._clock.now_ms() >= due_at_ms(move, self._grace_s):
            await self._heal(move, applied, heard, left)
        elif applied < move.seq:
            left.views(move)

    async def _heal(self, move: Move, applied: int, heard: int, left: _Left) -> None:
        try:
            if applied < move.seq:
                await self._bring_up(move)
            if heard < move.seq:
                await self._publish(move)
            else:
                await self._moves.settled(move)
        except Temporary:
            raise
        except Refused as refused:
            # The library is gone, and what is to be told about it with it.
            get_logger().warning("moved-library-gone", library=move.library, kind=refused.kind)
            await self._moves.settled(move)
        except SynclineError as error:
            # Damaged data of one library must not keep the others from being healed; its row stays, and pauses.
            get_logger().error("library-not-swept", library=move.library, reason=str(error)[:200])
            self._count("failed")
            left.views(move)
            await self._moves.told(move, self._clock.now_ms())

    async def _bring_up(self, move: Move) -> None:
        """The views to the head."""
        desk = self._desks.take(move.library)
        await desk.open()
        await desk.settle()
        self._count("views")
        get_logger().info("views-healed", library=move.library, seq=desk.head.seq)

    async def _publish(self, move: Move) -> None:
        now_ms = self._clock.now_ms()
        if now_ms - move.at_ms > GIVE_UP_AFTER_S * 1000:
            get_logger().error("move-given-up", library=move.library, seq=move.seq, tries=move.tries)
            self._count("given-up")
            await self._moves.settled(move)
            return
        head = await self._journal.head(move.library)
        if head is None:
            raise Refused("no-such-library", f"There is no library {move.library}.", status=404)
        await self._topic.publish(library_moved.encode(LibraryMoved(move.library, head.seq, head.incarnation)))
        self._count("published")
        get_logger().info("published-again", library=move.library, seq=head.seq, tries=move.tries)
        # Last: whoever dies before has published for nothing, not left it undone.
        await self._moves.told(move, now_ms)

    def _count(self, result: str) -> None:
        self._measures.sweep_libraries.labels(result).inc()


class _Left:
    """What a round leaves behind: since when (Unix ms) it is so."""

    def __init__(self) -> None:
        self.views_ms = self.news_ms = 0

    def views(self, move: Move) -> None:
        self.views_ms = min(self.views_ms or move.at_ms, move.at_ms)

    def news(self, move: Move) -> None:
        self.news_ms = min(self.news_ms or move.at_ms, move.at_ms)


def due_at_ms(move: Move, grace_s: int) -> int:
    """When a move is to be looked at: a grace after its append, then after pauses that double. Pure."""
    if not move.tries:
        return move.at_ms + grace_s * 1000
    pause_s = min(PAUSE_S_MAX, grace_s << min(move.tries, 16))
    return move.told_ms + pause_s * 1000
