"""A library from the bucket alone: what is archived, what landed after it, and what is not lost by anyone's mistake."""

from __future__ import annotations

import asyncio
import json

import pytest

from syncline.admin.answers import Exit
from syncline.admin.app import run
from syncline.admin.rebuilding import Rebuilding
from syncline.domain.commands import Command, CopyVersion, MakeFolder, Move, Remove
from syncline.domain.cursors import CURSOR_GONE
from syncline.domain.digests import Happened
from syncline.domain.errors import Refused, Temporary
from syncline.domain.permits import seal_permit
from syncline.domain.preferences import Every, Wishes
from syncline.domain.rights import Role
from syncline.domain.tree import Tree
from syncline.memory.faults import FaultPlan, FaultyTables
from syncline.messages import library_moved
from syncline.messages.library_moved import LibraryMoved
from syncline.ports.queues import Queue
from syncline.store.archive import Archive
from syncline.store.archiving import ArchiveStore
from syncline.store.checkpoints import NOTIFIER, Checkpoints
from syncline.store.follows import Follows
from syncline.store.incarnations import Incarnations
from syncline.store.retentions import Progress, Retentions, Rules
from syncline.store.usage import Usage
from tests.unit.admin.world import Operated, a_life
from tests.unit.metadata.sweeping import Hearers, heard, moves_of, sweep
from tests.unit.metadata.world import ALICE, BOB, DESKTOP, FORGERS_KEYS, LAPTOP, LIBRARY
from tests.unit.notifier.world import body_of


def contents(tree: Tree) -> dict[str, str]:
    """Path → checksum of everything live ("" for a folder)."""
    return {tree.path(node): node.version.checksum if node.version else "" for node in tree.live_nodes()}


async def stored_bytes(world: Operated) -> int:
    return sum([one.size_bytes async for one in world.objects.list_versions(f"objects/{LIBRARY}/")])


async def test_the_bucket_alone_gives_back_everything(world):
    await a_life(world)
    commits = await world.commits()
    await world.archive()
    world.lose_tables()
    rebuilt = await world.rebuild()
    assert (rebuilt.kept, rebuilt.recovered, rebuilt.name) == (len(commits), 0, "Papers")
    assert await world.commits() == commits
    await world.whole()
    head = await world.journal.head(LIBRARY)
    assert head.incarnation == rebuilt.incarnation != "inc"
    assert {m.account: m.role for m in await world.directory.members(LIBRARY)} == {
        ALICE: Role.OWNER,
        BOB: Role.EDITOR,
    }
    account = await world.directory.account_by_email("alice@example.org")
    assert account.id == ALICE
    assert account.password_hash == "none"
    assert (await world.check()).counts == {}
    assert (await Usage(world.tables).of_library(LIBRARY)).bytes == await stored_bytes(world)


async def test_what_people_said_about_the_library_comes_back_too(world):
    follows, retentions, usage = Follows(world.tables), Retentions(world.tables), Usage(world.tables)
    await a_life(world)
    await world.archive()
    archiver = world.archiver()
    while await archiver.archive_due():
        pass
    node = (await world.tree()).find("moved.txt").id
    rules = Rules(versions_days=90, trash_days=30, hold=True)
    wishes = Wishes(
        window=Every.DAILY, hour=7, zone="Europe/Berlin", kinds=frozenset({Happened.ADDED, Happened.REMOVED})
    )

    async def outsider() -> None:
        await follows.follow(LIBRARY, LIBRARY, "o" * 20, outside=True)

    for say in (
        retentions.set_rules(LIBRARY, rules),
        usage.set_library_quota(LIBRARY, 10**9),
        follows.follow(LIBRARY, LIBRARY, ALICE),
        follows.follow(LIBRARY, LIBRARY, BOB),
        follows.follow(LIBRARY, node, BOB, at_ms=5, wishes=wishes),
        follows.unfollow(LIBRARY, LIBRARY, ALICE),
        outsider(),
    ):
        await say
        world.clock.advance(1)
        # Each of them is news by itself, and none is news twice.
        assert await archiver.archive_due() == 1
        assert await archiver.archive_due() == 0
    said = [follow for follow in await follows.of_library(LIBRARY) if not follow.outside]
    assert [follow.node for follow in said] == sorted([LIBRARY, node])
    world.lose_tables()
    for _ in range(2):
        await world.rebuild(yes=True)
        assert await Follows(world.tables).of_library(LIBRARY) == said
        assert await Follows(world.tables).of_account(BOB) == said
        assert await Retentions(world.tables).rules(LIBRARY) == rules
        assert (await Usage(world.tables).of_library(LIBRARY)).quota_bytes == 10**9
    # What was said since is not undone by making the library again.
    await Follows(world.tables).unfollow(LIBRARY, LIBRARY, BOB)
    await Retentions(world.tables).set_rules(LIBRARY, Rules())
    await world.rebuild(yes=True)
    assert [follow.node for follow in await Follows(world.tables).of_library(LIBRARY)] == [node]
    assert await Retentions(world.tables).rules(LIBRARY) == Rules()


