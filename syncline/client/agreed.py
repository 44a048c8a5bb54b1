"""The base while a plan is carried out: what the index holds, at hand, with the paths it implies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from syncline.client.disk import Changed
from syncline.client.filelog import Entry, Heard
from syncline.client.index import Index, Link
from syncline.client.trees import BaseNode
from syncline.domain.errors import Broken

DEPTH_MAX = 1024


class Agreed:
    """Changes go to the index first. ``heard`` knows who changed what in the library, for the log."""

    def __init__(self, index: Index, link: Link, heard: Heard) -> None:
        self._index = index
        self.heard = heard
        self.link = link
        self.nodes: dict[str, BaseNode] = dict(index.base(link).nodes)

    def agree(self, nodes: Sequence[BaseNode], forget: Iterable[str] = (), log: Iterable[Entry] = ()) -> None:
        forget = list(forget)
        self._index.agree(self.link, nodes, forget=forget, log=log)
        self.note(nodes, forget)

    def settle(self, command: str, nodes: Sequence[BaseNode], forget: Sequence[str], log: Sequence[Entry] = ()) -> None:
        self._index.settle(self.link, command, nodes, forget, log)
        self.note(nodes, forget)

    def note(self, nodes: Iterable[BaseNode], forget: Iterable[str]) -> None:
        for node in forget:
            self.nodes.pop(node, None)
        self.nodes.update((node.node, node) for node in nodes)

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
