"""Rules of places: folders that are gone (9), new folders, moves (7), and names that are taken (8)."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from syncline.domain.attempt import Attempt, Verdict
from syncline.domain.commands import MakeFolder, Move
from syncline.domain.commits import Status
from syncline.domain.errors import Refused
from syncline.domain.facts import ancestors, is_live, path_of
from syncline.domain.ids import derived_ids
from syncline.domain.nodes import Author, Kind, Node, Place
from syncline.domain.paths import MAX_PATH_BYTES, clean_name, join_path
from syncline.domain.seeing import SERVICE, place_unseen


def standing_folder(attempt: Attempt, folder_id: str) -> Node:
    """Rule 9: the live folder that is meant by an id, made anew if the folder is gone.

    A dead folder is never revived, since what it held when it was removed would come back with it. A stand-in takes
    its name in its parent (or in that one's stand-in); a live folder that has the name by now serves as well.
    Raises ``Refused`` "no-such-folder" or "not-a-folder" before anything is made.
    """
    standing, gone = _standing_so_far(attempt, known_folder(attempt, folder_id))
    for folder in gone:
        standing = _make_stand_in(attempt, folder, standing)
    return standing


def known_folder(attempt: Attempt, folder_id: str) -> Node:
    """The folder of an id, live or not. Raises ``Refused`` "no-such-folder" or "not-a-folder"."""
    folder = attempt.draft.node(attempt.meant(folder_id))
    if folder is None:
        raise Refused("no-such-folder", f"There is no folder {folder_id} in this library.")
    if folder.kind is not Kind.FOLDER:
        raise Refused("not-a-folder", f"{folder.name!r} is a file; nothing can be put into it.")
    return folder


def placer_in(attempt: Attempt, folder: Node, asked: str, author: Author) -> Author:
    """Who chose a place in ``folder``: the author, unless the folder stands in for the one that was asked for."""
    return author if folder.id == attempt.meant(asked) else SERVICE


def make_folder(attempt: Attempt, request: MakeFolder) -> Verdict:
    """Rules 2, 8 and 9 for folders: a folder that is there already is the one meant; a file keeps its name."""
    draft, author = attempt.draft, attempt.author
    name = clean_name(request.name)
    already = draft.node(request.node)
    if already is not None:
        if already.kind is Kind.FILE:
            raise Refused("not-a-folder", f"{already.name!r} is a file.")
        if not is_live(draft, already):
            raise Refused("gone", f"The folder {already.name!r} has been removed since it was made.")
        return Verdict(Status.UNCHANGED, already.id)
    check_path(attempt, known_folder(attempt, request.parent), name)
    parent = standing_folder(attempt, request.parent)
    taker = attempt.taker(parent.id, name)
    if taker is not None and taker.kind is Kind.FOLDER:
        attempt.take_for(request.node, taker)
        return Verdict(Status.UNCHANGED, taker.id)
    place = Place(parent.id, attempt.free_name(parent.id, name, request.node))
    draft.add_folder(request.node, place, author, placer_in(attempt, parent, request.parent, author))
    return Verdict(Status.APPLIED if place.name == name else Status.CONFLICT, request.node)


def move(attempt: Attempt, request: Move) -> Verdict:
    """Rule 7, and 8 for names: the first of two moves wins; what is gone stays gone; no folder moves into itself."""
    draft = attempt.draft
    name = clean_name(request.name)
    node = draft.node(attempt.meant(request.node))
    if node is None:
        raise Refused("no-such-node", f"There is no node {request.node} in this library.")
    if node.id == draft.library:
        raise Refused("root", "The root of a library cannot be moved.")
    if not is_live(draft, node):
        return _refused(node, "gone", f"{node.name!r} has been removed; it cannot be moved.")
    asked = known_folder(attempt, request.parent)
    if node.place == Place(asked.id, name):
        return Verdict(Status.UNCHANGED, node.id)
    moved_by_this_command = node.placed_seq == draft.seq
    if not moved_by_this_command and place_unseen(node, request.base_seq, attempt.author):
        return _refused(node, "moved-elsewhere", f"Someone else has moved {node.name!r} meanwhile.")
    # What stands in for a dead folder may be the node itself, or lie in it.
    standing, _ = _standing_so_far(attempt, asked)
    if any(folder.id == node.id for folder in (standing, *ancestors(draft, standing))):
        return _refused(node, "cycle", f"{node.name!r} cannot be moved into itself.")
    check_path(attempt, asked, name)
    parent = standing_folder(attempt, request.parent)
    place = Place(parent.id, attempt.free_name(parent.id, name, node.id))
    if place.name == name != node.name:
        node = replace(node, conflict_of="")  # rule 3.6: who names a conflict copy has settled it
    draft.place(node, place, attempt.author, placer_in(attempt, parent, request.parent, attempt.author))
    return Verdict(Status.APPLIED if place.name == name else Status.CONFLICT, node.id)


def _standing_so_far(attempt: Attempt, folder: Node) -> tuple[Node, list[Node]]:
    """The live folder nearest to the one that is meant, and the gone ones from there down that need a stand-in."""
    draft = attempt.draft
    way_up = [folder, *ancestors(draft, folder)]
    removed = [height for height, above in enumerate(way_up) if above.removed]
    gone = way_up[: removed[-1] + 1] if removed else []
    standing = way_up[len(gone)]
    for height, above in enumerate(gone):
        stand_in = _stand_in_of(attempt, above)
        if stand_in is not None:
            standing, gone = stand_in, gone[:height]
            break
    while gone:
        namesake = attempt.taker(standing.id, gone[-1].name)
        if namesake is None or namesake.kind is not Kind.FOLDER:
            break
        standing = namesake
        gone.pop()
    return standing, gone[::-1]


def _stand_in_of(attempt: Attempt, gone: Node) -> Node | None:
    """The live folder that was made in place of a gone one, wherever it is now."""
    for node_id in derived_ids(f"stand-in {gone.id}"):
        made = attempt.draft.node(node_id)
        if made is None or (made.kind is Kind.FOLDER and is_live(attempt.draft, made)):
            return made
    raise AssertionError("unreachable: a library has finitely many nodes")


def _make_stand_in(attempt: Attempt, gone: Node, parent: Node) -> Node:
    draft = attempt.draft
    node_id = attempt.fresh_id(f"stand-in {gone.id}")
    attempt.stand_ins.append(node_id)
    place = Place(parent.id, attempt.free_name(parent.id, gone.name, node_id))
    return draft.add_folder(node_id, place, attempt.author, SERVICE)


def drop_unused_stand_ins(attempt: Attempt, verdicts: Iterable[Verdict]) -> None:
    """What was put into a stand-in may have left it again in the same command: then nobody asked for that folder."""
    draft = attempt.draft
    told = {node_id for verdict in verdicts for node_id in (verdict.node, *verdict.kept)}
    for node_id in reversed(attempt.stand_ins):
        stand_in = draft.known(node_id)
        untouched = stand_in.placer == SERVICE and not stand_in.removed and node_id not in told
        if untouched and not draft.children(node_id):
            draft.forget(stand_in)


def check_path(attempt: Attempt, parent: Node, name: str) -> None:
    """A folder nobody could put anything into is refused; bytes that have landed never are."""
    path = join_path(path_of(attempt.draft, parent), name)
    if len(path.encode()) > MAX_PATH_BYTES:
        raise Refused("path-too-long", f"The path of {name!r} would be longer than {MAX_PATH_BYTES} bytes.")


def _refused(node: Node, reason: str, detail: str) -> Verdict:
    return Verdict(Status.REFUSED, node.id, reason=reason, detail=detail)
