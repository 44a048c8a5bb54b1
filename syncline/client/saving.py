"""Files that are being saved: the name counts, even when a pass comes in the middle.

Many editors save by moving the file to a backup's name, or removing it, before they put the new one in its place. A
pass that looks in between sees a rename or a removal, and tells the library of it. Which names were vacated like that
is remembered for a moment: a file that was just written and takes such a name is the one that had it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic

from syncline.client.local_steps import Slot
from syncline.client.matching import Matched
from syncline.client.operations import Plan, SendMove, SendRemove
from syncline.client.trees import Base, BaseNode, Local, LocalEntry, Remote
from syncline.domain.nodes import Kind

SAVING_S = 30.0
"""How long a save may take, and how much older than its name a file just written may be."""
VACATED_MAX = 10_000


@dataclass
class Vacated:
    """The names that files of one link have left lately, by this client's doing."""

    left: dict[Slot, tuple[float, BaseNode]] = field(default_factory=dict)

    def note(self, base: Base, planned: Plan) -> None:
        """Remember what the plan tells the library of. A file that takes its own name again has vacated none."""
        for op in planned.tree:
            if isinstance(op, SendMove) and self._left_by(op.base) is not None:
                del self.left[op.base.parent, op.base.name]
            elif isinstance(op, SendMove | SendRemove):
                was = base.nodes.get(op.base.node if isinstance(op, SendMove) else op.node)
                if was is not None and was.kind is Kind.FILE and len(self.left) < VACATED_MAX:
                    self.left[was.parent, was.name] = (monotonic(), was)

    def _left_by(self, node: BaseNode) -> BaseNode | None:
        """The node itself, if it has left the name that it has now."""
        _, was = self.left.get((node.parent, node.name), (0.0, None))
        return was if was is not None and was.node == node.node else None

    def lately(self) -> dict[Slot, BaseNode]:
        now = monotonic()
        self.left = {slot: (at, was) for slot, (at, was) in self.left.items() if now - at < SAVING_S}
        return {slot: was for slot, (_, was) in self.left.items()}


def keep_names(matched: Matched, local: Local, remote: Remote, vacated: Mapping[Slot, BaseNode]) -> dict[str, BaseNode]:
    """Give files just written the nodes that had their names a moment ago. Pure but for ``matched``.

    Answers, by path, what files are new versions of that the library was told were removed.
    """
    returned: dict[str, BaseNode] = {}
    if not vacated:
        return returned
    for path, entry in sorted(local.entries.items()):
        folder = matched.nodes.get(entry.parent) if entry.parent else remote.root
        was = vacated.get((folder, entry.name)) if folder else None
        holder = matched.nodes.get(path, "")
        if was is None or holder == was.node or entry.kind is not Kind.FILE or not _just_written(entry):
            continue
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
