"""Which local entry is which node: by path from the root down, then renames by inode and by content. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field

import msgspec

from syncline.client.trees import Base, BaseNode, BytesKey, Local, LocalEntry, Remote, RemoteNode, Stat
from syncline.domain.nodes import Kind

ASIDE_PREFIX = ".syncline-moving-"
"""A node on its way to a name that is not free yet lies under this prefix and its id; it counts as not moved."""


@dataclass
class Matched:
    """``base`` is the given one without what is not held here, but folders that the library replaced by a stand-in
    have its id, and local folders that the library happens to have at the same place are in it. ``gone`` are nodes
    missing on the disk for sure;
    ``unsure`` nodes whose local state is unknown in this pass. ``fresh`` are entries without a node, parents first.
    """

    base: dict[str, BaseNode]
    entries: dict[str, LocalEntry] = field(default_factory=dict)
    nodes: dict[str, str] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)
    aside: set[str] = field(default_factory=set)
    fresh: list[LocalEntry] = field(default_factory=list)

    def pair(self, node: str, entry: LocalEntry) -> None:
        self.entries[node] = entry
        self.nodes[entry.path] = node
        if entry.local_name == ASIDE_PREFIX + node:
            self.aside.add(node)


def match(base: Base, local: Local, remote: Remote, apart: Set[str] = frozenset()) -> Matched:
    """Pair local entries with nodes. ``apart``: nodes that are not to be on this disk; what is missing of them, and
    what is ignored here, was not removed by anybody."""
    base = Base(base.root, {node.node: node for node in base.nodes.values() if node.materialised})
    matched = Matched(dict(base.nodes))
    below = _children(base.nodes.values())
    inside = _inside(local)
    known = _Known(
        below,
        inside,
        _left_alone(local),
        {n.stat.inode: n for n in base.nodes.values() if n.kind is Kind.FOLDER and n.stat},
        {e.stat.inode: e for e in local.entries.values() if e.kind is Kind.FOLDER},
    )
    _descend(matched, base.root, "", known, local)
    _pair_aside(matched, known, local)
    _pair_moved_folders(matched, known, local, apart)
    missing = [n for n in base.nodes.values() if n.node not in matched.entries]
    for node in _at_or_below(base, missing, local.ignored) | {n.node for n in missing if n.node in apart}:
        del matched.base[node]
    missing = [n for n in missing if n.node in matched.base]
    matched.unsure = _unsure(matched, missing, local)
    lost = [n for n in missing if n.kind is Kind.FILE and n.content and n.node not in matched.unsure]
    _pair_files_that_took_names(matched, lost, local)
    _pair_moved_files(matched, [n for n in lost if n.node not in matched.entries], local)
    matched.gone = {n.node for n in missing} - matched.entries.keys() - matched.unsure
    _drop_broken(matched, base)
    _pair_folders_made_on_both_sides(matched, local, remote, apart)
    if not local.keeps_executable:
        _without_executable(matched)
    matched.fresh = [e for _, e in sorted(local.entries.items()) if e.path not in matched.nodes]
    hollow = _hollow(matched, local, remote)
    matched.fresh = [e for e in matched.fresh if e.path not in hollow and not e.local_name.startswith(ASIDE_PREFIX)]
    return matched


def base_paths(base: Base) -> dict[str, str]:
    """node → raw local path of every node; the root is "". A node with a broken chain of parents is left out."""
    paths = {base.root: ""}
    for start in base.nodes:
        chain: list[BaseNode] = []
        at = start
        while at not in paths and (node := base.nodes.get(at)) is not None and len(chain) <= len(base.nodes):
            chain.append(node)
            at = node.parent
        if at not in paths:
            continue
        for node in reversed(chain):
            above = paths[node.parent]
            paths[node.node] = f"{above}/{node.local_name}" if above else node.local_name
    return paths


@dataclass(frozen=True)
class _Known:
    """``below``: what the base has in each folder, by its id; ``inside``: what the disk has, by its path, and
    ``others`` the names of what is there but left alone; ``nodes`` and ``folders``: the base's and the disk's folders
    by inode."""

    below: Mapping[str, list[BaseNode]]
    inside: Mapping[str, Mapping[str, LocalEntry]]
    others: Mapping[str, Set[str]]
    nodes: Mapping[int, BaseNode]
    folders: Mapping[int, LocalEntry]

    def names(self, folder: str) -> Set[str]:
        """What lies in a folder of this disk."""
        return self.inside.get(folder, {}).keys() | self.others.get(folder, set())

    def have_parted(self, child: BaseNode, entry: LocalEntry) -> bool:
        """Whether the folder that has this name now is another one of ours, or ours is now elsewhere. Inodes alone do
        not tell (a copy of the whole tree may have all of them, mixed up): something inside must speak for it, and no
        more against it."""
        if child.kind is not Kind.FOLDER or child.stat is None or child.stat.inode == entry.stat.inode:
            return False
        other = self.nodes.get(entry.stat.inode)
        elsewhere = self.folders.get(child.stat.inode)
        parted = max(self._likeness(other, entry) if other else 0, self._likeness(child, elsewhere) if elsewhere else 0)
        return parted > 0 and parted >= self._likeness(child, entry)

    def _likeness(self, folder: BaseNode, entry: LocalEntry) -> int:
        """How much of what the base has in a folder is in this one: things with their name and inode; files more so
        with their name, size and time, which stay where inodes do not last."""
        here = self.inside.get(entry.path, {})
        likes = 0
        for child in self.below.get(folder.node, ()):
            found = here.get(child.local_name)
            likes += _likeness(child.stat, found.stat) if found is not None and child.stat is not None else 0
        return likes


def _likeness(one: Stat, other: Stat) -> int:
    unwritten = one.mtime_ns > 0 and (one.size_bytes, one.mtime_ns) == (other.size_bytes, other.mtime_ns)
    return 2 * unwritten + (one.inode == other.inode)


def _descend(matched: Matched, folder: str, path: str, known: _Known, local: Local) -> None:
    """Pair what lies under a paired folder by its names, all the way down."""
    todo = [(folder, path)]
    while todo:
        folder, path = todo.pop()
        for child in known.below.get(folder, ()):
            entry = local.entries.get(f"{path}/{child.local_name}" if path else child.local_name)
            if child.node in matched.entries or entry is None:
                continue
            if entry.kind is child.kind and entry.path not in matched.nodes and not known.have_parted(child, entry):
                matched.pair(child.node, entry)
                if child.kind is Kind.FOLDER:
                    todo.append((child.node, entry.path))


def _pair_aside(matched: Matched, known: _Known, local: Local) -> None:
    for entry in local.entries.values():
        node = entry.local_name.removeprefix(ASIDE_PREFIX)
        state = matched.base.get(node)
        if node == entry.local_name or state is None or state.kind is not entry.kind or node in matched.entries:
            continue
        matched.pair(node, entry)
        _descend(matched, node, entry.path, known, local)


def _pair_moved_folders(matched: Matched, known: _Known, local: Local, apart: Set[str]) -> None:
    """A folder with the inode of a missing one is that one, if what it holds does not speak against it."""
    again = True
    while again:
        again = False
        for node in matched.base.values():
            if node.kind is not Kind.FOLDER or node.node in matched.entries or node.node in apart:
                continue
            entry = known.folders.get(node.stat.inode) if node.stat else None
            if entry is None or entry.path in matched.nodes:
                continue
            names = {child.local_name for child in known.below.get(node.node, ())}
            # Inodes are used again: a new folder may have the number of one just removed.
            if names and names.isdisjoint(known.names(entry.path)):
                continue
            matched.pair(node.node, entry)
            _descend(matched, node.node, entry.path, known, local)
            again = True


def _pair_files_that_took_names(matched: Matched, lost: Iterable[BaseNode], local: Local) -> None:
    """Files that changed names among themselves, in rings (a swap) or chains, are told by inode and bytes.

    A name counts more than an inode as long as any doubt is left: an editor that keeps the last content under a
    backup's name has moved nothing, so a chain must begin at a name that is free now and no file may be lost in it.
    """
    nodes = {n.node: n for n in lost}
    for node, entry in matched.entries.items():
        base = matched.base[node]
        changed = base.content is not None and not base.content.same_bytes(entry.content)
        if changed and base.stat and base.stat.inode != entry.stat.inode:
            nodes[node] = base
    found = {
        entry.stat.inode: entry
        for entry in local.entries.values()
        if entry.kind is Kind.FILE and _is_open(matched, entry, nodes)
    }
    movers: dict[str, LocalEntry] = {}
    for node, base in nodes.items():
        taken = found.get(base.stat.inode) if base.stat else None
        if taken is not None and base.content and base.content.same_bytes(taken.content):
            movers[node] = taken
    while broken := _not_in_a_ring_or_chain(matched, movers):
        for node in broken:
            del movers[node]
    for node in movers:
        if node in matched.entries:
            del matched.nodes[matched.entries.pop(node).path]
    for node, entry in movers.items():
        matched.pair(node, entry)


def _is_open(matched: Matched, entry: LocalEntry, nodes: Mapping[str, BaseNode]) -> bool:
    node = matched.nodes.get(entry.path)
    return node is None or node in nodes


def _not_in_a_ring_or_chain(matched: Matched, movers: Mapping[str, LocalEntry]) -> list[str]:
    """Those that would push another file from its name, or leave their own to a new one."""
    taken = {entry.path for entry in movers.values()}
    broken = []
    for node, entry in movers.items():
        holder = matched.nodes.get(entry.path, "")
        left = matched.entries.get(node)
        if (holder and holder not in movers) or (left is not None and left.path not in taken):
            broken.append(node)
    return broken


def _pair_moved_files(matched: Matched, lost: Iterable[BaseNode], local: Local) -> None:
    """A file with a missing one's inode, and its bytes or its name, is that one; else the only one with its bytes."""
    lost = list(lost)
    found = [e for e in local.entries.values() if e.kind is Kind.FILE and e.path not in matched.nodes]
    by_inode = {entry.stat.inode: entry for entry in found}
    for node in lost:
        entry = by_inode.get(node.stat.inode) if node.stat else None
        if entry is None or entry.path in matched.nodes or node.content is None:
            continue
        # Inodes are used again: one without the bytes and under another name may be any new file.
        if node.content.same_bytes(entry.content) or node.local_name == entry.local_name:
            matched.pair(node.node, entry)
    lost_by: dict[BytesKey, list[BaseNode]] = defaultdict(list)
    for node in lost:
        if node.node not in matched.entries and node.content:
            lost_by[node.content.bytes_key].append(node)
    found_by: dict[BytesKey, list[LocalEntry]] = defaultdict(list)
    for entry in found:
        if entry.path not in matched.nodes and entry.content:
            found_by[entry.content.bytes_key].append(entry)
    for bytes_of, nodes in lost_by.items():
        entries = found_by.get(bytes_of, [])
        if len(nodes) == len(entries) == 1 and bytes_of[0] > 0:
            matched.pair(nodes[0].node, entries[0])


