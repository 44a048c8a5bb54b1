"""Servers that go away, rights that end, clocks that are wrong, homes and folders that come back from a backup."""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from syncline.client.index import Index
from syncline.domain.errors import Refused, SynclineError, Temporary
from syncline.domain.rights import Role
from tests.unit.client.clients import Client
from tests.unit.client.fakes import Stack

DAY_S = 86_400
LARGE = random.Random(1).randbytes(8 * 1024 * 1024 + 1)
PASSES_MAX = 10


@pytest.fixture
def stack() -> Stack:
    return Stack()


@pytest.fixture
def alice(stack: Stack, tmp_path: Path) -> Client:
    return Client(stack, tmp_path, "alice")


@pytest.fixture
def bob(stack: Stack, tmp_path: Path) -> Client:
    return Client(stack, tmp_path, "bob")


async def settle(*clients: Client) -> None:
    for _ in range(PASSES_MAX):
        done = [await client.sync() for client in clients]
        if all(summary.complete and not summary.changes for summary in done):
            assert all(client.files() == clients[0].stack.files() for client in clients)
            return
    raise AssertionError(f"not settled: {done}")


# -- the server


@pytest.mark.parametrize("step", ["changes", "uploads", "put", "stored", "commit", "committed", "get", "half got"])
async def test_a_server_that_goes_away_at_any_step_costs_only_time(
    stack: Stack, alice: Client, bob: Client, step: str
) -> None:
    alice.write("from alice", "one")
    alice.write("edited", "two")
    await settle(alice, bob)
    bob.write("edited", "by bob")
    bob.write("from bob", "three")
    await bob.sync()
    alice.write("from alice", "one, edited")
    alice.write("new", "four")

    def away(heard: str) -> None:
        if heard == step:
            raise Temporary("The connection was lost.")

    alice.hook = away
    with pytest.raises(Temporary):
        await alice.sync()
    alice.hook = lambda _: None
    await settle(alice, bob)
    assert stack.files() == {
        "from alice": b"one, edited",
        "edited": b"by bob",
        "from bob": b"three",
        "new": b"four",
    }


@pytest.mark.parametrize("step", ["part stored", "complete", "half got"])
async def test_a_large_file_that_is_cut_off_is_not_seen_half(
    stack: Stack, alice: Client, bob: Client, step: str
) -> None:
    heard = 0

    def away(name: str) -> None:
        nonlocal heard
        heard += name == step
        if name == step and heard == 1:
            raise Temporary("The connection was lost.")

    alice.write("large", LARGE)
    (alice if step != "half got" else bob).hook = away
    if step == "half got":
        await alice.sync()
        with pytest.raises(Temporary):
            await bob.sync()
        assert bob.files() == {}
    else:
        with pytest.raises(Temporary):
            await alice.sync()
        assert stack.files() == {}
    await settle(alice, bob)
    assert heard > 0
    assert Counter(bob.files().values()) == Counter([LARGE])


# -- rights


def take_the_right_to_write(client: Client) -> None:
    client.service.role = Role.VIEWER


def remove_from_the_library(client: Client) -> None:
    async def nothing(*_: object, **__: object) -> None:
        raise Refused("no-such-library", "There is no such library, or it is not shared with you.", status=404)

    for route in ("library", "changes", "uploads", "downloads", "commit", "snapshot"):
        setattr(client.service, route, nothing)


async def trouble(client: Client) -> set[str]:
    """The reasons why a pass could not do everything, whether it said so file by file or for all."""
    try:
        summary = await client.sync()
    except Refused as refused:
        return {refused.kind}
    assert not summary.complete
    return {reason for _, reason, _ in summary.refused}


@pytest.mark.parametrize("harm", [take_the_right_to_write, remove_from_the_library])
async def test_without_the_right_to_write_what_is_here_is_kept_and_told(
    stack: Stack, alice: Client, bob: Client, harm: Callable[[Client], None]
) -> None:
    alice.write("edited", "one")
    alice.write("removed", "two")
    alice.write("folder/moved", "three")
    await settle(alice, bob)
    bob.write("edited", "by bob")
    bob.write("new", "new")
    (bob.folder / "removed").unlink()
    (bob.folder / "folder").rename(bob.folder / "renamed")
    here, there = bob.files(), stack.files()
    harm(bob)
    for _ in range(2):
        assert "not-allowed" in await trouble(bob) or "no-such-library" in await trouble(bob)
        assert bob.files() == here
        assert stack.files() == there
    bob.restart()
    await settle(alice, bob)
    assert stack.files() == {"edited": b"by bob", "new": b"new", "renamed/moved": b"three"}


