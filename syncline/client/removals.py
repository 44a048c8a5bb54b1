"""Which local removals the library is told of, and which are taken back because it has something newer. Pure."""

from __future__ import annotations

from collections import defaultdict
from enum import Enum

from syncline.client.matching import Matched
from syncline.client.operations import SendRemove
from syncline.client.trees import Remote, RemoteNode
from syncline.domain.nodes import Kind


class Verdict(Enum):
    """What becomes, in the library, of a node that may be missing here."""

    WHOLE = "whole"  # it was removed here with everything below it, all as the library still has it
    EMPTIED = "emptied"  # it was removed here, but something below was moved elsewhere first
    MOVED_OUT = "moved out"  # it is here, but leaves its folder in this plan
    KEPT = "kept"  # it stays, or comes back


def plan_removals(remote: Remote, matched: Matched, moving: set[str]) -> tuple[list[SendRemove], set[str], int]:
    """(removals in order, missing nodes that come back, how many files the removals take along).

    A node removed here goes only if the library has it as this client last had it; a folder only if that is so for
    all below it. A newer content, a moved folder or anything unseen brings the folders above it back.
    """
    return _Removals(remote, matched, moving).plan()


class _Removals:
    def __init__(self, remote: Remote, matched: Matched, moving: set[str]) -> None:
        self.remote = remote
        self.matched = matched
        self.moving = moving
        self.children: dict[str, list[RemoteNode]] = defaultdict(list)
        for node in remote.nodes.values():
            self.children[node.parent].append(node)
        self.verdicts: dict[str, Verdict] = {}
        self.removals: list[SendRemove] = []
        self.files = 0

    def plan(self) -> tuple[list[SendRemove], set[str], int]:
        order = self._top_down()
        self._judge(order)
        missing = [node for node in order if node.node in self.matched.gone]
        kept = {node.node for node in missing if self.verdicts[node.node] is Verdict.KEPT}
        covered: set[str] = set()
        emptied: list[SendRemove] = []
        for node in missing:
            verdict = self.verdicts[node.node]
            if node.node in covered or verdict is Verdict.KEPT:
                continue
            if verdict is Verdict.WHOLE:
                self.removals.append(self._whole(node, covered))
            else:
                emptied.append(SendRemove(node.node, self.remote.seq, False, self._path(node), 0))
        # Folders whose content left them go last, the lowest first.
        return self.removals + emptied[::-1], kept, self.files

    def _top_down(self) -> list[RemoteNode]:
        order: list[RemoteNode] = []
        level = list(self.children.get(self.remote.root, ()))
        while level:
            order += level
            level = [child for node in level for child in self.children.get(node.node, ())]
        return order

    def _judge(self, order: list[RemoteNode]) -> None:
        revived: set[str] = set()
        for node in order:
            if node.parent in revived or (node.node in self.matched.gone and not self._as_held(node)):
                revived.add(node.node)
        for node in reversed(order):
            self.verdicts[node.node] = self._verdict(node, node.node in revived)

    def _verdict(self, node: RemoteNode, revived: bool) -> Verdict:
        if node.node in self.moving and node.node not in self.matched.gone:
            return Verdict.MOVED_OUT
        if node.node not in self.matched.gone or revived:
            return Verdict.KEPT
        below = {self.verdicts[child.node] for child in self.children.get(node.node, ())}
        if Verdict.KEPT in below:
            return Verdict.KEPT
        return Verdict.WHOLE if below <= {Verdict.WHOLE} else Verdict.EMPTIED

    def _as_held(self, node: RemoteNode) -> bool:
        """Whether the library has the node as this client last had it."""
        base = self.matched.base[node.node]
        return (base.parent, base.name, base.version) == (node.parent, node.name, node.version)

    def _path(self, node: RemoteNode) -> str:
        names = [node.name]
        while (above := self.remote.nodes.get(node.parent)) is not None:
            names.append(above.name)
            node = above
        return "/".join(reversed(names))

    def _whole(self, node: RemoteNode, covered: set[str]) -> SendRemove:
        below: list[str] = []
        todo = [node]
        files = 0
        while todo:
            at = todo.pop()
            covered.add(at.node)
            files += at.kind is Kind.FILE
            if at is not node:
                below.append(at.node)
            todo += self.children.get(at.node, ())
        self.files += files
        held_all = node.kind is Kind.FOLDER
        return SendRemove(node.node, self.remote.seq, held_all, self._path(node), files, tuple(below))
