"""A library's tree at exactly one seq, read as it is asked for: view rows with the latest commits laid over."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from syncline.domain.errors import Broken
from syncline.domain.facts import VersionRecord
from syncline.domain.nodes import Kind, Location, Node, Place, root_node
from syncline.domain.paths import clean_path, split_path
from syncline.store.overlay import Overlay
from syncline.store.rows import permit_of
from syncline.store.views import Views

DEPTH_MAX = 1_024
"""A path has 1,024 bytes at most when it is made; deeper means a damaged tree."""
FOLDER_PAGE = 1_000


class Snapshot:
    """The state of ``library`` at ``seq``. Whatever is written meanwhile, its answers fit together."""

    def __init__(self, views: Views, library: str, overlay: Overlay) -> None:
        self.library = library
        self.overlay = overlay
        self._views = views

    @property
    def seq(self) -> int:
        return self.overlay.seq

    @property
    def _base(self) -> int:
        return self.overlay.base

    async def node(self, node: str) -> Node | None:
        """The node of this id, removed or not; None when there never was one."""
        if node == self.library:
            return root_node(self.library)
        if node in self.overlay.nodes:
            return self.overlay.nodes[node]
        return await self._views.node(self.library, node, self._base)

    async def child(self, parent: str, name: str) -> Node | None:
        """The node placed there, if it has not been removed."""
        place = Place(parent, name)
        if place in self.overlay.places:
            return self.overlay.places[place]
        return await self._views.child(self.library, parent, name, self._base)

    async def children(self, parent: str, after: str = "", limit: int = FOLDER_PAGE) -> list[Node]:
        """Up to ``limit`` nodes placed in a folder, in order of name, from the first name after ``after``."""
        newer = {name: node for name, node in self.overlay.children(parent).items() if name > after}
        # Those that left may be among the first ones read.
        older = await self._views.children(self.library, parent, self._base, after, limit + len(newer))
        merged: dict[str, Node | None] = {node.name: node for node in older}
        merged |= newer
        present = [merged[name] for name in sorted(merged)]
        return [node for node in present if node is not None][:limit]

    async def all_children(self, parent: str, *, rows_max: int | None = None) -> list[Node] | None:
        """Everything placed in a folder; None when that would read more than ``rows_max`` rows."""
        older = await self._views.all_children(self.library, parent, self._base, rows_max=rows_max)
        if older is None:
            return None
        merged: dict[str, Node | None] = {node.name: node for node in older}
        merged |= self.overlay.children(parent)
        present = [merged[name] for name in sorted(merged)]
        return [node for node in present if node is not None]

    async def ancestors(self, node: Node) -> list[Node]:
        """The folders above a node, its own first, the root last. Raises ``Broken`` when they do not lead there."""
        above: list[Node] = []
        while node.id != self.library:
            parent = await self.node(node.parent)
            if parent is None or len(above) >= DEPTH_MAX:
                raise Broken(f"The folders above node {node.id} do not lead to the root of {self.library}")
            above.append(parent)
            node = parent
        return above

    async def is_live(self, node: Node) -> bool:
        """Whether neither the node nor any folder above it has been removed."""
        return not node.removed and not any(folder.removed for folder in await self.ancestors(node))

    async def path(self, node: Node) -> str:
        """The path of a node, where it is or was; "" for the root."""
        folders = (await self.ancestors(node))[:-1]
        names = [folder.name for folder in reversed(folders)]
        return "/".join([*names, node.name])

    async def find(self, path: str) -> Node | None:
        """The live node at a path. Raises ``Refused`` for a path that nothing can have."""
        node = root_node(self.library)
        for name in split_path(clean_path(path)):
            below = await self.child(node.id, name) if node.kind is Kind.FOLDER else None
            if below is None:
                return None
            node = below
        return node

    async def versions(self, node: str, before: int | None = None, limit: int = 100) -> list[VersionRecord]:
        """Up to ``limit`` versions of a file from commits before ``before``, newest first, late ones too."""
        newer = [record for record in reversed(self.overlay.versions(node)) if before is None or record.seq < before][
            :limit
        ]
        if len(newer) == limit:
            return newer
        older = await self._views.versions(self.library, node, before, limit - len(newer), at=self._base)
        return [*newer, *older]

    async def version(self, version: str) -> VersionRecord | None:
        """What became of a version or permit id; None when nothing has yet."""
        return (await self.version_records([version])).get(version)

    async def version_records(self, ids: Sequence[str]) -> dict[str, VersionRecord]:
        """Those of many version and permit ids that something has become of."""
        known = {version: self.overlay.records[version] for version in ids if version in self.overlay.records}
        asked = [version for version in ids if version not in known]
        found = await self._views.version_records(self.library, asked)
        # A worker further on may have written rows already that this seq does not know of.
        return known | {version: record for version, record in found.items() if record.seq <= self._base}

    async def strangers(self, nodes: Collection[str]) -> set[str]:
        """Those of many node ids that there has never been a node of. One read unit each, in batches."""
        asked = {node for node in nodes if node != self.library and node not in self.overlay.nodes}
        return asked - (await self.first_states(sorted(asked))).keys()

    async def named(self, location: Location) -> bool:
        """Whether a version that was not given up has its bytes in the same object as ``location``."""
        permit = permit_of(location)
        newer = [version for version, record in self.overlay.records.items() if _is_in(record, location)]
        ids = dict.fromkeys([permit, *await self._views.copies(self.library, permit), *newer])
        records = await self.version_records(list(ids))
        names = [version for version, record in records.items() if _is_in(record, location)]
        return len(await self.purged(names)) < len(names)

    async def purged(self, versions: Sequence[str]) -> set[str]:
        """Those of many versions whose content was given up."""
        known = self.overlay.purged.intersection(versions)
        return known | await self._views.purged(self.library, [one for one in versions if one not in known], self._base)

    async def first_states(self, nodes: Sequence[str]) -> dict[str, Node]:
        """The states in which those of many nodes that exist at ``base`` were born."""
        found = await self._views.first_states(self.library, nodes)
        return {node: state for node, state in found.items() if state.seq <= self._base}


def _is_in(record: VersionRecord, location: Location) -> bool:
    """Whether a version's bytes are in the same object, wherever in it."""
    version = record.version
    return version is not None and (version.location.key, version.location.s3_version) == (
        location.key,
        location.s3_version,
    )
