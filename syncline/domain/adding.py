"""Rules of contents: what becomes of bytes that have landed (1 to 5, 9, 11). None of them ever ends nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from syncline.domain.attempt import Attempt, Verdict
from syncline.domain.commands import CopyVersion, Permit
from syncline.domain.commits import Status
from syncline.domain.errors import Broken, Refused
from syncline.domain.facts import VersionRecord, is_live, removal_of
from syncline.domain.nodes import Author, Kind, Location, Node, Place, Version
from syncline.domain.paths import clean_name
from syncline.domain.placing import known_folder, placer_in, standing_folder
from syncline.domain.seeing import SERVICE, came_later, knew, same_bytes, same_content


@dataclass(frozen=True)
class Wish:
    """A version, and where its maker meant it to be (fields as in ``commands.Permit``).

    ``landed``: its bytes came under a permit that may be presented again, so its id must be on record.
    """

    version: Version
    node: str
    new: bool
    parent: str
    name: str
    base_version: str
    landed: bool


def add_version(attempt: Attempt, permit: Permit, landed: Mapping[str, Location | str]) -> Verdict:
    """Bytes landed under a permit. ``landed`` says where, or why they are refused (a slug)."""
    if permit.library != attempt.draft.library:
        raise Refused("permit-other-library", "The permit was issued for another library.")
    record = attempt.draft.version(permit.id)
    if record is not None:
        return _replayed(record, permit.id)
    location = landed.get(permit.id, "not-landed")
    if isinstance(location, str):
        raise Refused(location, f"The bytes of permit {permit.id} cannot become a version: {location}.")
    author = Author(permit.account, permit.device, permit.counter, attempt.author.at_ms)
    return _settle(attempt, _wish(permit, location, author, landed=True))


def copy_version(attempt: Attempt, copy: CopyVersion) -> Verdict:
    """Rule 11: a content that the library holds already, named by its version and checked at head."""
    record = attempt.draft.version(copy.id)
    if record is not None:
        return _replayed(record, copy.id)
    source = attempt.draft.version(copy.source)
    if source is None or source.version is None:
        raise Refused("no-such-version", f"There is no version {copy.source} in this library.")
    if attempt.draft.is_purged(copy.source):
        raise Refused("version-purged", f"The content of version {copy.source} was given up.")
    wish = _wish(copy, source.version.location, attempt.author, landed=False)
    if not same_bytes(source.version, wish.version):
        detail = f"Version {copy.source} has another size or checksum than was said, or is another kind of file."
        raise Refused("source-mismatch", detail)
    return _settle(attempt, wish)


def _wish(asked: Permit | CopyVersion, location: Location, author: Author, *, landed: bool) -> Wish:
    version = Version(
        asked.id, asked.size_bytes, asked.checksum, location, asked.mtime_ns, asked.executable, author, asked.symlink
    )  # fmt: skip
    return Wish(version, asked.node, asked.new, asked.parent, asked.name, asked.base_version, landed)


def _replayed(record: VersionRecord, version_id: str) -> Verdict:
    """Rule 2: a permit makes one version, however often and by whichever road it is presented."""
    if record.withdrawn:
        raise Refused("withdrawn", f"Permit {version_id} was withdrawn by its device.")
    return Verdict(Status.UNCHANGED, record.node, version_id)


def _settle(attempt: Attempt, wish: Wish) -> Verdict:
    node = _meant_file(attempt, wish)
    if node is None:
        if not wish.new and not wish.name:
            raise Refused("no-such-file", f"There is no file {wish.node} in this library.")
        return _place_new(attempt, wish)
    if node.kind is not Kind.FILE:
        raise Refused("not-a-file", f"{node.name!r} is a folder; it has no content.")
    if not is_live(attempt.draft, node):
        return _bring_back(attempt, wish, node)
    return _update(attempt, wish, node)


def _meant_file(attempt: Attempt, wish: Wish) -> Node | None:
    """The file a version is meant for: where its base is, since that may have become a conflict copy unnoticed."""
    base = attempt.draft.version(wish.base_version) if wish.base_version else None
    if base is not None and not base.withdrawn:
        return attempt.draft.node(base.node)
    return attempt.draft.node(attempt.meant(wish.node))


def _update(attempt: Attempt, wish: Wish, node: Node) -> Verdict:
    """Rules 1 to 4: a version for a live file."""
    current, version = _current(node), wish.version
    if same_content(current, version):
        return _same_already(attempt, wish, node)
    if wish.base_version == current.id:
        return _make_current(attempt, wish, node)
    if came_later(current.author, version.author):
        return _make_history(attempt, wish, node)
    if knew(version.author, current.author) or _is_base_content(attempt, wish, current):
        return _make_current(attempt, wish, node)
    if same_bytes(current, version):
        return _same_already(attempt, wish, node)
    # Its maker named the file, not the folder it has come to be in.
    return _make_sibling(attempt, wish, Place(node.parent, node.name), SERVICE, node)


def _place_new(attempt: Attempt, wish: Wish) -> Verdict:
    """Rules 2 to 4, 8 and 9: a new file."""
    name = clean_name(wish.name)
    asked = known_folder(attempt, wish.parent)
    if _gave_up(attempt, wish, asked):
        return _bury(attempt, wish, Place(asked.id, name))
    folder = standing_folder(attempt, wish.parent)
    placer = placer_in(attempt, folder, wish.parent, wish.version.author)
    taker = attempt.taker(folder.id, name)
    if taker is None:
        attempt.draft.add_file(wish.node, Place(folder.id, name), wish.version, placer)
        return Verdict(Status.APPLIED, wish.node, wish.version.id)
    if same_bytes(taker.version, wish.version):
        return _same_already(attempt, wish, taker)
    if taker.version is not None and all(
        came_later(author, wish.version.author) for author in (taker.version.author, taker.placer)
    ):
        return _make_history(attempt, wish, taker)
    return _make_sibling(attempt, wish, Place(folder.id, name), placer, taker)


def _bring_back(attempt: Attempt, wish: Wish, node: Node) -> Verdict:
    """Rules 4, 5 and 9: a version for a file that is gone brings it back, unless its own device came later."""
    draft, version = attempt.draft, wish.version
    if came_later(_current(node).author, version.author) or _gave_up(attempt, wish, node):
        return _make_history(attempt, wish, node)
    folder = standing_folder(attempt, node.parent)
    taker = attempt.taker(folder.id, node.name, node.id)
    if taker is not None and same_bytes(taker.version, version):
        return _same_already(attempt, wish, taker)
    place = Place(folder.id, attempt.free_name(folder.id, node.name, node.id))
    placed = draft.place(node, place, version.author, SERVICE)
    draft.update(placed, version)
    return Verdict(Status.APPLIED if taker is None else Status.CONFLICT, node.id, version.id)


def _gave_up(attempt: Attempt, wish: Wish, node: Node) -> bool:
    """Rule 4: whether what made the node dead was done by the version's own device later on."""
    removal = removal_of(attempt.draft, node)
    return removal is not None and came_later(removal.author, wish.version.author)


