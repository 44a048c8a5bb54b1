"""What a commit becomes in the views: rows that never change meaning. Pure.

Rows in the table ``views``::

    pk = node#{library}#{node}               sk = 000000000000       body: the node's first state (its seq is inside)
                                             sk = {seq}              body: the state that a later commit made
                                             sk = {seq}#{version}    the same, and late: a version that is history only
    pk = folder#{library}#{parent}#{bucket}  sk = {name} NUL {seq}   body: the state of the node placed there, or
                                                                     left: the id of the node that left it
    pk = version#{library}#{version}         sk = version            body: the version's record
                                             sk = purged             seq: its content is given up since
    pk = copies#{library}#{permit}           sk = {version}          a version whose bytes came under another's permit
    pk = trash#{library}                     sk = {seq}#{node}       body: the removal (``Removal``) by commit seq
                                             sk = {seq}#{node}#{seq} it counts no more, since the second seq
    pk = applied#{library}                   sk = applied            seq: all commits up to here have their rows

Every key names the seq that made the row (a node is born once, a version id is made once), so writing a commit's
rows again writes the same bytes. Names hold no NUL, hence a folder's rows lie in order of name, then seq. A folder is
spread over ``FOLDER_BUCKETS`` partitions by its names' CRC-32.
"""

from __future__ import annotations

import zlib

import msgspec

from syncline.domain.commits import Commit, Effect
from syncline.domain.facts import VersionRecord, version_records
from syncline.domain.nodes import Location, Node, Place, Version
from syncline.ports.tables import Key, Row
from syncline.store.codec import pack, unpack


class Removal(msgspec.Struct, frozen=True, array_like=True):
    """``node`` as its removal left it, with who removed it, on which device and when."""

    node: Node
    account: str
    device: str
    at_ms: int


FOLDER_BUCKETS = 8
FIRST = 0
"""Stands for the seq in the key of a node's first row: whether nodes exist is then asked of many at once."""
_SEQ_DIGITS = 12
SEQ_MAX = 10**_SEQ_DIGITS - 1


def rows_of(commit: Commit) -> list[Row]:
    """All view rows of a commit, with distinct keys. The same commit gives the same bytes."""
    states = final_states(commit)
    rows = {
        **_node_rows(commit, states),
        **_folder_rows(commit, states),
        **_version_rows(commit),
        **_trash_rows(commit),
    }
    return [{"pk": key.pk, "sk": key.sk, **row} for key, row in rows.items()]


def final_states(commit: Commit) -> dict[str, Node]:
    """Each node whose state the commit changed, as it is afterwards."""
    return {change.node.id: change.node for change in commit.changes if change.effect is not Effect.LATE}


def places_of(commit: Commit, states: dict[str, Node]) -> dict[Place, Node | str]:
    """What a commit did to places: the node that is there afterwards, or the id of the one that left.

    A place that one node left and another took in the same commit is taken.
    """
    left: dict[Place, Node | str] = {}
    for change in commit.changes:
        if change.effect is Effect.LATE:
            continue
        # Only `was` tells what it left: a node moved and removed by one command never came where it says it was.
        if change.was is not None:
            left[change.was] = change.node.id
    taken = {node.place: node for node in states.values() if not node.removed}
    return {**left, **taken}


def _node_rows(commit: Commit, states: dict[str, Node]) -> dict[Key, Row]:
    rows: dict[Key, Row] = {}
    born = {change.node.id for change in commit.changes if change.born}
    for node in states.values():
        seq = FIRST if node.id in born else commit.seq
        rows[node_key(commit.library, node.id, seq)] = {"body": pack(node)}
    # A version that is not the state afterwards is kept beside it, or the file's history would lack it.
    nodes = {change.node.id: change.node for change in commit.changes} | states
    for version, record in version_records(commit):
        node_after = nodes.get(record.node)
        if record.version is None or node_after is None:
            continue
        if node_after.id not in states or node_after.version is None or node_after.version.id != version:
            key = node_key(commit.library, record.node, commit.seq, version)
            rows[key] = {"body": pack(node_after), "late": pack(record.version)}
    return rows


def _folder_rows(commit: Commit, states: dict[str, Node]) -> dict[Key, Row]:
    rows: dict[Key, Row] = {}
    for place, what in places_of(commit, states).items():
        key = place_key(commit.library, place, commit.seq)
        rows[key] = {"left": what} if isinstance(what, str) else {"body": pack(what)}
    return rows


