"""Where nodes are: the folders above them, looked up once each."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from syncline.domain.commits import Commit
from syncline.domain.digests import DEPTH_MAX, starts
from syncline.domain.nodes import Kind, Node
from syncline.store.snapshot import Snapshot


class Places:
    """The folders of one library as far as they were asked for. ``parent_of`` grows with what is looked up.

    A folder that the commits in hand speak of is where they say, step by step; any other where it is at head.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.parent_of: dict[str, str] = {snapshot.library: ""}
        self._snapshot = snapshot
        self._nodes: dict[str, Node | None] = {}

    async def look_up(self, commit: Commit) -> None:
        """Know every folder above what this commit changed, and above what it left."""
        self.parent_of.update({c.node.id: c.node.parent for c in commit.changes if c.node.kind is Kind.FOLDER})
        await self._upwards(start for change in commit.changes for start in starts(change))

    async def path(self, parent: str, name: str = "") -> str:
        """The path of a place as its folders are called now; "" for the root."""
        names = [name] if name else []
        for folder in await self._above(parent):
            names.append(folder.name)
        return "/".join(reversed([name for name in names if name]))

    async def path_below(self, parent: str, followed: Collection[str]) -> str | None:
        """As ``path``, but from the nearest of the followed folders on; None when the place is in none of them."""
        if self._snapshot.library in followed:
            return await self.path(parent)
        names: list[str] = []
        for folder in await self._above(parent):
            names.append(folder.name)
            if folder.id in followed:
                return "/".join(reversed(names))
        return None

    def forgetting(self) -> Places:
        """The same tree with nothing looked up yet: what reading a long window looked up is not kept."""
        return Places(self._snapshot)

    async def is_live(self, node: str) -> bool:
        """Whether the node is there now: neither it nor a folder above it was removed."""
        found = await self._node(node)
        if found is None or found.removed:
            return False
        return not any(folder.removed for folder in await self._above(found.parent))

    async def _upwards(self, starts: Iterable[str]) -> None:
        for start in starts:
            node = start
            for _ in range(DEPTH_MAX):
                if not node:
                    break
                if node not in self.parent_of:
                    found = await self._node(node)
                    self.parent_of[node] = "" if found is None else found.parent
                node = self.parent_of[node]

    async def _above(self, folder: str) -> list[Node]:
        """The folder and those above it, without the root."""
        above: list[Node] = []
        while folder and folder != self._snapshot.library and len(above) < DEPTH_MAX:
            found = await self._node(folder)
            if found is None:
                break
            above.append(found)
            folder = found.parent
        return above

    async def _node(self, node: str) -> Node | None:
        if node not in self._nodes:
            self._nodes[node] = await self._snapshot.node(node)
        return self._nodes[node]
