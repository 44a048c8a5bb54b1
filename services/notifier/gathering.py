"""Queue ``notify``: reads the journal from the checkpoint on and puts what happened into the followers' windows."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from services.notifier.mailboxes import Mailboxes
from services.notifier.places import Places
from syncline.domain.commits import Commit
from syncline.domain.digests import followers_to_tell
from syncline.domain.errors import SynclineError
from syncline.messages.library_moved import decode
from syncline.ports.queues import Message
from syncline.serving.consumer import Batch, BatchHandler
from syncline.store.checkpoints import NOTIFIER, Checkpoints
from syncline.store.follows import FollowRecord, Follows
from syncline.store.journal import Journal
from syncline.store.tree import TreeReader

COMMITS_AT_ONCE = 64
"""The checkpoint moves on after so many commits, so a long journal is never held in memory or read twice whole."""


class Gathering:
    """Tells each follower's mailbox which commits are news. Doing it again tells nobody twice."""

    def __init__(
        self, journal: Journal, trees: TreeReader, follows: Follows, checkpoints: Checkpoints, mailboxes: Mailboxes
    ) -> None:
        self._journal = journal
        self._trees = trees
        self._follows = follows
        self._checkpoints = checkpoints
        self._mailboxes = mailboxes

    async def gather(self, library: str, upto: int) -> None:
        """Everything from the checkpoint to ``upto``. Raises ``Temporary``; then nothing is lost nor told twice."""
        after = await self._checkpoints.get(NOTIFIER, library)
        if upto <= after:
            return
        follows = await self._follows.of_library(library)
        if not follows:
            await self._checkpoints.advance(NOTIFIER, library, upto)
            return
        for end in (*range(after + COMMITS_AT_ONCE, upto, COMMITS_AT_ONCE), upto):
            commits = [commit async for commit in self._journal.read(library, after, end)]
            await self._tell(library, commits, follows)
            # Only now: a worker that dies before leaves the commits to the next one.
            await self._checkpoints.advance(NOTIFIER, library, end)
            after = end

    async def _tell(self, library: str, commits: Sequence[Commit], follows: Sequence[FollowRecord]) -> None:
        followers_of = by_node(follows)
        news: dict[str, list[int]] = {}
        places = None  # not needed where everyone follows the root
        if followers_of.keys() != {library}:
            places = Places(await self._trees.at_head(library))
        for commit in commits:
            if places is not None:
                await places.look_up(commit)
            for account in followers_to_tell(commit, followers_of, places.parent_of if places else {}):
                news.setdefault(account, []).append(commit.seq)
        await asyncio.gather(*(self._mailboxes.tell(library, account, seqs) for account, seqs in sorted(news.items())))


def by_node(follows: Sequence[FollowRecord]) -> dict[str, frozenset[str]]:
    """The accounts by the node they follow."""
    found: dict[str, set[str]] = {}
    for follow in follows:
        found.setdefault(follow.node, set()).add(follow.account)
    return {node: frozenset(accounts) for node, accounts in found.items()}


def gather_moves(gathering: Gathering) -> BatchHandler:
    """Several messages about one library are one reading; a library in trouble does not hold up the others."""

    async def handle(batch: Batch) -> None:
        upto: dict[str, int] = {}
        messages: dict[str, list[Message]] = {}
        for message in batch.messages:
            moved = decode(message.body)
            upto[moved.library] = max(moved.seq, upto.get(moved.library, 0))
            messages.setdefault(moved.library, []).append(message)
        failed: SynclineError | None = None
        for library, seq in upto.items():
            try:
                await gathering.gather(library, seq)
            except SynclineError as error:
                failed = failed or error
                continue
            for message in messages[library]:
                batch.finish(message)
        if failed is not None:
            raise failed

    return handle
