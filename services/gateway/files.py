"""Looking around in a library, and downloading."""

from __future__ import annotations

from aiohttp import web

from services.gateway.moments import Times
from syncline.domain.commands import MAX_REQUESTS
from syncline.domain.errors import Refused
from syncline.domain.facts import VersionRecord
from syncline.domain.ids import is_id
from syncline.domain.nodes import Kind, Node, Version
from syncline.domain.paths import MAX_NAME_BYTES
from syncline.messages import api as m
from syncline.ports.objects import ObjectStore
from syncline.serving.auth import Access
from syncline.serving.routes import Call, Nothing
from syncline.serving.states import node_state, version_state
from syncline.store.snapshot import Snapshot

PRESIGNED_S = 300
CHILDREN_DEFAULT = 200
VERSIONS_DEFAULT = 50


class Files:
    def __init__(self, times: Times, objects: ObjectStore, access: Access) -> None:
        self._times = times
        self._objects = objects
        self._access = access

    async def node(self, call: Call, _body: Nothing) -> m.NodeState:
        snapshot = await self._snapshot(call)
        node = await snapshot.node(call.id("node", "no-such-node"))
        if node is None:
            raise no_such_node()
        removed = not await snapshot.is_live(node)
        return node_state(node, path=await snapshot.path(node), removed=removed)

    async def node_by_path(self, call: Call, _body: Nothing) -> m.NodeState:
        path = call.text("path")
        snapshot = await self._snapshot(call)
        node = await snapshot.find(path)
        if node is None:
            raise no_such_node()
        return node_state(node, path=await snapshot.path(node))

    async def children(self, call: Call, _body: Nothing) -> m.Children:
        after, limit = _name_in_query(call), call.number("limit", CHILDREN_DEFAULT)
        snapshot = await self._snapshot(call)
        folder = await live_node(snapshot, call.id("node", "no-such-node"))
        if folder.kind is not Kind.FOLDER:
            raise Refused("not-a-folder", "This is a file; it has no children.", status=409)
        found = await snapshot.children(folder.id, after, limit + 1)
        page = found[:limit]
        more = page[-1].name if len(found) > limit else ""
        return m.Children(children=[node_state(node) for node in page], after=more)

    async def versions(self, call: Call, _body: Nothing) -> m.Versions:
        before, limit = call.number("before", 0), call.number("limit", VERSIONS_DEFAULT)
        snapshot = await self._snapshot(call)
        node = await snapshot.node(call.id("node", "no-such-node"))
        if node is None:
            raise no_such_node()
        _require_file(node)
        records, more = await _version_page(snapshot, node.id, before or None, limit)
        versions = [version_state(record.version) for record in records if record.version is not None]
        return m.Versions(versions=versions, before=records[-1].seq if more else 0)

    async def content(self, call: Call, _body: Nothing) -> web.Response:
        wanted = call.text("version")
        snapshot = await self._snapshot(call)
        node_id = call.id("node", "no-such-node")
        if not wanted:
            node = await live_node(snapshot, node_id)
            if call.text("at") and node.version is not None:
                await self._require_kept(call, node.version.id)
            return await self.redirect(node)
        kept = await snapshot.node(node_id)
        if kept is None:
            raise no_such_node()
        record = await snapshot.version(wanted) if is_id(wanted) else None
        if record is None or record.version is None or record.node != node_id:
            raise Refused("no-such-version", "The file has no such version.", status=404)
        await self._require_kept(call, record.version.id)
        return await self.redirect(kept, record.version)

    async def redirect(self, node: Node, version: Version | None = None) -> web.Response:
        """302 to a URL that anyone can GET for ``PRESIGNED_S``. Raises ``Refused("not-a-file")``."""
        _require_file(node)
        version = version or node.version
        if version is None:
            raise Refused("no-such-version", "The file has no content.", status=404)
        location = version.location
        url = await self._objects.presign_get(
            location.key, location.s3_version, filename=node.name, expires_s=PRESIGNED_S
        )
        headers = {"Location": url, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
        return web.Response(status=302, headers=headers)

    async def _require_kept(self, call: Call, version: str) -> None:
        """Also of what was there once only what has not been given up since. Raises ``Refused("version-purged")``."""
        if version in await (await self._times.now(call.library)).purged([version]):
            raise Refused("version-purged", "This content was kept for its time, and has been given up.", status=410)

    async def _snapshot(self, call: Call) -> Snapshot:
        """The library as it is, or as it was at the time the query asks for."""
        _, head = await self._access.require_read(call.library, call.caller.account)
        return await self._times.snapshot(call.library, head, call.text("at"))


async def live_node(snapshot: Snapshot, node_id: str) -> Node:
    """Raises ``Refused("no-such-node")`` (404), also for what lies in a removed folder."""
    node = await snapshot.node(node_id)
    if node is None or not await snapshot.is_live(node):
        raise no_such_node()
    return node


async def _version_page(
    snapshot: Snapshot, node: str, before: int | None, limit: int
) -> tuple[list[VersionRecord], bool]:
    """About ``limit`` records and whether there are more. One commit's versions are never parted, since the next page
    begins before a seq."""
    found = await snapshot.versions(node, before, limit + 1)
    if len(found) <= limit:
        return found, False
    cut = found[limit].seq
    page = [record for record in found if record.seq > cut]
    if page:
        return page, True
    found = await snapshot.versions(node, before, MAX_REQUESTS + 1)
    page = [record for record in found if record.seq == cut]
    return page, len(found) > len(page)


def no_such_node() -> Refused:
    return Refused("no-such-node", "There is no such file or folder in this library.", status=404)


def _name_in_query(call: Call) -> str:
    after = call.text("after")
    if len(after.encode()) > MAX_NAME_BYTES or "\0" in after:
        raise Refused("invalid-query", "This is no name.", status=422, at="after")
    return after


def _require_file(node: Node) -> None:
    if node.kind is not Kind.FILE:
        raise Refused("not-a-file", "This is a folder; it has no content.", status=409)
