"""Following: who wants mail about what."""

from __future__ import annotations

from services.gateway.files import live_node
from syncline.domain.errors import NotFound
from syncline.messages import api as m
from syncline.ports.clock import Clock
from syncline.serving.auth import Access
from syncline.serving.routes import Call, Nothing
from syncline.store.follows import FollowRecord, Follows
from syncline.store.snapshot import Snapshot
from syncline.store.tree import TreeReader


class Following:
    def __init__(self, follows: Follows, tree: TreeReader, access: Access, clock: Clock) -> None:
        self._follows = follows
        self._tree = tree
        self._access = access
        self._clock = clock

    async def all(self, call: Call, _body: Nothing) -> m.Follows:
        """What the asker follows, as far as it is there and may be read."""
        account = call.caller.account
        snapshots: dict[str, Snapshot | None] = {}
        shown: list[m.Follow] = []
        for record in await self._follows.of_account(account):
            if record.library not in snapshots:
                snapshots[record.library] = await self._readable(record.library, account)
            snapshot = snapshots[record.library]
            if snapshot is not None and (follow := await _shown(snapshot, record)) is not None:
                shown.append(follow)
        return m.Follows(follows=shown)

    async def follow(self, call: Call, _body: Nothing) -> m.Follow:
        account = call.caller.account
        await self._access.require_read(call.library, account)
        snapshot = await self._tree.at_head(call.library)
        node = await live_node(snapshot, call.id("node", "no-such-node"))
        await self._follows.follow(call.library, node.id, account, at_ms=self._clock.now_ms())
        return m.Follow(library=call.library, node=node.id, path=await snapshot.path(node))

    async def unfollow(self, call: Call, _body: Nothing) -> Nothing:
        await self._access.require_read(call.library, call.caller.account)
        await self._follows.unfollow(call.library, call.id("node", "no-such-node"), call.caller.account)
        return Nothing()

    async def _readable(self, library: str, account: str) -> Snapshot | None:
        if await self._access.role(library, account) is None:
            return None
        try:
            return await self._tree.at_head(library)
        except NotFound:
            return None


async def _shown(snapshot: Snapshot, record: FollowRecord) -> m.Follow | None:
    node = await snapshot.node(record.node)
    if node is None or not await snapshot.is_live(node):
        return None
    return m.Follow(library=record.library, node=record.node, path=await snapshot.path(node))
