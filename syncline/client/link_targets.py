"""The library's symbolic links: reading their targets before anything is planned, and which of them are unsafe here.

A link is held only where it stays inside the linked folder (domain/links.py). That depends on its place, which the
library may change without the link hearing of it (its folder is moved), so the targets are kept with the tree.
"""

from __future__ import annotations

import asyncio
import dataclasses
from functools import partial

import msgspec

from syncline.client.credentials import Permissions, ReadCredentials
from syncline.client.index import Index, Link
from syncline.client.tasks import each
from syncline.client.transfer import Fetched, ObjectsOverHttp, Transfers
from syncline.client.trees import Local, Remote, RemoteNode, Skipped
from syncline.domain.errors import NotFound
from syncline.domain.links import leads_out, target_of

TARGETS_AT_ONCE = 32


class TargetsOverHttp:
    """Reads targets from S3, and keeps them in the index."""

    def __init__(self, transfers: Transfers, permissions: Permissions, index: Index, link: Link) -> None:
        self._transfers = transfers
        self._permissions = permissions
        self._index = index
        self._link = link
        self._places = asyncio.Semaphore(TARGETS_AT_ONCE)

    async def read(self, remote: Remote) -> Remote:
        """The tree with the target of every link, but for those whose bytes S3 does not have."""
        unread = [n for n in remote.nodes.values() if n.content and n.content.symlink and not n.target]
        if not unread:
            return remote
        s3 = self._transfers.s3(ReadCredentials(self._permissions, self._link.library))
        found: dict[str, RemoteNode] = {}
        await each([partial(self._one, node, s3, found) for node in unread])
        link = self._link
        await asyncio.to_thread(self._index.learn, link, list(found.values()), (), cursor=link.cursor, seq=link.seq)
        return dataclasses.replace(remote, nodes={**remote.nodes, **found})

    async def _one(self, node: RemoteNode, s3: ObjectsOverHttp, found: dict[str, RemoteNode]) -> None:
        assert node.content is not None
        fetched = Fetched(node.content, node.key, node.s3_version, node.offset, node.length)
        try:
            async with self._places:
                target = await read_target(self._transfers, s3, fetched)
        except NotFound:
            return
        found[node.node] = msgspec.structs.replace(node, target=target)


async def read_target(transfers: Transfers, s3: ObjectsOverHttp, fetched: Fetched) -> str:
    """What a symbolic link in the library says, checked as all content is."""
    data = bytearray(fetched.content.size_bytes)

    def write(piece: bytes, offset: int) -> None:
        data[offset : offset + len(piece)] = piece

    await transfers.receive(fetched, s3, write)
    return target_of(bytes(data))


def leading_out(remote: Remote, local: Local) -> tuple[frozenset[str], list[Skipped]]:
    """(links that are not to be on this disk, since they lead out of the folder; the same for people, but for those
    that are on the disk all the same). Pure."""
    here = {skipped.path for skipped in local.skipped}
    unsafe: set[str] = set()
    skipped: list[Skipped] = []
    for node in remote.nodes.values():
        if not node.target:
            continue
        path = _path(remote, node)
        if leads_out(path, node.target):
            unsafe.add(node.node)
            if path in here:
                continue
            detail = f"this symbolic link in the library leads out of the folder: {node.target}"
            skipped.append(Skipped(path, "unsafe-link", detail))
    return frozenset(unsafe), skipped


def _path(remote: Remote, node: RemoteNode) -> str:
    names = [node.name]
    while (above := remote.nodes.get(node.parent)) is not None:
        names.append(above.name)
        node = above
    return "/".join(reversed(names))
