"""The tree: a library's whole state in memory, made from its commits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from syncline.domain.commits import Commit, Effect
from syncline.domain.facts import VersionRecord, check_next, is_live, path_of, version_records
from syncline.domain.nodes import Kind, Node, root_node
from syncline.domain.paths import clean_path, split_path


class Tree:
    """Everything about a library at ``seq``; satisfies ``facts.Facts`` and never misses a fact.

    Holds every node and version there ever was, removed ones too.
    """

    def __init__(self, library: str) -> None:
        self.library = library
        self.seq = 0
        self._nodes: dict[str, Node] = {library: root_node(library)}  # the last changed last
        self._names: dict[str, dict[str, str]] = {}
        self._versions: dict[str, VersionRecord] = {}
        self._purged: set[str] = set()

    def apply(self, commit: Commit) -> None:
        """Take the next commit; one that is already part of the tree changes nothing.

        Raises ``Broken`` for a gap or another library's commit.
        """
        if not check_next(self.library, self.seq, commit):
            return
        changed = [change.node for change in commit.changes if change.effect is not Effect.LATE]
        for node in changed:  # all leave before any arrives, since names may be swapped
            self._leave(node.id)
        for node in changed:
            self._arrive(node)
        self._versions.update(version_records(commit))
        self._purged.update(purged.version for purged in commit.purged)
        self.seq = commit.seq

    def apply_all(self, commits: Iterable[Commit]) -> None:
        for commit in commits:
            self.apply(commit)

    def node(self, node_id: str) -> Node | None:
        """The node of this id, removed or not."""
        return self._nodes.get(node_id)

    def child(self, parent: str, name: str) -> Node | None:
        """The node that is placed there and has not been removed itself."""
        node_id = self._names.get(parent, {}).get(name)
        return None if node_id is None else self._nodes[node_id]

    def children(self, parent: str) -> list[Node]:
        """The nodes placed in a folder that have not been removed themselves, in order of their names."""
        return [self._nodes[node_id] for _, node_id in sorted(self._names.get(parent, {}).items())]

    def version(self, version_id: str) -> VersionRecord | None:
        """What became of this version or permit id; None when nothing has yet."""
        return self._versions.get(version_id)

    def is_purged(self, version_id: str) -> bool:
        """Whether the content of this version was given up."""
        return version_id in self._purged

    def changed_since(self, seq: int) -> Sequence[Node]:
        """The nodes whose state changed after ``seq``, the last changed first."""
        changed = []
        for node in reversed(self._nodes.values()):
            if node.seq <= seq:
                break
            changed.append(node)
        return changed

    def is_live(self, node: Node) -> bool:
        """Whether neither the node nor any folder above it has been removed."""
        return is_live(self, node)

    def path(self, node: Node) -> str:
        """The path of a node, where it is or was; "" for the root."""
        return path_of(self, node)

    def find(self, path: str) -> Node | None:
        """The live node at a path. Raises ``Refused`` for a path that nothing can have."""
        node = self._nodes[self.library]
        for name in split_path(clean_path(path)):
            below = self.child(node.id, name) if node.kind is Kind.FOLDER else None
            if below is None:
                return None
            node = below
        return node

    def live_nodes(self) -> list[Node]:
        """Every live node but the root, folders before what is in them."""
        found: list[Node] = []
        folders = [self.library]
        while folders:
            below = self.children(folders.pop())
            found.extend(below)
            folders.extend(node.id for node in below if node.kind is Kind.FOLDER)
        return found

    def _leave(self, node_id: str) -> None:
        before = self._nodes.pop(node_id, None)
        if before is not None and not before.removed:
            del self._names[before.parent][before.name]

    def _arrive(self, node: Node) -> None:
        self._nodes[node.id] = node
        if not node.removed:
            self._names.setdefault(node.parent, {})[node.name] = node.id
