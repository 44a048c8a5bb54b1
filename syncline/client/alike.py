"""Names that a disk takes for one, since it does not tell upper from lower case: only one of them can be here. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from syncline.client.trees import BaseNode, Remote, RemoteNode, Skipped


def folded(name: str) -> str:
    """Equal for names that differ in upper and lower case alone."""
    return name.casefold()


def not_beside(base: Mapping[str, BaseNode], remote: Remote) -> tuple[frozenset[str], list[Skipped]]:
    """(nodes whose names are taken for that of another in their folder, which stays here, and all below them; the
    same for people). Who is here stays here; of those that are not, the one that the library has had for longer comes.
    """
    places: dict[tuple[str, str], list[RemoteNode]] = defaultdict(list)
    for node in remote.nodes.values():
        places[node.parent, folded(node.name)].append(node)
    found: set[str] = set()
    skipped: list[Skipped] = []
    for alike in places.values():
        first, *others = sorted(alike, key=lambda node: _order(base, node))
        for other in others:
            found.add(other.node)
            detail = f"this disk takes its name for that of {first.name}, which is here"
            skipped.append(Skipped(_path(remote, other), "same-name", detail))
    return frozenset(node for node in remote.nodes if found and _is_below(remote, node, found)), skipped


def _order(base: Mapping[str, BaseNode], node: RemoteNode) -> tuple[bool, bool, int, str]:
    known = base.get(node.node)
    is_here = known is not None and known.materialised
    stays = known is not None and (known.parent, known.name) == (node.parent, node.name)
    return not is_here, not stays, node.seq, node.node


def _is_below(remote: Remote, node: str, found: set[str]) -> bool:
    while node not in found:
        if node not in remote.nodes:
            return False
        node = remote.nodes[node].parent
    return True


def _path(remote: Remote, node: RemoteNode) -> str:
    names = [node.name]
    while (above := remote.nodes.get(node.parent)) is not None:
        names.append(above.name)
        node = above
    return "/".join(reversed(names))
