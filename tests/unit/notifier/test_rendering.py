"""What a mail looks like, and that no name can break out of its place."""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser

import pytest
from hypothesis import given, strategies as st

from services.notifier.languages import language
from services.notifier.letters import Letter, Surroundings, people, write_letter
from services.notifier.rendering import Renderer, recipient
from syncline.domain.digests import Happened, Told, arrange
from syncline.domain.errors import Broken, Refused
from syncline.domain.nodes import Author, Kind, Node, Place

LIBRARY, ACCOUNT = "l" * 20, "a" * 20
TOKEN = "k6QyMDI2xEqVpGZpbGW0YWFhYWFhYWFhYWFhYWFhYWFh" * 4
UNSUBSCRIBE = f"https://sync.example.org/v1/unsubscribe?token={TOKEN}"
LINK = f"https://sync.example.org/v1/links/{TOKEN}"
EN = language("en")
RENDERER = Renderer("Syncline <mail@sync.example.org>")
anything = st.text(st.characters(), max_size=60) | st.sampled_from(
    ["a\r\nBcc: eve@example.org", "<script>alert(1)</script>", "{{ 7*7 }}", '"><img src=x>', "\ud800", "\u202egnp.exe"]
)


def told(
    name: str = "a.txt", happened: Happened = Happened.ADDED, *, was: Place | None = None, times: int = 1,
    kind: Kind = Kind.FILE, who: tuple[str, ...] = ("ann",),
) -> Told:  # fmt: skip
    node = Node(f"node {name}", "folder", name, kind, None, 1, 1, 1, False, Author("", "", 0, 0))
    return Told(node, happened, was, who, times, 0)


def letter_of(
    *tolds: Told,
    library: str = "Photos",
    ann: str = "Ann",
    folder: str = "Trip",
    cut: bool = False,
    spoken: str = "en",
) -> Letter:
    known = Surroundings(
        library=library,
        people={"ann": ann},
        folders={"folder": folder, "other": ""},
        links={t.node.id: LINK for t in tolds},
        unsubscribe=UNSUBSCRIBE,
        language=language(spoken),
        cut=cut,
    )
    return write_letter(arrange(tolds), known)


def mail(letter: Letter, *, to_name: str = "Bob", to: str = "bob@example.org") -> EmailMessage:
    """The message as it arrives."""
    made = RENDERER.message(letter, to_name=to_name, to=to, library=LIBRARY, account=ACCOUNT, first=7, now_ms=0)
    return message_from_bytes(made.as_bytes(policy=policy.SMTP), policy=policy.default)


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def parsed(html: str) -> _Tags:
    tags = _Tags()
    tags.feed(html)
    return tags


PLAIN_TAGS = parsed(RENDERER.html(letter_of(told()))).tags
HEADERS = sorted(mail(letter_of(told())).keys())


def test_a_mail_says_who_what_where_and_how_many() -> None:
    letter = letter_of(
        told("new.txt"),
        told("edited.txt", Happened.UPDATED, times=3),
        told("moved.txt", Happened.MOVED, was=Place("other", "moved.txt")),
        told("renamed.txt", Happened.MOVED, was=Place("folder", "old name.txt")),
        told("old.txt", Happened.REMOVED),
        told("empty", kind=Kind.FOLDER),
    )
    assert letter.subject == "Photos: 6 changes by Ann"
    text = RENDERER.text(letter)
    assert text.startswith("Photos\n6 changes by Ann\n\nAnn added 1 file and 1 folder:\n")
    assert "  - new.txt in Trip\n    https://" in text
    assert "  - empty/ in Trip\n" in text
    assert "  - edited.txt in Trip (3 times)\n" in text
    assert "  - moved.txt in Trip (was in the top folder)\n" in text
    assert "  - renamed.txt in Trip (was called old name.txt)\n" in text
    assert "Ann removed 1 file:\n  - old.txt in Trip\n\n" in text
    html = " ".join(" ".join(parsed(RENDERER.html(letter)).words).split())
    for words in ("Ann added 1 file and 1 folder", "renamed.txt", "was called old name.txt", "in Trip"):
        assert words in html


def test_one_change_is_not_some_changes() -> None:
    assert letter_of(told()).subject == "Photos: 1 change by Ann"
    assert letter_of(told(), told("b"), cut=True).subject == "Photos: more than 2 changes by Ann"


def test_people_are_named_up_to_three() -> None:
    names = {c: c.upper() for c in "abcde"}
    assert [people(tuple("abcde"[:n]), names, EN) for n in range(1, 6)] == [
        "A", "A and B", "A, B and C", "A, B, C and 1 other", "A, B, C and 2 others",
    ]  # fmt: skip
    assert people(("nobody",), {}, EN) == "somebody"


def test_html_works_in_light_and_dark_and_loads_nothing() -> None:
    html = RENDERER.html(letter_of(told()))
    assert "prefers-color-scheme: dark" in html
    assert '<meta name="viewport" content="width=device-width' in html
    tags = parsed(html)
    assert not {"img", "script", "link", "iframe", "object"} & set(tags.tags)
    assert not re.search(r"url\(|@import|src=", html)
    assert {value for name, value in tags.attributes if name == "href"} == {LINK, UNSUBSCRIBE}


def test_the_unsubscribe_address_stays_whole_on_the_wire() -> None:
    made = RENDERER.message(
        letter_of(told()), to_name="Bob", to="bob@example.org", library=LIBRARY, account=ACCOUNT, first=7, now_ms=0
    )
    wire = made.as_bytes(policy=policy.SMTP)
    assert f"\r\nList-Unsubscribe: <{UNSUBSCRIBE}>\r\n".encode() in wire
    assert f"\r\nMessage-ID: <7.{LIBRARY}.{ACCOUNT}@sync.example.org>\r\n".encode() in wire


@given(library=anything, ann=anything, folder=anything, name=anything, to_name=anything)
def test_no_name_breaks_out_of_its_place(library: str, ann: str, folder: str, name: str, to_name: str) -> None:
    letter = letter_of(
        told(name), told("x", Happened.MOVED, was=Place("folder", name)), library=library, ann=ann, folder=folder
    )
    arrived = mail(letter, to_name=to_name)
    assert sorted(arrived.keys()) == HEADERS
    assert [address.addr_spec for address in arrived["To"].addresses] == ["bob@example.org"]
    assert " ".join(arrived["Subject"].split()) == " ".join(letter.subject.split())
    html = body(arrived, "html")
    tags = parsed(html)
    assert set(tags.tags) == set(PLAIN_TAGS)
    assert all(not name.startswith("on") for name, _ in tags.attributes)
    assert {value for name, value in tags.attributes if name == "href"} <= {LINK, UNSUBSCRIBE}
    text = body(arrived, "plain")
    assert sum(line.startswith("  - ") for line in text.splitlines()) == 2


@pytest.mark.parametrize("address", ["a,b@example.org", "<@example.org", "é@example.org", "a@", "a@b..c", 'a"b@c.org'])
def test_an_impossible_address_is_refused(address: str) -> None:
    with pytest.raises(Refused) as refused:
        recipient("Bob", address)
    assert refused.value.kind == "mail-rejected"


def test_a_domain_in_other_letters_goes_out_in_ascii() -> None:
    assert recipient("Bob", "bob@exämple.org").addr_spec == "bob@xn--exmple-cua.org"


@pytest.mark.parametrize("mail_from", ["", "nobody", "Syncline <>", "a@"])
def test_a_sender_that_is_no_address_is_a_wrong_configuration(mail_from: str) -> None:
    with pytest.raises(Broken):
        Renderer(mail_from)