def _pair_folders_made_on_both_sides(matched: Matched, local: Local, remote: Remote, apart: Set[str]) -> None:
    """A local folder without a live node takes the node of the library's folder at its place, if that is new here.

    So two devices that made the same folder agree, and a folder the library removed but had to give back (a
    stand-in, docs/sync.md) is the folder that is still here.
    """
    there = {(n.parent, n.name): n for n in remote.nodes.values() if n.kind is Kind.FOLDER and n.node not in apart}
    replaced: dict[str, str] = {}
    for _, entry in sorted(local.entries.items(), key=lambda item: item[0].split("/")):
        known = matched.nodes.get(entry.path, "")
        if entry.kind is not Kind.FOLDER or known in remote.nodes:
            continue
        parent = matched.nodes.get(entry.parent, "") if entry.parent else remote.root
        stand_in = there.get((parent, entry.name))
        if stand_in is None or stand_in.node in matched.entries or stand_in.node in matched.unsure:
            continue
        if stand_in.node in matched.gone:
            _revive(matched, stand_in.node)
        if known:
            replaced[known] = stand_in.node
            matched.entries.pop(known)
            matched.base.pop(known)
        matched.base[stand_in.node] = agreed_on(stand_in, entry)
        matched.pair(stand_in.node, entry)
    for node, state in list(matched.base.items()):
        if state.parent in replaced:
            matched.base[node] = msgspec.structs.replace(state, parent=replaced[state.parent])


