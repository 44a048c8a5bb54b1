"""Single files between a path and a library, without a link: what ``put`` and ``get`` do."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from functools import partial
from pathlib import Path

from syncline.client.api import Api
from syncline.client.credentials import GrantCredentials, ReadCredentials
from syncline.client.disk import Disk, disk_errors, stat_of
from syncline.client.engine import over_http
from syncline.client.hashing import content_of
from syncline.client.progress import NoProgress, Progress, Way
from syncline.client.tasks import to_the_end
from syncline.client.transfer import ContentChanged, Fetched, Source
from syncline.client.trees import Content, Stat, content_of_version
from syncline.domain.errors import Refused
from syncline.messages import api as m


class Courier:
    """Uploads and downloads single files; several calls may run at once."""

    def __init__(self, api: Api, *, progress: Progress | None = None) -> None:
        self._api = api
        self._progress = progress or NoProgress()
        self._transfers = over_http(api, self._progress)

    async def put(
        self, library: str, source: Path, *, parent: str, name: str, replaces: m.NodeState | None = None
    ) -> m.ResultState:
        """Send one file and commit it: a new version of ``replaces``, else a new file ``name`` in folder ``parent``.

        Raises ``Refused("content-changed")`` when the file is written to meanwhile, and as ``Api`` and S3 do.
        """
        stat, content = await self._look(source)
        intent = m.Intent(
            node=replaces.id if replaces else "",
            parent="" if replaces else parent,
            name="" if replaces else name,
            base_version=replaces.version.id if replaces and replaces.version else "",
            size_bytes=content.size_bytes,
            checksum=content.checksum,
            mtime_ns=stat.mtime_ns,
            executable=content.executable,
            counter=int(time.time() * 1000),
        )
        self._progress.expect(Way.UP, 1, content.size_bytes)
        answer = await self._api.uploads(library, m.UploadRequest(intents=[intent]))
        s3 = self._transfers.s3(GrantCredentials(self._api, library, answer))
        async with self._transfers.lane(content.size_bytes):
            try:
                await self._transfers.send(Source(content, partial(_read, source)), s3, answer.permits[0])
            except ContentChanged:
                raise _changed(source) from None
        self._progress.finished(Way.UP, str(source))
        body = m.CommitBody(requests=[m.AddVersion(permit=answer.permits[0].permit)], counter=intent.counter)
        committed = await self._api.commit(library, body)
        result = committed.results[0]
        if committed.refused:
            raise Refused(committed.refused, result.detail or "The library did not take the file.", status=409)
        return result

    async def get(self, library: str, version: m.VersionState, target: Path, *, overwrite: bool = False) -> None:
        """Fetch one version into ``target`` atomically. Raises ``Refused("exists")`` unless ``overwrite``."""
        content = content_of_version(version)
        fetched = Fetched(content, version.key, version.s3_version, version.offset, version.length)
        self._progress.expect(Way.DOWN, 1, content.size_bytes)
        s3 = self._transfers.s3(ReadCredentials(self._api, library))
        target = await asyncio.to_thread(target.absolute)
        temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(4)}.part")
        descriptor, replaces = await asyncio.to_thread(_open, temporary, target, overwrite)
        disk = Disk(target.parent)
        try:
            async with self._transfers.lane(content.size_bytes):
                await self._transfers.receive(fetched, s3, partial(disk.write, descriptor))
            install = partial(
                disk.install,
                temporary,
                descriptor,
                target.name,
                executable=content.executable,
                mtime_ns=version.mtime_ns,
                is_expected=_whatever if replaces else None,
            )
            await to_the_end(install)
        finally:
            os.close(descriptor)
            temporary.unlink(missing_ok=True)
        self._progress.finished(Way.DOWN, str(target))

    async def close(self) -> None:
        """Nothing is held open: the connections are the API's."""

    async def _look(self, source: Path) -> tuple[Stat, Content]:
        with disk_errors(str(source)):
            found = await asyncio.to_thread(content_of, source)
        if found is None:
            raise _changed(source)
        return found


def _changed(source: Path) -> Refused:
    return Refused("content-changed", f"{source} was written to while it was read, or is no file.", status=409)


def _open(temporary: Path, target: Path, overwrite: bool) -> tuple[int, bool]:
    """(the temporary file's descriptor, whether there is a file to be replaced)."""
    with disk_errors(str(target)):
        replaces = os.path.lexists(target)
        if replaces and not overwrite:
            raise Refused("exists", f"{target} exists already.", status=409)
        if target.is_dir():
            raise Refused("exists", f"{target} is a folder.", status=409)
        return os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), replaces


def _whatever(path: Path) -> Stat:
    return stat_of(os.lstat(path))


def _read(path: Path, offset: int, length: int) -> bytes:
    with disk_errors(str(path)), open(path, "rb", buffering=0) as file:
        file.seek(offset)
        pieces: list[bytes] = []
        while length > 0 and (piece := file.read(length)):
            pieces.append(piece)
            length -= len(piece)
        return b"".join(pieces)
