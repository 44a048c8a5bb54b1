"""A small world to decide in: one library, devices that lag behind it, permits that arrive late, twice or never.

Every command is decided over the whole tree and over partial trees that load facts on demand; what must always hold
is checked after each one. Contents are short words standing for bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count

import msgspec

from syncline.domain.commands import (
    AddVersion,
    Command,
    CopyVersion,
    Permit,
    Request,
)
from syncline.domain.commits import Commit, Outcome, Result, Status
from syncline.domain.deciding import Decision, decide
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
    is_live,
)
from syncline.domain.nodes import Kind, Location, Node, Version
from syncline.domain.partial_tree import PartialTree, needed_facts
from syncline.domain.tree import Tree

LIBRARY = "library"
NOW_MS = 1_795_435_200_000  # 2026-11-23
MAX_LOADS = 1_000


def size_of(content: str) -> int:
    return len(content)


@dataclass
class World:
    """The library as the service has it, and every device's hand in it."""

    tree: Tree = field(default_factory=lambda: Tree(LIBRARY))
    commits: list[Commit] = field(default_factory=list)
    kept: PartialTree = field(default_factory=lambda: PartialTree(LIBRARY, 0))
    ids: set[str] = field(default_factory=lambda: {LIBRARY})
    _serial: count[int] = field(default_factory=lambda: count(1))

    def new_id(self, what: str) -> str:
        return f"{what}-{next(self._serial)}"

    def submit(
        self, *requests: Request, device: str = "laptop", counter: int = 1, whole: bool = False,
        landed: dict[str, Location | str] | None = None,
    ) -> Outcome:  # fmt: skip
        """Decide a command and let what it commits take effect; all that must always hold is checked."""
        command = Command(self.new_id("command"), LIBRARY, f"{device}'s", device, counter, 0, requests, whole)
        return self.take(command, landed).outcome

    def take(self, command: Command, landed: dict[str, Location | str] | None = None) -> Decision:
        landed = where_landed(command.requests) | (landed or {})
        decision = self.decide(command, landed)
        if decision.commit is not None:
            self.apply(decision.commit)
        self._check_answers(decision)
        return decision

    def decide(self, command: Command, landed: dict[str, Location | str] | None = None) -> Decision:
        """The same over the whole tree, over one that knows nothing yet, and over one kept from before."""
        landed = where_landed(command.requests) if landed is None else landed

        def over(facts: Tree | PartialTree) -> Decision:
            return decide(facts, command, landed, seq=self.tree.seq + 1, now_ms=NOW_MS, device_name=command.device)

        decision = over(self.tree)
        fresh = PartialTree(LIBRARY, self.tree.seq)
        for known, in_bulk in ((fresh, False), (self.kept, True)):
            while in_bulk and (needed := needed_facts(command, known)):
                self.teach(known, needed)
            for _ in range(MAX_LOADS):
                try:
                    partially = over(known)
                    break
                except MissingFacts as missing:
                    self.teach(known, missing.facts)
            else:
                raise AssertionError(f"never enough facts for {command}")
            assert partially == decision
        return decision

    def teach(self, known: PartialTree, facts: Iterable[Fact]) -> None:
        for fact in facts:
            known.learn(fact, self.look_up(fact))

    def look_up(self, fact: Fact) -> FactValue:
        match fact:
            case NodeFact(node_id):
                return self.tree.node(node_id)
            case ChildFact(parent, name):
                return self.tree.child(parent, name)
            case ChildrenFact(parent):
                return self.tree.children(parent)
            case VersionFact(version_id):
                return self.tree.version(version_id)
            case PurgedFact(version_id):
                return self.tree.is_purged(version_id)
            case ChangesSinceFact(seq):
                return self.commits[seq:]

    def apply(self, commit: Commit) -> None:
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(commit), type=Commit) == commit
        states = [change.node.id for change in commit.changes if change.effect != "late"]
        assert len(states) == len(set(states)), "more than one state for a node"
        for change in commit.changes:
            assert change.born == (change.effect != "late" and self.tree.node(change.node.id) is None)
        self.commits.append(commit)
        self.tree.apply(commit)
        self.kept.apply(commit)
        self.ids.update(states)
        self._check_tree()

    def contents(self) -> dict[str, list[str]]:
        """Where each content is to be found among the live files: content → paths."""
        found: dict[str, list[str]] = {}
        for node in self.tree.live_nodes():
            if node.version is not None:
                found.setdefault(node.version.checksum, []).append(self.tree.path(node))
        return found

    def paths(self) -> dict[str, str | None]:
        """The live tree: path → content, None for a folder."""
        return {
            self.tree.path(node): node.version.checksum if node.version else None for node in self.tree.live_nodes()
        }

    def at(self, path: str) -> Node:
        node = self.tree.find(path)
        assert node is not None, path
        return node

    def known_node(self, node_id: str) -> Node:
        node = self.tree.node(node_id)
        assert node is not None, node_id
        return node

    def content_of(self, version_id: str) -> Version:
        record = self.tree.version(version_id)
        assert record is not None
        assert record.version is not None
        return record.version

    def _check_tree(self) -> None:
        """No two nodes in one place, no cycle, everything live can be reached from the root."""
        nodes = [self.known_node(node_id) for node_id in self.ids]
        live = {node.id for node in nodes if is_live(self.tree, node)}  # raises Broken in a cycle
        assert live == {LIBRARY, *(node.id for node in self.tree.live_nodes())}
        for node in nodes:
            if not node.removed and node.id != LIBRARY:
                assert self.tree.child(node.parent, node.name) == node
                parent = self.known_node(node.parent)
                assert parent.kind is Kind.FOLDER
            assert max(node.placed_seq, node.content_seq) <= node.seq <= self.tree.seq

    def _check_answers(self, decision: Decision) -> None:
        """Every answer tells the state of its node as it is now."""
        outcome = decision.outcome
        assert outcome.seq == self.tree.seq
        for result in outcome.results:
            if result.node:
                node = self.known_node(result.node)
                assert (result.seq, result.parent, result.name) == (node.seq, node.parent, node.name)
            if result.version:
                record = self.tree.version(result.version)
                assert record is not None
                assert record.node == result.node
            assert bool(result.reason) == (result.status is Status.REFUSED)
            assert bool(result.kept) == (result.status is Status.KEPT)


