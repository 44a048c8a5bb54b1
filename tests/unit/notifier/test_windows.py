"""A mailbox's states: every seq is told once, in order, whatever happens between."""

from __future__ import annotations

import msgspec
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.notifier.windows import LEASE_MS, Mailbox, Window, claim, done, holds, put_off, tell

WINDOW_MS = 120_000


class Life(RuleBasedStateMachine):
    """One mailbox, tellers that repeat themselves, and senders that may die at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.box = Mailbox("library", "account")
        self.now_ms = 1_000_000
        self.head = 0
        self.mine: list[Mailbox] = []  # what senders believe they hold, dead ones' too
        self.sent: list[Window] = []
        self.done: set[int] = set()

    @rule(new=st.integers(1, 5), again=st.integers(0, 5))
    def commits_are_told(self, new: int, again: int) -> None:
        start = max(1, self.head + 1 - again)
        self.head += new
        self.box = tell(self.box, range(start, self.head + 1), now_ms=self.now_ms, due_at_ms=self.now_ms + WINDOW_MS)

    @rule(passed_ms=st.integers(1, 200_000))
    def time_passes(self, passed_ms: int) -> None:
        self.now_ms += passed_ms

    @precondition(lambda self: self.box.windows)
    @rule(data=st.data())
    def a_sender_tries_to_claim(self, data: st.DataObject) -> None:
        window = data.draw(st.sampled_from(self.box.windows))
        claimed = claim(self.box, window.first, now_ms=self.now_ms)
        if claimed is not None:
            assert window.due_at_ms <= self.now_ms
            assert not any(holds(self.box, mine) and self.box.lease_until_ms > self.now_ms for mine in self.mine)
            self.box = claimed
            self.mine.append(claimed)

    @precondition(lambda self: self.mine)
    @rule(data=st.data(), sent=st.booleans())
    def a_sender_ends(self, data: st.DataObject, sent: bool) -> None:
        mine = data.draw(st.sampled_from(self.mine))
        self.mine.remove(mine)
        if not holds(self.box, mine):
            return  # too late: the lease was over and another took it
        assert mine.sending is not None
        if sent:
            self.sent.append(mine.sending)
            self.box = done(self.box)
        else:
            self.box = put_off(self.box, self.now_ms + 30_000)

    @precondition(lambda self: self.mine)
    @rule(data=st.data())
    def a_sender_dies(self, data: st.DataObject) -> None:
        self.mine.remove(data.draw(st.sampled_from(self.mine)))

    @invariant()
    def every_seq_is_in_exactly_one_place(self) -> None:
        places = [*self.sent, *self.box.windows]
        seqs = [seq for window in places for first, last in window.ranges for seq in range(first, last + 1)]
        assert seqs == list(range(1, self.head + 1))

    @invariant()
    def the_wire_keeps_it(self) -> None:
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(self.box), type=Mailbox) == self.box


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def told(*seqs: int) -> Mailbox:
    return tell(Mailbox("library", "account"), seqs, now_ms=0, due_at_ms=WINDOW_MS)


def test_what_was_told_is_not_told_again() -> None:
    box = told(3, 4)
    assert tell(box, [1, 3, 4], now_ms=5, due_at_ms=5 + WINDOW_MS) == box


def test_more_news_does_not_put_the_mail_off() -> None:
    box = tell(told(1), [2], now_ms=WINDOW_MS - 1, due_at_ms=2 * WINDOW_MS)
    assert box.open is not None
    assert (box.open.due_at_ms, box.open.ranges) == (WINDOW_MS, ((1, 2),))


def test_a_claim_holds_until_its_lease_is_over() -> None:
    claimed = claim(told(1), 1, now_ms=WINDOW_MS)
    assert claimed is not None
    assert claim(claimed, 1, now_ms=WINDOW_MS + LEASE_MS - 1) is None
    again = claim(claimed, 1, now_ms=WINDOW_MS + LEASE_MS)
    assert again is not None
    assert again.attempts == 2
    assert not holds(again, claimed)


def test_a_window_is_not_claimed_before_it_is_due_nor_under_another_name() -> None:
    assert claim(told(1), 1, now_ms=WINDOW_MS - 1) is None
    assert claim(told(1), 2, now_ms=WINDOW_MS) is None
    assert claim(Mailbox("library", "account"), 1, now_ms=WINDOW_MS) is None
