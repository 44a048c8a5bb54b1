"""The journal: one transaction per append, gapless reading, large commits whole."""

from __future__ import annotations

import asyncio
from random import Random

import msgspec
import pytest

from syncline.domain.commits import Change, Commit, Effect, Outcome
from syncline.domain.errors import Broken, ConditionFailed, Refused
from syncline.domain.nodes import Author, Kind, Node
from syncline.memory.tables import MemoryTables
from syncline.ports.tables import Delete, Equals, Key, Put, Table
from syncline.store import journal as journal_module
from syncline.store.codec import pack, unpack
from syncline.store.journal import COMMITS_PER_PARTITION, PART_BYTES_MAX, Head, Journal, commit_key

LIBRARY = "l" * 20
NOW_MS = 1_767_225_600_000


def commit_of(seq: int, *, changes: int = 1, library: str = LIBRARY) -> Commit:
    """A commit whose bytes do not compress, so that many changes make many rows."""
    random = Random(seq)
    author = Author("a" * 20, "d" * 20, seq, NOW_MS)
    nodes = [
        Node(
            random.randbytes(10).hex(),
            library,
            random.randbytes(100).hex(),
            Kind.FOLDER,
            None,
            seq,
            seq,
            seq,
            False,
            author,
        )
        for _ in range(changes)
    ]
    changed = tuple(Change(Effect.ADDED, node) for node in nodes)
    return Commit(library, seq, f"command-{seq}", "a" * 20, "d" * 20, NOW_MS, changed)


def outcome_of(commit: Commit) -> Outcome:
    return Outcome(commit.command, commit.library, commit.seq, ())


async def a_journal(commits: int = 0, tables: MemoryTables | None = None) -> Journal:
    journal = Journal(tables or MemoryTables())
    await journal.create(LIBRARY, "inc")
    for seq in range(1, commits + 1):
        await add(journal, commit_of(seq))
    return journal


async def add(journal: Journal, commit: Commit, epoch: int = 1) -> None:
    expected = Head(commit.seq - 1, epoch, "inc")
    await journal.append(commit, outcome_of(commit), expected=expected, now_ms=NOW_MS)


async def read(journal: Journal, after: int, upto: int | None = None) -> list[Commit]:
    return [commit async for commit in journal.read(LIBRARY, after, upto)]


async def test_an_append_moves_the_head_and_keeps_the_outcome():
    journal = await a_journal(2)
    assert await journal.head(LIBRARY) == Head(2, 1, "inc")
    assert await read(journal, 0) == [commit_of(1), commit_of(2)]
    assert await journal.outcome("command-2") == outcome_of(commit_of(2))
    assert await journal.outcomes(["command-1", "command-3"]) == {"command-1": outcome_of(commit_of(1))}
    assert await journal.outcome("command-3") is None


async def test_of_many_appends_at_one_seq_one_takes_effect():
    journal = await a_journal(1)
    rivals = [msgspec.structs.replace(commit_of(2), command=f"rival-{n}") for n in range(10)]
    ends = await asyncio.gather(*(add(journal, rival) for rival in rivals), return_exceptions=True)
    assert {type(end) for end in ends if end is not None} == {ConditionFailed}
    assert sum(end is None for end in ends) == 1
    winner = rivals[ends.index(None)]
    assert await read(journal, 0) == [commit_of(1), winner]
    outcomes = await journal.outcomes([rival.command for rival in rivals])
    assert list(outcomes) == [winner.command]


@pytest.mark.parametrize("expected", [Head(0, 1, "inc"), Head(1, 2, "inc"), Head(1, 1, "other")])
async def test_an_append_fails_when_seq_epoch_or_incarnation_is_another(expected: Head):
    journal = await a_journal(1)
    commit = commit_of(expected.seq + 1)
    commit = msgspec.structs.replace(commit, command="late")
    with pytest.raises(ConditionFailed):
        await journal.append(commit, outcome_of(commit), expected=expected, now_ms=NOW_MS)
    with pytest.raises(ConditionFailed):
        await journal.append(None, Outcome("late", LIBRARY, 1, ()), expected=expected, now_ms=NOW_MS)
    assert await journal.outcome("late") is None
    assert await journal.head(LIBRARY) == Head(1, 1, "inc")


async def test_a_command_has_one_outcome():
    journal = await a_journal(1)
    again = msgspec.structs.replace(commit_of(2), command="command-1")
    with pytest.raises(ConditionFailed):
        await add(journal, again)
    with pytest.raises(ConditionFailed):
        await journal.append(None, outcome_of(again), expected=Head(1, 1, "inc"), now_ms=NOW_MS)
    assert await read(journal, 0) == [commit_of(1)]


async def test_an_outcome_without_a_commit_moves_nothing():
    journal = await a_journal(1)
    await journal.append(None, Outcome("quiet", LIBRARY, 1, ()), expected=Head(1, 1, "inc"), now_ms=NOW_MS)
    assert await journal.head(LIBRARY) == Head(1, 1, "inc")
    assert await journal.outcome("quiet") == Outcome("quiet", LIBRARY, 1, ())


