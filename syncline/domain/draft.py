"""The draft: a library's state as a command is about to leave it, laid over the facts at head."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from syncline.domain.commits import Change, Effect, Purged, Restored
from syncline.domain.facts import Facts, VersionRecord
from syncline.domain.nodes import Author, Kind, Node, Place, Version


@dataclass
class Draft:
    """Satisfies ``facts.Facts`` for the state so far. ``seq`` is the commit's.

    While a command is being worked through, several nodes may hold one place (names are judged at its end, rule 8).
    """

    facts: Facts
    seq: int
    withdrawn: list[str] = field(default_factory=list)
    purged: list[Purged] = field(default_factory=list)
    _out_of_trash: list[Restored] = field(default_factory=list)
    _nodes: dict[str, Node] = field(default_factory=dict)  # what was touched, in the order it was
    _before: dict[str, Node | None] = field(default_factory=dict)
    _holders: dict[Place, list[str]] = field(default_factory=dict)
    _arrived: dict[str, list[str]] = field(default_factory=dict)  # folder → nodes that came into it
    _versions: dict[str, VersionRecord] = field(default_factory=dict)
    _late: list[tuple[str, Version]] = field(default_factory=list)

    @property
    def library(self) -> str:
        return self.facts.library

    # What is asked

    def node(self, node_id: str) -> Node | None:
        return self._nodes[node_id] if node_id in self._nodes else self.facts.node(node_id)

    def known(self, node_id: str) -> Node:
        """A node that must be there."""
        node = self.node(node_id)
        assert node is not None
        return node

    def holders(self, parent: str, name: str) -> list[Node]:
        """The nodes that hold a place: more than one only while a command is being worked through."""
        return [self.known(node_id) for node_id in self._holding(Place(parent, name))]

    def child(self, parent: str, name: str) -> Node | None:
        return next(iter(self.holders(parent, name)), None)

    def children(self, parent: str) -> list[Node]:
        before = [] if self._is_new(parent) else [node.id for node in self.facts.children(parent)]
        nodes = map(self.known, dict.fromkeys([*before, *self._arrived.get(parent, [])]))
        return sorted((node for node in nodes if node.parent == parent and not node.removed), key=lambda n: n.name)

    def version(self, version_id: str) -> VersionRecord | None:
        return self._versions.get(version_id) or self.facts.version(version_id)

    def is_purged(self, version_id: str) -> bool:
        return any(purged.version == version_id for purged in self.purged) or self.facts.is_purged(version_id)

    def changed_since(self, seq: int) -> Sequence[Node] | None:
        changed = self.facts.changed_since(seq)
        if changed is None:
            return None
        return [self.known(node_id) for node_id in dict.fromkeys([*(node.id for node in changed), *self._nodes])]

    def shared_places(self) -> Iterator[list[str]]:
        """The holders of each place that has more than one."""
        return (holders for holders in self._holders.values() if len(holders) > 1)

    # What is done

    def add_folder(self, node_id: str, place: Place, author: Author, placer: Author) -> Node:
        return self._put(self._newborn(node_id, place, None, author, placer, ""))

    def add_file(self, node_id: str, place: Place, version: Version, placer: Author, conflict_of: str = "") -> Node:
        self._record(node_id, version)
        return self._put(self._newborn(node_id, place, version, version.author, placer, conflict_of))

    def update(self, node: Node, version: Version) -> Node:
        """Make this the current version. One that came by the same command becomes history."""
        if node.version is not None and node.content_seq == self.seq:
            self._late.append((node.id, node.version))
        self._record(node.id, version)
        author = version.author
        return self._put(
            replace(
                node,
                version=version,
                seq=self.seq,
                content_seq=self.seq,
                author=author,
                placed_by=_unless_same(node.placer, author),
            )
        )

    def place(self, node: Node, place: Place, author: Author, placer: Author) -> Node:
        """Put a node elsewhere, or a removed one back."""
        return self._put(
            replace(
                node,
                parent=place.parent,
                name=place.name,
                removed=False,
                seq=self.seq,
                placed_seq=self.seq,
                author=author,
                placed_by=_unless_same(placer, author),
            )
        )

    def remove(self, node: Node, author: Author) -> Node:
        placed_by = _unless_same(node.placer, author)
        return self._put(replace(node, removed=True, seq=self.seq, author=author, placed_by=placed_by))

    def forget(self, folder: Node) -> None:
        """Undo ``add_folder``, as if it had never been; nothing may be in it."""
        self._holding(folder.place).remove(folder.id)
        self._arrived[folder.parent].remove(folder.id)
        del self._nodes[folder.id], self._before[folder.id]

    def keep_late(self, node: Node, version: Version) -> None:
        """Add a version to a node's history, not to its state."""
        self._record(node.id, version)
        self._late.append((node.id, version))

    def withdraw(self, permit: str) -> None:
        self._versions[permit] = VersionRecord("", self.seq, None, True)
        self.withdrawn.append(permit)

    def take_out_of_trash(self, node: Node) -> None:
        """The removal of a node that stays removed counts no more: another one has what it held."""
        self._out_of_trash.append(Restored(node.id, node.seq))

    # What came of it

    def restored(self) -> tuple[Restored, ...]:
        """The removals that count no more: of the nodes that are back, and of those taken out of the trash."""
        back = [
            Restored(node_id, before.seq)
            for node_id, before in self._before.items()
            if before is not None and before.removed and not self.settled(node_id).removed
        ]
        return tuple(dict.fromkeys([*back, *self._out_of_trash]))

    def settled(self, node_id: str) -> Node:
        """A node as the command leaves it: one that ended where it began, and as it was, has not changed."""
        after, before = self.known(node_id), self._before.get(node_id)
        if before is None or (before.place, before.removed) != (after.place, after.removed):
            return after
        if before.version == after.version:
            return before
        return replace(after, placed_seq=before.placed_seq, placed_by=_unless_same(before.placer, after.author))

    def changes(self) -> tuple[Change, ...]:
        """One change per node whose state is another now, and one per version that is history only."""
        changes = [self._change(node_id, before) for node_id, before in self._before.items()]
        late = [Change(Effect.LATE, self.settled(node_id), late=version) for node_id, version in self._late]
        return (*(change for change in changes if change is not None), *late)

    def _change(self, node_id: str, before: Node | None) -> Change | None:
        after = self.settled(node_id)
        if after is before:
            return None
        left = before is not None and not before.removed and (after.removed or before.place != after.place)
        was = before.place if before is not None and left else None
        if after.removed:
            effect = Effect.REMOVED
        elif before is None or before.removed:
            effect = Effect.ADDED
        elif before.version != after.version:
            effect = Effect.UPDATED
        else:
            effect = Effect.MOVED
        return Change(effect, after, was, revived=before is not None and before.removed)

    def _newborn(
        self, node_id: str, place: Place, version: Version | None, author: Author, placer: Author, conflict_of: str
    ) -> Node:
        kind = Kind.FOLDER if version is None else Kind.FILE
        placed_by = _unless_same(placer, author)
        parent, name, seq = place.parent, place.name, self.seq
        return Node(node_id, parent, name, kind, version, seq, seq, seq, False, author, conflict_of, placed_by)

    def _put(self, node: Node) -> Node:
        before = self.node(node.id)
        self._before.setdefault(node.id, before)
        if before is not None and not before.removed:
            self._holding(before.place).remove(node.id)
        if not node.removed:
            self._holding(node.place).append(node.id)
            self._arrived.setdefault(node.parent, []).append(node.id)
        self._nodes[node.id] = node
        return node

    def _record(self, node_id: str, version: Version) -> None:
        self._versions[version.id] = VersionRecord(node_id, self.seq, version, False)

    def _holding(self, place: Place) -> list[str]:
        if place not in self._holders:
            child = None if self._is_new(place.parent) else self.facts.child(place.parent, place.name)
            self._holders[place] = [] if child is None else [child.id]
        return self._holders[place]

    def _is_new(self, node_id: str) -> bool:
        return node_id in self._before and self._before[node_id] is None


def _unless_same(placer: Author, author: Author) -> Author | None:
    return None if placer == author else placer
