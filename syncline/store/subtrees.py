"""What lies below a folder, read folder by folder from a snapshot."""

from __future__ import annotations

from collections import deque

from syncline.domain.commits import Commit
from syncline.domain.nodes import Kind, Node
from syncline.store.snapshot import DEPTH_MAX, FOLDER_PAGE, Snapshot


async def below(snapshot: Snapshot, folder: str, nodes_max: int) -> tuple[list[Node], bool]:
    """Up to ``nodes_max`` nodes placed below a folder, folders before what is in them, and whether these are all.

    None of them was removed itself; whether they live depends on the folder.
    """
    found: list[Node] = []
    folders = deque([folder])
    while folders:
        parent, after = folders.popleft(), ""
        while True:
            page = await snapshot.children(parent, after, min(FOLDER_PAGE, nodes_max - len(found) + 1))
            found.extend(page)
            if len(found) > nodes_max:
                return found[:nodes_max], False
            folders.extend(node.id for node in page if node.kind is Kind.FOLDER)
            if len(page) < FOLDER_PAGE:
                break
            after = page[-1].name
    return found, True


async def removed_with(snapshot: Snapshot, commit: Commit, top: Node) -> list[Node]:
    """What the commit that removed a folder removed below it one by one, and is removed still."""
    where = Whereabouts(snapshot)
    found = []
    for change in commit.changes:
        node = await where.node(change.node.id)
        gone_together = node is not None and node.removed and node.seq == top.seq and node.id != top.id
        if node is not None and gone_together and await where.is_below(node, top.id):
            found.append(node)
    return found


class Whereabouts:
    """Paths and liveness of many nodes of one snapshot: folders that lead to several of them are read once."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._known: dict[str, Node | None] = {}

    async def node(self, node_id: str) -> Node | None:
        if node_id not in self._known:
            self._known[node_id] = await self._snapshot.node(node_id)
        return self._known[node_id]

    async def above(self, node: Node) -> list[Node]:
        """The node and the folders above it, without the root; ends early where they do not lead there."""
        way: list[Node] = []
        at: Node | None = node
        while at is not None and at.id != self._snapshot.library and len(way) < DEPTH_MAX:
            way.append(at)
            at = await self.node(at.parent)
        return way

    async def path(self, node: Node) -> str:
        return "/".join(one.name for one in reversed(await self.above(node)))

    async def is_live(self, node: Node) -> bool:
        return not any(one.removed for one in await self.above(node))

    async def is_below(self, node: Node, folder: str) -> bool:
        """Whether the folder is one of those above the node."""
        return folder == self._snapshot.library or any(one.id == folder for one in (await self.above(node))[1:])
