"""The partial tree: as much of a library's state as has been loaded, kept at its head."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from syncline.domain.commands import (
    AddVersion,
    Command,
    CopyVersion,
    MakeFolder,
    Move,
    Purge,
    Remove,
    Request,
    Revive,
    Withdraw,
)
from syncline.domain.commits import Commit, Effect
from syncline.domain.errors import Broken
from syncline.domain.facts import (
    ChangesSinceFact,
    ChildFact,
    ChildrenFact,
    Fact,
    FactValue,
    MissingFacts,
    NodeFact,
    PurgedFact,
    VersionFact,
    VersionRecord,
    check_next,
    version_records,
)
from syncline.domain.nodes import Kind, Node, root_node


class PartialTree:
    """What is known of a library at ``seq``; satisfies ``facts.Facts``, raising ``MissingFacts`` for the rest.

    All that is learned must be true at ``seq``. ``apply`` brings it to the next seq, so one tree serves command
    after command; it only grows, and its owner drops it when ``size`` passes a bound.
    """

    def __init__(self, library: str, seq: int) -> None:
        self.library = library
        self.seq = seq
        self._nodes: dict[str, Node | None] = {library: root_node(library)}
        self._names: dict[str, dict[str, str | None]] = {}  # folder → name → node, None: known to be free
        self._complete: set[str] = {library} if seq == 0 else set()  # folders all of whose children are in _names
        self._versions: dict[str, VersionRecord | None] = {}
        self._purged: dict[str, bool] = {}
        self._changed: dict[int, dict[str, None] | None] = {}

    @property
    def size(self) -> int:
        """How many facts are held."""
        lists: list[dict[str, str | None] | dict[str, None] | None] = [*self._names.values(), *self._changed.values()]
        return len(self._nodes) + len(self._versions) + len(self._purged) + sum(len(entries or ()) for entries in lists)

    # What is asked

    def node(self, node_id: str) -> Node | None:
        if node_id not in self._nodes:
            raise MissingFacts(NodeFact(node_id))
        return self._nodes[node_id]

    def child(self, parent: str, name: str) -> Node | None:
        names = self._names.get(parent, {})
        if name in names:
            return self._known(names[name])
        if parent in self._complete:
            return None
        raise MissingFacts(ChildFact(parent, name))

    def children(self, parent: str) -> list[Node]:
        if parent not in self._complete:
            raise MissingFacts(ChildrenFact(parent))
        placed = [self._known(node_id) for _, node_id in sorted(self._names.get(parent, {}).items())]
        return [node for node in placed if node is not None]

    def version(self, version_id: str) -> VersionRecord | None:
        if version_id not in self._versions:
            raise MissingFacts(VersionFact(version_id))
        return self._versions[version_id]

    def is_purged(self, version_id: str) -> bool:
        if version_id not in self._purged:
            raise MissingFacts(PurgedFact(version_id))
        return self._purged[version_id]

    def changed_since(self, seq: int) -> Sequence[Node] | None:
        if seq >= self.seq:
            return []
        if seq not in self._changed:
            raise MissingFacts(ChangesSinceFact(seq))
        changed = self._changed[seq]
        return None if changed is None else [node for node in map(self._known, changed) if node is not None]

    def knows(self, fact: Fact) -> bool:
        """Whether asking for this fact would be answered."""
        match fact:
            case NodeFact(node_id):
                return node_id in self._nodes
            case ChildFact(parent, name):
                return parent in self._complete or name in self._names.get(parent, {})
            case ChildrenFact(parent):
                return parent in self._complete
            case VersionFact(version_id):
                return version_id in self._versions
            case PurgedFact(version_id):
                return version_id in self._purged
            case ChangesSinceFact(seq):
                return seq >= self.seq or seq in self._changed

    # What is learned

    def learn(self, fact: Fact, value: FactValue) -> None:
        """Take a loaded fact; what kind of value belongs to which fact is written at the facts."""
        match fact:
            case NodeFact(node_id):
                self._nodes[node_id] = None
                self._learn_node(cast("Node | None", value))
            case ChildFact(parent, name):
                self._names.setdefault(parent, {})[name] = None
                self._learn_node(cast("Node | None", value))
            case ChildrenFact(parent):
                self._complete.add(parent)
                for node in cast("Sequence[Node]", value):
                    self._learn_node(node)
            case VersionFact(version_id):
                self._versions[version_id] = cast("VersionRecord | None", value)
            case PurgedFact(version_id):
                self._purged[version_id] = bool(value)
            case ChangesSinceFact(seq):
                self._learn_changes(seq, cast("Sequence[Commit] | None", value))

    def apply(self, commit: Commit) -> None:
        """Bring all that is known to the commit's seq; one that is already part of it changes nothing.

        Raises ``Broken`` for a gap or another library's commit.
        """
        if not check_next(self.library, self.seq, commit):
            return
        changes = [change for change in commit.changes if change.effect is not Effect.LATE]
        # Nothing can have been in a folder before it was made. (A file's id in this set harms nothing.)
        self._complete.update(change.node.id for change in changes if change.born)
        for change in changes:  # all leave before any arrives, since names may be swapped
            if change.was is not None:
                self._names.setdefault(change.was.parent, {})[change.was.name] = None
        for change in changes:
            self._learn_node(change.node)
        self._versions.update(version_records(commit))
        self._purged.update((purged.version, True) for purged in commit.purged)
        for changed in self._changed.values():
            if changed is not None:
                changed.update(dict.fromkeys(change.node.id for change in changes))
        self.seq = commit.seq

    def _learn_node(self, node: Node | None) -> None:
        """A node tells its own state, who holds its name, and one version."""
        if node is None:
            return
        self._nodes[node.id] = node
        if not node.removed and node.id != self.library:
            self._names.setdefault(node.parent, {})[node.name] = node.id
        if node.version is not None:
            self._versions[node.version.id] = VersionRecord(node.id, node.content_seq, node.version, False)

    def _learn_changes(self, seq: int, commits: Sequence[Commit] | None) -> None:
        if commits is None:
            self._changed[seq] = None
            return
        if [commit.seq for commit in commits] != list(range(seq + 1, self.seq + 1)):
            raise Broken(f"The commits after {seq} of library {self.library} do not lead to {self.seq}.")
        changes = [change for commit in commits for change in commit.changes if change.effect is not Effect.LATE]
        newest = {change.node.id: change.node for change in changes}
        self._changed[seq] = dict.fromkeys(newest)
        for node in newest.values():
            self._learn_node(node)
        for commit in commits:
            self._versions.update(version_records(commit))

    def _known(self, node_id: str | None) -> Node | None:
        return None if node_id is None else self._nodes[node_id]


def needed_facts(command: Command, known: PartialTree) -> set[Fact]:
    """The facts that deciding this command will ask for and that can be told by now, to be loaded in one go.

    Call again with these learned until there are none: folders above the nodes named show up level by level.
    """
    wanted: set[Fact] = set()
    for request in command.requests:
        wanted.update(_named_facts(request))
        if isinstance(request, Remove) and not request.held_all and _is_folder(known, request.node):
            wanted.add(ChildrenFact(request.node))
    made_here = {request.node for request in command.requests if isinstance(request, MakeFolder | Revive)}
    wanted = {fact for fact in wanted if not (isinstance(fact, ChildFact) and fact.parent in made_here)}
    for fact in list(wanted):
        wanted.update(_following_facts(fact, known))
    return {fact for fact in wanted if not known.knows(fact)}


def _is_folder(known: PartialTree, node_id: str) -> bool:
    node = known.node(node_id) if known.knows(NodeFact(node_id)) else None
    return node is not None and node.kind is Kind.FOLDER


def _named_facts(request: Request) -> Iterator[Fact]:
    match request:
        case AddVersion(permit=wish) | (CopyVersion() as wish):
            yield from (NodeFact(wish.node), VersionFact(wish.id))
            if wish.base_version:
                yield VersionFact(wish.base_version)
            if wish.new:
                yield from (NodeFact(wish.parent), ChildFact(wish.parent, wish.name))
            if isinstance(request, CopyVersion):
                yield from (VersionFact(request.source), PurgedFact(request.source))
        case MakeFolder(node, parent, name) | Move(node, _, parent, name):
            yield from (NodeFact(node), NodeFact(parent), ChildFact(parent, name))
        case Remove(node, base_seq, held_all):
            yield from (NodeFact(node), ChangesSinceFact(base_seq)) if held_all else (NodeFact(node),)
        case Withdraw(permit):
            yield VersionFact(permit)
        case Revive(node, parent, name):
            yield NodeFact(node)
            if parent:
                yield from (NodeFact(parent), ChildFact(parent, name))
        case Purge(node, versions):
            yield NodeFact(node)
            for version in versions:
                yield from (VersionFact(version), PurgedFact(version))


def _following_facts(fact: Fact, known: PartialTree) -> Iterator[Fact]:
    """The unknown folder above each node that a fact, known by now, is about."""
    if not known.knows(fact):
        return
    match fact:
        case NodeFact(node_id):
            nodes = [known.node(node_id)]
        case ChildFact(parent, name):
            nodes = [known.child(parent, name)]
        case ChangesSinceFact(seq):
            nodes = [node for node in known.changed_since(seq) or () if not node.removed]
        case _:
            return
    for node in nodes:
        missing = _missing_ancestor(known, node)
        if missing is not None:
            yield missing


def _missing_ancestor(known: PartialTree, node: Node | None) -> Fact | None:
    while node is not None and node.id != known.library:
        above = NodeFact(node.parent)
        if not known.knows(above):
            return above
        node = known.node(node.parent)
    return None
