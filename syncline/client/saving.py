"""Files that are being saved: the name counts, even when a pass comes in the middle.

Many editors save by moving the file to a backup's name, or removing it, before they put the new one in its place. A
pass that looks in between sees a rename or a removal, and tells the library of it. Which names were vacated like that
is remembered for a moment: a file that was just written and takes such a name is the one that had it.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from time import monotonic

from syncline.client.local_steps import Slot
from syncline.client.matching import Matched
from syncline.client.operations import Plan, SendMove, SendRemove
from syncline.client.trees import Base, BaseNode, Local, LocalEntry, Remote
from syncline.domain.nodes import Kind

SAVING_S = 30.0
"""How long a save may take, and how much older than its name a file just written may be."""
NAMES_MAX = 10_000


@dataclass(frozen=True)
class Lately:
    """What became of files of one link in the last moment: ``left``, the names they were moved or removed from, and
    ``made``, those that were new."""

    left: Mapping[Slot, BaseNode] = field(default_factory=dict)
    made: Set[str] = frozenset()


@dataclass
class Names:
    """Remembers what this client told the library of the names of one link's files, ``NAMES_MAX`` of each kind."""

    left: dict[Slot, tuple[float, BaseNode]] = field(default_factory=dict)
    sent: dict[Slot, float] = field(default_factory=dict)
    made: dict[str, float] = field(default_factory=dict)

    def note(self, base: Base, planned: Plan) -> None:
        """Remember what the plan tells the library of. A file that takes its own name again has vacated none."""
        for op in planned.tree:
            if isinstance(op, SendMove) and self._left_by(op.base) is not None:
                del self.left[op.base.parent, op.base.name]
            elif isinstance(op, SendMove | SendRemove):
                was = base.nodes.get(op.base.node if isinstance(op, SendMove) else op.node)
                if was is not None and was.kind is Kind.FILE and len(self.left) < NAMES_MAX:
                    self.left[was.parent, was.name] = (monotonic(), was)
        for sent in planned.files:
            if not sent.node and len(self.sent) < NAMES_MAX:
                self.sent[sent.parent, sent.name] = monotonic()

    def _left_by(self, node: BaseNode) -> BaseNode | None:
        """The node itself, if it has left the name that it has now."""
        _, was = self.left.get((node.parent, node.name), (0.0, None))
        return was if was is not None and was.node == node.node else None

    def nodes(self) -> set[str]:
        """Those whose names were left: a plan has to know what has become of them."""
        return {was.node for _, was in self.left.values()}

    def lately(self, base: Base) -> Lately:
        """``base``: what is agreed on by now, new files among it."""
        since = monotonic() - SAVING_S
        self.left = {slot: (at, was) for slot, (at, was) in self.left.items() if at > since}
        for node in base.nodes.values() if self.sent else ():
            at = self.sent.pop((node.parent, node.name), 0.0)
            if at and len(self.made) < NAMES_MAX:
                self.made[node.node] = at
        self.sent = {slot: at for slot, at in self.sent.items() if at > since}
        self.made = {node: at for node, at in self.made.items() if at > since}
        return Lately({slot: was for slot, (_, was) in self.left.items()}, self.made.keys())


def keep_names(matched: Matched, local: Local, remote: Remote, lately: Lately) -> dict[str, BaseNode]:
    """Give files just written the nodes that had their names a moment ago. Pure but for ``matched``.

    Answers, by path, what files are new versions of that the library was told were removed.
    """
    returned: dict[str, BaseNode] = {}
    left = {**_left_to_new_files(matched, remote, lately.made), **lately.left}
    if not left:
        return returned
    for path, entry in sorted(local.entries.items()):
        folder = matched.nodes.get(entry.parent) if entry.parent else remote.root
        was = left.get((folder, entry.name)) if folder else None
        holder = matched.nodes.get(path, "")
        if was is None or holder == was.node or entry.kind is not Kind.FILE or not _just_written(entry):
            continue
        if holder and (holder not in lately.made or was.node in lately.made):
            continue  # files that change names, rather than a new one that takes the name of an old one
        if was.node in matched.gone:
            _take_name(matched, was.node, entry)
        elif holder and matched.base[holder].parent == folder and matched.base[holder].name == entry.name:
            continue  # it is settled there
        elif was.node in matched.entries:
            if matched.entries[was.node].content == matched.base[was.node].content:
                _take_name(matched, was.node, entry)
        elif was.node not in matched.base and was.node not in remote.nodes:
            _part(matched, entry)
            returned[path] = was
    return returned


def _left_to_new_files(matched: Matched, remote: Remote, made: Set[str]) -> dict[Slot, BaseNode]:
    """Files that gave their names, since the last pass, to others that were new then."""
    taken: set[Slot] = set()
    for node in made & matched.entries.keys():
        entry, base = matched.entries[node], matched.base[node]
        folder = matched.nodes.get(entry.parent) if entry.parent else remote.root
        if folder and (folder, entry.name) != (base.parent, base.name):
            taken.add((folder, entry.name))
    if not taken:
        return {}
    return {(b.parent, b.name): b for b in matched.base.values() if b.kind is Kind.FILE and (b.parent, b.name) in taken}


def _take_name(matched: Matched, node: str, entry: LocalEntry) -> None:
    _part(matched, entry)
    left = matched.entries.pop(node, None)
    if left is not None:
        del matched.nodes[left.path]
        matched.fresh.append(left)
    matched.gone.discard(node)
    matched.fresh.remove(entry)
    matched.pair(node, entry)


def _part(matched: Matched, entry: LocalEntry) -> None:
    """What was taken for the file at this place is missing: it was the new content's name until now."""
    holder = matched.nodes.pop(entry.path, "")
    if holder:
        del matched.entries[holder]
        matched.gone.add(holder)
        matched.fresh.append(entry)


def _just_written(entry: LocalEntry) -> bool:
    """Whether it was given its name (which sets ctime) right after it was written."""
    return entry.stat.ctime_ns - entry.stat.mtime_ns < SAVING_S * 1e9
