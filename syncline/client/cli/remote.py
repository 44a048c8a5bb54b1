"""``LIBRARY:PATH``: how things in libraries are named on the command line, and finding them."""

from __future__ import annotations

import unicodedata
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from syncline.client.cli.output import name_text
from syncline.domain.errors import Broken, Refused

if TYPE_CHECKING:
    from syncline.client.api import Api
    from syncline.messages.api import Library, NodeState, VersionState

EXAMPLE = "Shared:docs/plan.ods"
NODE_MARK = "@"
"""``LIBRARY:@NODE`` names a file or folder by its id, also one that was removed."""
VERSIONS_PAGE = 100
NOT_THERE = frozenset({"no-such-node", "not-found", "http-404"})


@dataclass(frozen=True)
class RemotePath:
    """``library``: a name or id. ``path``: clean, "" is the root. ``node``: the id where one was given instead.

    ``into`` is set when the path was written with a "/" at its end: it is a folder to put things into. ``local`` is
    the path in a linked folder that it was said with; ``node`` may then be "", or of something that is gone.
    """

    library: str
    path: str
    node: str = ""
    into: bool = False
    local: str = ""

    def __str__(self) -> str:
        if self.local:
            return self.local
        return f"{self.library}:{NODE_MARK + self.node if self.node else self.path}"


class RemotePathType(click.ParamType[RemotePath]):
    """Reads ``LIBRARY:PATH``; with ``bare`` a library's name alone will do."""

    name = "LIBRARY:PATH"

    def __init__(self, *, bare: bool = False) -> None:
        self._bare = bare

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> RemotePath:
        if isinstance(value, RemotePath):
            return value
        library, colon, path = str(value).partition(":")
        if not library or not (colon or self._bare):
            self.fail(f"{value!r} is not in a library; write LIBRARY:PATH, for example {EXAMPLE}", param, ctx)
        try:
            return _remote_path(library, path)
        except Refused as error:
            self.fail(error.detail, param, ctx)


def _remote_path(library: str, path: str) -> RemotePath:
    from syncline.domain.ids import is_id
    from syncline.domain.paths import clean_path

    if path.startswith(NODE_MARK) and is_id(path[1:]):
        return RemotePath(library, "", node=path[1:])
    return RemotePath(library, clean_path(path), into=path.endswith("/"))


REMOTE_PATH = RemotePathType()
LIBRARY_OR_PATH = RemotePathType(bare=True)


async def find_library(api: Api, wanted: str) -> Library:
    """The library of this id or name. Raises ``Refused``: "no-such-library", "ambiguous-library"."""
    libraries = await api.libraries()
    for library in libraries:
        if library.id == wanted:
            return library
    name = unicodedata.normalize("NFC", wanted.removesuffix(":"))
    named = [library for library in libraries if library.name == name]
    if len(named) == 1:
        return named[0]
    if named:
        ids = ", ".join(f"{library.id} ({library.role.value})" for library in named)
        detail = f"{len(named)} libraries are called {name}; name one by its id instead: {ids}."
        raise Refused("ambiguous-library", detail, ids=[library.id for library in named])
    alike = next((library.name for library in libraries if library.name.casefold() == name.casefold()), "")
    meant = f" Did you mean {alike}?" if alike else ""
    raise Refused("no-such-library", f"You have no library called {name}.{meant}", status=404)


async def find_node(api: Api, library: Library, remote: RemotePath) -> NodeState:
    """The file or folder; by its id also a removed one. Raises ``Refused("no-such-node")``, naming it."""
    found = await look_up(api, library, remote)
    if found is None:
        folder = remote.path.rpartition("/")[0]
        detail = f"{name_text(str(remote))} is not there. Run: syncline ls {name_text(f'{remote.library}:{folder}')}"
        raise Refused("no-such-node", detail, status=404)
    return found


async def look_up(api: Api, library: Library, remote: RemotePath) -> NodeState | None:
    """As ``find_node``, but None when there is nothing."""
    try:
        if remote.node:
            return await api.node(library.id, remote.node)
        return await api.find(library.id, remote.path)
    except Refused as error:
        if error.status == 404 and error.kind in NOT_THERE:
            return None
        raise


async def children_of(api: Api, library: Library, folder: str) -> list[NodeState]:
    """Everything in a folder (id), by name."""
    children: list[NodeState] = []
    after = ""
    while True:
        page = await api.children(library.id, folder, after=after)
        children += page.children
        if not page.after:
            return sorted(children, key=lambda child: child.name)
        if page.after == after:
            raise Broken(f"The service lists {folder} without end.")
        after = page.after


async def versions_of(api: Api, library: Library, node: NodeState) -> AsyncIterator[VersionState]:
    """The versions of a file, newest first, asked for as they are needed."""
    before = 0
    while True:
        page = await api.versions(library.id, node.id, before=before, limit=VERSIONS_PAGE)
        for version in page.versions:
            yield version
        if not page.before:
            return
        if before and page.before >= before:
            raise Broken(f"The service lists the versions of {node.id} without end.")
        before = page.before


async def version_of(api: Api, library: Library, node: NodeState, wanted: str) -> VersionState:
    """The version of this id, or the current one for "". Raises ``Refused("no-such-version")``."""
    if node.version is not None and wanted in ("", node.version.id):
        return node.version
    async for version in versions_of(api, library, node):
        if version.id == wanted or not wanted:
            return version
    detail = f"{name_text(node.name)} has no version {wanted}. syncline history lists those it has."
    raise Refused("no-such-version", detail, status=404)
