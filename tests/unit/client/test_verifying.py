"""What verifying finds, over real folders and the service in process."""

import os
from pathlib import Path

import msgspec
import pytest

from syncline.client.disk import Disk
from syncline.client.hashing import stat_of
from syncline.client.ignoring import NO_IGNORES
from syncline.client.scanner import hashed
from syncline.client.verifying import State, differences, is_as_read
from syncline.domain.errors import Refused
from tests.unit.client.clients import Client
from tests.unit.client.fakes import Stack


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Client, Client]:
    stack = Stack()
    return Client(stack, tmp_path, "alice"), Client(stack, tmp_path, "bob")


def decay(client: Client, path: str) -> None:
    """Flip a bit of a file as a failing disk does: by all that its stat tells, nothing was written."""
    target = client.folder / path
    content = bytearray(target.read_bytes())
    content[-1] ^= 1
    target.write_bytes(content)
    index, link = client.engine.index, client.engine.links()[0]
    node = index.base(link).nodes[index.node_at(link, path)]
    index.agree(link, [msgspec.structs.replace(node, stat=stat_of(os.lstat(target)))])


async def found(client: Client) -> dict[str, State]:
    verified = await client.engine.verify(client.engine.links()[0])
    return {finding.path: finding.state for finding in verified.findings}


async def test_equal_folders_are_equal(pair: tuple[Client, Client]) -> None:
    alice, bob = pair
    alice.write("docs/plan", "one")
    alice.write("empty", "")
    await alice.sync()
    await bob.sync()
    verified = await bob.engine.verify(bob.engine.links()[0])
    assert (verified.findings, verified.files, verified.seq) == ((), 2, alice.stack.tree.seq)


async def test_a_flipped_bit_is_damage_and_is_never_sent(pair: tuple[Client, Client]) -> None:
    alice, bob = pair
    alice.write("docs/plan", "precious")
    alice.write("other", "text")
    await alice.sync()
    decay(alice, "docs/plan")
    assert await found(alice) == {"docs/plan": State.DAMAGED}
    summary = await alice.sync()
    assert (summary.uploaded, summary.complete) == (0, True)
    await bob.sync()
    assert bob.read("docs/plan") == b"precious"
    assert await found(alice) == {"docs/plan": State.DAMAGED}


async def test_each_difference_is_told_for_what_it_is(pair: tuple[Client, Client]) -> None:
    alice, bob = pair
    for name in ("same", "edited", "newer", "both", "gone", "removed", "moved"):
        alice.write(name, f"{name}: one")
    await alice.sync()
    await bob.sync()
    for name in ("newer", "both"):
        alice.write(name, f"{name}: two, by alice")
    (alice.folder / "removed").unlink()
    (alice.folder / "moved").rename(alice.folder / "moved elsewhere")
    alice.write("docs/fresh", "new there")
    await alice.sync()
    bob.write("edited", "edited: by bob, not sent")
    bob.write("both", "both: by bob, not sent")
    bob.write("mine", "new here")
    (bob.folder / "gone").unlink()
    assert await found(bob) == {
        "edited": State.CHANGED,
        "newer": State.NEWER,
        "both": State.BOTH,
        "gone": State.MISSING,
        "docs": State.MISSING,
        "docs/fresh": State.MISSING,
        "removed": State.EXTRA,
        "mine": State.EXTRA,
        "moved": State.MOVED,
    }
    await bob.sync()
    await alice.sync()
    await bob.sync()
    assert await found(bob) == await found(alice) == {}


async def test_what_changes_while_it_is_read_is_not_judged(pair: tuple[Client, Client]) -> None:
    alice, _ = pair
    for name in ("a", "b", "c"):
        alice.write(name, "one")
    await alice.sync()
    engine, link = alice.engine, alice.engine.links()[0]
    agreed = engine.index.base(link)
    (alice.folder / "b").unlink()
    alice.write("a", "two, since")
    local = await hashed(Disk(alice.folder), NO_IGNORES)
    alice.write("b", "there again")
    alice.write("a", "three, once more")
    found = differences(agreed, local, engine.index.remote(link))
    assert {one.path: one.state for one in found} == {"a": State.CHANGED, "b": State.MISSING}
    assert [one for one in found if is_as_read(Disk(alice.folder), local, one.path)] == []
    assert is_as_read(Disk(alice.folder), local, "c")


async def test_what_is_no_file_is_left_alone_and_told(pair: tuple[Client, Client]) -> None:
    alice, _ = pair
    alice.write("plan", "one")
    await alice.sync()
    os.mkfifo(alice.folder / "pipe")
    verified = await alice.engine.verify(alice.engine.links()[0])
    assert ([one.path for one in verified.skipped], verified.findings) == (["pipe"], ())


async def test_another_folder_in_its_place_is_not_verified(pair: tuple[Client, Client]) -> None:
    alice, _ = pair
    await alice.sync()
    alice.folder.rename(alice.folder.with_name("elsewhere"))
    with pytest.raises(Refused, match="is not there"):
        await alice.engine.verify(alice.engine.links()[0])