async def test_what_landed_after_the_archive_becomes_versions_again(world):
    await a_life(world)
    await world.archive()
    worker = world.worker()
    known = contents(await world.tree())
    new = await world.upload("new.txt", b"five")
    await world.add(new)
    await worker.drain()
    edit = await world.permit(b"six", node=new.node, base=new.id, account=BOB, device=DESKTOP)
    world.clock.advance(2)
    await world.put(edit, b"six")
    await world.add(edit, account=BOB, device=DESKTOP)
    by_event_alone = await world.upload("direct.txt", b"seven", direct=True)
    await worker.drain()
    before = contents(await world.tree())
    world.lose_tables()
    rebuilt = await world.rebuild()
    tree = await world.tree()
    assert rebuilt.recovered == 3
    assert contents(tree) == before == known | {"new.txt": edit.checksum, "direct.txt": by_event_alone.checksum}
    # The same versions of the same nodes as before: clients that know them know them again.
    assert tree.find("new.txt").id == new.node
    assert tree.find("new.txt").version.id == edit.id
    assert tree.version(new.id).version is not None
    await world.whole()


async def test_a_file_in_a_folder_nobody_knows_any_more_is_found_under_the_folders_id(world):
    await world.archive()
    folder = world.new_id()
    await world.ask(MakeFolder(folder, LIBRARY, "unarchived"))
    inside = await world.upload("a.txt", parent=folder)
    await world.add(inside)
    await world.worker().drain()
    world.lose_tables()
    await world.rebuild()
    tree = await world.tree()
    assert tree.node(folder).name.startswith("recovered ")
    assert tree.path(tree.node(inside.node)).endswith("/a.txt")


async def test_forged_late_and_strangers_bytes_are_not_recovered_but_named(world):
    await world.archive()
    forged = await world.permit(b"x", name="forged")
    await world.put(forged, b"x", sealed=seal_permit(forged, FORGERS_KEYS))
    bare = await world.permit(b"x", name="bare")
    await world.put(bare, b"x", sealed="")
    other = await world.permit(b"x", name="other")
    await world.put(other, b"y")
    stranger = await world.permit(b"x", name="stranger", account="s" * 20)
    await world.put(stranger, b"x")
    late = await world.permit(b"x", name="late")
    world.clock.advance(10_000)
    await world.put(late, b"x")
    world.lose_tables()
    rebuilt = await world.rebuild()
    assert {one.key: one.reason for one in rebuilt.unrecovered} == {
        forged.key: "bad-permit",
        bare.key: "no-permit",
        other.key: "permit-mismatch",
        stranger.key: "not-allowed",
        late.key: "permit-expired",
    }
    assert rebuilt.seq == 0


async def test_a_library_that_is_there_is_only_made_again_when_that_is_meant(world):
    await a_life(world)
    await world.archive()
    with pytest.raises(Refused, match="--yes") as refused:
        await world.rebuild()
    assert refused.value.kind == "needs-yes"
    assert (await world.journal.head(LIBRARY)).incarnation == "inc"
    unarchived = await world.upload("unarchived.txt")
    await world.add(unarchived)
    await world.worker().drain()
    commits = await world.commits()
    rebuilt = await world.rebuild(yes=True)
    # The tables' own commits are better than any recovery.
    assert (rebuilt.kept, rebuilt.recovered) == (len(commits), 0)
    assert await world.commits() == commits
    await world.whole()


async def test_nothing_archived_nothing_to_rebuild(world):
    with pytest.raises(Refused, match="no library") as refused:
        await world.rebuild()
    assert refused.value.kind == "not-archived"


