"""Nodes and versions as the HTTP interface shows them."""

from __future__ import annotations

from syncline.domain.commits import Change, Commit
from syncline.domain.nodes import Node, Version
from syncline.messages import api


def version_state(version: Version) -> api.VersionState:
    return api.VersionState(
        id=version.id,
        size_bytes=version.size_bytes,
        checksum=version.checksum,
        mtime_ns=version.mtime_ns,
        executable=version.executable,
        account=version.author.account,
        device=version.author.device,
        at_ms=version.author.at_ms,
        key=version.location.key,
        s3_version=version.location.s3_version,
        offset=version.location.offset,
        length=version.location.length,
        symlink=version.symlink,
    )


def node_state(node: Node, *, path: str = "", removed: bool | None = None) -> api.NodeState:
    """``removed`` overrides the node's own, for one that lies in a removed folder."""
    return api.NodeState(
        id=node.id,
        parent=node.parent,
        name=node.name,
        kind=node.kind,
        seq=node.seq,
        removed=node.removed if removed is None else removed,
        conflict_of=node.conflict_of,
        path=path,
        version=None if node.version is None else version_state(node.version),
    )


def change_state(commit: Commit, change: Change) -> api.ChangeState:
    return api.ChangeState(
        effect=change.effect,
        node=node_state(change.node),
        account=commit.account,
        device=commit.device,
        at_ms=commit.at_ms,
        trace=commit.trace,
    )
