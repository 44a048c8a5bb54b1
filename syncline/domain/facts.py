"""Facts: what can be asked about a library at one seq, and how an asker learns that an answer is not loaded yet.

``Facts`` is all that deciding may know. ``tree.Tree`` knows everything; ``partial_tree.PartialTree`` knows what was
loaded so far and raises ``MissingFacts`` for the rest, so deciding never waits and never reads a table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from syncline.domain.commits import Commit, Effect
from syncline.domain.errors import Broken
from syncline.domain.nodes import Node, Version
from syncline.domain.paths import join_path

MAX_DEPTH = 50_000
"""More ancestors than any tree has (a path is 1,024 bytes when it is made): beyond it the tree is damaged."""


class VersionRecord(msgspec.Struct, frozen=True, array_like=True):
    """What the journal says about one version or permit id.

    A version of ``node``, committed at ``seq``; or, ``withdrawn``, an id that never becomes one: then ``version`` is
    None and ``node`` "".
    """

    node: str
    seq: int
    version: Version | None
    withdrawn: bool


@dataclass(frozen=True, slots=True)
class NodeFact:
    """The node of this id. Value: ``Node | None``, removed ones too."""

    id: str


@dataclass(frozen=True, slots=True)
class ChildFact:
    """The node placed in this folder under this name. Value: ``Node | None``, never a removed one."""

    parent: str
    name: str


@dataclass(frozen=True, slots=True)
class ChildrenFact:
    """All nodes placed in this folder. Value: ``Sequence[Node]``, no removed ones."""

    parent: str


@dataclass(frozen=True, slots=True)
class VersionFact:
    """What is known of this version or permit id. Value: ``VersionRecord | None``."""

    id: str


@dataclass(frozen=True, slots=True)
class PurgedFact:
    """Whether the content of this version was given up. Value: ``bool``."""

    version: str


@dataclass(frozen=True, slots=True)
class ChangesSinceFact:
    """What happened after this seq. Value: the commits up to now, in order; None when that is too long ago."""

    seq: int


Fact = NodeFact | ChildFact | ChildrenFact | VersionFact | PurgedFact | ChangesSinceFact
FactValue = Node | Sequence[Node] | VersionRecord | Sequence[Commit] | bool | None


class MissingFacts(Exception):
    """Deciding asked for what is not loaded. Load ``facts``, teach them to the tree, decide again."""

    def __init__(self, *facts: Fact) -> None:
        super().__init__(f"not loaded: {facts}")
        self.facts = frozenset(facts)


class Facts(Protocol):
    """The state of a library at ``seq``. Every question may raise ``MissingFacts``."""

    @property
    def library(self) -> str: ...

    @property
    def seq(self) -> int: ...

    def node(self, node_id: str) -> Node | None:
        """The node of this id, removed or not; None when there never was one."""
        ...

    def child(self, parent: str, name: str) -> Node | None:
        """The node placed there, if it has not been removed. At most one."""
        ...

    def children(self, parent: str) -> Sequence[Node]:
        """All nodes placed in the folder that have not been removed themselves, in order of their names."""
        ...

    def version(self, version_id: str) -> VersionRecord | None:
        """What became of this version or permit id; None when nothing has yet."""
        ...

    def is_purged(self, version_id: str) -> bool:
        """Whether the content of this version was given up."""
        ...

    def changed_since(self, seq: int) -> Sequence[Node] | None:
        """The present state of every node whose state changed after ``seq``; None when that is too long ago."""
        ...


def ancestors(facts: Facts, node: Node) -> Iterator[Node]:
    """The folders above a node, from its own up to the root. Raises ``Broken`` when they do not lead there."""
    for _ in range(MAX_DEPTH):
        if node.id == facts.library:
            return
        parent = facts.node(node.parent)
        if parent is None:
            raise Broken(f"Folder {node.parent} of node {node.id} is missing in library {facts.library}.")
        yield parent
        node = parent
    raise Broken(f"Node {node.id} of library {facts.library} lies in a cycle of folders.")


def is_live(facts: Facts, node: Node) -> bool:
    """Whether neither the node nor any folder above it has been removed."""
    return not node.removed and not any(folder.removed for folder in ancestors(facts, node))


def removal_of(facts: Facts, node: Node) -> Node | None:
    """What made a node dead: itself or the folder above that was removed; None when it lives.

    If several were, it is the lowest: nothing is removed any more once a folder above it has been.
    """
    return next((above for above in (node, *ancestors(facts, node)) if above.removed), None)


def path_of(facts: Facts, node: Node) -> str:
    """The path of a node, where it is or was; "" for the root."""
    names = [folder.name for folder in ancestors(facts, node)]
    return join_path(*reversed(names), node.name)


def version_records(commit: Commit) -> Iterator[tuple[str, VersionRecord]]:
    """The version and permit ids that a commit settles, each with its record."""
    for change in commit.changes:
        node = change.node
        if change.effect is Effect.LATE and change.late is not None:
            yield change.late.id, VersionRecord(node.id, commit.seq, change.late, False)
        elif node.version is not None and node.content_seq == commit.seq:
            yield node.version.id, VersionRecord(node.id, commit.seq, node.version, False)
    for permit in commit.withdrawn:
        yield permit, VersionRecord("", commit.seq, None, True)


def check_next(library: str, seq: int, commit: Commit) -> bool:
    """Whether the commit is news to a tree at ``seq``. Raises ``Broken`` for a gap or another library's commit."""
    if commit.library != library:
        raise Broken(f"Commit {commit.seq} is of library {commit.library}, not of {library}.")
    if commit.seq > seq + 1:
        raise Broken(f"Commit {commit.seq} of library {library} does not follow on {seq}.")
    return commit.seq == seq + 1
