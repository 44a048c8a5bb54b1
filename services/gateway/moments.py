"""A library at a time: what ``at`` says in a query or a body."""

from __future__ import annotations

from datetime import UTC, datetime

from syncline.domain.errors import Refused
from syncline.store.journal import Head, Journal
from syncline.store.moments import Moments
from syncline.store.snapshot import Snapshot
from syncline.store.tree import TreeReader

SEQ_DIGITS_MAX = 12


class Times:
    """Snapshots of libraries as of a time or a seq. Without one: as they are, for no more than that costs."""

    def __init__(self, journal: Journal, tree: TreeReader) -> None:
        self._journal = journal
        self._tree = tree
        self._moments = Moments(journal)

    async def snapshot(self, library: str, head: Head, at: str) -> Snapshot:
        """Raises ``Refused("bad-time")`` for what is neither, or a seq that is still to come."""
        if not at:
            return await self._tree.at_head(library)
        return await self._tree.at(library, await self.seq(library, head, at))

    async def now(self, library: str) -> Snapshot:
        return await self._tree.at_head(library)

    async def seq(self, library: str, head: Head, at: str) -> int:
        """The last seq of a time; a seq itself. Raises ``Refused("bad-time")``."""
        if not (at.isascii() and at.isdigit()):
            return await self._moments.seq_at(library, _ms(at), head.seq)
        if len(at) > SEQ_DIGITS_MAX or int(at) > head.seq:
            raise Refused("bad-time", f"The library has not come to {at[:32]} yet; it is at {head.seq}.", status=422)
        return int(at)


def _ms(at: str) -> int:
    """The Unix milliseconds of an RFC 3339 time, with its offset."""
    try:
        # A plus sign that nobody escaped arrives as a space.
        when = datetime.fromisoformat(at.replace(" ", "+") if "T" in at else at)
        if when.tzinfo is None:
            raise ValueError(at)
        return int(when.astimezone(UTC).timestamp() * 1000)
    except (ValueError, OverflowError):
        detail = "A time is written as in 2026-11-23T18:00:00Z, with its offset from UTC; a seq in digits."
        raise Refused("bad-time", detail, status=422, at="at") from None
