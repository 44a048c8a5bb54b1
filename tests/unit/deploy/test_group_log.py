"""The log under the local tables: what was waited for is there again, whatever moment everything ended at."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn

import msgspec
import pytest

from deploy.local.group_log import GroupLog
from deploy.local.log_files import MAGIC, Damaged, LogFolder, framed

KEYS = 12


def disk_fails(reason: str) -> NoReturn:
    raise AssertionError(reason)


class Ledger:
    """Numbers under keys, each change a record: the smallest state that a log can keep."""

    def __init__(self, folder: Path, bytes_max: int = 1 << 30) -> None:
        self.log = GroupLog(folder, disk_fails, bytes_max=bytes_max)
        self.now: dict[str, int | None] = {}
        for record in self.log.replay():
            self.now.update(msgspec.msgpack.decode(record))

    def set(self, **changes: int | None) -> None:
        self.now.update(changes)
        self.log.append(msgspec.msgpack.encode(changes))

    async def images(self) -> AsyncIterator[bytes]:
        for key in list(self.now):
            yield msgspec.msgpack.encode({key: self.now[key]})
            await asyncio.sleep(0)

    async def rebase(self) -> None:
        await self.log.rebase(self.images())


@asynccontextmanager
async def opened(folder: Path, bytes_max: int = 1 << 30) -> AsyncIterator[Ledger]:
    ledger = Ledger(folder, bytes_max)
    try:
        yield ledger
    finally:
        await ledger.log.close()


def left_by_a_kill(folder: Path, copy: Path) -> Ledger:
    """What a start finds if everything ends at this moment."""
    shutil.copytree(folder, copy)
    return Ledger(copy)


async def test_what_was_waited_for_is_there_again(tmp_path):
    async with opened(tmp_path / "log") as ledger:
        ledger.set(a=1, b=2)
        ledger.set(a=3, b=None)
        await ledger.log.flushed()
        assert left_by_a_kill(tmp_path / "log", tmp_path / "copy").now == {"a": 3, "b": None}


async def test_what_was_not_waited_for_may_be_lost_but_is_written_soon(tmp_path):
    async with opened(tmp_path / "log") as ledger:
        ledger.set(a=1)
    assert Ledger(tmp_path / "log").now == {"a": 1}


async def test_many_that_come_together_share_a_flush(tmp_path):
    async with opened(tmp_path / "log") as ledger:

        async def change(number: int) -> None:
            ledger.set(**{f"k{number}": number})
            await ledger.log.flushed()

        await asyncio.gather(*map(change, range(200)))
        assert ledger.log.flushes <= 2
        await ledger.log.flushed()
        assert ledger.log.flushes <= 2, "there was nothing left to write"
    assert len(Ledger(tmp_path / "log").now) == 200


async def test_who_stops_waiting_does_not_stop_the_writing(tmp_path):
    async with opened(tmp_path / "log") as ledger:
        ledger.set(a=1)
        waiting = asyncio.create_task(ledger.log.flushed())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await ledger.log.flushed()
        assert left_by_a_kill(tmp_path / "log", tmp_path / "copy").now == {"a": 1}


async def test_a_log_is_gone_on_with(tmp_path):
    for number in range(5):
        async with opened(tmp_path / "log") as ledger:
            assert ledger.now == {f"k{before}": before for before in range(number)}
            ledger.set(**{f"k{number}": number})


async def test_a_new_base_replaces_what_was_before(tmp_path):
    folder = tmp_path / "log"
    async with opened(folder) as ledger:
        for number in range(1000):
            ledger.set(a=number)
        before = await size_of(ledger, folder)
        await ledger.rebase()
        ledger.set(b=1)
        assert await size_of(ledger, folder) < before / 10
        assert sorted(path.name for path in folder.iterdir()) == ["00000002.base", "00000002.log"]
    assert Ledger(folder).now == {"a": 999, "b": 1}


async def size_of(ledger: Ledger, folder: Path) -> int:
    await ledger.log.flushed()
    return sum(path.stat().st_size for path in folder.iterdir())


async def test_a_new_base_is_due_when_the_log_is_longer_than_the_base(tmp_path):
    async with opened(tmp_path / "log", bytes_max=1000) as ledger:
        for number in range(100):
            ledger.set(**{f"key-{number}": number})
        assert ledger.log.is_long
        await ledger.rebase()
        assert not ledger.log.is_long
        base = (tmp_path / "log" / "00000002.base").stat().st_size
        while not ledger.log.is_long:
            ledger.set(again=1)
        await ledger.log.flushed()
        assert (tmp_path / "log" / "00000002.log").stat().st_size > base > 1000


async def test_appending_goes_on_while_a_base_is_made(tmp_path):
    folder = tmp_path / "log"
    async with opened(folder) as ledger:
        ledger.set(**{f"k{number}": 0 for number in range(KEYS)})

        async def write(key: str) -> None:
            for value in range(1, 60):
                ledger.set(**{key: value})
                await ledger.log.flushed()

        writers = [asyncio.create_task(write(f"k{number}")) for number in range(KEYS)]
        while any(not writer.done() for writer in writers):
            await ledger.rebase()
        await asyncio.gather(*writers)
    assert int(max(folder.glob("*.base")).stem) > 3
    assert Ledger(folder).now == {f"k{number}": 59 for number in range(KEYS)}


async def test_a_base_that_cannot_be_written_leaves_the_logs_as_they_were(tmp_path):
    folder = tmp_path / "log"

    async def images() -> AsyncIterator[bytes]:
        yield b"\x80"
        raise OSError(28, "no space left")

    async with opened(folder) as ledger:
        ledger.set(a=1)
        with pytest.raises(OSError, match="no space"):
            await ledger.log.rebase(images())
        ledger.set(b=2)
    async with opened(folder) as again:
        assert again.now == {"a": 1, "b": 2}
        await again.rebase()
        again.set(c=3)
    assert Ledger(folder).now == {"a": 1, "b": 2, "c": 3}


async def written(folder: Path) -> Path:
    async with opened(folder) as ledger:
        for number in range(10):
            ledger.set(**{f"k{number}": number})
            await ledger.log.flushed()
    return folder / "00000001.log"


async def test_a_torn_end_is_cut_off_and_kept_beside(tmp_path):
    path = await written(tmp_path / "log")
    whole = path.read_bytes()
    last = len(framed(msgspec.msgpack.encode({"k9": 9})))
    for missing in range(1, last + 1):
        folder = tmp_path / f"torn-{missing}"
        folder.mkdir()
        (folder / path.name).write_bytes(whole[:-missing])
        ledger = Ledger(folder)
        assert ledger.now == {f"k{number}": number for number in range(9)}
        assert ledger.log.torn_bytes == last - missing
        ledger.set(k9=90)
        await ledger.log.close()
        assert Ledger(folder).now["k9"] == 90
        assert (folder / "00000001.torn").exists() == (missing < last)


async def test_a_log_torn_in_its_first_bytes_is_begun_anew(tmp_path):
    (tmp_path / "00000001.log").write_bytes(MAGIC[:3])
    async with opened(tmp_path) as ledger:
        assert ledger.now == {}
        ledger.set(a=1)
    assert Ledger(tmp_path).now == {"a": 1}


async def test_damage_where_nothing_was_being_written_is_told(tmp_path):
    path = await written(tmp_path / "log")
    async with opened(tmp_path / "log") as ledger:
        await ledger.rebase()
    base = tmp_path / "log" / "00000002.base"
    damaged = bytearray(base.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    base.write_bytes(damaged)
    assert not path.exists()
    with pytest.raises(Damaged, match=r"00000002\.base is damaged after"):
        Ledger(tmp_path / "log")


async def test_a_log_that_is_missing_is_told(tmp_path):
    await written(tmp_path / "log")
    async with opened(tmp_path / "log") as ledger:
        await ledger.rebase()
    (tmp_path / "log" / "00000002.log").unlink()
    with pytest.raises(Damaged, match="holds base 2 and logs"):
        Ledger(tmp_path / "log")


async def test_a_length_out_of_bounds_is_not_read_into_memory(tmp_path):
    path = await written(tmp_path / "log")
    with path.open("ab") as file:
        file.write(b"\xff\xff\xff\xff" + b"\0" * 20)
    ledger = Ledger(tmp_path / "log")
    assert len(ledger.now) == 10
    assert ledger.log.torn_bytes == 24


async def test_a_disk_that_takes_no_more_ends_it_before_anyone_is_answered(tmp_path):
    told: list[str] = []
    log = GroupLog(tmp_path, told.append)
    list(log.replay())
    log._writer.submit(lambda: log._folder).result()
    log._descriptor, kept = LogFolder(tmp_path / "elsewhere").begin(1), log._descriptor
    with open("/dev/full", "wb", buffering=0) as full:
        log._descriptor = full.fileno()
        log.append(b"x")
        with pytest.raises(OSError, match="No space"):
            await log.flushed()
        with pytest.raises(OSError, match="No space"):
            await log.flushed()
    log._descriptor = kept
    assert "takes no more writes" in told[0]
