"""Windows: what a follower will be told of, gathered until it is due, and who is sending it.

One mailbox per follower, library and lane (the schedule of their follows). Its life, every arrow a function below::

    (none) ──tell──► open ──claim──► sending ──done──► (none)
                     │  ▲               │ ▲
                     └──┘ tell          └─┘ put_off, claim again when the lease is over

While one window is being sent, ``tell`` opens another; that one is claimed when the first is done. ``told`` is the
highest seq that ever went into a window, so reading the journal again tells nobody twice; ``members_told`` is the same
for the epochs of the library's members. Seqs are those of the journal's ``incarnation``; ``rebuilt`` brings a mailbox
to another one, whose epochs are above all of the one before.

A sender that dies between claiming and sending leaves ``sending`` with a lease; when the lease is over, another one
claims it. One that dies after SES took the mail and before ``done`` leaves a mail that goes out twice: SES has no key
for sending once, so between "perhaps never" and "perhaps twice" we choose the latter.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from syncline.domain.digests import SeqRange, add_seq, cut_ranges

NEVER = 2**63
"""Above every seq: nothing told is worth opening a window."""

LEASE_MS = 90_000
"""How long a claim holds; rendering and sending one mail are given less (``sending.SEND_S_MAX``)."""


class Window(msgspec.Struct, frozen=True, array_like=True):
    """Seq ranges and ranges of the members' epochs to tell of at ``due_at_ms``. ``first`` is the seq that opened it, or
    an epoch below zero, and its name."""

    first: int
    ranges: tuple[SeqRange, ...]
    opened_at_ms: int
    due_at_ms: int
    members: tuple[SeqRange, ...] = ()


class Mailbox(msgspec.Struct, frozen=True, array_like=True):
    """What there is to tell one follower about one library. ``attempts`` counts claims of ``sending``.

    ``account`` is the follower: an account or an outside follower. ``lane``: ``syncline.domain.preferences.Terms``.
    """

    library: str
    account: str
    told: int = 0
    open: Window | None = None
    sending: Window | None = None
    lease_until_ms: int = 0
    attempts: int = 0
    lane: str = ""
    members_told: int = 0
    incarnation: str = ""

    @property
    def windows(self) -> tuple[Window, ...]:
        return tuple(window for window in (self.sending, self.open) if window is not None)


def tell(box: Mailbox, seqs: Sequence[int], *, now_ms: int, due_at_ms: int, opens_from: int = 0) -> Mailbox:
    """Put new seqs (ascending) into the open window, opening one until ``due_at_ms`` if there is none.

    ``opens_from``: what came before this seq is of no kind the follower asked for, and opens no window.
    """
    new = [seq for seq in seqs if seq > box.told and (box.open is not None or seq >= opens_from)]
    if not new:
        return box
    window = box.open or Window(new[0], (), now_ms, due_at_ms)
    ranges = window.ranges
    for seq in new:
        ranges = add_seq(ranges, seq)
    return msgspec.structs.replace(box, told=new[-1], open=msgspec.structs.replace(window, ranges=ranges))


def tell_members(box: Mailbox, epochs: Sequence[int], *, now_ms: int, due_at_ms: int, opens_from: int) -> Mailbox:
    """As ``tell``, with epochs of the library's members."""
    new = [epoch for epoch in epochs if epoch > box.members_told and (box.open is not None or epoch >= opens_from)]
    if not new:
        return box
    window = box.open or Window(-new[0], (), now_ms, due_at_ms)
    members = window.members
    for epoch in new:
        members = add_seq(members, epoch)
    return msgspec.structs.replace(box, members_told=new[-1], open=msgspec.structs.replace(window, members=members))


def rebuilt(box: Mailbox, incarnation: str, kept: int) -> Mailbox:
    """The journal was made again as ``incarnation``, with what the old one had up to ``kept``.

    Only that is told of. A window in hand stays there, if with nothing in it: its sender sees.
    """
    opened, sending = cut(box.open, kept), cut(box.sending, kept)
    return msgspec.structs.replace(
        box,
        told=min(box.told, kept),
        open=opened if opened is not None and (opened.ranges or opened.members) else None,
        sending=sending,
        incarnation=incarnation,
    )


def cut(window: Window | None, upto: int) -> Window | None:
    """The window without what is above ``upto``."""
    return None if window is None else msgspec.structs.replace(window, ranges=cut_ranges(window.ranges, upto))


def claim(box: Mailbox, first: int, *, now_ms: int) -> Mailbox | None:
    """Take the window ``first`` to send it; None when it is not to be had: not due, in other hands, or sent."""
    lease_until_ms = now_ms + LEASE_MS
    if box.sending is not None:
        if box.sending.first != first or box.sending.due_at_ms > now_ms or box.lease_until_ms > now_ms:
            return None
        return msgspec.structs.replace(box, lease_until_ms=lease_until_ms, attempts=box.attempts + 1)
    if box.open is None or box.open.first != first or box.open.due_at_ms > now_ms:
        return None
    return msgspec.structs.replace(box, open=None, sending=box.open, lease_until_ms=lease_until_ms, attempts=1)


def holds(box: Mailbox, mine: Mailbox) -> bool:
    """Whether the claim that ``mine`` is the result of still stands in ``box``."""
    return (
        box.sending is not None
        and mine.sending is not None
        and (box.sending.first, box.lease_until_ms) == (mine.sending.first, mine.lease_until_ms)
    )


def put_off(box: Mailbox, until_ms: int) -> Mailbox:
    """Not sent: try again at ``until_ms``."""
    assert box.sending is not None, "only a claimed window is put off"
    window = msgspec.structs.replace(box.sending, due_at_ms=until_ms)
    return msgspec.structs.replace(box, sending=window, lease_until_ms=0)


def done(box: Mailbox) -> Mailbox:
    """Sent, or nothing left to send."""
    return msgspec.structs.replace(box, sending=None, lease_until_ms=0, attempts=0)
