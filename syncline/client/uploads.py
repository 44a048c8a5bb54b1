"""Sending local files: permits in batches, bytes in parallel, then one commit for what arrived."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from syncline.client import filelog
from syncline.client.agreed import Agreed
from syncline.client.commands import NOT_ALLOWED, Commands
from syncline.client.credentials import GrantCredentials, Permissions
from syncline.client.disk import DISK_REFUSALS, Changed, Disk
from syncline.client.index import Index
from syncline.client.operations import SendFile
from syncline.client.progress import Progress, Way
from syncline.client.resuming import take_up
from syncline.client.summary import Summary
from syncline.client.tasks import each
from syncline.client.transfer import ContentChanged, ObjectsOverHttp, Source, Transfers, upload_ident
from syncline.client.trees import BytesKey
from syncline.domain.checksums import is_multipart
from syncline.domain.commits import Status
from syncline.domain.errors import ConditionFailed, Refused
from syncline.messages import api as m

BATCH_MAX = 500
BATCHES_AT_ONCE = 2


class Uploads:
    """Uploads for one link. ``uncopyable``: contents whose copying the library refused; they are sent instead."""

    def __init__(
        self,
        agreed: Agreed,
        disk: Disk,
        index: Index,
        transfers: Transfers,
        permissions: Permissions,
        commands: Commands,
        progress: Progress,
        summary: Summary,
        next_counter: Callable[[], int],
    ) -> None:
        self._agreed = agreed
        self._disk = disk
        self._index = index
        self._transfers = transfers
        self._permissions = permissions
        self._commands = commands
        self._progress = progress
        self._summary = summary
        self._next_counter = next_counter
        self._batches = asyncio.Semaphore(BATCHES_AT_ONCE)
        self.uncopyable: set[BytesKey] = set()

    async def perform(self, files: Sequence[SendFile]) -> None:
        """Send and commit all of them. Raises what ended one batch, once the others have ended too."""
        copies, small, large = [], [], []
        for file in files:
            if file.source and file.content.bytes_key not in self.uncopyable:
                copies.append(file)
            elif is_multipart(file.content.size_bytes):
                large.append(file)
            else:
                small.append(file)
        self._progress.expect(Way.UP, len(small) + len(large), sum(f.content.size_bytes for f in small + large))
        jobs = [partial(self._copies, chunk) for chunk in _chunks(copies)]
        jobs += [partial(self._batch, chunk) for chunk in _chunks(small)]
        jobs += [partial(self._large, file) for file in large]
        await each(jobs)

    # -- content that the library holds already

    async def _copies(self, files: Sequence[SendFile]) -> None:
        async with self._batches:
            ready = await self._unchanged(files)
            if not ready:
                return
            await self._flush(ready)
            results = await self._commands.send(
                ready, [self._copy_request(file) for file in ready], self._next_counter()
            )
        await self._settle_twins()
        for file, result in zip(ready, results, strict=True):
            if result.status is Status.REFUSED:
                self.uncopyable.add(file.content.bytes_key)
            else:
                self._summary.copied += 1

    def _copy_request(self, file: SendFile) -> m.CopyVersion:
        at = {"node": file.node} if file.node else {"parent": self._parent(file), "name": file.name}
        return m.CopyVersion(
            source=file.source,
            base_version=file.base_version,
            size_bytes=file.content.size_bytes,
            checksum=file.content.checksum,
            mtime_ns=file.stat.mtime_ns,
            executable=file.content.executable,
            symlink=file.content.symlink,
            **at,
        )

    # -- small files, many to a command

    async def _batch(self, files: Sequence[SendFile]) -> None:
        async with self._batches:
            ready = await self._unchanged(files)
            if not ready:
                return
            counter = self._next_counter()
            intents = [self._intent(file, counter) for file in ready]
            try:
                answer = await self._permissions.uploads(self._library, m.UploadRequest(intents=intents))
            except Refused as refused:
                self._not_allowed(ready, refused)
                return
            s3 = self._transfers.s3(GrantCredentials(self._permissions, self._library, answer))
            sent: list[tuple[SendFile, m.Permitted]] = []
            puts = [
                partial(self._put, file, permitted, s3, sent)
                for file, permitted in zip(ready, answer.permits, strict=True)
            ]
            try:
                await each(puts)
            finally:
                # What arrived is committed even when one of the others failed.
                if sent:
                    await self._commit(sent, counter)

    async def _put(
        self, file: SendFile, permitted: m.Permitted, s3: ObjectsOverHttp, sent: list[tuple[SendFile, m.Permitted]]
    ) -> None:
        async with self._transfers.lane(file.content.size_bytes):
            try:
                await self._transfers.send(self._source(file), s3, permitted)
            except (ContentChanged, Changed):
                self._summary.later.append(file.path)
                return
            except ConditionFailed as error:
                self._summary.refused.append((file.path, "key-taken", str(error)))
                return
            except Refused as refused:
                if refused.kind not in DISK_REFUSALS:
                    raise
                self._summary.refused.append((file.path, refused.kind, refused.detail))
                return
        sent.append((file, permitted))
        self._progress.finished(Way.UP, file.path)

    # -- large files, one by one, each to be resumed

    async def _large(self, file: SendFile) -> None:
        async with self._transfers.lane(file.content.size_bytes):
            if not await self._unchanged([file]):
                return
            counter = self._next_counter()
            intent = self._intent(file, counter)
            ident = upload_ident(self._parent(file), file.name, file.node, file.base_version, file.content)
            try:
                taken = await take_up(self._permissions, self._index, self._library, ident, intent)
            except Refused as refused:
                self._not_allowed([file], refused)
                return
            s3 = self._transfers.s3(taken.credentials)
            try:
                await self._transfers.send(
                    self._source(file), s3, taken.permitted, upload=taken.upload, begun=taken.keep
                )
            except (ContentChanged, Changed):
                self._summary.later.append(file.path)
                taken.forget()
                return
            except Refused as refused:
                if refused.kind not in DISK_REFUSALS:
                    raise
                self._summary.refused.append((file.path, refused.kind, refused.detail))
                return
            self._progress.finished(Way.UP, file.path)
        await self._commit([(file, taken.permitted)], counter)
        taken.forget()

    # -- common

    def _not_allowed(self, files: Sequence[SendFile], refused: Refused) -> None:
        """Tell that these cannot be sent by this person, or raise what else it is."""
        if refused.kind != NOT_ALLOWED:
            raise refused
        self._summary.refused += [(file.path, refused.kind, refused.detail) for file in files]

    @property
    def _library(self) -> str:
        return self._agreed.link.library

    def _parent(self, file: SendFile) -> str:
        return self._commands.ids.get(file.parent, file.parent)

    async def _flush(self, files: Sequence[SendFile]) -> None:
        """What is committed is agreed on, so it must not be gone from this disk after a power cut."""
        paths = []
        for file in files:
            with suppress(Changed):
                paths.append(self._path(file))
        await asyncio.to_thread(self._disk.flush, paths)

    def _path(self, file: SendFile) -> str:
        """Where the file is now: folders above it may have been moved since it was planned."""
        if file.node in self._agreed.nodes:
            return self._agreed.path(file.node)
        return self._agreed.path_in(self._parent(file), file.local_name)

    def _source(self, file: SendFile) -> Source:
        return Source(file.content, partial(self._disk.read, self._path(file)))

    async def _unchanged(self, files: Sequence[SendFile]) -> list[SendFile]:
        """Those that still are as they were planned, and whose folder the library has; the others wait."""

        def look() -> list[bool]:
            return [self._as_planned(file) for file in files]

        as_planned = await asyncio.to_thread(look)
        self._summary.later += [f.path for f, good in zip(files, as_planned, strict=True) if not good]
        return [file for file, good in zip(files, as_planned, strict=True) if good]

    def _as_planned(self, file: SendFile) -> bool:
        try:
            return self._disk.stat(self._path(file)) == file.stat
        except (Changed, Refused):
            return False

    def _intent(self, file: SendFile, counter: int) -> m.Intent:
        at = {"node": file.node} if file.node else {"parent": self._parent(file), "name": file.name}
        return m.Intent(
            base_version=file.base_version,
            size_bytes=file.content.size_bytes,
            checksum=file.content.checksum,
            mtime_ns=file.stat.mtime_ns,
            executable=file.content.executable,
            symlink=file.content.symlink,
            counter=counter,
            **at,
        )

    async def _commit(self, sent: Sequence[tuple[SendFile, m.Permitted]], counter: int) -> None:
        requests: list[m.CommitRequest] = [m.AddVersion(permit=permitted.permit) for _, permitted in sent]
        await self._flush([file for file, _ in sent])
        results = await self._commands.send([file for file, _ in sent], requests, counter)
        await self._settle_twins()
        for (file, _), result in zip(sent, results, strict=True):
            if result.status is not Status.REFUSED:
                self._summary.uploaded += 1
                self._summary.bytes_up += file.content.size_bytes

    async def _settle_twins(self) -> None:
        """Where two files here came to stand for one node, with the same bytes: the one the base knows stays."""
        while self._commands.twins:
            file, result = self._commands.twins.pop()
            try:
                path = self._agreed.path_in(self._parent(file), file.local_name)
                if await asyncio.to_thread(self._is_held, result.node, path, file):
                    check = self._disk.expecting((file.stat,), file.content)
                    await asyncio.to_thread(self._disk.trash_file, path, check)
                    self._agreed.agree([], log=[filelog.of_twin(result.node, path, self._agreed.path(result.node))])
                else:
                    self._agreed.agree([self._commands.sent_base(file, result)])
            except Changed:
                self._summary.later.append(file.path)

    def _is_held(self, node: str, path: str, file: SendFile) -> bool:
        """Whether another file than the one at ``path`` holds the same bytes for this node."""
        held = self._agreed.path(node)
        if held == path:
            return False
        try:
            with self._disk.at(held) as place:
                self._disk.expecting((), file.content)(place)
        except (Changed, OSError):
            return False
        return True


def _chunks(files: Sequence[SendFile]) -> list[Sequence[SendFile]]:
    return [files[start : start + BATCH_MAX] for start in range(0, len(files), BATCH_MAX)]