@pytest.mark.parametrize("size", [1, len(LARGE)])
async def test_a_viewer_still_gets_what_others_change(stack: Stack, alice: Client, bob: Client, size: int) -> None:
    """Whatever a viewer did here, and whatever command was on its way when the right to write went."""
    for name in ("a", "gone", "folder/moved", "copied"):
        alice.write(name, name)
    await settle(alice, bob)
    bob.write("mine", LARGE[:size])
    bob.write("copied", "a")
    (bob.folder / "gone").unlink()
    (bob.folder / "folder").rename(bob.folder / "mine too")
    (bob.folder / "mine, empty").mkdir()

    def lost(step: str) -> None:
        if step == "commit":
            raise Temporary("The connection was lost.")

    bob.hook = lost
    with pytest.raises(Temporary):
        await bob.sync()
    bob.hook = lambda _: None
    take_the_right_to_write(bob)
    there = stack.files()
    alice.write("a", "two")
    alice.write("b", "new")
    await alice.sync()
    for _ in range(2):
        summary = await bob.sync()
        assert not summary.complete
        assert {reason for _, reason, _ in summary.refused} == {"not-allowed"}
        told = {path for path, _, _ in summary.refused}
        assert {"mine", "copied", "gone", "mine, empty"} <= told
    assert bob.files() == {
        "a": b"two",
        "b": b"new",
        "mine": LARGE[:size],
        "copied": b"a",
        "mine too/moved": b"folder/moved",
    }
    assert stack.files() == there | {"a": b"two", "b": b"new"}


# -- clocks


