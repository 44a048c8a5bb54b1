"""Queue ``notify``: reads the journal from the checkpoint on and puts what happened into the followers' windows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

from services.notifier.delivering import Hooks
from services.notifier.mailboxes import Mailboxes
from services.notifier.places import Places
from services.notifier.windows import NEVER
from syncline.domain.commits import Commit
from syncline.domain.errors import SynclineError
from syncline.domain.following import Following, News, news_of
from syncline.domain.preferences import Terms
from syncline.messages.library_moved import decode
from syncline.ports.queues import Message
from syncline.serving.consumer import Batch, BatchHandler
from syncline.serving.logging import bind_context
from syncline.store.checkpoints import NOTIFIER, Checkpoints
from syncline.store.follows import NOTHING_SAID, FollowRecord, Follows, MailPreferences, terms_of
from syncline.store.incarnations import Incarnations, Life
from syncline.store.journal import Journal
from syncline.store.tree import TreeReader

COMMITS_AT_ONCE = 64
CHANGES_AT_ONCE = 10_000
"""The checkpoint moves on after so many commits or changes, so a long journal is never held in memory or read twice
whole."""


class Gathering:
    """Tells each follower's mailbox which commits are news. Doing it again tells nobody twice."""

    def __init__(
        self,
        journal: Journal,
        incarnations: Incarnations,
        trees: TreeReader,
        follows: Follows,
        checkpoints: Checkpoints,
        mailboxes: Mailboxes,
        hooks: Hooks,
    ) -> None:
        self._journal = journal
        self._incarnations = incarnations
        self._trees = trees
        self._follows = follows
        self._checkpoints = checkpoints
        self._mailboxes = mailboxes
        self._hooks = hooks

    async def gather(self, library: str, incarnation: str, upto: int) -> None:
        """Everything from the checkpoint to ``upto``. Raises ``Temporary``; then nothing is lost nor told twice."""
        after = await self._checkpoints.get(NOTIFIER, library, incarnation)
        if upto <= after:
            return
        head = await self._journal.head(library)
        if head is None or head.incarnation != incarnation:
            return  # old news of a journal that is being, or was, made again; the new one is published itself
        life = await self._incarnations.life(library, incarnation)
        await self._hooks.tell(library, life, upto)
        following = await self._following(library)
        if following:
            async for commits in self._portions(library, after, upto):
                await self._tell(library, life, commits, following)
                # Only now: a worker that dies before leaves the commits to the next one.
                await self._checkpoints.advance(NOTIFIER, library, incarnation, commits[-1].seq)
        await self._checkpoints.advance(NOTIFIER, library, incarnation, upto)

    async def _following(self, library: str) -> Following:
        follows = await self._follows.of_library(library)
        accounts = {follow.account for follow in follows if not follow.outside}
        return by_node(follows, await self._follows.preferences_of(sorted(accounts)))

    async def _portions(self, library: str, after: int, upto: int) -> AsyncIterator[list[Commit]]:
        portion: list[Commit] = []
        changes = 0
        async for commit in self._journal.read(library, after, upto):
            portion.append(commit)
            changes += len(commit.changes)
            if len(portion) >= COMMITS_AT_ONCE or changes >= CHANGES_AT_ONCE:
                yield portion
                portion, changes = [], 0
        if portion:
            yield portion

    async def _tell(self, library: str, life: Life, commits: Sequence[Commit], following: Following) -> None:
        told: dict[tuple[str, str], list[tuple[int, News]]] = {}
        places = None  # not needed where everyone follows the root
        if following.keys() != {library}:
            places = Places(await self._trees.at_head(library))
        for commit in commits:
            if places is not None:
                await places.look_up(commit)
            for key, news in news_of(commit, following, places.parent_of if places else {}).items():
                told.setdefault(key, []).append((commit.seq, news))
        await asyncio.gather(*(self._tell_one(library, life, key[0], told[key]) for key in sorted(told)))

    async def _tell_one(self, library: str, life: Life, follower: str, told: Sequence[tuple[int, News]]) -> None:
        opens_from = next((seq for seq, news in told if news.opens), NEVER)
        seqs = [seq for seq, _ in told]
        terms = told[0][1].terms
        await self._mailboxes.tell(library, follower, seqs, life=life, terms=terms, opens_from=opens_from)


def by_node(follows: Sequence[FollowRecord], preferences: Mapping[str, MailPreferences]) -> Following:
    """The followers by the node they follow, each with the terms that hold."""
    found: dict[str, dict[str, Terms]] = {}
    for follow in follows:
        terms = terms_of(follow, preferences.get(follow.account, NOTHING_SAID))
        found.setdefault(follow.node, {})[follow.account] = terms
    return found


def gather_moves(gathering: Gathering) -> BatchHandler:
    """Several messages about one library are one reading; a library in trouble does not hold up the others."""

    async def handle(batch: Batch) -> None:
        upto: dict[tuple[str, str], int] = {}
        messages: dict[tuple[str, str], list[Message]] = {}
        for message in batch.messages:
            moved = decode(message.body)
            journal = moved.library, moved.incarnation
            upto[journal] = max(moved.seq, upto.get(journal, 0))
            messages.setdefault(journal, []).append(message)
        failed: SynclineError | None = None
        for journal, seq in upto.items():
            bind_context(library=journal[0], seq=seq)
            try:
                await gathering.gather(*journal, seq)
            except SynclineError as error:
                failed = failed or error
                continue
            for message in messages[journal]:
                batch.finish(message)
        if failed is not None:
            raise failed

    return handle
