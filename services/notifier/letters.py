"""Letters: what a mail says, in words of the reader's language, before it is laid out as text and HTML. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from services.notifier.languages import Language
from syncline.domain.capabilities import FILE_LINK_LIFE_S
from syncline.domain.digests import Digest, Group, Happened, Told, harmless
from syncline.domain.nodes import Kind

PEOPLE_NAMED = 3
"""More people than this are named as "and 2 others"."""
DAY_S = 24 * 3600


class Line(msgspec.Struct, frozen=True):
    """One file or folder: its name, where it is ("" for the top), what else to say, a link or ""."""

    name: str
    where: str
    note: str
    link: str


class Section(msgspec.Struct, frozen=True):
    """``heading`` says who did what to how many; ``more`` what is not shown, "" when all is."""

    heading: str
    lines: tuple[Line, ...]
    more: str


class Letter(msgspec.Struct, frozen=True):
    """One mail about what happened. Every name in it is one harmless line; "" is left out."""

    language: str
    title: str
    subject: str
    summary: str
    sections: tuple[Section, ...]
    more: str
    foot: tuple[str, ...]
    renew_label: str
    renew: str
    unsubscribe_label: str
    unsubscribe: str


class Surroundings(msgspec.Struct, frozen=True):
    """What a digest alone does not know: names of people, paths of folders, links of files that are still there.

    A folder that is not in ``folders`` is none of the reader's business. ``ends_at_ms``: when mail to an outside
    follower ends (0: it does not); ``renew`` is then a link that puts the end off, or "".
    """

    library: str
    people: Mapping[str, str]
    folders: Mapping[str, str]
    links: Mapping[str, str]
    unsubscribe: str
    language: Language
    cut: bool = False
    outside: bool = False
    ends_at_ms: int = 0
    renew: str = ""


def write_letter(digest: Digest, known: Surroundings) -> Letter:
    """The letter of a digest. ``known.cut``: there was more than could be read, so numbers are "more than"."""
    say, count = known.language.say, known.language.count
    library = harmless(known.library)
    changes = count("changes-cut" if known.cut else "changes", digest.count)
    who = people(digest.accounts, known.people, known.language)
    return Letter(
        language=known.language.code,
        title=library,
        subject=say("subject", library=library, changes=changes, who=who),
        summary=say("summary", changes=changes, who=who),
        sections=tuple(_section(group, known) for group in digest.groups),
        more=count("more-changes", digest.more) if digest.more else "",
        foot=_foot(library, known),
        renew_label=say("renew"),
        renew=known.renew,
        unsubscribe_label=say("unsubscribe", library=library),
        unsubscribe=known.unsubscribe,
    )


def people(accounts: Sequence[str], names: Mapping[str, str], language: Language) -> str:
    """``Ann``, ``Ann and Bob``, ``Ann, Bob and Cy``, ``Ann, Bob, Cy and 4 others``."""
    named = [harmless(names.get(account) or language.say("somebody")) for account in accounts[:PEOPLE_NAMED]]
    others = len(accounts) - len(named)
    return language.list([*named, language.count("others", others)] if others else named)


def _foot(library: str, known: Surroundings) -> tuple[str, ...]:
    say = known.language.say
    foot = [say("why-outside" if known.outside else "why", library=library)]
    if known.links:
        foot.append(known.language.count("link-days", FILE_LINK_LIFE_S // DAY_S))
    if known.ends_at_ms:
        foot.append(say("ends", date=known.language.date(known.ends_at_ms)))
    return tuple(foot)


def _section(group: Group, known: Surroundings) -> Section:
    language = known.language
    counts = [("files", group.files), ("folders", group.folders)]
    what = language.list([language.count(noun, n) for noun, n in counts if n])
    who = people(group.accounts, known.people, language)
    heading = language.count(group.happened.value, len(group.accounts), who=who, what=what)
    return Section(heading, tuple(_line(told, known) for told in group.told), _more(group, known))


def _more(group: Group, known: Surroundings) -> str:
    if not group.more:
        return ""
    language = known.language
    places = [
        language.say("count-in", count=language.number(n), folder=harmless(path))
        if path
        else language.say("count-in-top", count=language.number(n))
        for parent, n in group.elsewhere
        if (path := known.folders.get(parent)) is not None
    ]
    more = language.number(group.more)
    # That everything else is in one place is said by the lines above it.
    if len(places) < 2:
        return language.say("more", count=more)
    return language.say("more-in", count=more, places=", ".join(places))


def _line(told: Told, known: Surroundings) -> Line:
    node = told.node
    path = known.folders.get(node.parent)
    # What a file is called where the reader may not look is not told either.
    name = told.was.name if path is None and told.was is not None else node.name
    return Line(
        name=harmless(name) + ("/" if node.kind is Kind.FOLDER else ""),
        where=known.language.say("where", folder=harmless(path)) if path else "",
        note="; ".join(_notes(told, known)),
        link="" if told.happened is Happened.REMOVED else known.links.get(node.id, ""),
    )


def _notes(told: Told, known: Surroundings) -> list[str]:
    notes = []
    if told.happened is Happened.UPDATED and told.times > 1:
        notes.append(known.language.count("times", told.times))
    if told.was is not None:
        notes.append(_came_from(told, known))
    if told.node.conflict_of:
        notes.append(known.language.say("kept-beside"))
    return notes


def _came_from(told: Told, known: Surroundings) -> str:
    say = known.language.say
    assert told.was is not None
    if told.was.parent == told.node.parent:
        return say("was-called", name=harmless(told.was.name))
    if told.node.parent not in known.folders:
        return say("went-elsewhere")
    if told.was.parent not in known.folders:
        return say("came-from-elsewhere")
    before = known.folders[told.was.parent]
    return say("was-in", folder=harmless(before)) if before else say("was-in-top")
