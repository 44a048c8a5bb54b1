"""The three trees, reduced to what a plan can depend on: the pass's memory follows what changed, not what there is.

A folder is *open* when something in it differs from the agreement on this disk, or when a node that the library has
elsewhere, anew, changed or no longer is in it, was or will be. The reduced trees hold, on all three sides, all children
of open folders, all folders above them, and all that is below folders that are missing here or there. A folder in them
that is not open stands for itself alone: below it all three sides are the same. Planning over these trees gives what
planning over the whole ones would (tests/unit/client/test_reduced.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass

from syncline.client.alike import not_beside
from syncline.client.apart import Rules, apart
from syncline.client.disk import Disk
from syncline.client.holdings import Holdings
from syncline.client.ignoring import read_ignores
from syncline.client.matching import ASIDE_PREFIX, base_paths
from syncline.client.remote_tree import holdable
from syncline.client.scanner import Scanner, Seen
from syncline.client.trees import Base, BaseNode, BytesKey, Local, Remote, RemoteNode, Skipped
from syncline.client.walking import Interest
from syncline.domain.errors import Temporary
from syncline.domain.nodes import Kind

LOOKS_MAX = 5


@dataclass(frozen=True)
class Trees:
    """What a plan is made from. ``unfit`` are nodes of the library that cannot lie on this disk; ``apart`` such as
    are not to, by the ``rules``."""

    base: Base
    local: Local
    remote: Remote
    unfit: tuple[Skipped, ...]
    rules: Rules
    apart: frozenset[str]


async def reduced_trees(holdings: Holdings, scanner: Scanner, marker: str) -> Trees:
    """Look at all three sides. ``marker`` is the folder's: it is checked once more after the walk, since a disk
    unmounted meanwhile looks like an empty folder. Raises as ``Scanner.look`` and ``Disk.check_marker`` do, and
    ``Temporary`` when other processes keep reading the journal into the same index."""
    rules = await asyncio.to_thread(rules_of, holdings, scanner.disk)
    scanner.ignores = rules.ignores
    everything = rules.digest != holdings.obeyed()
    for _ in range(LOOKS_MAX):
        gathered, interest, seq = await asyncio.to_thread(_differing, holdings, scanner.names.nodes(), rules)
        if everything:
            interest = Interest(interest.folders, interest.whole | {holdings.root})
        seen = await scanner.look(holdings, interest)
        await asyncio.to_thread(scanner.disk.check_marker, marker)
        trees = await asyncio.to_thread(_gather, gathered, interest, seen, seq, rules)
        if trees is not None:
            return trees
    raise Temporary("The index changes all the time; is another Syncline process reading the library?")


def rules_of(holdings: Holdings, disk: Disk) -> Rules:
    """What a link leaves apart now. Raises ``Refused("ignores-unreadable")``."""
    return Rules(read_ignores(disk.root), holdings.deselected(), disk.folds_case)


def _differing(holdings: Holdings, also: Set[str], rules: Rules) -> tuple[Gathered, Interest, int]:
    """What is to be looked at for the library's sake: (the nodes it is about, the folders, the seq of the moment).
    ``also`` are further nodes that the plan may ask for."""
    gathered = Gathered(holdings)
    seq = holdings.seq()
    nodes = sorted({*holdings.differing(), *also})
    gathered.nodes(nodes)
    nodes += _by_place(gathered, nodes)
    gathered.nodes(nodes)
    remote_tree = holdable(gathered.remote_tree(seq))[0]
    live, away = remote_tree.nodes, apart(remote_tree, rules)
    folders, whole, out_of_reach = set(), set(), []
    for node in nodes:
        base, remote = gathered.base.get(node), gathered.remote.get(node)
        if base is not None:
            folders.add(base.parent)
            if base.kind is Kind.FOLDER and (
                node not in live
                or base.materialised is (node in away)
                or (rules.ignores.by_place and _moved(base, live[node]))
            ):
                whole.add(node)
        elif remote is None or not (remote.parent == holdings.root or remote.parent in live):
            out_of_reach.append(node)  # in a folder that was removed, and of no concern here
            gathered.remote.pop(node, None)
        if node in live:
            folders.add(live[node].parent)
    holdings.put_off(out_of_reach, seq)
    return gathered, Interest(folders, whole), seq


def _moved(base: BaseNode, remote: RemoteNode) -> bool:
    """What is in it may be ignored at one place and not at the other."""
    return (base.parent, base.name) != (remote.parent, remote.name)


def _by_place(gathered: Gathered, differing: list[str]) -> list[str]:
    """What may be to be on this disk, or not, by the place it has now: what was left apart, and links in folders that
    moved."""
    placed = [
        node.node
        for node in (gathered.remote.get(node) for node in differing)
        if node is not None and node.kind is Kind.FOLDER
    ]
    holdings = gathered.holdings
    found = {*holdings.left_apart(), *holdings.symlinks_below(placed)}
    return sorted(found.difference(differing))


def _gather(gathered: Gathered, interest: Interest, seen: Seen, seq: int, rules: Rules) -> Trees | None:
    """The trees; None when more was learnt of the library since ``seq``, so that one looked at the wrong places."""
    holdings = gathered.holdings
    with holdings.one_moment():
        if holdings.seq() != seq:
            return None
        gathered.add_base(seen.base.values())
        for folder in interest.folders | seen.looked:
            gathered.folder(folder, agreed=folder not in seen.looked)
        gathered.nodes({*interest.folders, *seen.looked, *_turned_aside(seen.local)})
        for folder in interest.whole | (seen.unread - {""}):
            gathered.below(folder)
        gathered.complete()
        while missing := gathered.missing(seen.local):
            for folder in missing:
                gathered.below(folder)
            gathered.complete()
        remote, unfit = holdable(gathered.remote_tree(seq))
        versions = gathered.versions(seen.local, remote)
    base = gathered.base_tree()
    away = apart(remote, rules)
    if rules.folds_case:
        alike, told = not_beside(base.nodes, remote.without(away))
        away, unfit = away | alike, [*unfit, *told]
    return Trees(
        base,
        _with_the_unknown(seen, base),
        Remote(remote.root, remote.nodes, seq, versions),
        tuple(unfit),
        rules,
        away,
    )


class Gathered:
    """Nodes read from the index, each on both sides and with the folders above it on both sides."""

    def __init__(self, holdings: Holdings) -> None:
        self.holdings = holdings
        self.base: dict[str, BaseNode] = {}
        self.remote: dict[str, RemoteNode] = {}
        self._asked_base: set[str] = {holdings.root}
        self._asked_remote: set[str] = {holdings.root}
        self._below: set[str] = set()

    # -- taking in

    def nodes(self, nodes: Iterable[str]) -> None:
        self._ask(set(nodes))
        self.complete()

    def folder(self, folder: str, *, agreed: bool) -> None:
        """A folder's children; ``agreed``: also in the base."""
        if agreed:
            self.add_base(self.holdings.base_children(folder))
        self._add_remote(self.holdings.remote_children(folder))

    def below(self, folder: str) -> None:
        """All that the base has below a folder, and what the library has in the same folders."""
        if folder in self._below:
            return
        found = self.holdings.base_below(folder)
        inside = {folder, *(node.node for node in found if node.kind is Kind.FOLDER)}
        self._below |= inside
        self.add_base(found)
        for one in inside:
            self._add_remote(self.holdings.remote_children(one))

    def complete(self) -> None:
        """Every node on both sides, with all folders above it."""
        while wanted := self._wanted():
            self._ask(wanted)

    def add_base(self, nodes: Iterable[BaseNode]) -> None:
        for node in nodes:
            self.base[node.node] = node
            self._asked_base.add(node.node)

    def _add_remote(self, nodes: Iterable[RemoteNode]) -> None:
        for node in nodes:
            self.remote[node.node] = node
            self._asked_remote.add(node.node)

    def _wanted(self) -> set[str]:
        known = self.base.keys() | self.remote.keys()
        above = {node.parent for node in self.base.values()} | {node.parent for node in self.remote.values()}
        return (known | above) - (self._asked_base & self._asked_remote)

    def _ask(self, nodes: set[str]) -> None:
        in_base, in_remote = nodes - self._asked_base, nodes - self._asked_remote
        self._asked_base |= in_base
        self._asked_remote |= in_remote
        self.add_base(self.holdings.base_nodes(in_base))
        self._add_remote(self.holdings.remote_nodes(in_remote))

    # -- giving out

    def base_tree(self) -> Base:
        nodes = dict(sorted(self.base.items()))
        return Base(self.holdings.root, nodes, self.holdings.base_files)

    def remote_tree(self, seq: int) -> Remote:
        return Remote(self.holdings.root, dict(sorted(self.remote.items())), seq)

    def missing(self, local: Local) -> list[str]:
        """Folders of the base that are not at their place here, and whose content was not read yet."""
        paths = base_paths(self.base_tree())
        return [
            node.node
            for node in self.base.values()
            if node.kind is Kind.FOLDER
            and node.materialised
            and node.node not in self._below
            and not _is_folder(local, paths.get(node.node))
        ]

    def versions(self, local: Local, remote: Remote) -> dict[BytesKey, str]:
        """Versions elsewhere in the library with contents that lie here and that ``remote`` does not have."""
        near = {_bytes(node) for node in remote.nodes.values() if node.content}
        here = {entry.content.bytes_key for entry in local.entries.values() if entry.content}
        found: dict[BytesKey, str] = {}
        live: dict[str, bool] = {self.holdings.root: True}
        for node in self.holdings.remote_with(sorted(checksum for _, checksum, _ in here - near)):
            if _bytes(node) not in found and self._is_live(node.parent, live):
                found[_bytes(node)] = node.version
        return found

    def _is_live(self, folder: str, live: dict[str, bool]) -> bool:
        chain = []
        while folder not in live and folder not in chain:
            chain.append(folder)
            above = self.remote.get(folder) or next(iter(self.holdings.remote_nodes([folder])), None)
            if above is None:
                break
            folder = above.parent
        found = live.get(folder, False)
        live.update(dict.fromkeys(chain, found))
        return found


