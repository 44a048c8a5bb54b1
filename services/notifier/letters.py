"""Letters: what a mail says, in words of the reader's language, before it is laid out as text and HTML. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from services.notifier.languages import Language
from syncline.domain.capabilities import FILE_LINK_LIFE_S
from syncline.domain.digests import LINES_SHOWN, Digest, Group, Happened, Told, harmless
from syncline.domain.membership import Membership, MembersTold
from syncline.domain.nodes import Kind
from syncline.domain.rights import Role

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
    members: MembersTold = MembersTold()
    outside: bool = False
    ends_at_ms: int = 0
    renew: str = ""


def write_letter(digest: Digest, known: Surroundings) -> Letter:
    """The letter of a digest. ``known.cut``: there was more than could be read, so numbers are "more than"."""
    say, count = known.language.say, known.language.count
    library = harmless(known.library)
    changes = count("changes-cut" if known.cut else "changes", digest.count + len(known.members.told))
    accounts = list(dict.fromkeys([*digest.accounts, *known.members.by]))
    who = people(accounts or [""], known.people, known.language)
    return Letter(
        language=known.language.code,
        title=library,
        subject=say("subject", library=library, changes=changes, who=who),
        summary=say("summary", changes=changes, who=who),
        sections=(*(_section(group, known) for group in digest.groups), *_members(known)),
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


def _members(known: Surroundings) -> tuple[Section, ...]:
    """Last: most mail is about files."""
    told = known.members.told
    if not told:
        return ()
    more = len(told) - LINES_SHOWN
    say, number = known.language.say, known.language.number
    lines = tuple(_member(one, known) for one in told[:LINES_SHOWN])
    return (Section(say("members"), lines, say("more", count=number(more)) if more > 0 else ""),)


def _member(one: Membership, known: Surroundings) -> Line:
    say = known.language.say
    group = harmless(known.members.groups.get(one.group) or say("some-group"))
    if one.account:
        name, through = harmless(known.people.get(one.account) or say("somebody")), bool(one.group)
    else:
        name, through = say("the-group", group=group), False
    roles = {"role": _role(one.after, known), "before": _role(one.before, known), "group": group}
    notes = [say(_became(one, through=through), **roles)]
    if by := [account for account in one.by if account and account != one.account]:
        notes.append(say("member-by", who=people(by, known.people, known.language)))
    return Line(name, "", "; ".join(notes), "")


def _became(one: Membership, *, through: bool) -> str:
    if through:
        return "member-left-group" if one.after is None else "member-in-group"
    if one.after is None:
        return "member-gone"
    return "member-new" if one.before is None else "member-role"


def _role(role: Role | None, known: Surroundings) -> str:
    return known.language.say(f"role-{role.value}") if role else ""


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
