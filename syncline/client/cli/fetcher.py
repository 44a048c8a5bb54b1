"""Bringing versions to this disk for ``get``: into a temporary file, checked, and put in place in one step."""

from __future__ import annotations

import os
import secrets
import stat as modes
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import msgspec

from syncline.client.api import Api
from syncline.client.cli.output import name_text
from syncline.client.credentials import ReadCredentials
from syncline.client.disk import Changed, Disk, disk_errors
from syncline.client.hashing import content_of
from syncline.client.link_targets import read_target
from syncline.client.progress import Progress, Way
from syncline.client.tasks import to_the_end
from syncline.client.transfer import Fetched, Transfers
from syncline.client.trees import Content, Stat, content_of_version
from syncline.domain.errors import Refused
from syncline.domain.links import leads_out
from syncline.messages.api import VersionState

NAME_KEPT = 100
"""As much of a file's name as its temporary file carries."""


class Here(msgspec.Struct, frozen=True):
    """What is at a path of this disk."""

    stat: Stat
    content: Content


def found_here(target: Path) -> Here | None:
    """The file at a path, None when there is nothing. Blocking. Raises ``Refused``: "not-a-file", "content-changed"."""
    shown = name_text(str(target))
    with disk_errors(str(target)):
        try:
            found = target.lstat()
        except FileNotFoundError:
            return None
        if not (modes.S_ISREG(found.st_mode) or modes.S_ISLNK(found.st_mode)):
            raise Refused("not-a-file", f"{shown} is no ordinary file; it stays as it is.", status=409)
        content = content_of(target)
    if content is None:
        raise Refused("content-changed", f"{shown} is being written to; it stays as it is.", status=409)
    return Here(*content)


class Fetcher:
    """Fetches versions of one library with one credential."""

    def __init__(self, api: Api, library: str, transfers: Transfers, progress: Progress) -> None:
        self._transfers = transfers
        self._progress = progress
        self._s3 = transfers.s3(ReadCredentials(api, library))

    def expect(self, versions: Sequence[VersionState]) -> None:
        """So much will be asked for."""
        self._progress.expect(Way.DOWN, len(versions), sum(version.size_bytes for version in versions))

    def pass_over(self, version: VersionState, target: Path) -> None:
        """What was expected is here already."""
        self._progress.moved(Way.DOWN, version.size_bytes)
        self._progress.finished(Way.DOWN, target.name)

    async def fetch(self, version: VersionState, target: Path, *, replaces: Here | None, inside: Path) -> None:
        """Put a version at ``target``, over ``replaces`` if it still is that file.

        Raises ``Refused("content-changed")`` when something else is there by then, ``Refused("unsafe-link")`` for a
        symbolic link that leads out of the folder ``inside``, and as S3 does.
        """
        async with self._transfers.lane(version.size_bytes):
            temporary = target.with_name(f".{target.name[:NAME_KEPT]}.{secrets.token_hex(4)}.part")
            if version.symlink:
                await self._link(version, target, temporary, replaces, inside)
                return
            with disk_errors(str(target)):
                flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
                descriptor = os.open(temporary, flags, 0o600)
            try:
                await self._receive(version, target, temporary, descriptor, replaces)
            except Changed as changed:
                raise Refused("content-changed", f"{changed}; it stays. Run it again.", status=409) from None
            finally:
                os.close(descriptor)
                temporary.unlink(missing_ok=True)
        self._progress.finished(Way.DOWN, target.name)

    async def _link(
        self, version: VersionState, target: Path, temporary: Path, replaces: Here | None, inside: Path
    ) -> None:
        fetched = Fetched(content_of_version(version), version.key, version.s3_version, version.offset, version.length)
        link = await read_target(self._transfers, self._s3, fetched)
        if leads_out(target.relative_to(inside).as_posix(), link):
            detail = f"{name_text(str(target))} is a symbolic link that leads out of what is fetched: {name_text(link)}"
            raise Refused("unsafe-link", detail, status=409)
        disk = Disk(target.parent)
        expected = disk.expecting((replaces.stat,), replaces.content) if replaces else None
        install = partial(
            disk.install_link, temporary, link, target.name, mtime_ns=version.mtime_ns, is_expected=expected
        )
        try:
            await to_the_end(install)
        except Changed as changed:
            raise Refused("content-changed", f"{changed}; it stays. Run it again.", status=409) from None
        self._progress.finished(Way.DOWN, target.name)

    async def _receive(
        self, version: VersionState, target: Path, temporary: Path, descriptor: int, replaces: Here | None
    ) -> None:
        disk = Disk(target.parent)
        content = content_of_version(version)
        fetched = Fetched(content, version.key, version.s3_version, version.offset, version.length)
        await self._transfers.receive(fetched, self._s3, partial(disk.write, descriptor))
        install = partial(
            disk.install,
            temporary,
            descriptor,
            target.name,
            executable=version.executable,
            mtime_ns=version.mtime_ns,
            is_expected=disk.expecting((replaces.stat,), replaces.content) if replaces else None,
        )
        await to_the_end(install)
