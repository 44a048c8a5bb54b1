"""Fetching what ``get`` asks for, several files at once, without losing what is here."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from syncline.client.api import Api
from syncline.client.cli.exits import Exit, exit_of
from syncline.client.cli.failures import problem_of
from syncline.client.cli.fetcher import Fetcher, Here, found_here
from syncline.client.cli.output import Answer, counted, name_text, size_text
from syncline.client.cli.remote import children_of, versions_of
from syncline.client.trees import content_of_version
from syncline.domain.errors import Refused, SynclineError, Temporary
from syncline.domain.nodes import Kind
from syncline.domain.paths import clean_name
from syncline.messages.api import Library, NodeState, VersionState

FOLDERS_AT_ONCE = 8
FILES_AT_ONCE = 64
"""Files that are looked at or wait for their lane; the rest is not started."""


@dataclass(frozen=True)
class Wanted:
    """One version of a file, and where it shall be on this disk; a link may not lead out of ``inside``."""

    node: NodeState
    version: VersionState
    target: Path
    inside: Path


@dataclass
class Came:
    """What became of one wanted file. ``fetched`` is false when it was here already."""

    wanted: Wanted
    fetched: bool = False
    error: Exception | None = None


@dataclass
class Listing:
    """Everything below a folder: files, folders, and what this disk cannot hold, with the reason."""

    files: list[Wanted] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)


class Inbox:
    """Fetches files of one library. ``force``: also over content that the library does not have."""

    def __init__(self, api: Api, fetcher: Fetcher, library: Library, *, force: bool) -> None:
        self._api = api
        self._fetcher = fetcher
        self._library = library
        self._force = force

    async def fetch_file(self, wanted: Wanted) -> Answer:
        """Raises ``Refused("would-be-lost")`` when the file here holds what the library does not."""
        await asyncio.to_thread(wanted.target.parent.mkdir, parents=True, exist_ok=True)
        self._fetcher.expect([wanted.version])
        fetched = await self._fetch(wanted)
        shown = name_text(str(wanted.target))
        size = size_text(wanted.version.size_bytes)
        text = f"Fetched {shown} ({size})" if fetched else f"{shown} is the same already"
        document = {"library": self._library.id, "files": [_document(Came(wanted, fetched))], "left_out": []}
        return Answer(document, text, chatty=True)

    async def fetch_folder(self, folder: NodeState, target: Path) -> Answer:
        """A folder with everything in it; what cannot be fetched is named."""
        listing = await self._list(folder, target)
        await asyncio.to_thread(_make_folders, [target, *listing.folders])
        came = await self._fetch_all(listing.files)
        failed = [one for one in came if one.error is not None]
        complaints = [_complaint(one) for one in failed]
        complaints += [f"{name_text(path)} was left out: {why}" for path, why in listing.left]
        document = {
            "library": self._library.id,
            "files": [_document(one) for one in came],
            "left_out": [{"path": path, "reason": why} for path, why in listing.left],
        }
        return Answer(document, _text(came, target), _exit(came, listing), chatty=True, complaints=complaints)

    async def _list(self, folder: NodeState, target: Path) -> Listing:
        """Walks the folders of the library, level by level."""
        listing = Listing()
        gate = asyncio.Semaphore(FOLDERS_AT_ONCE)

        async def children(node: NodeState) -> list[NodeState]:
            async with gate:
                return await children_of(self._api, self._library, node.id)

        level = [(folder, target)]
        while level:
            async with asyncio.TaskGroup() as group:
                tasks = [(here, group.create_task(children(node))) for node, here in level]
            level = []
            for here, task in tasks:
                for child in task.result():
                    if (path := _path_here(here, child, listing)) is None:
                        continue
                    if child.kind is Kind.FOLDER:
                        listing.folders.append(path)
                        level.append((child, path))
                    elif child.version is not None:
                        listing.files.append(Wanted(child, child.version, path, target))
        return listing

    async def _fetch_all(self, files: Sequence[Wanted]) -> list[Came]:
        """One answer per file. Once the service cannot be reached the rest is not tried."""
        self._fetcher.expect([wanted.version for wanted in files])
        gate = asyncio.Semaphore(FILES_AT_ONCE)
        stopped: Exception | None = None

        async def fetch(wanted: Wanted) -> Came:
            nonlocal stopped
            async with gate:
                if stopped is not None:
                    return Came(wanted, error=stopped)
                try:
                    return Came(wanted, await self._fetch(wanted))
                except (SynclineError, OSError) as error:
                    if isinstance(error, Temporary) or (isinstance(error, Refused) and error.status == 401):
                        stopped = error
                    return Came(wanted, error=error)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(fetch(wanted)) for wanted in files]
        return [task.result() for task in tasks]

    async def _fetch(self, wanted: Wanted) -> bool:
        """Whether it had to be fetched."""
        here = await asyncio.to_thread(found_here, wanted.target)
        if here is not None and _same(here, wanted.version):
            self._fetcher.pass_over(wanted.version, wanted.target)
            return False
        if here is not None and not self._force and not await self._has_version(wanted.node, here):
            detail = (
                f"{name_text(str(wanted.target))} holds something that is no version of {name_text(wanted.node.name)}"
            )
            raise Refused("would-be-lost", f"{detail}; it stays. Put it first, or --force replaces it.", status=409)
        await self._fetcher.fetch(wanted.version, wanted.target, replaces=here, inside=wanted.inside)
        return True

    async def _has_version(self, node: NodeState, here: Here) -> bool:
        async for version in versions_of(self._api, self._library, node):
            if _same(here, version):
                return True
        return False


def _path_here(folder: Path, child: NodeState, listing: Listing) -> Path | None:
    """Where a child goes; None, and left out, when its name is none for a file: a name never leads elsewhere."""
    try:
        clean_name(child.name)
    except Refused as error:
        listing.left.append((f"{folder}/{child.name}", error.detail))
        return None
    return folder / child.name


def _same(here: Here, version: VersionState) -> bool:
    return here.content.same_bytes(content_of_version(version))


def _make_folders(folders: Sequence[Path]) -> None:
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)


def _text(came: Sequence[Came], target: Path) -> str:
    fetched = [one for one in came if one.fetched]
    same = [one for one in came if not one.fetched and one.error is None]
    size = size_text(sum(one.wanted.version.size_bytes for one in fetched))
    text = f"Fetched {counted(len(fetched), 'file')} ({size}) to {name_text(str(target))}"
    return text + (f"; {counted(len(same), 'file was', 'files were')} the same already" if same else "")


def _exit(came: Sequence[Came], listing: Listing) -> Exit:
    failed = [one.error for one in came if one.error is not None]
    if not failed:
        return Exit.PARTLY if listing.left else Exit.OK
    return Exit.PARTLY if len(failed) < len(came) else max(exit_of(error) for error in failed)


def _complaint(came: Came) -> str:
    assert came.error is not None
    return f"{name_text(str(came.wanted.target))} was not fetched: {problem_of(came.error)['detail']}"


def _document(came: Came) -> dict[str, object]:
    told: dict[str, object] = {
        "path": os.fsencode(came.wanted.target).decode(errors="replace"),
        "node": came.wanted.node.id,
        "version": came.wanted.version.id,
        "size_bytes": came.wanted.version.size_bytes,
        "fetched": came.fetched,
    }
    return told if came.error is None else told | {"problem": problem_of(came.error)}