def _revive(matched: Matched, folder: str) -> None:
    """A folder that is missing where it was, but is now at a place where there is one: what it held was moved away
    with it before anybody here removed it, so it is not missing but still to come."""
    below = _children(matched.base.values())
    todo = [folder]
    while todo:
        node = todo.pop()
        matched.gone.discard(node)
        todo += [child.node for child in below.get(node, ()) if child.node in matched.gone]
        if node != folder:
            del matched.base[node]


def agreed_on(remote: RemoteNode, entry: LocalEntry) -> BaseNode:
    """What both sides agree on: the library's node, as it lies here."""
    return BaseNode(
        node=remote.node,
        parent=remote.parent,
        name=remote.name,
        local_name=entry.local_name,
        kind=remote.kind,
        seq=remote.seq,
        version=remote.version,
        content=remote.content,
        stat=entry.stat,
    )


def _at_or_below(base: Base, missing: Iterable[BaseNode], places: Set[str]) -> set[str]:
    """The missing nodes that were at or below one of these paths."""
    if not places:
        return set()
    paths = base_paths(base)
    found = set()
    for node in missing:
        names = paths.get(node.node, "").split("/")
        if any("/".join(names[:depth]) in places for depth in range(len(names) + 1)):
            found.add(node.node)
    return found


