"""Segments and snapshots: what is in the bucket is what the journal says, in whatever pieces it came there."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from syncline.domain.commits import Effect
from syncline.domain.errors import Broken
from syncline.domain.nodes import Node
from syncline.memory.clock import ManualClock
from syncline.memory.objects import MemoryObjects
from syncline.memory.tables import MemoryTables
from syncline.messages.envelope import Unreadable
from syncline.messages.tree_stream import Begin, TreeDecoder, TreeEncoder
from syncline.store.archive import Archive, Archived
from syncline.store.archiving import ArchiveStore, SnapshotRecord
from syncline.store.incarnations import Lineage, begun_from
from syncline.store.journal import Head, Journal
from syncline.store.segments import (
    About,
    AboutKey,
    Origin,
    SegmentKey,
    about_key,
    cover,
    decode_segment,
    encode_segment,
    first_of_segment,
    last_of_segment,
    parse_key,
    segment_key,
)
from syncline.store.tree_snapshots import TreeSnapshots, is_due
from tests.unit.store.histories import LIBRARY, START_MS, History

ABOUT = About(LIBRARY, "inc", "Papers", 1, (), 0, ())


def left_behind(nodes: dict[str, Node], history: History, after: int, upto: int) -> dict[str, Node]:
    """What a client knows that applies these commits to what it knew: every node not removed itself."""
    nodes = dict(nodes)
    for commit in history.commits[after:upto]:
        nodes |= {change.node.id: change.node for change in commit.changes if change.effect is not Effect.LATE}
    return {node.id: node for node in nodes.values() if not node.removed}


async def stored_journal(history: History) -> Journal:
    journal = Journal(MemoryTables())
    await journal.restore(history.commits)
    await journal.open(LIBRARY, Head(len(history.commits), 1, "inc"))
    return journal


async def read_snapshot(objects: MemoryObjects, record: SnapshotRecord) -> dict[str, Node]:
    decoder = TreeDecoder()
    body = await objects.get(record.key, record.s3_version)
    nodes = [node for start in range(0, len(body), 97) for node in decoder.feed(body[start : start + 97])]
    decoder.finish()
    assert decoder.begin == Begin(LIBRARY, "inc", record.seq)
    assert [node.id for node in nodes] == sorted(node.id for node in nodes)
    assert record.nodes == len(nodes)
    return {node.id: node for node in nodes}


@pytest.mark.parametrize("seed", range(15))
async def test_snapshot_and_changes_after_it_are_the_journals_tree(seed):
    random = Random(seed)
    history = History(random).go_on(120)
    journal = await stored_journal(history)
    objects, clock = MemoryObjects(ManualClock()), ManualClock()
    snapshots = TreeSnapshots(objects, journal, ArchiveStore(journal._tables), clock)
    last = len(history.commits)
    whole = left_behind({}, history, 0, last)
    # Each snapshot is made of the one before.
    for seq in sorted(random.sample(range(1, last + 1), 4)):
        record = await snapshots.make(LIBRARY, "inc", seq, changes=seq)
        nodes = await read_snapshot(objects, record)
        assert nodes == left_behind({}, history, 0, seq)
        assert left_behind(nodes, history, seq, last) == whole
    live = {node.id for node in history.tree.live_nodes()}
    assert live <= whole.keys()


async def test_a_snapshot_made_twice_by_anyone_is_the_same_and_older_ones_never_replace_newer():
    history = History(Random(5)).go_on(60)
    journal = await stored_journal(history)
    objects, store = MemoryObjects(ManualClock()), ArchiveStore(journal._tables)
    snapshots = TreeSnapshots(objects, journal, store, ManualClock())
    first = await snapshots.make(LIBRARY, "inc", 20, changes=20)
    other = TreeSnapshots(objects, journal, ArchiveStore(MemoryTables()), ManualClock())
    assert msgspec.structs.replace(await other.make(LIBRARY, "inc", 20, changes=20), at_ms=first.at_ms) == first
    newer = await snapshots.make(LIBRARY, "inc", 30, changes=30)
    assert await snapshots.make(LIBRARY, "inc", 25, changes=25) == newer
    await store.keep_snapshot(first)
    assert await store.snapshot(LIBRARY, "inc") == newer
    assert await store.snapshot(LIBRARY, "another life") is None


async def test_a_damaged_snapshot_is_not_built_upon():
    history = History(Random(6)).go_on(60)
    journal = await stored_journal(history)
    objects = MemoryObjects(ManualClock())
    snapshots = TreeSnapshots(objects, journal, ArchiveStore(journal._tables), ManualClock())
    first = await snapshots.make(LIBRARY, "inc", 20, changes=20)
    info, body = objects._versions[first.key][-1]
    objects._versions[first.key][-1] = (info, body[:-30] + b"x" * 30)
    again = await snapshots.make(LIBRARY, "inc", 40, changes=40)
    assert await read_snapshot(objects, again) == left_behind({}, history, 0, 40)
    del objects._versions[again.key]
    last = await snapshots.make(LIBRARY, "inc", 41, changes=41)
    assert await read_snapshot(objects, last) == left_behind({}, history, 0, 41)


def test_when_a_snapshot_is_due():
    record = SnapshotRecord(LIBRARY, "inc", 1, "k", "v", 1, "c", nodes=100_000, changes=50_000, at_ms=0)
    assert not is_due(None, 9_999, 10_000)
    assert is_due(None, 10_000, 10_000)
    # A large library waits for a fifth of its nodes.
    assert not is_due(record, 60_000, 10_000)
    assert is_due(record, 70_000, 10_000)


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_stream_that_was_cut_off_or_altered_is_no_snapshot(cut):
    encoder = TreeEncoder()
    nodes = list(History(Random(1)).go_on(50).tree.changed_since(0))
    stream = encoder.begin(Begin(LIBRARY, "inc", 3)) + encoder.nodes(nodes) + encoder.end()
    decoder = TreeDecoder()
    assert list(decoder.feed(stream)) == nodes
    decoder.finish()
    cut_off = TreeDecoder()
    list(cut_off.feed(stream[:-cut]))
    with pytest.raises(Unreadable):
        cut_off.finish()
    with pytest.raises(Unreadable):
        list(TreeDecoder().feed(b"not gzip at all"))


def test_a_stream_that_promises_more_than_it_holds_is_no_snapshot():
    encoder = TreeEncoder()
    begin = encoder.begin(Begin(LIBRARY, "inc", 3))
    encoder.nodes_written = 7
    with pytest.raises(Unreadable, match="7 nodes"):
        list(TreeDecoder().feed(begin + encoder.end()))


# -- segments


def test_keys_say_what_is_in_them():
    key = segment_key(LIBRARY, "inc", 513, 1023)
    assert key == f"journal/{LIBRARY}/inc/00000001-000000000513-000000001023"
    assert parse_key(key) == SegmentKey(513, 1023, "inc", key)
    about = about_key(LIBRARY, "inc", 5)
    assert parse_key(about) == AboutKey(5, "inc", about)
    assert parse_key("journal/x") is None
    assert (first_of_segment(1), last_of_segment(1)) == (1, 511)
    assert (first_of_segment(511), last_of_segment(512)) == (1, 1023)


def test_a_segment_is_only_what_its_key_says_it_is():
    commits = History(Random(2)).go_on(30).commits[:5]
    body = encode_segment("inc", commits)
    assert decode_segment(body, SegmentKey(1, 5, "inc", "k")).commits == tuple(commits)
    for wanted in (SegmentKey(1, 6, "inc", "k"), SegmentKey(1, 5, "other", "k")):
        with pytest.raises(Broken):
            decode_segment(body, wanted)
    for damaged in (body[:-1], body[:30] + b"?" + body[31:], b"", b"syncline archive 2\n" + body[19:]):
        with pytest.raises(Broken):
            decode_segment(damaged, SegmentKey(1, 5, "inc", "k"))


@pytest.mark.parametrize("seed", range(15))
async def test_pieces_of_any_size_that_overlap_give_the_commits_back_in_order(seed):
    random = Random(seed)
    history = History(random).go_on(80)
    commits = history.commits
    archive = Archive(MemoryObjects(ManualClock()))
    await archive.keep_about(ABOUT, START_MS)
    at = 0
    while at < len(commits):
        end = min(len(commits), at + random.randint(1, 9))
        begin = max(0, at - random.randint(0, 4))
        await archive.keep("inc", commits[begin:end])
        at = end
    [archived] = await archive.incarnations(LIBRARY)
    assert archived.last == len(commits)
    assert [commit async for commit in archive.commits(archived)] == commits
    after = random.randrange(len(commits))
    assert [commit async for commit in archive.commits(archived, after)] == commits[after:]
    assert [library async for library in archive.libraries()] == [LIBRARY]


async def test_reading_ends_at_a_gap():
    commits = History(Random(3)).go_on(40).commits
    archive = Archive(MemoryObjects(ManualClock()))
    await archive.keep_about(ABOUT, START_MS)
    await archive.keep("inc", commits[:5])
    await archive.keep("inc", commits[6:9])
    [archived] = await archive.incarnations(LIBRARY)
    assert archived.last == 5
    assert [commit.seq async for commit in archive.commits(archived)] == [1, 2, 3, 4, 5]


async def test_the_incarnation_that_began_last_is_the_newest_and_its_newest_about_counts():
    archive = Archive(MemoryObjects(ManualClock()))
    await archive.keep_about(msgspec.structs.replace(ABOUT, incarnation="a", began_at_ms=9), 10)
    await archive.keep_about(msgspec.structs.replace(ABOUT, incarnation="b", began_at_ms=5), 11)
    await archive.keep_about(msgspec.structs.replace(ABOUT, incarnation="a", began_at_ms=9, name="Newer"), 12)
    found = await archive.incarnations(LIBRARY)
    assert [(one.incarnation, one.about.name) for one in found] == [("b", "Papers"), ("a", "Newer")]
    assert await archive.incarnations("k" * 20) == []


def test_a_lineage_keeps_no_more_of_the_ancestors_than_of_the_parent():
    lineage = begun_from(Lineage(5, (Origin("a", 100),)), "b", 80, 9)
    assert (lineage.kept("a"), lineage.kept("b"), lineage.kept("c"), lineage.began_at_ms) == (80, 80, 0, 9)
    assert begun_from(lineage, "c", 90, 10).kept("b") == 80


def test_cover_prefers_what_reaches_furthest():
    keys = [SegmentKey(1, 3, "i", "a"), SegmentKey(2, 9, "i", "b"), SegmentKey(4, 6, "i", "c")]
    assert [key.key for key in cover(keys, 1)] == ["b", "a"]
    assert cover(keys, 9) == []


async def test_a_mark_is_only_taken_away_if_it_is_still_the_same():
    store = ArchiveStore(MemoryTables())
    await store.mark_commits(LIBRARY, "inc", 1)

    async def due():
        return [one for shard in range(16) async for one in store.due(shard)]

    [first] = await due()
    assert await store.claim(first, now_ms=1_000, until_ms=2_000)
    assert not await store.claim(first, now_ms=1_000, until_ms=2_000)
    await store.mark_commits(LIBRARY, "inc", 2)
    [second] = await due()
    assert not await store.claim(second, now_ms=1_999, until_ms=9_000)
    await store.done(first)
    [second] = await due()
    assert await store.claim(second, now_ms=1_999, until_ms=9_000)
    await store.done(second)
    await store.done(second)
    assert await due() == []


def test_archived_is_ordered_by_what_it_holds():
    archived = Archived(LIBRARY, "inc", ABOUT, (SegmentKey(1, 2, "inc", "a"), SegmentKey(3, 4, "inc", "b")))
    assert archived.last == 4
