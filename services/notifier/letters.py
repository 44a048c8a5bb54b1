"""Letters: what a mail says, in words, before it is laid out as text and HTML. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from syncline.domain.digests import Digest, Group, Happened, Told, harmless
from syncline.domain.nodes import Kind

PEOPLE_NAMED = 3
"""More people than this are named as "and 2 others"."""

_DONE = {
    Happened.ADDED: "added",
    Happened.UPDATED: "changed",
    Happened.MOVED: "moved",
    Happened.REMOVED: "removed",
}


class Line(msgspec.Struct, frozen=True):
    """One file or folder: its name, the folder it is in ("" for the top), what else to say, a link or ""."""

    name: str
    where: str
    note: str
    link: str


class Section(msgspec.Struct, frozen=True):
    """``heading`` says who did what to how many; ``more`` are not shown."""

    heading: str
    lines: tuple[Line, ...]
    more: int


class Letter(msgspec.Struct, frozen=True):
    """One mail. Every name in it is one harmless line."""

    library: str
    subject: str
    summary: str
    sections: tuple[Section, ...]
    more: int
    unsubscribe: str
    recipient: str


class Surroundings(msgspec.Struct, frozen=True):
    """What a digest alone does not know: names of people, paths of folders, links of files that are still there."""

    library: str
    recipient: str
    people: Mapping[str, str]
    folders: Mapping[str, str]
    links: Mapping[str, str]
    unsubscribe: str
    cut: bool = False


def write_letter(digest: Digest, known: Surroundings) -> Letter:
    """The letter of a digest. ``known.cut``: there was more than could be read, so numbers are "more than"."""
    library = harmless(known.library)
    number = f"{'more than ' if known.cut else ''}{digest.count:,}"
    changes = f"{number} {_plural(digest.count, 'change')}"
    who = people(digest.accounts, known.people)
    return Letter(
        library=library,
        subject=f"{library}: {changes} by {who}",
        summary=f"{changes} by {who}",
        sections=tuple(_section(group, known) for group in digest.groups),
        more=digest.more,
        unsubscribe=known.unsubscribe,
        recipient=harmless(known.recipient),
    )


def people(accounts: Sequence[str], names: Mapping[str, str]) -> str:
    """``Ann``, ``Ann and Bob``, ``Ann, Bob and Cy``, ``Ann, Bob, Cy and 4 others``."""
    named = [harmless(names.get(account) or "somebody") for account in accounts[:PEOPLE_NAMED]]
    others = len(accounts) - len(named)
    if others:
        named.append(f"{others} {_plural(others, 'other')}")
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"


def _section(group: Group, known: Surroundings) -> Section:
    counts = [(group.files, "file"), (group.folders, "folder")]
    what = " and ".join(f"{count:,} {_plural(count, noun)}" for count, noun in counts if count)
    heading = f"{people(group.accounts, known.people)} {_DONE[group.happened]} {what}"
    return Section(heading, tuple(_line(told, known) for told in group.told), group.more)


def _line(told: Told, known: Surroundings) -> Line:
    node = told.node
    return Line(
        name=harmless(node.name) + ("/" if node.kind is Kind.FOLDER else ""),
        where=harmless(known.folders.get(node.parent, "")),
        note=_note(told, known),
        link="" if told.happened is Happened.REMOVED else known.links.get(node.id, ""),
    )


def _note(told: Told, known: Surroundings) -> str:
    notes = []
    if told.happened is Happened.UPDATED and told.times > 1:
        notes.append(f"{told.times:,} times")
    if told.was is not None:
        if told.was.parent == told.node.parent:
            notes.append(f"was called {harmless(told.was.name)}")
        else:
            notes.append(f"was in {harmless(known.folders.get(told.was.parent, '')) or 'the top folder'}")
    if told.node.conflict_of:
        notes.append("kept beside another version: both were edited at once")
    return "; ".join(notes)


def _plural(count: int, noun: str) -> str:
    return noun if count == 1 else f"{noun}s"