def _version_rows(commit: Commit) -> dict[Key, Row]:
    rows: dict[Key, Row] = {}
    for version, record in version_records(commit):
        rows[version_key(commit.library, version)] = {"body": pack(record)}
        if record.version is not None and permit_of(record.version.location) != version:
            rows[copy_key(commit.library, permit_of(record.version.location), version)] = {}
    return rows | {purged_key(commit.library, one.version): {"seq": commit.seq} for one in commit.purged}


def _trash_rows(commit: Commit) -> dict[Key, Row]:
    """One for each removal, another for each that is taken back: what a page shows costs what the page holds."""
    rows: dict[Key, Row] = {}
    for change in commit.changes:
        if change.effect is Effect.REMOVED:
            removal = Removal(change.node, commit.account, commit.device, commit.at_ms)
            rows[removal_key(commit.library, commit.seq, change.node.id)] = {"body": pack(removal)}
    for one in commit.restored:
        rows[removal_key(commit.library, one.removed_seq, one.node, commit.seq)] = {}
    return rows


# -- keys, and reading rows back --------------------------------------------------------------------------------


def digits(seq: int) -> str:
    return f"{seq:0{_SEQ_DIGITS}d}"


def node_partition(library: str, node: str) -> str:
    return f"node#{library}#{node}"


def node_key(library: str, node: str, seq: int, version: str = "") -> Key:
    return Key(node_partition(library, node), f"{digits(seq)}#{version}" if version else digits(seq))


def bucket_of(name: str) -> int:
    return zlib.crc32(name.encode()) % FOLDER_BUCKETS


def folder_partition(library: str, parent: str, bucket: int) -> str:
    return f"folder#{library}#{parent}#{bucket}"


def place_key(library: str, place: Place, seq: int) -> Key:
    pk = folder_partition(library, place.parent, bucket_of(place.name))
    return Key(pk, f"{place.name}\0{digits(seq)}")


def version_key(library: str, version: str) -> Key:
    return Key(f"version#{library}#{version}", "version")


def purged_key(library: str, version: str) -> Key:
    return Key(f"version#{library}#{version}", "purged")


def permit_of(location: Location) -> str:
    """The permit under which bytes came: the last part of their key (``domain/permits.object_key``)."""
    return location.key.rpartition("/")[2]


def copy_key(library: str, permit: str, version: str) -> Key:
    return Key(copies_partition(library, permit), version)


def copies_partition(library: str, permit: str) -> str:
    return f"copies#{library}#{permit}"


def trash_partition(library: str) -> str:
    return f"trash#{library}"


def removal_key(library: str, seq: int, node: str, back_seq: int = 0) -> Key:
    sk = f"{digits(seq)}#{node}"
    return Key(trash_partition(library), f"{sk}#{digits(back_seq)}" if back_seq else sk)


def removal_seqs(row: Row) -> list[int]:
    """The seqs in the key of a row of the trash: of the removal and, where it counts no more, since when."""
    return [int(part) for part in str(row["sk"]).split("#")[::2]]


def applied_key(library: str) -> Key:
    return Key(f"applied#{library}", "applied")


def seq_in(row: Row) -> int:
    """The seq in the key of a node's row; ``FIRST`` for its first one."""
    return int(str(row["sk"])[:_SEQ_DIGITS])


def name_and_seq(row: Row) -> tuple[str, int]:
    """The name and the seq in the key of a folder's row."""
    name, _, seq = str(row["sk"]).rpartition("\0")
    return name, int(seq)


def node_in(row: Row) -> Node | None:
    """The node a row holds; None in a folder's row that says a node left."""
    return unpack(Node, row["body"]) if "body" in row else None


def versions_in(row: Row) -> VersionRecord | None:
    """The version a node's row brought, if it did."""
    node = unpack(Node, row["body"])
    seq = int(str(row["sk"])[:_SEQ_DIGITS])
    if seq == FIRST:
        seq = node.seq
    if "late" in row:
        return VersionRecord(node.id, seq, unpack(Version, row["late"]), False)
    if node.version is not None and node.content_seq == seq:
        return VersionRecord(node.id, seq, node.version, False)
    return None


def record_in(row: Row) -> VersionRecord:
    return unpack(VersionRecord, row["body"])