async def test_the_epoch_moves_only_from_where_it_was_seen():
    tables = MemoryTables()
    journal = await a_journal(1, tables)
    await tables.transact([journal.epoch_bump(LIBRARY, expected=1)])
    with pytest.raises(ConditionFailed):
        await tables.transact([journal.epoch_bump(LIBRARY, expected=1)])
    await tables.transact([journal.epoch_bump(LIBRARY)])
    assert await journal.head(LIBRARY) == Head(1, 3, "inc")
    with pytest.raises(ConditionFailed):
        await tables.transact([journal.epoch_bump("nowhere" + "x" * 13)])


async def test_heads_of_many_libraries():
    tables = MemoryTables()
    journal = await a_journal(1, tables)
    await journal.create("m" * 20, "other")
    assert await journal.heads([LIBRARY, "m" * 20, "n" * 20]) == {
        LIBRARY: Head(1, 1, "inc"),
        "m" * 20: Head(0, 1, "other"),
    }


@pytest.mark.parametrize("after", [0, 1, COMMITS_PER_PARTITION - 3, COMMITS_PER_PARTITION, 519])
@pytest.mark.parametrize("length", [1, 3, 16, 17, 40, None])
async def test_reading_crosses_partitions_by_key_and_by_query(journal_520: Journal, after: int, length: int | None):
    upto = None if length is None else min(after + length, 520)
    commits = await read(journal_520, after, upto)
    assert [commit.seq for commit in commits] == list(range(after + 1, (upto or 520) + 1))


@pytest.fixture
async def journal_520() -> Journal:
    return await a_journal(520)


@pytest.mark.parametrize("commits", [5, 30])
async def test_a_missing_commit_is_no_short_answer(commits: int):
    tables = MemoryTables()
    journal = await a_journal(commits, tables)
    await tables.write(Delete(Table.JOURNAL, commit_key(LIBRARY, 3)))
    assert len(await read(journal, 0, 2)) == 2
    with pytest.raises(Broken, match="lacks commit 3"):
        await read(journal, 0)
    with pytest.raises(Broken, match="lacks commit"):
        await read(journal, commits, commits + 1)


class TestLargeCommits:
    @pytest.mark.parametrize("neighbours", [2, 30])
    async def test_one_in_several_rows_is_read_whole(self, neighbours: int):
        tables = MemoryTables()
        journal = await a_journal(1, tables)
        large = commit_of(2, changes=6_000)
        assert len(pack(large)) > 2 * PART_BYTES_MAX
        await add(journal, large)
        for seq in range(3, neighbours + 3):
            await add(journal, commit_of(seq))
        commits = await read(journal, 0)
        assert [commit.seq for commit in commits] == list(range(1, neighbours + 3))
        assert commits[1] == large
        assert await read(journal, 1, 2) == [large]

    @pytest.mark.parametrize("neighbours", [2, 30])
    async def test_a_missing_part_is_no_short_commit(self, neighbours: int):
        tables = MemoryTables()
        journal = await a_journal(1, tables)
        await add(journal, commit_of(2, changes=6_000))
        for seq in range(3, neighbours + 3):
            await add(journal, commit_of(seq))
        key = commit_key(LIBRARY, 2)
        await tables.write(Delete(Table.JOURNAL, Key(key.pk, f"{key.sk}#01")))
        with pytest.raises(Broken):
            await read(journal, 0)

    async def test_one_beyond_a_transaction_is_refused_and_nothing_happened(self):
        journal = await a_journal(1)
        with pytest.raises(Refused) as refused:
            await add(journal, commit_of(2, changes=30_000))
        assert refused.value.kind == "commit-too-large"
        assert await journal.head(LIBRARY) == Head(1, 1, "inc")


class TestPacked:
    def test_the_same_value_gives_the_same_bytes(self):
        assert pack(commit_of(1, changes=50)) == pack(commit_of(1, changes=50))

    @pytest.mark.parametrize("damage", [b"", b"\x01", b"\x02", b"\x07abc", b"\x02notzlib", b"\x01\xc1"])
    def test_damage_is_broken_never_a_wrong_value(self, damage: bytes):
        with pytest.raises(Broken):
            unpack(Commit, damage)

    def test_a_body_cut_off_is_broken(self):
        whole = pack(commit_of(1, changes=50))
        assert unpack(Commit, whole) == commit_of(1, changes=50)
        for length in (len(whole) - 1, len(whole) // 2):
            with pytest.raises(Broken):
                unpack(Commit, whole[:length])


async def test_the_head_row_is_what_others_condition_on():
    """Membership changes and appends meet on one row: neither misses the other."""
    tables = MemoryTables()
    await a_journal(0, tables)
    await tables.write(
        Put(
            Table.JOURNAL,
            {"pk": f"head#{LIBRARY}", "sk": "head", "seq": 0, "epoch": 1, "incarnation": "inc"},
            Equals({"seq": 0, "epoch": 1, "incarnation": "inc"}),
        )
    )
    assert journal_module.COMMIT_BYTES_MAX < 4_000_000
