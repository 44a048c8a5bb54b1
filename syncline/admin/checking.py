"""Checking a library: whether its journal is whole, its views say what the journal says, and its bytes are there.

Commits are folded one by one into the domain's own tree; the rows that each must have left are compared with those
that are there, and rows that no commit explains are looked for in the partitions of every node and folder.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from enum import StrEnum

import msgspec

from syncline.admin.ports import Ports
from syncline.domain.commits import Commit
from syncline.domain.errors import Broken, NotFound, Refused
from syncline.domain.nodes import Kind, Version
from syncline.domain.permits import read_prefixes
from syncline.domain.tree import Tree
from syncline.ports.objects import ObjectStore
from syncline.ports.tables import Delete, Key, Row, Table
from syncline.store.codec import number, unpack
from syncline.store.journal import Head, Journal
from syncline.store.rows import (
    FOLDER_BUCKETS,
    folder_partition,
    name_and_seq,
    node_in,
    node_partition,
    record_in,
    removal_seqs,
    rows_of,
    seq_in,
    trash_partition,
)
from syncline.store.together import together
from syncline.store.views import Views

COMMITS_AT_ONCE = 16
READS_AT_ONCE = 16
FINDINGS_MAX = 1_000
"""So many are listed; all are counted."""


class Kinds(StrEnum):
    LIBRARY_MISSING = "library-missing"
    JOURNAL_BROKEN = "journal-broken"
    VIEWS_BEHIND = "views-behind"
    ROW_MISSING = "row-missing"
    ROW_DIFFERS = "row-differs"
    ROW_UNEXPLAINED = "row-unexplained"
    BYTES_MISSING = "bytes-missing"
    BYTES_DIFFER = "bytes-differ"


MENDABLE = frozenset({Kinds.VIEWS_BEHIND, Kinds.ROW_MISSING, Kinds.ROW_DIFFERS, Kinds.ROW_UNEXPLAINED})


class Finding(msgspec.Struct, frozen=True):
    kind: Kinds
    what: str
    mended: bool = False


class Checked(msgspec.Struct):
    """What was found in one library."""

    library: str
    seq: int = 0
    nodes: int = 0
    files: int = 0
    findings: list[Finding] = []
    counts: dict[str, int] = {}
    unmended: int = 0

    def found(self, kind: Kinds, what: str, *, mended: bool = False) -> None:
        self.counts = dict(Counter(self.counts) + Counter({kind.value: 1}))
        self.unmended += not mended
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(Finding(kind, what, mended))


class Checking:
    """``mend`` makes view rows again from the journal. A library may be checked while it is used."""

    def __init__(self, ports: Ports, *, mend: bool = False, heads: bool = False) -> None:
        self._tables = ports.tables
        self._objects = ports.objects
        self._journal = Journal(ports.tables)
        self._views = Views(ports.tables)
        self._version_partitions: dict[str, None] = {}
        self._mend = mend
        self._heads = heads

    async def check(self, library: str) -> Checked:
        """Raises ``Refused("no-such-library")``, ``Temporary``."""
        head = await self._journal.head(library)
        if head is None:
            detail = f"The tables have no library {library}. If the bucket has it: syncline-admin rebuild {library}"
            raise Refused("no-such-library", detail, status=404)
        checked, tree = Checked(library, head.seq), Tree(library)
        self._version_partitions = {}
        try:
            explained = await self._compare(library, head, tree, checked)
        except Broken as error:
            checked.found(Kinds.JOURNAL_BROKEN, str(error))
            return checked
        await self._find_unexplained(tree, explained, checked)
        await self._check_applied(library, head, checked)
        live = tree.live_nodes()
        checked.nodes, checked.files = len(live), sum(node.version is not None for node in live)
        await self._check_bytes(library, [node.version for node in live if node.version is not None], checked)
        return checked

    async def check_all(self, libraries: AsyncIterator[str]) -> list[Checked]:
        """One after another; those that the tables lack are findings."""
        checked = []
        async for library in libraries:
            try:
                checked.append(await self.check(library))
            except Refused as refused:
                missing = Checked(library)
                missing.found(Kinds.LIBRARY_MISSING, refused.detail)
                checked.append(missing)
        return checked

    # -- views

    async def _compare(self, library: str, head: Head, tree: Tree, checked: Checked) -> set[Key]:
        """Every key that the journal explains."""
        applied = await self._views.applied(library)
        explained: set[Key] = set()
        async for commits in _batches(self._journal.read(library, 0, head.seq)):
            rows = {_key(row): row for commit in commits for row in rows_of(commit)}
            explained.update(rows)
            self._version_partitions.update(dict.fromkeys(key.pk for key in rows if key.pk.startswith("version#")))
            for commit in commits:
                tree.apply(commit)
            there = await self._tables.get_many(Table.VIEWS, list(rows))
            # Those not applied yet may come at any moment.
            wanted = {key for commit in commits if commit.seq <= applied for key in map(_key, rows_of(commit))}
            wrong = [key for key in wanted if key not in there or not _same(there[key], rows[key])]
            if wrong and self._mend:
                await self._tables.put_many(Table.VIEWS, [rows[key] for key in wrong])
            for key in wrong:
                kind = Kinds.ROW_DIFFERS if key in there else Kinds.ROW_MISSING
                checked.found(kind, _shown(key), mended=self._mend)
        return explained

    async def _find_unexplained(self, tree: Tree, explained: set[Key], checked: Checked) -> None:
        nodes = [node for node in tree.changed_since(-1) if node.id != tree.library]
        folders = [tree.library, *(node.id for node in nodes if node.kind is Kind.FOLDER)]
        partitions = [trash_partition(tree.library), *self._version_partitions]
        partitions += [node_partition(tree.library, node.id) for node in nodes]
        partitions += [
            folder_partition(tree.library, folder, bucket) for folder in folders for bucket in range(FOLDER_BUCKETS)
        ]

        async def stray(partition: str) -> list[tuple[Key, int]]:
            rows = self._tables.query(Table.VIEWS, partition)
            return [(key, _seq(row)) async for row in rows if (key := _key(row)) not in explained]

        strays = [one for some in await together(partitions, stray, at_once=READS_AT_ONCE) for one in some]
        if not strays:
            return
        now = await self._journal.head(tree.library)
        latest = now.seq if now is not None else tree.seq
        for key, seq in strays:
            if tree.seq < seq <= latest:
                continue  # of a commit that came while we were looking
            if self._mend:
                await self._tables.write(Delete(Table.VIEWS, key))
            checked.found(Kinds.ROW_UNEXPLAINED, _shown(key), mended=self._mend)

    async def _check_applied(self, library: str, head: Head, checked: Checked) -> None:
        applied = await self._views.applied(library)
        if applied >= head.seq:
            return
        if self._mend:
            async for commits in _batches(self._journal.read(library, applied, head.seq)):
                await self._views.write(*commits)
            await self._views.advance(library, after=applied, to=head.seq)
        checked.found(Kinds.VIEWS_BEHIND, f"{applied} of {head.seq}", mended=self._mend)

    # -- bytes

    async def _check_bytes(self, library: str, versions: Sequence[Version], checked: Checked) -> None:
        if self._heads:
            await together(versions, lambda version: self._look(version, checked), at_once=READS_AT_ONCE)
            return
        there = {key for prefix in read_prefixes(library) async for key in self._objects.list_keys(prefix)}
        for version in versions:
            if version.location.key not in there and not await _is_there(self._objects, version):
                checked.found(Kinds.BYTES_MISSING, version.location.key)

    async def _look(self, version: Version, checked: Checked) -> None:
        where = version.location
        try:
            info = await self._objects.head(where.key, where.s3_version)
        except NotFound:
            checked.found(Kinds.BYTES_MISSING, where.key)
            return
        whole = where.offset == 0 and where.length == info.size_bytes
        if info.size_bytes < where.offset + where.length or (whole and info.checksum not in ("", version.checksum)):
            checked.found(Kinds.BYTES_DIFFER, where.key)


async def _is_there(objects: ObjectStore, version: Version) -> bool:
    """Not every version lies under the library's own prefixes: compaction writes elsewhere."""
    try:
        await objects.head(version.location.key, version.location.s3_version)
    except NotFound:
        return False
    return True


async def _batches(commits: AsyncIterator[Commit]) -> AsyncIterator[list[Commit]]:
    batch: list[Commit] = []
    async for commit in commits:
        batch.append(commit)
        if len(batch) == COMMITS_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _key(row: Row) -> Key:
    return Key(str(row["pk"]), str(row["sk"]))


def _same(one: Row, other: Row) -> bool:
    """Whether two rows mean the same: another compressor may have written other bytes."""
    if one == other:
        return True
    if one.keys() != other.keys():
        return False
    try:
        return all(_plain(one[name]) == _plain(other[name]) for name in one)
    except Broken:
        return False


def _plain(value: object) -> object:
    return unpack(list, value) if isinstance(value, bytes) else value


def _seq(row: Row) -> int:
    if str(row["pk"]).startswith("folder#"):
        return name_and_seq(row)[1]
    if str(row["pk"]).startswith("trash#"):
        return max(removal_seqs(row))
    if str(row["pk"]).startswith("version#"):
        return number(row, "seq") if "seq" in row else record_in(row).seq
    state = node_in(row)
    return seq_in(row) or (state.seq if state is not None else 0)


def _shown(key: Key) -> str:
    return f"{key.pk} {key.sk}".replace("\0", " ")
