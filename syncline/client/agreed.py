"""The base while a plan is carried out: what the index holds, at hand, with the paths it implies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import overload

from syncline.client.disk import Changed
from syncline.client.filelog import Entry, Heard
from syncline.client.holdings import DEPTH_MAX, Holdings
from syncline.client.index import Index, Link
from syncline.client.trees import BaseNode
from syncline.domain.errors import Broken

NODES_KEPT_MAX = 10_000


class Agreed:
    """Changes go to the index first. Nodes are read when they are asked for, and the last of them kept at hand.
    ``heard`` knows who changed what in the library, for the log."""

    def __init__(self, index: Index, link: Link, heard: Heard) -> None:
        self._index = index
        self.heard = heard
        self.link = link
        self.nodes = _Nodes(index.holdings(link))

    def agree(self, nodes: Sequence[BaseNode], forget: Iterable[str] = (), log: Iterable[Entry] = ()) -> None:
        forget = list(forget)
        self._index.agree(self.link, nodes, forget=forget, log=log)
        self.note(nodes, forget)

    def settle(self, command: str, nodes: Sequence[BaseNode], forget: Sequence[str], log: Sequence[Entry] = ()) -> None:
        self._index.settle(self.link, command, nodes, forget, log)
        self.note(nodes, forget)

    def note(self, nodes: Iterable[BaseNode], forget: Iterable[str]) -> None:
        for name in forget:
            self.nodes.keep(name, None)
        for node in nodes:
            self.nodes.keep(node.node, node)

    def knows(self, node: str) -> bool:
        return node == self.link.library or node in self.nodes

    def path(self, node: str) -> str:
        """Where a node is on this disk. Raises ``Changed`` when it, or a folder above it, is not here."""
        names: list[str] = []
        while node != self.link.library:
            state = self.nodes.get(node)
            if state is None:
                raise Changed(f"{node} is not here any more")
            names.append(state.local_name)
            node = state.parent
            if len(names) > DEPTH_MAX:
                raise Broken(f"The index of {self.link.path} holds folders in a ring at {state.name}; link it anew.")
        return "/".join(reversed(names))

    def path_or(self, node: str, else_path: str) -> str:
        """As ``path``; ``else_path`` where it is not here."""
        try:
            return self.path(node)
        except Changed:
            return else_path

    def path_in(self, parent: str, local_name: str) -> str:
        above = self.path(parent)
        return f"{above}/{local_name}" if above else local_name


class _Nodes:
    """The base by id."""

    def __init__(self, holdings: Holdings) -> None:
        self._holdings = holdings
        self._kept: dict[str, BaseNode | None] = {}

    @overload
    def get(self, node: str) -> BaseNode | None: ...

    @overload
    def get(self, node: str, default: BaseNode) -> BaseNode: ...

    def get(self, node: str, default: BaseNode | None = None) -> BaseNode | None:
        if node not in self._kept:
            self.keep(node, self._holdings.base_node(node))
        return self._kept[node] or default

    def __getitem__(self, node: str) -> BaseNode:
        if (found := self.get(node)) is None:
            raise KeyError(node)
        return found

    def __contains__(self, node: str) -> bool:
        return self.get(node) is not None

    def keep(self, node: str, state: BaseNode | None) -> None:
        if len(self._kept) >= NODES_KEPT_MAX:
            self._kept.clear()
        self._kept[node] = state
