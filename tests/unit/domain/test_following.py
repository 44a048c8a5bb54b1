"""Of all follows above a change, a follower's nearest one decides."""

from __future__ import annotations

from syncline.domain.commits import Change, Commit, Effect
from syncline.domain.digests import Happened, Told
from syncline.domain.following import Scope, news_of
from syncline.domain.nodes import Author, Kind, Node, Place
from syncline.domain.preferences import DEFAULT, Every, Terms, Wishes, settle

ROOT = "library"
PARENTS = {ROOT: "", "a": ROOT, "b": "a", "other": ROOT}
HOURLY = settle([Wishes(window=Every.HOURLY)])
ONLY_REMOVED = settle([Wishes(kinds=frozenset({Happened.REMOVED}))])


def node(id: str, parent: str, kind: Kind = Kind.FILE, content_seq: int = 1) -> Node:
    return Node(id, parent, id, kind, None, 1, 1, content_seq, False, Author("", "", 0, 0))


def commit(*changes: Change, by: str = "author") -> Commit:
    return Commit(ROOT, 7, "command", by, "device", 0, changes)


def added(id: str, parent: str) -> Change:
    return Change(Effect.ADDED, node(id, parent))


def moved(id: str, parent: str, before: str) -> Change:
    return Change(Effect.MOVED, node(id, parent), was=Place(before, id))


def heard(commit: Commit, following: dict[str, dict[str, Terms]]) -> dict[tuple[str, str], bool]:
    return {key: news.opens for key, news in news_of(commit, following, PARENTS).items()}


def test_followers_of_the_root_of_folders_above_and_of_the_node_hear_of_it_but_not_its_author() -> None:
    following = {
        ROOT: {"r": DEFAULT},
        "a": {"x": DEFAULT},
        "f": {"y": DEFAULT, "author": DEFAULT},
        "other": {"z": DEFAULT},
    }
    assert heard(commit(added("f", "b")), following) == {("r", ""): True, ("x", ""): True, ("y", ""): True}


def test_the_root_s_followers_hear_even_where_no_folder_is_known() -> None:
    assert news_of(commit(added("f", "unknown")), {ROOT: {"r": DEFAULT}}, {}).keys() == {("r", "")}


def test_the_nearest_follow_decides() -> None:
    following = {ROOT: {"x": HOURLY}, "b": {"x": DEFAULT}}
    assert heard(commit(added("f", "b")), following) == {("x", ""): True}
    assert heard(commit(added("f", "a")), following) == {("x", "hourly"): True}
    both = commit(added("f", "b"), added("g", "a"))
    assert heard(both, following) == {("x", ""): True, ("x", "hourly"): True}


def test_a_move_between_two_followed_places_is_heard_in_both() -> None:
    following = {"a": {"x": DEFAULT}, "other": {"x": HOURLY}}
    assert heard(commit(moved("f", "a", "other")), following) == {("x", ""): True, ("x", "hourly"): True}


def test_what_is_not_asked_for_opens_nothing() -> None:
    following = {ROOT: {"x": ONLY_REMOVED}}
    assert heard(commit(added("f", "a")), following) == {("x", ""): False}
    gone = Change(Effect.REMOVED, node("g", "a"))
    assert heard(commit(added("f", "a"), gone), following) == {("x", ""): True}
    assert heard(commit(added("f", "a"), gone, by="x"), following) == {}


def test_a_late_version_is_no_news() -> None:
    assert heard(commit(Change(Effect.LATE, node("f", "a"))), {ROOT: {"x": DEFAULT}}) == {}


def test_a_moved_file_with_new_content_is_changed_too() -> None:
    updated = settle([Wishes(kinds=frozenset({Happened.UPDATED}))])
    renewed = Change(Effect.MOVED, node("f", "a", content_seq=7), was=Place("b", "f"))
    assert heard(commit(renewed), {ROOT: {"x": updated}}) == {("x", ""): True}
    assert heard(commit(moved("f", "a", "b")), {ROOT: {"x": updated}}) == {("x", ""): False}


def told(happened: Happened, parent: str, was: Place | None = None) -> Told:
    return Told(node("f", parent), happened, was, ("author",), 1, 0)


def test_a_mail_is_for_the_follows_it_counts_only() -> None:
    scope = Scope(ROOT, {ROOT: HOURLY, "b": DEFAULT}, frozenset({ROOT}))
    assert scope.concerns(added("f", "a"), PARENTS)
    assert not scope.concerns(added("f", "b"), PARENTS)
    assert scope.concerns(moved("f", "b", "a"), PARENTS)
    assert not scope.wants_everything


def test_kinds_are_those_of_the_deciding_follow() -> None:
    scope = Scope(ROOT, {ROOT: DEFAULT, "b": ONLY_REMOVED}, frozenset({ROOT, "b"}))
    assert scope.wants(told(Happened.ADDED, "a"), PARENTS)
    assert not scope.wants(told(Happened.ADDED, "b"), PARENTS)
    assert scope.wants(told(Happened.REMOVED, "b"), PARENTS)
    assert scope.wants(told(Happened.MOVED, "b", Place("a", "f")), PARENTS)


def test_who_follows_the_root_and_all_kinds_wants_everything() -> None:
    assert Scope(ROOT, {ROOT: HOURLY}, frozenset({ROOT})).wants_everything
    assert not Scope(ROOT, {ROOT: ONLY_REMOVED}, frozenset({ROOT})).wants_everything
    assert not Scope(ROOT, {"a": DEFAULT}, frozenset({"a"})).wants_everything
