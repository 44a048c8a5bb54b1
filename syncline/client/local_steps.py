"""In which order folders are made and nodes moved and removed on this disk, so that each finds its place. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Set

from syncline.client.matching import ASIDE_PREFIX, Matched
from syncline.client.operations import Blocked, Fetch, LocalStep, MakeHere, MoveHere, RemoveHere
from syncline.client.trees import Local, RemoteNode
from syncline.domain.nodes import Kind

Slot = tuple[str, str]
"""(folder's node id, name): a place on the disk."""


class LocalSteps:
    """Plays the steps through on a picture of the disk. What finds no place in this round is left for the next."""

    def __init__(
        self,
        matched: Matched,
        local: Local,
        ids: Mapping[str, str],
        root: str,
        *,
        makes: Iterable[RemoteNode],
        moves: Mapping[str, Slot],
        removes: Iterable[str],
        apart: Set[str] = frozenset(),
    ) -> None:
        self.ordered: list[LocalStep] = []
        self._matched = matched
        # In the order of ids, so that the same trees give the same steps however they were read.
        self._makes = {node.node: node for node in sorted(makes, key=lambda node: node.node)}
        self._moves = dict(sorted(moves.items()))
        self._removes = set(removes)
        self._apart = apart
        self._folders = {root}
        self._where: dict[str, Slot] = {}
        self._holder: dict[Slot, str] = {}
        self._held: dict[str, int] = defaultdict(int)
        self._look(local, ids, root)

    def _look(self, local: Local, ids: Mapping[str, str], root: str) -> None:
        def identity(path: str) -> str:
            return self._matched.nodes.get(path) or ids.get(path) or f"path:{path}"

        for entry in local.entries.values():
            node = identity(entry.path)
            name = entry.local_name if node in self._matched.aside else entry.name
            self._put(node, (identity(entry.parent) if entry.parent else root, name))
            if entry.kind is Kind.FOLDER:
                self._folders.add(node)
        other = {*local.unsure, *local.ignored, *(skipped.path for skipped in local.skipped)}
        for path in other - local.entries.keys():
            parent, _, name = path.rpartition("/")
            slot = (identity(parent) if parent else root, name)
            if slot not in self._holder:
                self._holder[slot] = f"path:{path}"
                # What is skipped (a socket, a link) or ignored does not hold its folder here; what is unsure does.
                self._held[slot[0]] += path in local.unsure

    def order(self) -> None:
        """Fill ``ordered``."""
        for node in sorted(self._removes):
            if self._matched.base[node].kind is Kind.FILE:
                self.ordered.append(RemoveHere(node, folder=False, apart=node in self._apart))
                self._removes.discard(node)
                self._take(node)
        turned_aside: set[str] = set()
        while self._make() or self._move() or self._remove() or self._turn_aside(turned_aside):
            pass

    def place_fetches(self, fetches: Iterable[Fetch]) -> tuple[list[Fetch], list[Fetch]]:
        """(downloads whose place is there and free, the others)."""
        placed, blocked = [], []
        for fetch in fetches:
            node = fetch.remote
            if fetch.expected is not None:
                placed.append(fetch)
            elif node.parent in self._folders and (node.parent, node.name) not in self._holder:
                self._put(node.node, (node.parent, node.name))
                placed.append(fetch)
            else:
                blocked.append(fetch)
        return placed, blocked

    def blocked(self) -> list[Blocked]:
        names = [node.name for node in self._makes.values()] + [name for _, name in self._moves.values()]
        return [Blocked(name, "its place is taken for now") for name in names]

    # -- one kind of step, as many as find their place; True when one did

    def _make(self) -> bool:
        done = [n for n in self._makes.values() if self._make_one(n)]
        for node in done:
            del self._makes[node.node]
        return bool(done)

    def _make_one(self, node: RemoteNode) -> bool:
        slot = (node.parent, node.name)
        if node.parent not in self._folders or slot in self._holder:
            return False
        self.ordered.append(MakeHere(node))
        self._put(node.node, slot)
        self._folders.add(node.node)
        return True

    def _move(self) -> bool:
        done = [node for node, slot in self._moves.items() if self._move_one(node, slot)]
        for node in done:
            del self._moves[node]
        return bool(done)

    def _move_one(self, node: str, slot: Slot) -> bool:
        if slot[0] not in self._folders or self._holder.get(slot, node) != node or self._is_inside(slot[0], node):
            return False
        self.ordered.append(MoveHere(node, *slot))
        self._take(node)
        self._put(node, slot)
        return True

    def _remove(self) -> bool:
        done = [node for node in self._removes if not self._held[node]]
        for node in sorted(done):
            self.ordered.append(RemoveHere(node, folder=True, apart=node in self._apart))
            self._take(node)
            self._folders.discard(node)
            self._removes.discard(node)
        return bool(done)

    def _turn_aside(self, turned: set[str]) -> bool:
        """Break a ring: who holds a wanted name and is to move itself makes room first, and so does who keeps a
        folder from being removed that holds one."""
        wanted = [*self._moves.values(), *((node.parent, node.name) for node in self._makes.values())]
        for slot in wanted:
            holder = self._holder.get(slot, "")
            if slot[0] not in self._folders or not holder:
                continue
            movers = [holder] if holder in self._moves else self._leaving(holder) if holder in self._removes else []
            for mover in movers:
                if mover not in turned and (mover != holder or slot != self._moves[mover]):
                    turned.add(mover)
                    self._step_aside(mover, slot[0])
                    return True
        return False

    def _leaving(self, folder: str) -> list[str]:
        return [node for node in self._moves if self._is_inside(self._where[node][0], folder)]

    def _step_aside(self, node: str, parent: str) -> None:
        name = ASIDE_PREFIX + node
        self.ordered.append(MoveHere(node, parent, name, aside=True))
        self._take(node)
        self._put(node, (parent, name))

    # -- the picture

    def _put(self, node: str, slot: Slot) -> None:
        self._where[node] = slot
        self._holder[slot] = node
        self._held[slot[0]] += 1

    def _take(self, node: str) -> None:
        slot = self._where.pop(node)
        if self._holder.get(slot) == node:
            del self._holder[slot]
        self._held[slot[0]] -= 1

    def _is_inside(self, folder: str, node: str) -> bool:
        while folder in self._where:
            if folder == node:
                return True
            folder = self._where[folder][0]
        return folder == node
