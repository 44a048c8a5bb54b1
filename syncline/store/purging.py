"""What giving up takes: the versions of files that were not given up yet, as requests for one command (rule 13)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import NamedTuple

from syncline.domain.commands import MAX_REQUESTS, Purge
from syncline.domain.facts import VersionRecord
from syncline.domain.nodes import Kind, Node, Version
from syncline.store.snapshot import Snapshot
from syncline.store.subtrees import Whereabouts, below
from syncline.store.together import together
from syncline.store.trash import Trash

VERSIONS_AT_ONCE = 100
FILES_AT_ONCE = 100
READS_AT_ONCE = 16
NODES_IN_TRASH_AT_ONCE = 20_000
VERSIONS_PER_COMMAND_MAX = 5_000
"""A commit of so many is some 1 MB."""


class Given(NamedTuple):
    """What is to be given up of one node: versions in ``requests``. ``versions`` has their contents."""

    node: Node
    requests: list[Purge]
    versions: list[Version]


async def kept_versions(snapshot: Snapshot, node: Node, *, before: int | None = None, skip: int = 0) -> list[Version]:
    """The versions of a file that were not given up, of commits before ``before``, but the newest ``skip``.

    Newest first. Whatever is older than a whole page that was given up was given up before it.
    """
    found: list[Version] = []
    seen = 0
    while True:
        page, more = await _page(snapshot, node, before)
        versions = [record.version for record in page if record.version is not None]
        gone = await snapshot.purged([version.id for version in versions])
        found += [version for place, version in enumerate(versions, seen) if place >= skip and version.id not in gone]
        if not more or len(gone) == len(versions):
            return found
        seen, before = seen + len(versions), page[-1].seq


def given_up(node: Node, versions: Sequence[Version], removed_seq: int = 0) -> Given:
    """Requests of some versions each, oldest first: what is newer than one that was not given up was not either. A
    removed file's last content goes last, and ``removed_seq`` with it alone: until then the file stays in the trash."""
    last = [version for version in versions if node.version is not None and version.id == node.version.id]
    ordered = [*(version for version in reversed(versions) if version not in last), *last]
    ids = [version.id for version in ordered]
    parts = [tuple(ids[at : at + VERSIONS_AT_ONCE]) for at in range(0, len(ids), VERSIONS_AT_ONCE)]
    requests = [Purge(node.id, part, removed_seq if part is parts[-1] else 0) for part in parts]
    return Given(node, requests, ordered)


async def all_of(snapshot: Snapshot, trash: Trash, top: Node) -> AsyncGenerator[Given, None]:
    """What is left of a removed node, or of one in a removed folder: of every file in it, then of itself, when it is in
    the trash: then it leaves that. Ends with a ``Given`` without requests if there is too much in it to be looked
    through."""
    above = await Whereabouts(snapshot).above(top)
    removed_seq = min(one.seq for one in above if one.removed)
    inside, whole = await below(snapshot, top.id, NODES_IN_TRASH_AT_ONCE) if top.kind is Kind.FOLDER else ([top], True)
    files = [node for node in inside if node.kind is Kind.FILE]

    async def look(node: Node) -> Given:
        return given_up(node, await kept_versions(snapshot, node), removed_seq)

    count = 0
    for at in range(0, len(files), FILES_AT_ONCE):
        for given in await together(files[at : at + FILES_AT_ONCE], look, at_once=READS_AT_ONCE):
            if given.requests:
                count += 1
                yield given
    if not whole:
        yield Given(top, [], [])
    elif top.removed and (top.kind is Kind.FOLDER or not count) and await trash.counts(snapshot, top.id, top.seq):
        yield Given(top, [Purge(top.id, (), removed_seq)], [])


def one_command(requests: Sequence[Purge]) -> list[Purge]:
    """The first of them, as many as one command holds."""
    some: list[Purge] = []
    room = VERSIONS_PER_COMMAND_MAX
    for one in requests[:MAX_REQUESTS]:
        room -= len(one.versions)
        if room < 0:
            break
        some.append(one)
    return some


async def _page(snapshot: Snapshot, node: Node, before: int | None) -> tuple[list[VersionRecord], bool]:
    """Some versions, newest first, and whether there are more. One commit's are not parted, as pages go by seq."""
    page = await snapshot.versions(node.id, before, VERSIONS_AT_ONCE + 1)
    if len(page) <= VERSIONS_AT_ONCE:
        return page, False
    if page[0].seq == page[-1].seq:
        page = await snapshot.versions(node.id, before, MAX_REQUESTS + 1)
        some = [record for record in page if record.seq == page[0].seq]
        return some, len(some) < len(page)
    return [record for record in page if record.seq > page[-1].seq], True
