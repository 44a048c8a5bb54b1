"""Folders that are to be made in a library, each once, whatever asks for them."""

from __future__ import annotations

from syncline.client.api import Api
from syncline.client.cli.committing import new_id
from syncline.client.cli.output import name_text
from syncline.client.cli.remote import RemotePath, look_up
from syncline.domain.errors import Refused
from syncline.domain.nodes import Kind
from syncline.domain.paths import split_path
from syncline.messages.api import CommitRequest, Library, MakeFolder


class NewFolders:
    """The requests for folders that are not there yet, each made once."""

    def __init__(self, api: Api, library: Library, written: str) -> None:
        self._api = api
        self._library = library
        self._written = written
        self._ids: dict[str, str] = {"": library.id}
        self.requests: list[CommitRequest] = []
        self.paths: list[str] = []

    async def add(self, wanted: RemotePath, *, parents: bool) -> str:
        """Ask for a folder; its id. ``parents``: for those above it too, and it may exist already.

        Raises ``Refused``: "exists", "no-such-folder", "not-a-folder".
        """
        if await self._known(wanted.path) and not parents:
            raise Refused("exists", f"{name_text(str(wanted))} exists already.", status=409)
        names = split_path(wanted.path)
        have = len(names)
        while not await self._known("/".join(names[:have])):
            have -= 1
        if have < len(names) - 1 and not parents:
            above = f"{self._written}:{'/'.join(names[:-1])}"
            detail = f"{name_text(above)} is not there; -p makes the folders on the way too."
            raise Refused("no-such-folder", detail, status=404)
        for n in range(have, len(names)):
            self._make("/".join(names[:n]), "/".join(names[: n + 1]), names[n])
        return self._ids[wanted.path]

    async def _known(self, path: str) -> bool:
        if path not in self._ids:
            node = await look_up(self._api, self._library, RemotePath(self._written, path))
            if node is None:
                return False
            if node.kind is not Kind.FOLDER:
                detail = f"{name_text(f'{self._written}:{path}')} is a file; choose another name."
                raise Refused("not-a-folder", detail, status=409)
            self._ids[path] = node.id
        return True

    def _make(self, parent: str, path: str, name: str) -> None:
        self._ids[path] = new_id()
        self.requests.append(MakeFolder(node=self._ids[path], parent=self._ids[parent], name=name))
        self.paths.append(f"{self._written}:{path}")
