"""The views of the journal: written from commits, read as of any seq that is applied.

The rows and why writing them twice is harmless: ``syncline/store/rows.py``.
"""

from __future__ import annotations

from collections.abc import Sequence

from syncline.domain.commits import Commit
from syncline.domain.errors import Broken, ConditionFailed
from syncline.domain.facts import VersionRecord
from syncline.domain.nodes import Node, Place, root_node
from syncline.ports.tables import Absent, Equals, Put, Row, Table, Tables, Update
from syncline.store.codec import number, unpack
from syncline.store.folders import FolderReader
from syncline.store.rows import (
    FIRST,
    SEQ_MAX,
    applied_key,
    copies_partition,
    digits,
    node_in,
    node_key,
    node_partition,
    place_key,
    purged_key,
    record_in,
    rows_of,
    version_key,
    versions_in,
)

ADVANCE_TRIES = 16
"""Each failed try means that another worker advanced; so many in a row are a fault, not bad luck."""


class Views:
    """Reads are right for ``at`` up to ``applied``. Writing is for the metadata service alone."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    # -- writing ----------------------------------------------------------------------------------------------------

    async def applied(self, library: str) -> int:
        """All commits up to this seq have their rows; 0 for a new library. One read unit."""
        row = await self._tables.get(Table.VIEWS, applied_key(library))
        return 0 if row is None else number(row, "seq")

    async def applied_of(self, libraries: Sequence[str]) -> dict[str, int]:
        """``applied`` of many libraries, in batches."""
        keys = {applied_key(library): library for library in libraries}
        rows = await self._tables.get_many(Table.VIEWS, list(keys)) if keys else {}
        return {library: number(rows[key], "seq") if key in rows else 0 for key, library in keys.items()}

    async def write(self, *commits: Commit) -> None:
        """Write the rows of commits. Repeating is harmless, whoever has gone on since."""
        rows: dict[tuple[str, str], Row] = {}
        for commit in commits:
            rows.update({(str(row["pk"]), str(row["sk"])): row for row in rows_of(commit)})
        if rows:
            await self._tables.put_many(Table.VIEWS, list(rows.values()))

    async def advance(self, library: str, *, after: int, to: int) -> None:
        """Say that the rows of every commit in ``(after, to]`` are written, as those up to ``after`` were before.

        Never goes back and never leaves a gap: when another worker has gone beyond ``to`` nothing changes; raises
        ``Broken`` when ``after`` itself is not applied.
        """
        for _ in range(ADVANCE_TRIES):
            if to <= after:
                return
            was = Equals({"seq": after}) if after else Absent()
            update = Update(Table.VIEWS, applied_key(library), set={"seq": to}, when=was)
            try:
                await self._tables.write(update)
                return
            except ConditionFailed:
                applied = await self.applied(library)
            if applied < after:
                raise Broken(f"The views of {library} are at {applied}: {after} to {to} would leave a gap")
            after = applied
        raise Broken(f"The views of {library} could not be advanced to {to} in {ADVANCE_TRIES} tries")

    async def begun(self, library: str) -> bool:
        """Whether there ever were views of this library here."""
        return await self._tables.get(Table.VIEWS, applied_key(library)) is not None

    async def restart(self, library: str, seq: int) -> None:
        """The rows of all commits up to ``seq`` of a journal made again are written, whatever was applied before."""
        key = applied_key(library)
        await self._tables.write(Put(Table.VIEWS, {"pk": key.pk, "sk": key.sk, "seq": seq}))

    # -- reading ----------------------------------------------------------------------------------------------------

    async def node(self, library: str, node: str, at: int) -> Node | None:
        """The node's state as of ``at``, removed ones too; None when it was not there yet."""
        if node == library:
            return root_node(library)
        rows = self._tables.query(
            Table.VIEWS, node_partition(library, node), last=f"{digits(at)}~", descending=True, limit=1
        )
        newest = [found async for row in rows if (found := node_in(row)) is not None and found.seq <= at]
        return newest[0] if newest else None

    async def first_states(self, library: str, nodes: Sequence[str]) -> dict[str, Node]:
        """The states in which those of many nodes that exist were born, in batches."""
        keys = {node_key(library, node, FIRST): node for node in nodes if node != library}
        rows = await self._tables.get_many(Table.VIEWS, list(keys)) if keys else {}
        return {keys[key]: unpack(Node, row["body"]) for key, row in rows.items()}

    async def child(self, library: str, parent: str, name: str, at: int) -> Node | None:
        """The node placed under a name as of ``at``, unless it is removed."""
        newest = place_key(library, Place(parent, name), at)
        rows = self._tables.query(Table.VIEWS, newest.pk, first=f"{name}\0", last=newest.sk, descending=True, limit=1)
        holders = [node_in(row) async for row in rows]
        return holders[0] if holders else None

    async def children(self, library: str, parent: str, at: int, after: str = "", limit: int = 1_000) -> list[Node]:
        """Up to ``limit`` nodes placed in a folder as of ``at``, in order of name, from the name after ``after``."""
        found: list[Node] = []
        if limit <= 0:
            return found
        reader = FolderReader(self._tables, library, parent, at)
        async for node in reader.children(after=after, expected=limit):
            found.append(node)
            if len(found) == limit:
                break
        return found

    async def all_children(
        self, library: str, parent: str, at: int, *, rows_max: int | None = None
    ) -> list[Node] | None:
        """Everything placed in a folder as of ``at``; None when that would read more than ``rows_max`` rows."""
        reader = FolderReader(self._tables, library, parent, at)
        found: list[Node] = []
        async for node in reader.children():
            if rows_max is not None and reader.rows_read > rows_max:
                return None
            found.append(node)
        return found

    async def versions(
        self, library: str, node: str, before: int | None = None, limit: int = 100, *, at: int | None = None
    ) -> list[VersionRecord]:
        """Versions of a file that commits before ``before`` and up to ``at`` brought, newest first."""
        bounds = [seq for seq in (None if before is None else before - 1, at) if seq is not None]
        upto = min(bounds, default=SEQ_MAX)
        found: list[VersionRecord] = []
        rows = self._tables.query(Table.VIEWS, node_partition(library, node), last=f"{digits(upto)}~", descending=True)
        async for row in rows:
            record = versions_in(row)
            # A node's first row lies before all others, whatever its seq.
            if record is not None and record.seq <= upto:
                found.append(record)
            if len(found) >= limit:
                break
        return found

    async def version(self, library: str, version: str) -> VersionRecord | None:
        """What is known of a version id, withdrawn permits too."""
        return (await self.version_records(library, [version])).get(version)

    async def version_records(self, library: str, ids: Sequence[str]) -> dict[str, VersionRecord]:
        """Those of many version ids that are known, in batches."""
        keys = {version_key(library, version): version for version in ids}
        rows = await self._tables.get_many(Table.VIEWS, list(keys)) if keys else {}
        return {keys[key]: record_in(row) for key, row in rows.items()}

    async def copies(self, library: str, permit: str) -> list[str]:
        """The versions whose bytes came under this permit, but that one's own. Ids that no commit names may be among
        them for a moment."""
        rows = self._tables.query(Table.VIEWS, copies_partition(library, permit))
        return [str(row["sk"]) async for row in rows]

    async def purged(self, library: str, versions: Sequence[str], at: int) -> set[str]:
        """Those of many versions whose content was given up as of ``at``, in batches."""
        keys = {purged_key(library, version): version for version in versions}
        rows = await self._tables.get_many(Table.VIEWS, list(keys)) if keys else {}
        return {keys[key] for key, row in rows.items() if number(row, "seq") <= at}