async def test_leftovers_of_the_lost_tail_are_removed(world):
    """Only the head is lost: rows of commits that nobody can trust any more must not shine through."""
    await a_life(world)
    await world.archive()
    worker = world.worker()
    folder = world.new_id()
    await world.ask(MakeFolder(folder, LIBRARY, "lost folder"))
    await worker.drain()
    lost = (await world.tree()).find("a.txt")
    await world.ask(Move(lost.id, (await world.tree()).seq, folder, "elsewhere.txt"))
    await worker.drain()
    version = lost.version
    copied = CopyVersion(
        world.new_id(), version.id, world.new_id(), True, LIBRARY, "copy.txt", "",
        version.size_bytes, version.checksum, 1, False,
    )  # fmt: skip
    await world.ask(copied)
    await world.ask(Remove((await world.tree()).find("moved.txt").id, (await world.tree()).seq, False))
    await worker.drain()
    head = await world.journal.head(LIBRARY)
    await world.journal.close(LIBRARY, head)
    rebuilt = await world.rebuild()
    assert rebuilt.kept == head.seq - 4
    assert rebuilt.leftovers_removed > 0
    await world.whole()
    again = await world.upload("again.txt", b"later")
    await world.add(again)
    await worker.drain()
    await world.whole()
    assert "again.txt" in await world.names()


async def test_life_goes_on_and_a_second_rebuild_knows_where_the_first_came_from(world):
    await a_life(world)
    await world.archive()
    kept = (await world.tree()).seq
    world.lose_tables()
    first = await world.rebuild()
    # Lost again before anything of the new incarnation but its beginning was archived.
    await world.archiver()._keep_about(LIBRARY, await world.journal.head(LIBRARY), await _state(world, first))
    world.clock.advance(1)
    world.lose_tables()
    second = await world.rebuild()
    assert second.kept == kept
    lineage = await Incarnations(world.tables).lineage(LIBRARY, second.incarnation)
    assert lineage.kept("inc") == kept
    assert lineage.kept(first.incarnation) == kept
    assert lineage.kept("unheard of") == 0
    await world.whole()


async def _state(world: Operated, rebuilt):
    return await ArchiveStore(world.tables).state(LIBRARY, rebuilt.incarnation)


async def test_after_a_rebuild_metadata_and_archiver_go_on_and_hearers_hear(world):
    await a_life(world)
    await world.archive()
    world.lose_tables()
    rebuilt = await world.rebuild()
    assert (await world.published())[-1].incarnation == rebuilt.incarnation
    # Nobody knows any more what followers were told: they are not told it all again.
    assert await Checkpoints(world.tables).get(NOTIFIER, LIBRARY, rebuilt.incarnation) == rebuilt.seq
    assert await world.archiver().archive_due() == 1
    more = await world.upload("more.txt")
    await world.add(more)
    await world.worker().drain()
    await world.archive()
    commits = await world.commits()
    world.lose_tables()
    assert (await world.rebuild()).kept == len(commits)
    assert await world.commits() == commits


async def test_commands_from_before_do_not_touch_what_their_asker_never_saw(world):
    """On the queue since before the rebuild, with base seqs of the journal of then."""
    await a_life(world)
    await world.archive()
    worker = world.worker()
    folder = world.new_id()
    await world.ask(MakeFolder(folder, LIBRARY, "lost"))
    await worker.drain()
    node = (await world.tree()).find("a.txt")
    old = Command(world.new_id(), LIBRARY, ALICE, LAPTOP, 99, 1, (Remove(node.id, 8, False),), incarnation="inc")
    world.lose_tables()
    rebuilt = await world.rebuild()
    # The eighth commit is another one now.
    edit = await world.permit(b"unseen", node=node.id, base=node.version.id, account=BOB, device=DESKTOP)
    await world.put(edit, b"unseen")
    await world.add(edit, account=BOB, device=DESKTOP)
    assert rebuilt.seq == 7
    await world.send(old)
    await world.worker().drain()
    assert (await world.outcome(old)).refused == CURSOR_GONE
    assert (await world.tree()).find("a.txt").version.id == edit.id


async def test_followers_hear_of_what_comes_after_a_rebuild_that_lost_commits(world):
    """The new journal passes again the seqs that the followers were told of already."""
    follows, hearers = Follows(world.tables), Hearers(world)
    await follows.follow(LIBRARY, LIBRARY, BOB)
    await a_life(world)
    await world.archive()
    for name in ("lost 1", "lost 2", "lost 3"):
        await world.ask(MakeFolder(world.new_id(), LIBRARY, name))
    await world.worker().drain()
    await hearers.listen()
    head = await world.journal.head(LIBRARY)
    await world.journal.close(LIBRARY, head)
    rebuilt = await world.rebuild()
    assert rebuilt.seq == head.seq - 3
    assert moves_of(world) == [LIBRARY]
    await world.queues.send(Queue.NOTIFY, library_moved.encode(LibraryMoved(LIBRARY, head.seq, head.incarnation)))
    await hearers.listen()
    for name, told in (("after 1", {"lost": False, "moved.txt": True}), ("after 2", {"after 1": False})):
        await world.ask(MakeFolder(world.new_id(), LIBRARY, name))
        await world.worker().drain()
        await hearers.listen()
        world.clock.advance(200)
        await hearers.notifier.sender.round()
        text = body_of(hearers.mailer.sent[-1].message)
        assert {word: word in text for word in (*told, name)} == {**told, name: True}
    assert len(hearers.mailer.sent) == 2
    assert await heard(world, incarnation=rebuilt.incarnation) == rebuilt.seq + 2
    await sweep(world)
    assert moves_of(world) == []