@pytest.mark.parametrize("days", [-400, -3, 3, 400])
async def test_a_clock_wrong_by_days_changes_nothing(
    stack: Stack, alice: Client, bob: Client, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    right = time.time
    alice.write("a", "one")
    alice.write("b", "two")
    await settle(alice, bob)
    monkeypatch.setattr(time, "time", lambda: right() + days * DAY_S)
    alice.write("a", "edited under a wrong clock")
    alice.write("new", "three")
    (alice.folder / "b").rename(alice.folder / "c")
    summary = await alice.sync()
    assert (summary.later, summary.complete) == ([], True)
    monkeypatch.setattr(time, "time", right)
    alice.write("a", "edited again under the right one")
    await settle(alice, bob)
    assert stack.files() == {"a": b"edited again under the right one", "c": b"two", "new": b"three"}


def test_the_counter_never_goes_back_with_the_clock(tmp_path: Path) -> None:
    index = Index(tmp_path / "index.sqlite3")
    given = [index.next_counter(now_ms) for now_ms in (10_000, 50_000, 20_000, 0, 50_001)]
    index.close()
    index = Index(tmp_path / "index.sqlite3")
    given.append(index.next_counter(1))
    index.close()
    assert given == sorted(set(given))


# -- homes that are gone, or come back


async def test_a_home_that_is_deleted_is_linked_anew_without_a_copy(
    stack: Stack, alice: Client, bob: Client, tmp_path: Path
) -> None:
    for name in ("a", "folder/b", "folder/deep/c"):
        alice.write(name, name)
    await settle(alice, bob)
    before = len(stack.commits)
    alice.engine.close()
    shutil.rmtree(tmp_path / "alice-home")
    alice = Client(stack, tmp_path, "alice")
    summary = await alice.sync()
    assert (summary.complete, summary.changes, summary.conflicts) == (True, 0, [])
    assert len(stack.commits) == before
    alice.write("a", "edited")
    (alice.folder / "folder/b").unlink()
    await settle(alice, bob)
    assert stack.files() == {"a": b"edited", "folder/deep/c": b"folder/deep/c"}


async def test_what_differs_when_a_home_was_deleted_is_kept_beside(
    stack: Stack, alice: Client, bob: Client, tmp_path: Path
) -> None:
    alice.write("same", "one")
    alice.write("edited", "two")
    await settle(alice, bob)
    alice.engine.close()
    shutil.rmtree(tmp_path / "alice-home")
    (alice.folder / "edited").write_bytes(b"by alice")
    (alice.folder / "same").unlink()
    bob.write("edited", "by bob")
    await bob.sync()
    alice = Client(stack, tmp_path, "alice")
    await settle(alice, bob)
    assert Counter(stack.files().values()) == Counter([b"one", b"by alice", b"by bob"])


class Backup:
    """A copy of a folder, put back later."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kept = folder.with_name(f"{folder.name}-backup")
        shutil.copytree(folder, self.kept, symlinks=True)

    def restore(self) -> None:
        shutil.rmtree(self.folder)
        shutil.copytree(self.kept, self.folder, symlinks=True)


async def grow_old(alice: Client, bob: Client, chance: random.Random) -> None:
    """Much happens on both sides, all of it in sync in the end."""
    for round_ in range(4):
        for client in (alice, bob):
            client.write(f"{client.device} {round_}", f"new {round_}")
            client.write(chance.choice(["a", "b", "folder/c"]), f"{client.device}'s {round_}")
            await client.sync()
    (alice.folder / "d").unlink()
    (bob.folder / "folder").rename(bob.folder / "renamed")
    await settle(alice, bob)


@pytest.mark.parametrize("clock_was_ahead", [False, True])
async def test_a_home_from_an_old_backup_loses_and_doubles_nothing(
    stack: Stack,
    alice: Client,
    bob: Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    clock_was_ahead: bool,
) -> None:
    """Its index knows an old state, and, after a clock that was ahead, an old counter."""
    for name in ("a", "b", "folder/c", "d"):
        alice.write(name, name)
    await settle(alice, bob)
    alice.engine.close()
    backup = Backup(tmp_path / "alice-home")
    alice._start()
    right = time.time
    if clock_was_ahead:
        monkeypatch.setattr(time, "time", lambda: right() + 30 * DAY_S)
    await grow_old(alice, bob, random.Random(1))
    monkeypatch.setattr(time, "time", right)
    before = stack.files()
    alice.engine.close()
    backup.restore()
    alice._start()
    await settle(alice, bob)
    assert stack.files() == before
    alice.write("a", "edited after all that")
    alice.write("new", "made after all that")
    (alice.folder / "renamed").rename(alice.folder / "again")
    (alice.folder / "bob 1").unlink()
    await settle(alice, bob)
    assert stack.files()["a"] == b"edited after all that"
    assert stack.files()["new"] == b"made after all that"
    assert "again/c" in stack.files()
    assert "bob 1" not in stack.files()


async def test_a_command_that_an_old_home_still_waits_for_does_no_harm(
    stack: Stack, alice: Client, bob: Client, tmp_path: Path
) -> None:
    """It was answered long ago, and what it did was undone since."""
    alice.write("a", "one")
    alice.write("gone", "two")
    await settle(alice, bob)
    alice.write("a", "two")
    (alice.folder / "gone").unlink()

    def lost(step: str) -> None:
        if step == "committed":
            raise Temporary("The answer was lost.")

    alice.hook = lost
    with pytest.raises(Temporary):
        await alice.sync()
    alice.hook = lambda _: None
    alice.engine.close()
    backup = Backup(tmp_path / "alice-home")
    alice._start()
    await settle(alice, bob)
    bob.write("a", "three")
    bob.write("gone", "made anew")
    await settle(bob, alice)
    alice.engine.close()
    backup.restore()
    alice._start()
    await settle(alice, bob)
    assert stack.files() == {"a": b"three", "gone": b"made anew"}


# -- folders that come back


async def test_what_a_folder_from_an_old_backup_brings_is_taken_for_edits(
    stack: Stack, alice: Client, bob: Client, tmp_path: Path
) -> None:
    """Nobody can tell a restored folder from one that was edited; what was newer is in the library's history."""
    for name in ("a", "b", "folder/c", "d"):
        alice.write(name, name)
    await settle(alice, bob)
    backup = Backup(tmp_path / "alice")
    await grow_old(alice, bob, random.Random(2))
    newer = set(stack.files().values())
    backup.restore()
    await settle(alice, bob)
    assert {"a": b"a", "b": b"b", "d": b"d"}.items() <= stack.files().items()
    assert newer <= stack.contents()


async def test_a_folder_from_an_old_backup_that_lacks_very_much_is_asked_about(
    stack: Stack, alice: Client, bob: Client, tmp_path: Path
) -> None:
    alice.write("first", "first")
    await settle(alice, bob)
    backup = Backup(tmp_path / "alice")
    for number in range(60):
        bob.write(f"{number}", f"{number}")
    await settle(bob, alice)
    backup.restore()
    with pytest.raises(Refused, match="60 files are gone") as refused:
        await alice.sync()
    assert refused.value.kind == "large-removal"
    assert len(stack.files()) == 61


# -- two clients on one folder


async def test_a_second_home_on_the_same_folder_is_refused(stack: Stack, alice: Client, tmp_path: Path) -> None:
    alice.write("a", "one")
    await alice.sync()
    other = Client(stack, tmp_path, "other")
    with pytest.raises(Refused, match="Another Syncline client keeps") as refused:
        await other.engine.link(stack.library, alice.folder)
    assert refused.value.kind == "folder-taken"
    assert "unlink" in refused.value.detail
    assert (await alice.sync()).complete


async def test_two_copies_of_one_home_do_not_synchronise_at_once(stack: Stack, alice: Client, tmp_path: Path) -> None:
    alice.write("a", "one")
    await alice.sync()
    alice.engine.close()
    shutil.copytree(tmp_path / "alice-home", tmp_path / "other-home")
    alice._start()
    other = Client(stack, tmp_path, "other")
    refusals: list[SynclineError] = []

    async def also() -> None:
        try:
            await other.engine.sync_once(other.engine.links()[0])
        except SynclineError as error:
            refusals.append(error)

    changes = alice.service.changes

    async def meanwhile(*arguments: str) -> object:
        await also()
        return await changes(*arguments)

    alice.service.changes = meanwhile  # type: ignore[method-assign, assignment]
    await alice.sync()
    assert {error.kind for error in refusals if isinstance(error, Refused)} == {"folder-taken"}
    other.engine.close()
