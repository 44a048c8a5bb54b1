"""What followers are told: rules by example, and what holds for any sequence of changes."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given, strategies as st

from syncline.domain.commits import Change, Commit, Effect
from syncline.domain.digests import (
    RANGES_MAX,
    Happened,
    Told,
    above,
    add_seq,
    arrange,
    concerned,
    fold,
    harmless,
)
from syncline.domain.nodes import Author, Kind, Location, Node, Place, Version

ALICE, BOB, CAROL = "alice", "bob", "carol"
ROOT = "library"


class Scribe:
    """Writes plausible commits: one change each, states that follow from the ones before."""

    def __init__(self) -> None:
        self.seq = 0
        self.nodes: dict[str, Node] = {}
        self.commits: list[Commit] = []

    def add(self, who: str, node: str, parent: str = ROOT, name: str = "", kind: Kind = Kind.FILE) -> Change:
        self.seq += 1
        state = self._state(who, node, parent, name or node, kind, self._version(who), self.seq, self.seq)
        return self._commit(who, Change(Effect.ADDED, state))

    def update(self, who: str, node: str) -> Change:
        self.seq += 1
        old = self.nodes[node]
        state = self._state(who, node, old.parent, old.name, old.kind, self._version(who), old.placed_seq, self.seq)
        return self._commit(who, Change(Effect.UPDATED, state))

    def move(self, who: str, node: str, parent: str, name: str) -> Change:
        self.seq += 1
        old = self.nodes[node]
        state = self._state(who, node, parent, name, old.kind, old.version, self.seq, old.content_seq)
        return self._commit(who, Change(Effect.MOVED, state, was=old.place))

    def remove(self, who: str, node: str) -> Change:
        self.seq += 1
        old = self.nodes[node]
        state = self._state(
            who, node, old.parent, old.name, old.kind, old.version, old.placed_seq, old.content_seq, True
        )
        return self._commit(who, Change(Effect.REMOVED, state, was=old.place))

    def late(self, who: str, node: str) -> Change:
        self.seq += 1
        return self._commit(who, Change(Effect.LATE, self.nodes[node], late=self._version(who)))

    def _version(self, who: str) -> Version:
        where = Location(f"objects/{self.seq}", "s3v", 0, 1)
        return Version(f"v{self.seq}", 1, f"c{self.seq}", where, 0, False, self._author(who))

    def _author(self, who: str) -> Author:
        return Author(who, f"{who}-laptop", self.seq, self.seq * 1000)

    def _state(
        self, who: str, node: str, parent: str, name: str, kind: Kind, version: Version | None,
        placed: int, content: int, removed: bool = False,
    ) -> Node:  # fmt: skip
        content_of = version if kind is Kind.FILE else None
        state = Node(node, parent, name, kind, content_of, self.seq, placed, content, removed, self._author(who))
        self.nodes[node] = state
        return state

    def _commit(self, who: str, change: Change) -> Change:
        self.commits.append(Commit(ROOT, self.seq, f"k{self.seq}", who, f"{who}-laptop", self.seq * 1000, (change,)))
        return change

    def told(self, follower: str = BOB) -> list[Told]:
        return fold(self.commits, follower, lambda _: True)


class One(NamedTuple):
    node: str
    happened: Happened
    accounts: tuple[str, ...]
    times: int


def short(told: list[Told]) -> list[One]:
    return [One(t.node.id, t.happened, t.accounts, t.times) for t in told]


# -- by example -----------------------------------------------------------------------------------------------------


def test_what_others_did_is_told_and_what_oneself_did_is_not() -> None:
    scribe = Scribe()
    scribe.add(ALICE, "hers")
    scribe.add(BOB, "his")
    assert short(scribe.told(BOB)) == [One("hers", Happened.ADDED, (ALICE,), 1)]
    assert short(scribe.told(ALICE)) == [One("his", Happened.ADDED, (BOB,), 1)]


def test_many_edits_are_one_line_with_everyone_who_made_them() -> None:
    scribe = Scribe()
    scribe.add(BOB, "plan")
    for who in (ALICE, BOB, CAROL, ALICE):
        scribe.update(who, "plan")
    assert short(scribe.told()) == [One("plan", Happened.UPDATED, (ALICE, CAROL), 3)]


def test_added_then_edited_is_still_an_addition() -> None:
    scribe = Scribe()
    scribe.add(ALICE, "plan")
    scribe.update(ALICE, "plan")
    (told,) = scribe.told()
    assert (told.happened, told.times) == (Happened.ADDED, 2)
    assert told.node.version == scribe.nodes["plan"].version


def test_what_came_and_went_is_not_told() -> None:
    scribe = Scribe()
    scribe.add(ALICE, "slip")
    scribe.remove(ALICE, "slip")
    assert scribe.told() == []


def test_a_removal_is_told_unless_the_follower_made_it() -> None:
    scribe = Scribe()
    scribe.add(ALICE, "old")
    earlier = len(scribe.commits)
    scribe.update(CAROL, "old")
    scribe.remove(ALICE, "old")
    window = scribe.commits[earlier:]
    assert short(fold(window, BOB, lambda _: True)) == [One("old", Happened.REMOVED, (ALICE,), 1)]
    assert fold(window, ALICE, lambda _: True) == []


def test_a_move_there_and_back_is_not_told() -> None:
    scribe = Scribe()
    scribe.add(BOB, "plan")
    scribe.move(ALICE, "plan", ROOT, "plan-2")
    assert [(t.happened, t.was) for t in scribe.told()] == [(Happened.MOVED, Place(ROOT, "plan"))]
    scribe.move(ALICE, "plan", ROOT, "plan")
    assert scribe.told() == []


def test_edited_and_moved_is_one_line_that_says_both() -> None:
    scribe = Scribe()
    scribe.add(BOB, "plan")
    scribe.move(ALICE, "plan", ROOT, "final")
    scribe.update(ALICE, "plan")
    (told,) = scribe.told()
    assert (told.happened, told.was) == (Happened.UPDATED, Place(ROOT, "plan"))


def test_a_late_arrival_is_not_told() -> None:
    scribe = Scribe()
    scribe.add(BOB, "plan")
    scribe.late(ALICE, "plan")
    assert scribe.told() == []


def test_what_came_back_is_told() -> None:
    scribe = Scribe()
    scribe.add(BOB, "plan")
    scribe.remove(BOB, "plan")
    scribe.add(ALICE, "plan")
    assert [(t.happened, t.accounts) for t in scribe.told()] == [(Happened.UPDATED, (ALICE,))]


def test_a_new_folder_is_said_by_what_is_new_in_it() -> None:
    scribe = Scribe()
    scribe.add(ALICE, "trip", kind=Kind.FOLDER)
    scribe.add(ALICE, "photo", parent="trip")
    scribe.add(ALICE, "empty", kind=Kind.FOLDER)
    assert [t.node.id for t in scribe.told()] == ["photo", "empty"]


def test_who_follows_the_folder_it_left_is_told_of_a_move() -> None:
    scribe = Scribe()
    scribe.add(ALICE, "f", parent="from")
    change = scribe.move(ALICE, "f", "to", "f")
    parents = {"from": ROOT, "to": ROOT, ROOT: ""}
    assert above(change, parents) == {"f", "from", "to", ROOT}
    assert concerned(change, {"from"}, parents)
    assert not concerned(change, {"elsewhere"}, parents)


def test_a_circle_of_parents_ends() -> None:
    scribe = Scribe()
    change = scribe.add(ALICE, "f", parent="x")
    assert above(change, {"x": "y", "y": "x"}) == {"f", "x", "y"}


def test_long_lists_are_folded_and_counted() -> None:
    scribe = Scribe()
    for n in range(57):
        scribe.add(ALICE, f"file-{n:02}")
    digest = arrange(scribe.told())
    (group,) = digest.groups
    assert (len(group.told), group.more, digest.count, digest.more) == (20, 37, 57, 0)
    assert [t.node.name for t in group.told] == [f"file-{n:02}" for n in range(20)]


def test_more_lists_than_fit_are_counted() -> None:
    scribe = Scribe()
    for n in range(30):
        scribe.add(f"person-{n:02}", f"f{n}")
    digest = arrange(scribe.told(), groups=4)
    assert (len(digest.groups), digest.more, digest.count, len(digest.accounts)) == (4, 26, 30, 30)


def test_names_become_harmless() -> None:
    assert harmless("a\r\nBcc: x\x00\x1b[31m\u2028\u202egnp.exe\ud800") == (
        "a\ufffd\ufffdBcc: x\ufffd\ufffd[31m\ufffd\ufffdgnp.exe\ufffd"
    )
    kept = "Grüße 👩\u200d👧 \u0646\u0627\u200c\u0647\u0627.txt"
    assert harmless(kept) == kept


# -- for anything ---------------------------------------------------------------------------------------------------

people = st.sampled_from([ALICE, BOB, CAROL])
steps = st.lists(st.tuples(people, st.sampled_from("auumrl"), st.sampled_from("12345")), max_size=40)


def played(script: list[tuple[str, str, str]]) -> Scribe:
    scribe = Scribe()
    for who, what, node in script:
        state = scribe.nodes.get(node)
        live = state is not None and not state.removed
        if what == "a" and not live:
            scribe.add(who, node)
        elif live and what == "u":
            scribe.update(who, node)
        elif live and what == "m":
            scribe.move(who, node, ROOT, f"n{scribe.seq % 3}")
        elif live and what == "r":
            scribe.remove(who, node)
        elif live and what == "l":
            scribe.late(who, node)
    return scribe


@given(steps, st.integers(0, 10))
def test_each_node_is_told_once_with_its_last_state_and_never_ones_own_doing(
    script: list[tuple[str, str, str]], start: int
) -> None:
    window = played(script).commits[start:]
    told = fold(window, BOB, lambda _: True)
    last = {c.node.id: c.node for commit in window for c in commit.changes}
    by_others = {c.node.id for commit in window if commit.account != BOB for c in commit.changes}
    assert len({t.node.id for t in told}) == len(told)
    for t in told:
        assert t.node == last[t.node.id]
        assert t.node.id in by_others
        assert BOB not in t.accounts
        assert t.accounts
        assert t.times >= len(t.accounts)
        assert (t.happened is Happened.REMOVED) == t.node.removed
        assert t.was != t.node.place


@given(steps, st.integers(0, 10))
def test_a_net_effect_of_others_is_never_kept_quiet(script: list[tuple[str, str, str]], start: int) -> None:
    """Whoever compares before and after finds nothing that others alone did and the digest does not tell."""
    commits = played(script).commits
    window = commits[start:]
    before = {c.node.id: c.node for commit in commits[:start] for c in commit.changes}
    after = before | {c.node.id: c.node for commit in window for c in commit.changes}
    told = {t.node.id for t in fold(window, BOB, lambda _: True)}
    touched_by_bob = {c.node.id for commit in window if commit.account == BOB for c in commit.changes}
    for node, state in after.items():
        old = before.get(node)
        gone_before = old is None or old.removed
        same = old == state or (gone_before and state.removed)
        moved_back = old is not None and old.version == state.version and old.place == state.place
        only_late = old is not None and old.seq == state.seq
        if not (same or moved_back or only_late) and node not in touched_by_bob:
            assert node in told


@given(steps)
def test_every_told_change_is_counted_once(script: list[tuple[str, str, str]]) -> None:
    told = played(script).told()
    digest = arrange(told, lines=2, groups=2)
    assert digest.count == len(told)
    assert sum(g.count for g in digest.groups) + digest.more == digest.count
    assert all(g.count == len(g.told) + g.more and g.more >= 0 for g in digest.groups)
    assert set(digest.accounts) == {account for t in told for account in t.accounts}


@given(st.lists(st.integers(1, 10_000), max_size=200))
def test_ranges_stay_few_and_lose_no_seq(seqs: list[int]) -> None:
    ranges: tuple[tuple[int, int], ...] = ()
    wanted: set[int] = set()
    for seq in seqs:
        if not ranges or seq > ranges[-1][1]:
            wanted.add(seq)
        ranges = add_seq(ranges, seq)
    assert len(ranges) <= RANGES_MAX
    assert all(a <= b for a, b in ranges)
    assert all(ranges[i][1] + 1 < ranges[i + 1][0] for i in range(len(ranges) - 1))
    assert wanted <= {seq for first, last in ranges for seq in range(first, last + 1)}
    if len(wanted) <= RANGES_MAX:
        assert sum(last - first + 1 for first, last in ranges) == len(wanted)


@given(st.text())
def test_a_harmless_name_is_one_line_of_the_same_length(name: str) -> None:
    safe = harmless(name)
    assert len(safe) == len(name)
    assert len(safe.splitlines()) <= 1
    assert safe.encode().decode() == safe
    assert harmless(safe) == safe
