"""The plan: from what was agreed, what is here and what is there to what has to be done. Pure.

Three trees (base, local, remote) are compared node by node. What only one side changed is done on the other; where
both changed, no content is dropped: the local bytes are sent on the base they were edited from and the library makes
a conflict copy; a newer content wins over a removal; of two places the library's wins. A removal is only ever planned
for what this client had, as the library still has it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field

import msgspec

from syncline.client.local_steps import LocalSteps, Slot
from syncline.client.matching import Matched, agreed_on, match
from syncline.client.operations import (
    Agree,
    Blocked,
    Fetch,
    Forget,
    HeldRemoval,
    Plan,
    SendFile,
    SendFolder,
    SendMove,
    SendRemove,
)
from syncline.client.removals import plan_removals
from syncline.client.saving import Lately, keep_names
from syncline.client.trees import Base, BaseNode, BytesKey, Local, LocalEntry, Remote, RemoteNode
from syncline.domain.nodes import Kind

HELD_REMOVALS_MIN = 50
"""More files than this, and more than half of all, are removed on a person's word only, here as well as there."""


def plan(
    base: Base,
    local: Local,
    remote: Remote,
    *,
    new_id: Callable[[], str],
    allow_removals: bool = False,
    apart: Set[str] = frozenset(),
    lately: Lately = Lately(),  # noqa: B008 - a value
) -> Plan:
    """The operations that bring the trees together, ordered. ``new_id`` gives ids for new folders; ``apart`` are nodes
    of the library that are not to be on this disk (apart.py), ``lately`` what names were left and made (saving.py).

    Carried out, followed by a look at both sides and planned again, this ends with an empty plan.
    """
    matched = match(base, local, remote, apart)
    returned = keep_names(matched, local, remote, lately)
    return _Planner(base, local, remote, matched, new_id, allow_removals, apart, returned).plan()