def _bytes(node: RemoteNode) -> BytesKey:
    assert node.content
    return node.content.bytes_key


def _is_folder(local: Local, path: str | None) -> bool:
    entry = local.entries.get(path) if path is not None else None
    return entry is not None and entry.kind is Kind.FOLDER


def _turned_aside(local: Local) -> Iterator[str]:
    for entry in local.entries.values():
        if entry.local_name.startswith(ASIDE_PREFIX):
            yield entry.local_name.removeprefix(ASIDE_PREFIX)


def _with_the_unknown(seen: Seen, base: Base) -> Local:
    """What is in the base, but where nobody looked, is not to be read as removed, whatever led to its being there."""
    local = seen.local
    paths = base_paths(base)
    unknown = {
        path
        for node, path in paths.items()
        if node != base.root
        and path not in local.entries
        and (state := base.nodes[node]).materialised
        and not _was_looked_for(state, base, seen, paths)
    }
    return Local(local.entries, local.skipped, local.unsure | unknown) if unknown else local


def _was_looked_for(node: BaseNode, base: Base, seen: Seen, paths: dict[str, str]) -> bool:
    """Whether its folder was looked into, or one above was looked for and not found."""
    at: BaseNode | None = node
    while at is not None:
        if at.parent in seen.looked or at.parent in seen.unread:
            return True
        if _is_folder(seen.local, paths.get(at.parent)):
            return False
        at = base.nodes.get(at.parent)
    return False