def _bury(attempt: Attempt, wish: Wish, place: Place) -> Verdict:
    """Rule 4 for a new file whose folder its device has removed since: it is kept as one that was removed with it."""
    draft = attempt.draft
    folder = draft.known(place.parent)
    removal = removal_of(draft, folder)
    assert removal is not None
    node = draft.add_file(wish.node, place, wish.version, SERVICE)
    draft.remove(node, removal.author)
    return Verdict(Status.LATE, node.id, wish.version.id)


def _make_current(attempt: Attempt, wish: Wish, node: Node) -> Verdict:
    attempt.draft.update(node, wish.version)
    attempt.take_for(wish.node, node)
    return Verdict(Status.APPLIED, node.id, wish.version.id)


def _make_history(attempt: Attempt, wish: Wish, node: Node) -> Verdict:
    """Rule 4: its device has gone on since; it revives nothing."""
    attempt.draft.keep_late(node, wish.version)
    attempt.take_for(wish.node, node)
    return Verdict(Status.LATE, node.id, wish.version.id)


def _same_already(attempt: Attempt, wish: Wish, node: Node) -> Verdict:
    """Rule 2: the same content is there. A permit's id is still put on record, with the file's history.

    Otherwise the same permit, presented again after the file had been changed, would pass for something new.
    """
    if wish.landed:
        attempt.draft.keep_late(node, wish.version)
    attempt.take_for(wish.node, node)
    return Verdict(Status.UNCHANGED, node.id, _current(node).id)


def _make_sibling(attempt: Attempt, wish: Wish, place: Place, placer: Author, lost_to: Node) -> Verdict:
    """Rule 3: the bytes are kept beside what was there first."""
    draft, version = attempt.draft, wish.version
    node_id = wish.node if draft.node(wish.node) is None else attempt.fresh_id(f"conflict {version.id}")
    for name in attempt.conflict_names(place.name, version.id):
        taker = attempt.taker(place.parent, name)
        if taker is None:
            draft.add_file(node_id, Place(place.parent, name), version, placer, conflict_of=lost_to.id)
            return Verdict(Status.CONFLICT, node_id, version.id)
        if same_bytes(taker.version, version):
            return _same_already(attempt, wish, taker)
    raise Broken(f"No conflict name for {place.name!r} is free in folder {place.parent}.")


def _is_base_content(attempt: Attempt, wish: Wish, current: Version) -> bool:
    """Whether the device edited the very content that is current, though under another version's id."""
    base = attempt.draft.version(wish.base_version) if wish.base_version else None
    return base is not None and same_content(base.version, current)


def _current(node: Node) -> Version:
    assert node.version is not None
    return node.version
