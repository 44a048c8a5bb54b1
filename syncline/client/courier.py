"""Single files between a path and a library, without a link: what ``put`` and ``get`` do."""

from __future__ import annotations

from pathlib import Path

from syncline.client.api import Api
from syncline.client.progress import NoProgress, Progress
from syncline.messages.api import NodeState, ResultState, VersionState


class Courier:
    """Uploads and downloads single files."""

    def __init__(self, api: Api, *, progress: Progress | None = None) -> None:
        self._api = api
        self._progress = progress or NoProgress()

    async def put(
        self, library: str, source: Path, *, parent: str, name: str, replaces: NodeState | None = None
    ) -> ResultState:
        """Send one file and commit it: a new version of ``replaces``, else a new file ``name`` in folder ``parent``."""
        raise NotImplementedError

    async def get(self, library: str, version: VersionState, target: Path, *, overwrite: bool = False) -> None:
        """Fetch one version into ``target`` atomically. Raises ``Refused("exists")`` unless ``overwrite``."""
        raise NotImplementedError

    async def close(self) -> None: ...