async def test_a_window_open_since_before_a_rebuild_tells_of_what_was_kept(world):
    follows, hearers = Follows(world.tables), Hearers(world)
    await follows.follow(LIBRARY, LIBRARY, BOB)
    await a_life(world)
    await world.archive()
    await world.ask(MakeFolder(world.new_id(), LIBRARY, "lost"))
    await world.worker().drain()
    await hearers.listen()
    await world.journal.close(LIBRARY, await world.journal.head(LIBRARY))
    world.clock.advance(200)
    await hearers.notifier.sender.round()
    assert hearers.mailer.sent == [], "while there is no journal the mail waits"
    await world.rebuild()
    world.clock.advance(200)
    await hearers.notifier.sender.round()
    [sent] = hearers.mailer.sent
    text = body_of(sent.message)
    assert "moved.txt" in text
    assert "lost" not in text


async def test_retention_reads_on_where_the_journals_part(world):
    await a_life(world)
    await world.archive()
    retentions = Retentions(world.tables)
    await retentions.set_rules(LIBRARY, Rules(versions_days=30))
    retained = await retentions.retained(LIBRARY)
    assert retained is not None
    await retentions.advance(retained, Progress(aged=3, counted=90, trashed=7, freed=100), 10**15)
    await world.journal.close(LIBRARY, await world.journal.head(LIBRARY))
    await world.rebuild()
    retained = await retentions.retained(LIBRARY)
    assert retained is not None
    assert (retained.rules, retained.progress) == (Rules(versions_days=30), Progress(3, 7, 7, 7))
    assert retained.look_at_ms == 0


async def test_a_damaged_segment_is_named_and_its_pieces_are_used_instead(world):
    await a_life(world)
    await world.archive()
    commits = await world.commits()
    key = next(key for key in world.objects._versions if key.startswith(f"journal/{LIBRARY}/inc/0"))
    info, body = world.objects._versions[key][-1]
    world.objects._versions[key][-1] = (info, body[:-1] + b"?")
    await Archive(world.objects).keep("inc", commits[:3])
    world.lose_tables()
    rebuilt = await world.rebuild()
    assert rebuilt.damaged == (key,)
    assert rebuilt.kept == 3
    # Whatever was a content is one again, by its permit.
    assert {v.version.checksum for v in (await world.tree())._versions.values() if v.version} == {
        v.version.checksum for c in commits for change in c.changes if (v := change.node) and v.version
    }


@pytest.mark.parametrize("seed", range(12))
async def test_cut_short_anywhere_doing_it_again_does_it_all(world, seed):
    await a_life(world)
    await world.archive()
    late = await world.upload("late.txt", b"late")
    await world.add(late)
    await world.worker().drain()
    before = contents(await world.tree())
    if seed % 2:
        world.lose_tables()
    # Without tables it looks for open grants in hundreds of queries, each of which can fail.
    chance = 0.002 if seed % 2 else 0.01
    plan = FaultPlan(seed, before=chance, after=chance)
    for _ in range(200):
        try:
            await Rebuilding(world.ports(FaultyTables(world.tables, plan))).rebuild(LIBRARY, yes=True)
            break
        except Temporary:
            continue
    else:
        raise AssertionError("never done")
    assert contents(await world.tree()) == before
    await world.whole()


async def lived() -> Operated:
    world = await Operated().begin()
    await a_life(world)
    await world.archive()
    return world


def test_the_command_says_what_it_did(capsys):
    world = asyncio.run(lived())
    world.lose_tables()
    capsys.readouterr()  # metadata's log
    assert run(world.open_ports, ["--json", "rebuild", LIBRARY]) == Exit.OK
    assert json.loads(capsys.readouterr().out)["kept"] == 7
    assert run(world.open_ports, ["rebuild", LIBRARY, "--json"]) == Exit.NEEDS_YES
    assert json.loads(capsys.readouterr().err)["kind"] == "needs-yes"
    assert run(world.open_ports, ["rebuild", LIBRARY, "--yes"]) == Exit.OK
    assert "7 commits known" in capsys.readouterr().out
