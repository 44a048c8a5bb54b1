"""Bringing versions to this disk: into a temporary file, checked, and put in place in one step."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from syncline.client import filelog
from syncline.client.agreed import Agreed
from syncline.client.credentials import Permissions, ReadCredentials
from syncline.client.disk import Changed, Disk
from syncline.client.operations import Fetch
from syncline.client.progress import Progress, Way
from syncline.client.summary import Summary
from syncline.client.tasks import each, to_the_end
from syncline.client.transfer import Fetched, ObjectsOverHttp, Transfers
from syncline.client.trees import BaseNode, Content, RemoteNode, Stat
from syncline.domain.errors import NotFound, Refused
from syncline.domain.links import leads_out
from syncline.domain.nodes import Kind
from syncline.ports import tracing

FILES_AT_ONCE = 64
"""Downloads that have begun or wait for their lane; the rest is not started."""


class Downloads:
    """Downloads for one link."""

    def __init__(
        self,
        agreed: Agreed,
        disk: Disk,
        transfers: Transfers,
        permissions: Permissions,
        progress: Progress,
        summary: Summary,
    ) -> None:
        self._agreed = agreed
        self._disk = disk
        self._transfers = transfers
        self._progress = progress
        self._summary = summary
        self._s3 = transfers.s3(ReadCredentials(permissions, agreed.link.library))
        self._places = asyncio.Semaphore(FILES_AT_ONCE)

    async def perform(self, fetches: Sequence[Fetch]) -> None:
        """All of them, recorded one by one. Raises what ended one of them, once the others have ended too."""
        wanted = [fetch for fetch in fetches if not _same_bytes(fetch) and not _content(fetch.remote).symlink]
        size = sum(_content(fetch.remote).size_bytes for fetch in wanted)
        self._progress.expect(Way.DOWN, len(wanted), size)
        await each([partial(self._one, fetch) for fetch in fetches])

    async def _one(self, fetch: Fetch) -> None:
        path = fetch.remote.name
        try:
            async with self._places, self._traced(fetch):
                path = self._path(fetch)
                if _same_bytes(fetch):
                    await self._only_mode(fetch, path)
                elif _content(fetch.remote).symlink:
                    await self._link(fetch, path)
                else:
                    async with self._transfers.lane(_content(fetch.remote).size_bytes):
                        await self._bytes(fetch, path, self._s3)
                        self._progress.finished(Way.DOWN, path)
        except Changed:
            self._summary.later.append(path)
        except NotFound as error:
            self._summary.refused.append((path, "bytes-missing", str(error)))
        except Refused as refused:
            if refused.status in (401, 403):
                raise
            self._summary.refused.append((path, refused.kind, refused.detail))

    @asynccontextmanager
    async def _traced(self, fetch: Fetch) -> AsyncIterator[None]:
        """It goes on in the trace of whoever put it there."""
        remote = fetch.remote
        attributes = {"syncline.node": remote.node, "syncline.version": remote.version}
        with tracing.span_for(self._agreed.heard.trace_of(remote.node), "download", attributes=attributes):
            yield

    async def _link(self, fetch: Fetch, path: str) -> None:
        """A symbolic link: its bytes were read before it was planned."""
        remote = fetch.remote
        if not remote.target:
            raise NotFound(f"the target of the link {path} is not to be had")
        if leads_out(path, remote.target):
            raise Refused("unsafe-link", f"{path} leads out of the folder: {remote.target}")
        install = partial(
            self._disk.install_link,
            self._disk.temporary(f"{remote.node}-{remote.version}"),
            remote.target,
            path,
            mtime_ns=remote.mtime_ns,
            is_expected=self._expectation(fetch),
        )
        stat = await to_the_end(install)
        self._summary.downloaded += 1
        self._agree(fetch, path, stat)

    async def _bytes(self, fetch: Fetch, path: str, s3: ObjectsOverHttp) -> None:
        remote, content = fetch.remote, _content(fetch.remote)
        fetched = Fetched(content, remote.key, remote.s3_version, remote.offset, remote.length)
        with self._disk.writing(f"{remote.node}-{remote.version}", content.size_bytes) as (temporary, descriptor):
            write = partial(self._disk.write, descriptor)
            await self._transfers.receive(fetched, s3, write)
            install = partial(
                self._disk.install,
                temporary,
                descriptor,
                path,
                executable=content.executable,
                mtime_ns=remote.mtime_ns,
                is_expected=self._expectation(fetch),
            )
            stat = await to_the_end(install)
        self._summary.downloaded += 1
        self._summary.bytes_down += content.size_bytes
        self._agree(fetch, path, stat)

    async def _only_mode(self, fetch: Fetch, path: str) -> None:
        """The bytes are here already: only the executable bit differs."""
        executable = _content(fetch.remote).executable
        expected = self._expectation(fetch)
        assert expected is not None
        stat = await asyncio.to_thread(self._disk.set_executable, path, executable, expected)
        self._summary.downloaded += 1
        self._agree(fetch, path, stat)

    def _expectation(self, fetch: Fetch) -> Callable[[Path], Stat] | None:
        if fetch.expected is None:
            return None
        known = self._agreed.nodes.get(fetch.remote.node)
        stat = known.stat if known and known.content == fetch.content else None
        return self._disk.expecting((fetch.expected, stat), fetch.content)

    def _path(self, fetch: Fetch) -> str:
        known = self._agreed.nodes.get(fetch.remote.node)
        if fetch.expected is not None and known is not None:
            return self._agreed.path(known.node)
        return self._agreed.path_in(fetch.remote.parent, fetch.local_name or fetch.remote.name)

    def _agree(self, fetch: Fetch, path: str, stat: Stat) -> None:
        remote = fetch.remote
        known = self._agreed.nodes.get(remote.node) if fetch.expected is not None else None
        base = BaseNode(
            node=remote.node,
            parent=known.parent if known else remote.parent,
            name=known.name if known else remote.name,
            local_name=known.local_name if known else fetch.local_name or remote.name,
            kind=Kind.FILE,
            seq=remote.seq,
            version=remote.version,
            content=remote.content,
            stat=stat,
        )
        self._agreed.agree([base], log=[filelog.of_fetch(fetch, path, self._agreed.heard.of(remote.node))])


def _content(remote: RemoteNode) -> Content:
    assert remote.content is not None
    return remote.content


def _same_bytes(fetch: Fetch) -> bool:
    return fetch.expected is not None and _content(fetch.remote).same_bytes(fetch.content)
