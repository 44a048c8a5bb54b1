"""An attempt at a command: its draft, and which names its rules may take.

Names are judged on the state after the whole command (rule 8). So a request may take the name of a node that a later
request moves or removes: the attempt assumes that this node leaves. If in the end it stayed, two nodes share a place;
then ``deciding`` begins again, with that node among ``stays``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain

from syncline.domain.commands import Command, Move, Remove
from syncline.domain.commits import Status
from syncline.domain.draft import Draft
from syncline.domain.errors import Broken
from syncline.domain.ids import derived_ids
from syncline.domain.nodes import Author, Node
from syncline.domain.paths import conflict_name

MAX_NUMBERED_CONFLICTS = 99
"""Conflict copies of one name, day and device beyond this carry an id instead of a number."""


@dataclass(frozen=True)
class Verdict:
    """What a rule made of one request; ``deciding`` makes the result of it when the command is through.

    ``node`` is the node it is about. ``version`` is the version it brought or met, "" for the node's current one.
    """

    status: Status
    node: str = ""
    version: str = ""
    reason: str = ""
    detail: str = ""
    kept: tuple[str, ...] = ()


@dataclass
class Attempt:
    draft: Draft
    author: Author
    device_name: str
    stays: frozenset[str]
    departures: dict[str, int]  # node → the last request that moves or removes it
    index: int = 0  # the request being worked on
    unmoved: set[str] = field(default_factory=set)  # nodes that the command could not move where it wanted them
    stand_ins: list[str] = field(default_factory=list)  # folders made in place of gone ones
    _meant: dict[str, str] = field(default_factory=dict)

    def meant(self, node_id: str) -> str:
        """The node that an id stands for: another one when the command asked to make what was there already."""
        return self._meant.get(node_id, node_id)

    def take_for(self, node_id: str, node: Node) -> None:
        """From here on, the command means ``node`` when it says ``node_id``."""
        if node_id != node.id:
            self._meant[node_id] = node.id

    def taker(self, parent: str, name: str, newcomer: str = "") -> Node | None:
        """The node that holds a name and is not about to leave it; the newcomer itself does not count."""
        holders = self.draft.holders(parent, name)
        return next((node for node in holders if node.id != newcomer and not self._is_leaving(node.id)), None)

    def conflict_names(self, name: str, unique: str) -> Iterator[str]:
        """The names for a conflict copy, in order of preference. The last contains ``unique``, so none has it."""
        date = datetime.fromtimestamp(self.author.at_ms / 1000, tz=UTC).date().isoformat()
        for n in range(1, MAX_NUMBERED_CONFLICTS + 1):
            yield conflict_name(name, date, self.device_name, n)
        yield conflict_name(name, date, unique, 1)

    def free_name(self, parent: str, name: str, newcomer: str) -> str:
        """The name itself, or the first conflict name that nobody else holds."""
        for candidate in chain([name], self.conflict_names(name, newcomer)):
            if self.taker(parent, candidate, newcomer) is None:
                return candidate
        raise Broken(f"No conflict name for {name!r} is free in folder {parent}.")

    def fresh_id(self, seed: str) -> str:
        """An id that no node has, the same for the same seed and state, so that deciding twice decides alike."""
        return next(node_id for node_id in derived_ids(seed) if self.draft.node(node_id) is None)

    def overstayers(self) -> frozenset[str]:
        """The nodes that were taken to leave and share their place in the end."""
        shared = {node_id for holders in self.draft.shared_places() for node_id in holders}
        return frozenset(shared & self.departures.keys()) - self.stays

    def _is_leaving(self, node_id: str) -> bool:
        return self.departures.get(node_id, -1) > self.index and node_id not in self.stays


def departures(command: Command) -> dict[str, int]:
    """Which nodes a command asks to leave their places, and the last request that does so.

    Folders that must be empty to be removed are judged after all requests.
    """
    leaving: dict[str, int] = {}
    for index, request in enumerate(command.requests):
        match request:
            case Move(node) | Remove(node, held_all=True):
                leaving[node] = max(index, leaving.get(node, 0))
            case Remove(node):
                leaving[node] = len(command.requests)
    return leaving
