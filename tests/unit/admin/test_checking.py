"""What check finds, and what it mends."""

from __future__ import annotations

import asyncio
import json

import msgspec
import pytest

from syncline.admin.answers import Exit
from syncline.admin.app import run
from syncline.admin.checking import FINDINGS_MAX, Checked, Kinds
from syncline.ports.tables import Put, Table
from syncline.store.rows import rows_of
from tests.unit.admin.world import Operated, a_life
from tests.unit.metadata.world import LIBRARY


async def lived() -> Operated:
    world = await Operated().begin()
    await a_life(world)
    await world.archive()
    return world


def partition(world, prefix: str):
    """A partition of the views that begins so, to be damaged."""
    return next(
        p for (table, pk), p in world.tables._partitions.items() if table is Table.VIEWS and pk.startswith(prefix)
    )


async def test_all_is_well(world):
    await a_life(world)
    checked = await world.check()
    assert (checked.counts, checked.unmended, checked.files) == ({}, 0, 2)
    assert checked.seq == len(await world.commits())


@pytest.mark.parametrize("prefix", ["node#", "folder#", "version#"])
async def test_missing_and_wrong_rows_are_found_and_mended(world, prefix):
    await a_life(world)
    damaged = partition(world, prefix)
    sk = damaged.order[0]
    damaged.remove(sk)
    assert (await world.check()).counts == {Kinds.ROW_MISSING: 1}
    mended = await world.check(mend=True)
    assert (mended.counts, mended.unmended) == ({Kinds.ROW_MISSING: 1}, 0)
    damaged = partition(world, prefix)
    row = damaged.rows[damaged.order[0]]
    row["body"] = row["body"][:-1] if "body" in row else row.update(left="") or b""
    assert (await world.check()).counts == {Kinds.ROW_DIFFERS: 1}
    assert (await world.check(mend=True)).unmended == 0
    assert (await world.check()).counts == {}
    await world.whole()


async def test_rows_that_no_commit_explains_are_found_and_removed(world):
    await a_life(world)
    commits = await world.commits()
    await world.archive()
    other = next(row for row in rows_of(commits[1]) if str(row["pk"]).startswith("folder#"))
    pk = next(str(row["pk"]) for row in rows_of(commits[0]) if str(row["pk"]).startswith("folder#"))
    for seq in (2, 900):
        name = str(other["sk"]).partition("\0")[0]
        await world.tables.write(Put(Table.VIEWS, {**other, "pk": pk, "sk": f"{name} stray\0{seq:012d}"}))
    assert (await world.check()).counts == {Kinds.ROW_UNEXPLAINED: 2}
    assert (await world.check(mend=True)).unmended == 0
    await world.whole()


async def test_views_behind_are_brought_forward(world):
    await a_life(world)
    await world.views.restart(LIBRARY, 3)
    checked = await world.check()
    assert checked.counts == {Kinds.VIEWS_BEHIND: 1}
    assert (await world.check(mend=True)).unmended == 0
    await world.whole()


async def test_lost_and_altered_bytes_are_found_but_cannot_be_mended(world):
    await a_life(world)
    tree = await world.tree()
    lost, altered = (tree.find(name).version.location.key for name in ("a.txt", "moved.txt"))
    del world.objects._versions[lost]
    info, _ = world.objects._versions[altered][-1]
    world.objects._versions[altered][-1] = (msgspec.structs.replace(info, checksum="x"), b"two")
    checked = await world.check(mend=True, heads=True)
    assert {(one.kind, one.what) for one in checked.findings} == {
        (Kinds.BYTES_MISSING, lost),
        (Kinds.BYTES_DIFFER, altered),
    }
    assert checked.unmended == 2
    # A listing tells what is missing, at a thousandth of the price.
    assert (await world.check(heads=False)).counts == {Kinds.BYTES_MISSING: 1}


async def test_a_broken_journal_is_told(world):
    await a_life(world)
    for (table, pk), partition in world.tables._partitions.items():
        if table is Table.JOURNAL and pk.startswith("journal#"):
            partition.remove("000000000004")
    checked = await world.check(mend=True)
    assert checked.counts == {Kinds.JOURNAL_BROKEN: 1}
    assert checked.unmended == 1


async def test_many_findings_are_counted_but_not_all_listed():
    checked = Checked("l")
    for number in range(FINDINGS_MAX + 5):
        checked.found(Kinds.ROW_MISSING, str(number))
    assert len(checked.findings) == FINDINGS_MAX
    assert checked.counts == {Kinds.ROW_MISSING: FINDINGS_MAX + 5}


def test_the_command_checks_what_is_archived_and_says_which_are_missing(capsys):
    world = asyncio.run(lived())
    assert run(world.open_ports, ["check"]) == Exit.OK
    assert "all is well" in capsys.readouterr().out
    partition(world, "version#").remove("version")
    assert run(world.open_ports, ["check", LIBRARY, "--bytes"]) == Exit.DIFFERS
    assert "row-missing" in capsys.readouterr().out
    assert run(world.open_ports, ["check", LIBRARY, "--mend"]) == Exit.OK
    capsys.readouterr()
    assert run(world.open_ports, ["audit", "--library", LIBRARY, "--json"]) == Exit.OK
    (told,) = json.loads(capsys.readouterr().out)["entries"]
    assert (told["action"], told["device"], told["details"]) == ("library.mend", "operator", {"rows": 1})
    world.lose_tables()
    assert run(world.open_ports, ["check", "--json"]) == Exit.DIFFERS
    assert json.loads(capsys.readouterr().out)["libraries"][0]["counts"] == {Kinds.LIBRARY_MISSING: 1}
    assert run(world.open_ports, ["check", LIBRARY]) == Exit.REFUSED
    assert "rebuild" in capsys.readouterr().err
