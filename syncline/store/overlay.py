"""Commits that the views do not hold yet, as answers to the questions that views answer. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from syncline.domain.commits import Commit
from syncline.domain.errors import Broken
from syncline.domain.facts import VersionRecord, version_records
from syncline.domain.nodes import Node, Place
from syncline.store.rows import final_states, places_of


class Overlay:
    """The commits after ``base``, in order. Laid over the views as of ``base`` they give the tree at ``seq``."""

    def __init__(self, base: int, commits: Iterable[Commit] = ()) -> None:
        self.base = base
        self.commits: list[Commit] = []
        self.nodes: dict[str, Node] = {}
        self.places: dict[Place, Node | None] = {}
        self.records: dict[str, VersionRecord] = {}
        self.purged: set[str] = set()
        for commit in commits:
            self.add(commit)

    @property
    def seq(self) -> int:
        return self.base + len(self.commits)

    def add(self, commit: Commit) -> None:
        """Take the next commit. Raises ``Broken`` for any other."""
        if commit.seq != self.seq + 1:
            raise Broken(f"Commit {commit.seq} of {commit.library} does not follow on {self.seq}")
        states = final_states(commit)
        self.commits.append(commit)
        self.nodes.update(states)
        for place, what in places_of(commit, states).items():
            self.places[place] = None if isinstance(what, str) else what
        self.records.update(version_records(commit))
        self.purged.update(purged.version for purged in commit.purged)

    def children(self, parent: str) -> dict[str, Node | None]:
        """By name: who has come to the folder, None where somebody left."""
        return {place.name: node for place, node in self.places.items() if place.parent == parent}

    def versions(self, node: str) -> list[VersionRecord]:
        """The versions of a file, oldest first."""
        return [record for record in self.records.values() if record.node == node and record.version]
