"""What the sweep finds its work by: marks of moved libraries, turns, and how far it has come."""

from __future__ import annotations

import pytest

from syncline.domain.commits import Commit, Outcome
from syncline.domain.errors import ConditionFailed
from syncline.memory.tables import MemoryTables
from syncline.store.grants import GRANT_KEPT_S
from syncline.store.journal import Head, Journal
from syncline.store.moves import MOVE_SHARDS, Move, Moves
from syncline.store.sweeps import Sweeps

LIBRARY = "l" * 20
NOW_MS = 1_767_225_600_000


async def waiting(tables: MemoryTables) -> list[Move]:
    moves = Moves(tables)
    return [move for shard in range(MOVE_SHARDS) async for batch in moves.waiting(shard) for move in batch]


async def append(tables: MemoryTables, seq: int, *, library: str = LIBRARY, at_ms: int = NOW_MS) -> None:
    commit = Commit(library, seq, f"command-{library}-{seq}", "a" * 20, "d" * 20, at_ms, ())
    outcome = Outcome(commit.command, library, seq, ())
    await Journal(tables).append(commit, outcome, expected=Head(seq - 1, 1, "inc"), now_ms=at_ms)


class TestMoves:
    async def test_every_append_marks_its_library_and_nothing_else_does(self):
        tables = MemoryTables()
        await Journal(tables).create(LIBRARY, "inc")
        assert await waiting(tables) == []
        await append(tables, 1)
        await append(tables, 2, at_ms=NOW_MS + 5)
        assert await waiting(tables) == [Move(LIBRARY, 2, "inc", NOW_MS + 5)]
        await Journal(tables).append(
            None, Outcome("quiet", LIBRARY, 2, ()), expected=Head(2, 1, "inc"), now_ms=NOW_MS + 9
        )
        with pytest.raises(ConditionFailed):
            await append(tables, 2, at_ms=NOW_MS + 9)
        assert await waiting(tables) == [Move(LIBRARY, 2, "inc", NOW_MS + 5)]

    async def test_a_mark_goes_only_if_the_library_has_not_moved_on(self):
        tables = MemoryTables()
        await Journal(tables).create(LIBRARY, "inc")
        await append(tables, 1)
        [seen] = await waiting(tables)
        await append(tables, 2)
        await Moves(tables).settled(seen)
        await Moves(tables).told(seen, NOW_MS + 1)
        [newer] = await waiting(tables)
        assert newer == Move(LIBRARY, 2, "inc", NOW_MS)
        await Moves(tables).told(newer, NOW_MS + 1)
        await Moves(tables).told(newer, NOW_MS + 2)
        assert await waiting(tables) == [Move(LIBRARY, 2, "inc", NOW_MS, told_ms=NOW_MS + 2, tries=2)]
        await Moves(tables).settled(newer)
        await Moves(tables).settled(newer)
        assert await waiting(tables) == []

    async def test_a_new_commit_begins_its_tries_anew(self):
        tables = MemoryTables()
        await Journal(tables).create(LIBRARY, "inc")
        await append(tables, 1)
        [seen] = await waiting(tables)
        await Moves(tables).told(seen, NOW_MS + 1)
        await append(tables, 2)
        assert await waiting(tables) == [Move(LIBRARY, 2, "inc", NOW_MS)]

    async def test_many_libraries_lie_in_many_shards(self):
        tables = MemoryTables()
        libraries = {f"library-{n:012}" for n in range(300)}
        for library in libraries:
            await Journal(tables).create(library, "inc")
            await append(tables, 1, library=library)
        assert {move.library for move in await waiting(tables)} == libraries
        shards = [sum([len(batch) async for batch in Moves(tables).waiting(shard)]) for shard in range(MOVE_SHARDS)]
        assert all(0 < size < 60 for size in shards)


class TestSweeps:
    async def test_one_worker_has_the_turn_until_it_ends(self):
        sweeps = Sweeps(MemoryTables())
        assert await sweeps.take_turn("grants", now_ms=1_000, until_ms=2_000)
        assert not await sweeps.take_turn("grants", now_ms=1_999, until_ms=3_000)
        assert await sweeps.take_turn("moves", now_ms=1_999, until_ms=3_000)
        assert await sweeps.take_turn("grants", now_ms=2_000, until_ms=3_000)

    async def test_the_first_hour_never_goes_back(self):
        sweeps = Sweeps(MemoryTables())
        assert await sweeps.first_hour() is None
        await sweeps.advance(7)
        await sweeps.advance(5)
        assert await sweeps.first_hour() == 7

    async def test_how_far_grants_are_settled_is_kept_until_they_are_done(self):
        tables = MemoryTables()
        sweeps = Sweeps(tables)
        await sweeps.remember("g", 100)
        await sweeps.remember("g", 200)
        assert await sweeps.swept(["g", "h"]) == {"g": 200, "h": 0}
        tables.drop_expired(200 + GRANT_KEPT_S)
        assert await sweeps.swept(["g"]) == {"g": 200}
        await sweeps.forget("g")
        await sweeps.forget("g")
        assert await sweeps.swept(["g"]) == {"g": 0}