@dataclass
class Hand:
    """One device's way of asking: it counts what it does. Every method answers the one result."""

    world: World
    device: str
    counter: int = 0

    def count(self) -> int:
        self.counter += 1
        return self.counter

    def permit(
        self, content: str, *, node: str = "", parent: str = LIBRARY, name: str = "", base: str = "",
        executable: bool = False, symlink: bool = False,
    ) -> Permit:  # fmt: skip
        """A permit for a new file, or for ``node`` on the version ``base``."""
        permit_id = self.world.new_id("permit")
        new = not node
        return Permit(
            permit_id, "grant", LIBRARY, f"{self.device}'s", self.device, self.count(), 0, f"objects/{permit_id}",
            node or self.world.new_id("file"), new, parent, name, base, size_of(content), content, 0, executable, 0,
            symlink,
        )  # fmt: skip

    def copy(
        self, source: str, *, node: str = "", parent: str = LIBRARY, name: str = "", base: str = ""
    ) -> CopyVersion:
        content = self.world.content_of(source)
        return CopyVersion(
            self.world.new_id("copy"), source, node or self.world.new_id("file"), not node, parent, name, base,
            content.size_bytes, content.checksum, 0, content.executable, content.symlink,
        )  # fmt: skip

    def ask(self, *requests: Request, whole: bool = False) -> Outcome:
        return self.world.submit(*requests, device=self.device, counter=self.count(), whole=whole)

    def one(self, request: Request) -> Result:
        (result,) = self.ask(request).results
        return result

    def write(self, name: str, content: str, parent: str = LIBRARY) -> Result:
        return self.one(AddVersion(self.permit(content, parent=parent, name=name)))

    def edit(self, node: Node, content: str, base: str | None = None) -> Result:
        """A new content for a file, based on the version the caller knows (its present one, unless said)."""
        assert node.version is not None
        base = node.version.id if base is None else base
        return self.one(AddVersion(self.permit(content, node=node.id, base=base)))


def where_landed(requests: Iterable[Request]) -> dict[str, Location | str]:
    permits = [request.permit for request in requests if isinstance(request, AddVersion)]
    return {permit.id: Location(permit.key, "s3-version", 0, permit.size_bytes) for permit in permits}