@dataclass
class _Planner:
    given: Base
    local: Local
    remote: Remote
    matched: Matched
    new_id: Callable[[], str]
    allow_removals: bool
    apart: Set[str]
    returned: Mapping[str, BaseNode]
    ids: dict[str, str] = field(default_factory=dict)
    there: dict[Slot, RemoteNode] = field(default_factory=dict)
    known_bytes: dict[BytesKey, str] = field(default_factory=dict)
    moves_out: list[SendMove] = field(default_factory=list)
    folders: list[SendFolder] = field(default_factory=list)
    files: list[SendFile] = field(default_factory=list)
    fetches: list[Fetch] = field(default_factory=list)
    noted: list[Agree | Forget] = field(default_factory=list)
    moves_in: dict[str, Slot] = field(default_factory=dict)
    makes: list[RemoteNode] = field(default_factory=list)
    removes_here: set[str] = field(default_factory=set)
    adopted: set[str] = field(default_factory=set)
    leaving: set[str] = field(default_factory=set)
    in_the_air: set[str] = field(default_factory=set)
    """Paths of things that lie in a new folder, so that the base cannot say where they are before the next round."""
    above: dict[str, str] = field(default_factory=dict)
    """Which folder each node will be in, in the library, as far as the plan is made."""

    def plan(self) -> Plan:
        self.known_bytes.update(self.remote.versions)
        for node in self.remote.nodes.values():
            self.there[node.parent, node.name] = node
            self.above[node.node] = node.parent
            if node.content:
                self.known_bytes.setdefault(node.content.bytes_key, node.version)
        for entry in self.matched.fresh:
            if entry.kind is Kind.FOLDER:
                self.ids[entry.path] = self.new_id()
                self.above[self.ids[entry.path]] = self._parent_id(entry)
        for state in self._from_the_top():
            self._held(state)
        self._fresh_here()
        removals, kept, files = plan_removals(self.remote, self.matched, self.leaving)
        self._fresh_there(kept)
        self._bookkeeping()
        held = [] if self.allow_removals else [*self._hold_there(removals, files), *self._hold_here()]
        steps = LocalSteps(
            self.matched,
            self.local,
            self.ids,
            self.remote.root,
            makes=self.makes,
            moves=self.moves_in,
            removes=self.removes_here,
            apart=self.apart,
        )
        steps.order()
        fetches, blocked = steps.place_fetches(self.fetches)
        return Plan(
            noted=self.noted,
            tree=[*self.folders, *self.moves_out, *removals],
            local=steps.ordered,
            fetches=fetches,
            files=self.files,
            held=held,
            blocked=[*steps.blocked(), *(Blocked(f.remote.name, "its place is taken for now") for f in blocked)],
        )

    # -- nodes that this client has

    def _from_the_top(self) -> list[BaseNode]:
        """Folders before what they hold here: the library works moves through in order, and a folder must have come
        out of another before that one goes into it."""
        entries = self.matched.entries

        def depth(base: BaseNode) -> int:
            return entries[base.node].path.count("/") if base.node in entries else 0

        return sorted(self.matched.base.values(), key=depth)

    def _held(self, base: BaseNode) -> None:
        entry = self.matched.entries.get(base.node)
        remote = self.remote.nodes.get(base.node)
        if base.node in self.matched.unsure:
            return
        if entry is None:
            if remote is None:
                self.noted.append(Forget(base.node))
        elif remote is None:
            self._removed_there(base, entry)
        elif base.node in self.apart and base.node not in self.matched.aside:
            self._put_apart(base, entry, remote)
        else:
            self._place(base, entry, remote)
            if base.kind is Kind.FILE:
                self._content(base, entry, remote)

    def _put_apart(self, base: BaseNode, entry: LocalEntry, remote: RemoteNode) -> None:
        """What is not to be on this disk leaves it, once the library has what was changed here."""
        moved_here = (self._parent_id(entry), entry.name) != (base.parent, base.name)
        if moved_here and (base.parent, base.name) == (remote.parent, remote.name):
            self._place(base, entry, remote)
        elif not self._follow(base, entry):
            return
        elif entry.content != base.content:
            self._send(entry, node=base.node, base_version=base.version)
        else:
            self.removes_here.add(base.node)

    def _removed_there(self, base: BaseNode, entry: LocalEntry) -> None:
        again = self.there.get((self._parent_id(entry), entry.name))
        if again and again.node not in self.matched.base and entry.content and entry.content == again.content:
            # Removed and made again alike: what is here is the new one.
            del self.matched.base[base.node], self.matched.entries[base.node]
            self.matched.base[again.node] = agreed_on(again, entry)
            self.matched.pair(again.node, entry)
            return
        if not self._follow(base, entry):
            return
        if base.kind is Kind.FILE and entry.content != base.content:
            self._send(entry, node=base.node, base_version=base.version)  # the newer content wins over the removal
        else:
            self.removes_here.add(base.node)

    def _place(self, base: BaseNode, entry: LocalEntry, remote: RemoteNode) -> None:
        agreed = (base.parent, base.name)
        here = agreed if base.node in self.matched.aside else (self._parent_id(entry), entry.name)
        there = (remote.parent, remote.name)
        if here == there and base.node not in self.matched.aside:
            self._follow(base, entry)
        elif here != agreed and there == agreed and self._may_go(base.node, here[0], entry):
            moved = msgspec.structs.replace(base, parent=here[0], name=here[1], local_name=entry.local_name)
            self.moves_out.append(SendMove(moved, self.remote.seq, entry.path))
            self.leaving.add(base.node)
            self.above[base.node] = here[0]
        elif self._follow(base, entry):
            self.moves_in[base.node] = there

    def _in_the_air(self, entry: LocalEntry) -> bool:
        """Whether a folder above could not be followed. What was put into it waits too: its own place in the base is
        still the old one, which may be within what is to go into it."""
        names = entry.parent.split("/") if self.in_the_air else []
        return any("/".join(names[:depth]) in self.in_the_air for depth in range(1, len(names) + 1))

    def _follow(self, base: BaseNode, entry: LocalEntry) -> bool:
        """Let the base say where the node lies on this disk, since the library is not told of that move.

        False when that is (in) a folder which the library does not have yet: nothing can be moved before it does.
        """
        parent = self._parent_id(entry)
        if (parent != self.given.root and parent not in self.matched.base) or self._in_the_air(entry):
            self.in_the_air.add(entry.path)
            return False
        name = base.name if base.node in self.matched.aside else entry.name
        stat = entry.stat if entry.content == base.content else base.stat
        followed = msgspec.structs.replace(base, parent=parent, name=name, local_name=entry.local_name, stat=stat)
        self.matched.base[base.node] = followed
        return True

    def _content(self, base: BaseNode, entry: LocalEntry, remote: RemoteNode) -> None:
        if entry.content == remote.content:
            return
        changed_here = entry.content != base.content
        changed_there = remote.version != base.version
        if not changed_there:
            self._send(entry, node=base.node, base_version=base.version)
        elif changed_here and entry.content and not entry.content.same_bytes(remote.content):
            self._send(entry, node=base.node, base_version=base.version)  # becomes a conflict copy
        else:
            self.fetches.append(Fetch(remote, entry.stat, entry.content))

    # -- nodes that only one side has

    def _fresh_here(self) -> None:
        for entry in self.matched.fresh:
            parent = self._parent_id(entry)
            if entry.kind is Kind.FOLDER:
                self._send_folder(entry, parent)
                continue
            same_place = self.there.get((parent, entry.name))
            if same_place and same_place.node not in self.matched.base and entry.content == same_place.content:
                self.noted.append(Agree(agreed_on(same_place, entry)))
                self.adopted.add(same_place.node)
            elif (
                same_place
                and same_place.node not in self.matched.base
                and entry.content
                and entry.content.same_bytes(same_place.content)
            ):
                self.fetches.append(Fetch(same_place, entry.stat, entry.content, entry.local_name))
                self.adopted.add(same_place.node)
            elif was := self.returned.get(entry.path):
                self._send(entry, node=was.node, base_version=was.version)
            else:
                self._send(entry)

    def _send_folder(self, entry: LocalEntry, parent: str) -> None:
        """A new folder. Where the library has another of ours at its place, it takes another name: the library would
        take the two for one, but here they are two."""
        holder = self.there.get((parent, entry.name))
        name, n = entry.name, 1
        if holder and holder.kind is Kind.FOLDER and (self._stays(holder.node) or holder.node in self.apart):
            while (parent, name) in self.there or (n > 1 and f"{entry.path} ({n})" in self.local.entries):
                n += 1
                name = f"{entry.name} ({n})"
        self.folders.append(
            SendFolder(
                node=self.ids[entry.path],
                parent=parent,
                name=name,
                local_name=entry.local_name,
                path=entry.path,
                stat=entry.stat,
                here=entry.name,
            )
        )

    def _stays(self, node: str) -> bool:
        return node in self.matched.entries and node not in self.leaving

    def _fresh_there(self, kept: set[str]) -> None:
        for node in self.remote.nodes.values():
            held = node.node in self.matched.base and node.node not in kept
            if held or node.node in self.adopted or node.node in self.matched.unsure or node.node in self.apart:
                continue
            if node.kind is Kind.FOLDER:
                self.makes.append(node)
            else:
                self.fetches.append(Fetch(node))

    def _bookkeeping(self) -> None:
        """What both sides hold alike is agreed; ids that the base has no use for any more are forgotten."""
        for node, base in self.matched.base.items():
            entry, remote, stored = (
                self.matched.entries.get(node),
                self.remote.nodes.get(node),
                self.given.nodes.get(node),
            )
            if node in self.matched.gone and remote is None:
                continue  # forgotten
            agreed = base
            if entry and remote and node not in self.matched.aside:
                alike = (self._parent_id(entry), entry.name) == (remote.parent, remote.name)
                if alike and entry.content == remote.content:
                    agreed = agreed_on(remote, entry)
            if stored is None or msgspec.structs.replace(stored, seq=agreed.seq) != agreed:
                self.noted.append(Agree(agreed))
        not_here = {node.node: _not_here(node) for node in self.remote.nodes.values() if node.node in self.apart}
        for node, known in not_here.items():
            if node not in self.matched.base and self.given.nodes.get(node) != known:
                self.noted.append(Agree(known))
        for node in self.given.nodes.keys() - self.matched.base.keys() - not_here.keys():
            if node not in self.adopted:
                self.noted.append(Forget(node))

    # -- removals of very much

    def _hold_there(self, removals: list[SendRemove], files: int) -> list[HeldRemoval]:
        """Take the removals that the library would be told of out of the plan, if they are too many."""
        if not self._many(files):
            return []
        held = [HeldRemoval(removal.node, removal.path, removal.files, here=False) for removal in removals]
        removals.clear()
        return held

    def _hold_here(self) -> list[HeldRemoval]:
        """The same for what others removed. What leaves this disk for another reason is not meant."""
        gone = sorted(node for node in self.removes_here if node not in self.remote.nodes)
        entries = self.matched.entries
        files = [node for node in gone if entries[node].kind is Kind.FILE]
        if not self._many(len(files)):
            return []
        self.removes_here.difference_update(gone)
        return [HeldRemoval(node, entries[node].path, 1, here=True) for node in files]

    # -- leaves

    def _send(self, entry: LocalEntry, *, node: str = "", base_version: str = "") -> None:
        content = entry.content
        assert content is not None
        source = self.known_bytes.get(content.bytes_key, "")
        self.files.append(
            SendFile(
                path=entry.path,
                parent=self._parent_id(entry),
                name=entry.name,
                local_name=entry.local_name,
                content=content,
                stat=entry.stat,
                node=node,
                base_version=base_version,
                source=source,
            )
        )

    def _parent_id(self, entry: LocalEntry) -> str:
        if not entry.parent:
            return self.given.root
        return self.matched.nodes.get(entry.parent) or self.ids[entry.parent]

    def _may_go(self, node: str, parent: str, entry: LocalEntry) -> bool:
        return not self._in_the_air(entry) and not self._would_cycle(node, parent)

    def _would_cycle(self, node: str, parent: str) -> bool:
        """Whether the folder ``parent`` will be below ``node`` in the library, so that it would refuse the move."""
        seen: set[str] = set()
        while parent not in seen:
            if parent == node:
                return True
            seen.add(parent)
            parent = self.above.get(parent, parent)
        return False

    def _many(self, files: int) -> bool:
        return files > HELD_REMOVALS_MIN and files * 2 > self.given.files


def _not_here(remote: RemoteNode) -> BaseNode:
    """What is known of a node that is not to be on this disk."""
    return BaseNode(
        node=remote.node,
        parent=remote.parent,
        name=remote.name,
        local_name=remote.name,
        kind=remote.kind,
        seq=remote.seq,
        version=remote.version,
        content=remote.content,
        materialised=False,
    )
