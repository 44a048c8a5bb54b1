"""Which nodes of a library are not to be on this disk: what is ignored, and folders deselected on this device. Pure."""

from __future__ import annotations

from collections.abc import Set

from syncline.client.ignoring import Ignores
from syncline.client.trees import Remote
from syncline.domain.nodes import Kind


def apart(remote: Remote, ignores: Ignores, deselected: Set[str]) -> frozenset[str]:
    """The nodes that are deselected or ignored by the place the library has them at, and all below them."""
    found: set[str] = set()
    paths = {remote.root: ""}
    for start in remote.nodes:
        chain = []
        at = start
        while at not in paths and at not in found and (node := remote.nodes.get(at)) is not None:
            chain.append(node)
            at = node.parent
        is_apart = at in found
        for node in reversed(chain):
            above = paths.get(node.parent, "")
            path = f"{above}/{node.name}" if above else node.name
            folder = node.kind is Kind.FOLDER
            is_apart = is_apart or (folder and node.node in deselected) or ignores.match(path, folder=folder)
            if is_apart:
                found.add(node.node)
            else:
                paths[node.node] = path
    return frozenset(found)
