"""Moments: which seq a library was at, at a time. Commits carry their time, so a search by halves finds it."""

from __future__ import annotations

from syncline.domain.commits import Commit
from syncline.store.journal import Journal


class Moments:
    """Commits are in order of time up to the difference between the clocks of the workers that made them."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def seq_at(self, library: str, at_ms: int, head: int) -> int:
        """The last commit of at most ``head`` made at ``at_ms`` (Unix ms) or before; 0 when none was.

        Reads log2(head) commits.
        """
        low, high = 0, head
        while low < high:
            middle = (low + high + 1) // 2
            commit = await self.commit(library, middle)
            if commit.at_ms <= at_ms:
                low = middle
            else:
                high = middle - 1
        return low

    async def commit(self, library: str, seq: int) -> Commit:
        """One commit. Raises ``Broken`` when the journal lacks it."""
        found = [commit async for commit in self._journal.read(library, seq - 1, seq)]
        return found[0]
