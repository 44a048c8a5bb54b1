"""Rules of what is gone: folders that stand again (12), and contents that are given up (13)."""

from __future__ import annotations

from syncline.domain.attempt import Attempt, Verdict
from syncline.domain.commands import Purge, Revive
from syncline.domain.commits import Purged, Status
from syncline.domain.errors import Refused
from syncline.domain.facts import VersionRecord, is_live, removal_of
from syncline.domain.nodes import Kind, Node, Place
from syncline.domain.paths import clean_name
from syncline.domain.placing import check_path, known_folder, standing_folder


def revive(attempt: Attempt, request: Revive) -> Verdict:
    """Rule 12: a live folder for a gone one, where that was or where it is asked for; the gone one stays gone."""
    gone = known_folder(attempt, request.node)
    if gone.id != request.node or is_live(attempt.draft, gone):
        return Verdict(Status.UNCHANGED, gone.id)
    standing = _stand_at(attempt, gone, request) if request.parent else standing_folder(attempt, gone.id)
    attempt.take_for(gone.id, standing)
    if request.whole and gone.removed:
        attempt.draft.take_out_of_trash(gone)
    return Verdict(Status.APPLIED, standing.id)


def _stand_at(attempt: Attempt, gone: Node, request: Revive) -> Node:
    """The folder of this name in the folder asked for, made if there is none."""
    name = clean_name(request.name)
    check_path(attempt, known_folder(attempt, request.parent), name)
    parent = standing_folder(attempt, request.parent)
    taker = attempt.taker(parent.id, name)
    if taker is not None and taker.kind is Kind.FOLDER:
        return taker
    node_id = attempt.fresh_id(f"stand-in {gone.id}")
    place = Place(parent.id, attempt.free_name(parent.id, name, node_id))
    return attempt.draft.add_folder(node_id, place, attempt.author, attempt.author)


def purge(attempt: Attempt, request: Purge) -> Verdict:
    """Rule 13: contents are given up, but never the one that a live file has, nor one whose removal is newer."""
    draft = attempt.draft
    node = draft.node(request.node)
    if node is None:
        raise Refused("no-such-node", f"There is no node {request.node} in this library.")
    removal = removal_of(draft, node)
    is_over = removal is not None and removal.seq == request.removed_seq
    given_up = 0
    for version in dict.fromkeys(request.versions):
        record = draft.version(version)
        is_current = node.version is not None and node.version.id == version
        if record is None or record.node != node.id or draft.is_purged(version) or (is_current and not is_over):
            continue
        draft.purged.append(_purged(version, record))
        given_up += 1
    if is_over and node.removed:
        draft.take_out_of_trash(node)
        return Verdict(Status.APPLIED, node.id)
    return Verdict(Status.APPLIED if given_up else Status.UNCHANGED, node.id)


def _purged(version: str, record: VersionRecord) -> Purged:
    assert record.version is not None, "a version with a node has a content"
    return Purged(record.node, version, record.seq, record.version.location)