def _unsure(matched: Matched, missing: Iterable[BaseNode], local: Local) -> set[str]:
    """The missing nodes at or below a path that could not be looked at, or where something lies now that is left alone
    (a socket, a link that leads out). Their paths are those of today: a folder above may have been moved."""
    places = local.unsure | {skipped.path for skipped in local.skipped}
    found = set()
    for node in missing if places else ():
        names = [node.local_name]
        above = node.parent
        while above not in matched.entries and above in matched.base and len(names) <= len(matched.base):
            names.append(matched.base[above].local_name)
            above = matched.base[above].parent
        if above in matched.entries:
            names.append(matched.entries[above].path)
        path = "/".join(reversed(names)).split("/")
        if any("/".join(path[:depth]) in places for depth in range(len(path) + 1)):
            found.add(node.node)
    return found


def _without_executable(matched: Matched) -> None:
    """Where the disk has no executable bit, files have the one that was agreed on."""
    for node, entry in matched.entries.items():
        agreed = matched.base[node].content
        if entry.content and agreed and entry.content.executable != agreed.executable:
            content = msgspec.structs.replace(entry.content, executable=agreed.executable)
            matched.entries[node] = msgspec.structs.replace(entry, content=content)


def _hollow(matched: Matched, local: Local, remote: Remote) -> set[str]:
    """New folders that hold something, but only what is ignored: the library is not told of them. So a folder that
    was removed there, and stays here for what is ignored in it, does not come back. One that is in the way of
    something else is told of all the same, and given another name."""
    if not local.ignored:
        return set()
    holding = {path.rpartition("/")[0] for path in local.ignored}
    solid = {e.parent for e in local.entries.values() if e.kind is Kind.FILE or e.path in matched.nodes}
    taken = {(n.parent, n.name) for n in remote.nodes.values()}
    hollow: set[str] = set()
    for entry in sorted(matched.fresh, key=lambda entry: entry.path, reverse=True):
        parent = matched.nodes.get(entry.parent, "") if entry.parent else remote.root
        if entry.path in holding and entry.path not in solid and (parent, entry.name) not in taken:
            hollow.add(entry.path)
            holding.add(entry.parent)
        else:
            solid.add(entry.parent)
    return hollow


def _drop_broken(matched: Matched, base: Base) -> None:
    """A node whose folder is no longer in the base is not known to have been here: it was not removed by anyone."""
    paths = base_paths(base)
    broken = {node for node in matched.gone if node not in paths}
    matched.gone -= broken
    for node in broken:
        del matched.base[node]


def _children(nodes: Iterable[BaseNode]) -> dict[str, list[BaseNode]]:
    below: dict[str, list[BaseNode]] = defaultdict(list)
    for node in nodes:
        below[node.parent].append(node)
    return below


def _inside(local: Local) -> dict[str, dict[str, LocalEntry]]:
    inside: dict[str, dict[str, LocalEntry]] = defaultdict(dict)
    for entry in local.entries.values():
        inside[entry.parent][entry.local_name] = entry
    return inside


def _left_alone(local: Local) -> dict[str, set[str]]:
    names: dict[str, set[str]] = defaultdict(set)
    for path in {*local.unsure, *(skipped.path for skipped in local.skipped)}:
        folder, _, name = path.rpartition("/")
        names[folder].add(name)
    return names
