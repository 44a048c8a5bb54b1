"""Clients that begin from a snapshot, and clients whose cursor is gone: nothing that anyone holds is lost."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from syncline.domain.errors import Refused
from syncline.domain.tree import Tree
from tests.unit.client.clients import Client
from tests.unit.client.fakes import Stack


@pytest.fixture
def stack() -> Stack:
    return Stack()


def restored(stack: Stack, upto: int, *, known_to: int | None = None) -> None:
    """The journal was made again with its first commits alone. ``known_to`` says how many of them, if anyone knows."""
    stack.kept = {stack.incarnation: upto if known_to is None else known_to}
    stack.commits = stack.commits[:upto]
    stack.tree = Tree(stack.library)
    stack.tree.apply_all(stack.commits)
    stack.incarnation = f"{stack.incarnation}+"
    stack.snapshot_seq = 0


async def settle(*clients: Client) -> None:
    for _ in range(12):
        summaries = [await client.sync(allow_removals=True) for client in clients]
        if all(summary.complete and not summary.changes for summary in summaries):
            return
    raise AssertionError("not settled")


async def test_a_new_client_begins_at_the_snapshot_and_goes_on_from_it(stack, tmp_path):
    steps: list[str] = []
    alice = Client(stack, tmp_path, "alice")
    alice.folder.mkdir()
    for name in ("a", "b/c", "d"):
        alice.write(name, name)
        await alice.sync()
    stack.snapshot_seq = 2
    bob = Client(stack, tmp_path, "bob", hook=steps.append)
    await bob.sync()
    assert bob.files() == alice.files()
    assert steps.count("snapshot") == 1
    link = bob.engine.links()[0]
    assert link.seq == stack.tree.seq
    await bob.sync()
    assert steps.count("snapshot") == 1


async def test_a_damaged_snapshot_costs_time_and_nothing_else(stack, tmp_path):
    alice, bob = Client(stack, tmp_path, "alice"), Client(stack, tmp_path, "bob")
    alice.write("a", "one")
    await alice.sync()
    stack.snapshot_seq, stack.snapshot_damaged = 1, True
    await bob.sync()
    assert bob.files() == alice.files()


@pytest.mark.parametrize("step", ["half a snapshot", "snapshot", "changes"])
async def test_a_client_killed_while_it_begins_begins_again(stack, tmp_path, step):
    class Killed(BaseException):
        pass

    def kill(heard: str) -> None:
        if heard == step and armed:
            armed.pop()
            raise Killed

    armed = [True]
    alice, bob = Client(stack, tmp_path, "alice"), Client(stack, tmp_path, "bob", hook=kill)
    for number in range(5):
        alice.write(f"f{number}", str(number))
        await alice.sync()
    stack.snapshot_seq = 4
    with pytest.raises(Killed):
        await bob.sync()
    bob.restart()
    await bob.sync()
    assert bob.files() == alice.files()


async def test_nothing_is_lost_by_the_service_then_only_the_tree_is_read_anew(stack, tmp_path):
    alice, bob = Client(stack, tmp_path, "alice"), Client(stack, tmp_path, "bob")
    alice.write("stays", "one")
    alice.write("edited", "two")
    alice.write("removed", "three")
    await settle(alice, bob)
    (alice.folder / "removed").unlink()
    await alice.sync()
    restored(stack, len(stack.commits))
    stack.snapshot_seq = len(stack.commits)
    bob.write("edited", "by bob")
    await settle(bob, alice)
    # What the others removed is removed, what was edited here is an edit and no conflict.
    assert alice.files() == bob.files() == {"stays": b"one", "edited": b"by bob"}


async def test_what_the_service_lost_is_sent_to_it_again(stack, tmp_path):
    alice, bob = Client(stack, tmp_path, "alice"), Client(stack, tmp_path, "bob")
    alice.write("old", "one")
    await settle(alice, bob)
    kept = len(stack.commits)
    alice.write("new folder/new", "two")
    alice.write("old", "one, edited")
    (alice.folder / "empty").mkdir()
    await settle(alice, bob)
    restored(stack, kept)
    await settle(alice, bob)
    assert alice.files() == bob.files()
    assert set(alice.files().values()) >= {b"one, edited", b"two"}
    assert {"new folder/new", "empty"} <= alice.paths()
    assert set(stack.files().values()) == set(alice.files().values())


async def test_a_move_that_the_service_lost_is_made_again(stack, tmp_path):
    alice, bob = Client(stack, tmp_path, "alice"), Client(stack, tmp_path, "bob")
    alice.write("a", "one")
    (alice.folder / "folder").mkdir()
    await settle(alice, bob)
    kept = len(stack.commits)
    (alice.folder / "a").rename(alice.folder / "folder" / "b")
    await settle(alice, bob)
    restored(stack, kept)
    await settle(alice, bob)
    assert alice.files() == bob.files() == {"folder/b": b"one"}
    assert set(stack.files()) == {"folder/b"}


async def test_a_removal_under_way_while_the_library_is_restored_removes_nothing_unseen(stack, tmp_path):
    """The journal is another one when the command arrives, and has come no further than the one it was planned by."""
    alice, bob, carol = (Client(stack, tmp_path, name) for name in ("alice", "bob", "carol"))
    alice.write("folder/file", "one")
    await settle(alice, bob, carol)
    kept, incarnation = len(stack.commits), stack.incarnation
    carol.write("folder/file", "unseen")
    await carol.sync()
    after_the_restore = stack.commits
    restored(stack, kept)
    stack.incarnation = incarnation
    for number in range(5):
        alice.write("elsewhere", str(number))
        await settle(alice, bob)

    def restore(step: str) -> None:
        if step == "commit" and stack.incarnation == incarnation:
            restored(stack, kept)
            stack.commits = after_the_restore
            stack.tree.apply_all(after_the_restore[kept:])

    (bob.folder / "folder" / "file").unlink()
    (bob.folder / "folder").rmdir()
    bob.hook = restore
    await bob.sync(allow_removals=True)
    await settle(alice, bob)
    assert alice.files() == bob.files() == {"folder/file": b"unseen", "elsewhere": b"4"}


async def test_with_nothing_known_all_that_differs_is_kept_on_both_sides(stack, tmp_path):
    alice, bob = Client(stack, tmp_path, "alice"), Client(stack, tmp_path, "bob")
    alice.write("same", "one")
    alice.write("edited", "two")
    await settle(alice, bob)
    restored(stack, len(stack.commits), known_to=0)
    alice.write("edited", "by alice")
    await alice.sync()
    bob.write("edited", "by bob")
    await settle(alice, bob)
    assert alice.files() == bob.files()
    assert {b"by alice", b"by bob", b"one"} <= set(alice.files().values())


async def test_a_service_that_sends_it_away_again_and_again_is_not_asked_for_ever(stack, tmp_path):
    alice = Client(stack, tmp_path, "alice")
    alice.write("a", "one")
    await alice.sync()

    async def changes(library: str, cursor: str = ""):
        raise Refused("cursor-gone", "Start anew.", status=410, known_to=0)

    alice.service.changes = changes  # type: ignore[method-assign]
    with pytest.raises(Refused, match="Start anew"):
        await alice.sync()
    assert alice.files() == {"a": b"one"}


@pytest.mark.parametrize("seed", range(25))
async def test_whatever_was_lost_every_content_on_a_disk_is_there_afterwards(tmp_path: Path, seed: int) -> None:
    """Random edits, a service that is set back some commits, clients that had or had not seen them."""
    chance = random.Random(seed)
    stack = Stack()
    clients = [Client(stack, tmp_path, name) for name in ("alice", "bob")]
    for _ in range(8):
        client = chance.choice(clients)
        _edit(client, chance)
        await client.sync(allow_removals=True)
    await settle(*clients)
    on_disk = {content for client in clients for content in client.files().values()}
    kept = chance.randint(0, len(stack.commits))
    for client in clients:
        if chance.random() < 0.5:
            name = f"unsent {client.device}"
            client.write(name, name)
            on_disk.add(name.encode())
    restored(stack, kept)
    if chance.random() < 0.7:
        stack.snapshot_seq = chance.randint(0, kept)
    if chance.random() < 0.5:
        clients[0].restart()
    await settle(*clients)
    assert clients[0].files() == clients[1].files() == stack.files()
    assert on_disk <= set(clients[0].files().values())


def _edit(client: Client, chance: random.Random) -> None:
    client.folder.mkdir(exist_ok=True)
    files = sorted(client.files())
    what = chance.choice(["write", "write", "edit", "move", "remove", "folder"])
    name = chance.choice(["a", "b", "x/a", "x/b", "y/z/a"])
    if what == "edit" and files:
        client.write(chance.choice(files), f"edit {chance.random()}")
    elif what == "move" and files:
        target = client.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            (client.folder / chance.choice(files)).rename(target)
    elif what == "remove" and files:
        (client.folder / chance.choice(files)).unlink()
    elif what == "folder":
        (client.folder / f"folder {chance.randint(1, 3)}").mkdir(exist_ok=True)
    elif not (client.folder / name).is_dir() and not any(
        (client.folder / above).is_file() for above in ("x", "y", "y/z") if name.startswith(f"{above}/")
    ):
        client.write(name, f"{name} {chance.random()}")
