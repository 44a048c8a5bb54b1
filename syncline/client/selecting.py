"""Which folders of a library are to be on this disk: what there is to choose from, and choosing. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Set

import msgspec

from syncline.client.trees import Remote, RemoteNode
from syncline.domain.errors import Refused
from syncline.domain.nodes import Kind
from syncline.domain.paths import clean_path, split_path


class Choice(msgspec.Struct, frozen=True):
    """A folder of the library, with what is below it, and whether it is to be on this disk."""

    path: str
    node: str
    here: bool
    files: int
    size_bytes: int


def choices(remote: Remote, deselected: Set[str]) -> list[Choice]:
    """The folders at the top of the library and those deselected, by path. ``remote`` is the whole live tree."""
    children = _children(remote)
    found: list[Choice] = []

    def look(node: RemoteNode, path: str, depth: int) -> tuple[int, int]:
        files, size = int(node.kind is Kind.FILE), node.content.size_bytes if node.content else 0
        for child in children[node.node]:
            below = look(child, f"{path}/{child.name}", depth + 1)
            files, size = files + below[0], size + below[1]
        if node.kind is Kind.FOLDER and (depth == 0 or node.node in deselected):
            found.append(Choice(path, node.node, node.node not in deselected, files, size))
        return files, size

    for top in children[remote.root]:
        look(top, top.name, 0)
    return sorted(found, key=lambda choice: choice.path)


def choose(remote: Remote, deselected: Set[str], *, exclude: Iterable[str], include: Iterable[str]) -> frozenset[str]:
    """The folders deselected from now on. Paths are the library's.

    A folder below a deselected one is deselected with it; to have it back, the upper one is included. Raises
    ``Refused("no-such-folder")``, ``("root-not-deselected")`` or ``("deselected-above")``.
    """
    places = {(node.parent, node.name): node for node in remote.nodes.values()}
    chosen = {node for node in deselected if node in remote.nodes}
    for path in include:
        chain = _chain(places, remote.root, path)
        above = [node for node in chain[:-1] if node.node in chosen]
        if above:
            detail = f"{path} is not on this disk because {above[0].name} is not; include that, and exclude the others."
            raise Refused("deselected-above", detail, status=409)
        chosen.discard(chain[-1].node)
    for path in exclude:
        chain = _chain(places, remote.root, path)
        if not any(node.node in chosen for node in chain):
            chosen.add(chain[-1].node)
    return frozenset(node for node in chosen if not _is_below(remote, node, chosen))


def _chain(places: dict[tuple[str, str], RemoteNode], root: str, path: str) -> list[RemoteNode]:
    """The folders from the top of the library down to the one at ``path``."""
    chain: list[RemoteNode] = []
    for name in split_path(clean_path(path)):
        node = places.get((chain[-1].node if chain else root, name))
        if node is None or node.kind is not Kind.FOLDER:
            raise Refused("no-such-folder", f"The library has no folder {path}.", status=404)
        chain.append(node)
    if not chain:
        raise Refused("root-not-deselected", "The whole library cannot be deselected. To keep none of it: unlink it.")
    return chain


def _is_below(remote: Remote, node: str, folders: Set[str]) -> bool:
    above = remote.nodes.get(remote.nodes[node].parent)
    while above is not None:
        if above.node in folders:
            return True
        above = remote.nodes.get(above.parent)
    return False


def _children(remote: Remote) -> dict[str, list[RemoteNode]]:
    children: dict[str, list[RemoteNode]] = defaultdict(list)
    for node in remote.nodes.values():
        children[node.parent].append(node)
    return children
