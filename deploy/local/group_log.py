"""A log whose records are on the disk before anyone is told: many that come together share one fsync.

What a record says is its user's matter (`deploy.local.durable_tables`), with one condition: that all records,
replayed on top of a base that was taken while the first of them were being written, come to the same end as the
live state. Records that say what *is* now ("this row is that") do; then a base may be taken while writing goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deploy.local.log_files import MAGIC, LogFolder, framed, write_all

# A log shorter than this is not worth a new base, nor is one shorter than the base itself.
LOG_BYTES_MAX = 64 * 2**20

Failed = Callable[[str], None]


class GroupLog:
    """Records appended in order, and a base now and then that makes the older ones superfluous.

    `failed` is told when the disk does not take a record. What was appended is in memory but may not be on the
    disk then, so it must end the process before anyone is answered: it must not return.
    """

    def __init__(self, folder: Path, failed: Failed, *, bytes_max: int = LOG_BYTES_MAX):
        self._folder = LogFolder(folder)
        self._failed = failed
        self._bytes_max = bytes_max
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="log")
        self._number = 0
        self._descriptor = -1
        self._base_bytes = 0
        self._log_bytes = 0
        self._waiting: list[bytes] = []
        self._appended = 0
        self._durable = 0
        self._flushing: asyncio.Task[None] | None = None
        self.flushes = 0

    # -- starting

    def replay(self) -> Iterator[bytes]:
        """All records to begin from, the base's first; then the log is open. Raises Damaged."""
        folder = self._folder
        base, logs = folder.numbers()
        if base:
            yield from folder.records(base, "base")
            self._base_bytes = folder.base(base).stat().st_size
        for number in logs:
            yield from folder.records(number, "log", newest=number == logs[-1])
            self._log_bytes += folder.log(number).stat().st_size
        folder.tidy()
        self._number = logs[-1] if logs else 1
        self._descriptor = folder.begin(self._number)

    @property
    def torn_bytes(self) -> int:
        """How much `replay` cut off the end: a record that was being written when everything ended."""
        return self._folder.torn_bytes

    @property
    def has_base(self) -> bool:
        return self._folder.numbers()[0] > 0

    # -- writing

    def append(self, record: bytes) -> None:
        """Add a record behind all others. It is on the disk when a `flushed` that begins later returns."""
        frame = framed(record)
        self._waiting.append(frame)
        self._appended += 1
        self._log_bytes += len(frame)

    async def flushed(self) -> None:
        """Wait until everything appended so far is on the disk."""
        target = self._appended
        while self._durable < target:
            if self._flushing is None:
                self._flushing = asyncio.create_task(self._flush())
            # Whoever stops waiting must not stop the writing for the others.
            await asyncio.shield(self._flushing)

    async def close(self) -> None:
        await self.flushed()
        self._writer.shutdown()
        os.close(self._descriptor)

    async def _flush(self) -> None:
        batch, upto = b"".join(self._waiting), self._appended
        self._waiting = []
        await self._in_writer(lambda: self._write(batch))
        self._durable = upto
        self.flushes += 1
        self._flushing = None

    def _write(self, batch: bytes) -> None:
        write_all(self._descriptor, batch)
        os.fdatasync(self._descriptor)

    async def _in_writer(self, work: Callable[[], None]) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._writer, work)
        except OSError as error:
            self._failed(f"{self._folder.path} takes no more writes: {error}")
            raise

    # -- a new base

    @property
    def is_long(self) -> bool:
        """Whether replaying it costs more than it should, so that a new base is due."""
        return self._log_bytes > max(self._bytes_max, self._base_bytes)

    async def rebase(self, images: AsyncIterator[bytes]) -> None:
        """Begin a new log and write the base it goes on from: `images`, first asked for when the new log has begun.

        Appending goes on meanwhile. A crash at any moment leaves the old base with all logs, or the new one with
        the new log. Raises OSError when the base cannot be written: the logs go on without it.
        """
        number = self._number + 1
        await self._in_writer(lambda: self._begin(number))
        self._number, self._log_bytes = number, 0
        draft = self._folder.base(number).with_suffix(".draft")
        try:
            size = await _write_base(draft, images)
            # What the images show must not be truer than the log.
            await self.flushed()
            await asyncio.to_thread(self._folder.install_base, number, draft)
        except BaseException:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            raise
        self._base_bytes = size

    def _begin(self, number: int) -> None:
        descriptor = self._folder.begin(number)
        os.close(self._descriptor)
        self._descriptor = descriptor


async def _write_base(draft: Path, images: AsyncIterator[bytes]) -> int:
    """Write a whole base; its size once it is on the disk."""
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        await asyncio.to_thread(write_all, descriptor, MAGIC)
        async for image in images:
            await asyncio.to_thread(write_all, descriptor, framed(image))
        await asyncio.to_thread(os.fsync, descriptor)
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
