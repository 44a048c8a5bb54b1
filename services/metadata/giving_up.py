"""Giving up what libraries need not keep any longer, and freeing its bytes: a job of the sweep.

Two steps, far apart. A ``Purge`` is a command like any other: from its commit on the version has no content. Its bytes
are deleted ``FREE_AFTER_S`` after that commit, if nothing names them by then. Both read the journal forward, each rule
from where it stands; a rule goes on only past commits that leave nothing to do, so a command that was lost is sent
again.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

import msgspec

from services.metadata.measures import Measures
from syncline.domain.commands import MAX_REQUESTS, Command, Purge
from syncline.domain.commits import Commit, Effect
from syncline.domain.ids import id_from_bytes
from syncline.domain.nodes import Node, Version
from syncline.messages import commit_changes
from syncline.messages.commit_changes import MAX_INLINE_BYTES, CommitChanges
from syncline.ports.clock import Clock
from syncline.ports.objects import ObjectStore
from syncline.ports.queues import Queue, Queues
from syncline.ports.tables import Tables
from syncline.serving.logging import get_logger
from syncline.store.journal import Head, Journal
from syncline.store.purging import all_of, given_up, kept_versions, one_command
from syncline.store.retentions import RETENTION_SHARDS, Progress, Retained, Retentions
from syncline.store.snapshot import Snapshot
from syncline.store.trash import Trash
from syncline.store.tree import TreeReader
from syncline.store.usage import Usage
from syncline.store.views import Views

DAY_MS = 24 * 3_600 * 1_000
FREE_AFTER_S = 30 * 24 * 3_600
"""Bytes outlive their version by this, unless a setting says otherwise. Longer than anything that may still lead to
them: permits (24 h), links in mail (7 days), outcomes of commands (30 days); cursors lead to versions, and a purged
version is not given out."""
COMMITS_PER_ROUND_MAX = 2_048
LOOK_AGAIN_MS = 3_600 * 1_000
"""A rule without a fixed time (how many versions of a file) is looked at this often."""
NEVER_MS = 2**53

Look = Callable[[Snapshot, Commit], Awaitable[list[Purge]]]


@dataclass
class Found:
    """What one rule found in one round. ``done``: up to which seq nothing is left to do. ``look_ms``: when there may be
    more."""

    requests: list[Purge]
    done: int
    look_ms: int


class GivingUp:
    """``Job`` of the sweep."""

    name = "giving-up"

    def __init__(
        self,
        tables: Tables,
        objects: ObjectStore,
        queues: Queues,
        clock: Clock,
        measures: Measures,
        *,
        free_after_s: int = FREE_AFTER_S,
    ) -> None:
        self._free_after_ms = free_after_s * 1_000
        self._retentions = Retentions(tables)
        self._usage = Usage(tables)
        self._journal = Journal(tables)
        self._tree = TreeReader(self._journal, Views(tables))
        self._bin = Trash(tables)
        self._objects = objects
        self._queues = queues
        self._clock = clock
        self._measures = measures

    async def round(self) -> None:
        """Every library with rules in which something is due."""
        for shard in range(RETENTION_SHARDS):
            async for batch in self._retentions.due(shard, self._clock.now_ms()):
                for retained in batch:
                    await self._one(retained)

    async def _one(self, retained: Retained) -> None:
        """One library. Under a hold nothing moves, so that nothing is missed when it ends."""
        library, rules, progress, now_ms = retained.library, retained.rules, retained.progress, self._clock.now_ms()
        head = await self._journal.head(library)
        if head is None or rules.hold:
            await self._retentions.advance(retained, progress, now_ms + LOOK_AGAIN_MS)
            return
        snapshot = await self._tree.at(library, head.seq)
        counting = partial(self._beyond, rules.versions_max)
        aged, counted, trashed = [
            await self._along(snapshot, after, age_ms, look) if wanted else Found([], after, NEVER_MS)
            for wanted, after, age_ms, look in (
                (rules.versions_days, progress.aged, rules.versions_days * DAY_MS, self._superseded),
                (rules.versions_max, progress.counted, 0, counting),
                (rules.trash_days, progress.trashed, rules.trash_days * DAY_MS, self._removed),
            )
        ]
        freed = await self._free(snapshot, progress.freed)
        await self._send(head, library, [*aged.requests, *counted.requests, *trashed.requests], now_ms)
        came = Progress(aged.done, counted.done, trashed.done, freed.done)
        await self._retentions.advance(retained, came, min(one.look_ms for one in (aged, counted, trashed, freed)))

    # -- what is due -----------------------------------------------------------------------------------------------

    async def _along(self, snapshot: Snapshot, after: int, age_ms: int, look: Look) -> Found:
        """Read the journal on, as far as its commits are of this age and until there is enough for one command."""
        requests: list[Purge] = []
        done, now_ms = after, self._clock.now_ms()
        async for commit in self._commits(snapshot, after):
            if commit.at_ms + age_ms > now_ms:
                return Found(requests, done, now_ms if requests else commit.at_ms + age_ms)
            requests += await look(snapshot, commit)
            if not requests:
                done = commit.seq
            if len(requests) >= MAX_REQUESTS:
                break
        # What comes after the head is due its age from now, at the soonest; counts have none and are looked at again.
        at_rest = done == snapshot.seq
        return Found(requests, done, now_ms + max(age_ms, LOOK_AGAIN_MS) if at_rest else now_ms)

    def _commits(self, snapshot: Snapshot, after: int) -> AsyncIterator[Commit]:
        upto = max(after, min(snapshot.seq, after + COMMITS_PER_ROUND_MAX))
        return self._journal.read(snapshot.library, after, upto)

    async def _superseded(self, snapshot: Snapshot, commit: Commit) -> list[Purge]:
        """What this commit superseded, and what it brought that was history from the beginning."""
        found: list[Purge] = []
        for node_id, then in _files_in(commit).items():
            node = await snapshot.node(node_id)
            if node is not None:
                old = await kept_versions(snapshot, node, before=commit.seq + 1)
                found += _but(node, old, then, _current(node))
        return found

    async def _beyond(self, versions_max: int, snapshot: Snapshot, commit: Commit) -> list[Purge]:
        """Of the files that a commit touched, the versions that are too many by now."""
        found: list[Purge] = []
        for node_id in _files_in(commit):
            node = await snapshot.node(node_id)
            if node is not None:
                old = await kept_versions(snapshot, node, skip=versions_max)
                found += _but(node, old, _current(node))
        return found

    async def _removed(self, snapshot: Snapshot, commit: Commit) -> list[Purge]:
        """What this commit removed and is in the trash since, with all that was in removed folders."""
        found: list[Purge] = []
        for change in commit.changes:
            if change.effect is not Effect.REMOVED:
                continue
            node = await snapshot.node(change.node.id)
            if node is not None and node.removed and node.seq == commit.seq:
                found += await self._all_of(snapshot, node)
            if len(found) >= MAX_REQUESTS:
                break
        return found

    async def _all_of(self, snapshot: Snapshot, top: Node) -> list[Purge]:
        """The files, then the removed node itself: when all of them are given up, it leaves the trash."""
        found: list[Purge] = []
        async with aclosing(all_of(snapshot, self._bin, top)) as parts:
            async for given in parts:
                if not given.requests:
                    get_logger().warning("trash-too-large", library=snapshot.library, node=top.id)
                found += given.requests
                if len(found) >= MAX_REQUESTS:
                    break
        return found

    # -- what is done ----------------------------------------------------------------------------------------------

    async def _send(self, head: Head, library: str, requests: Sequence[Purge], now_ms: int) -> None:
        """One command, as much as it holds; the rest is found again."""
        some = one_command(requests)
        if not some:
            return
        asked = msgspec.msgpack.encode((library, head.seq, some, now_ms))
        # The members' epoch is the present one: should it move meanwhile, the command is refused and found again.
        command = Command(
            id_from_bytes(hashlib.sha256(asked).digest()),
            library,
            "",
            "",
            0,
            head.epoch,
            tuple(some),
            incarnation=head.incarnation,
        )
        wire = commit_changes.encode(CommitChanges(command))
        if len(wire) > MAX_INLINE_BYTES:
            key = f"commands/{library}/{command.id}"
            await self._objects.put(key, msgspec.msgpack.encode(command))
            wire = commit_changes.encode(CommitChanges(None, key))
        await self._queues.send(Queue.COMMITS, wire, group=library, dedup=command.id)
        self._measures.given_up.labels("asked").inc(sum(len(one.versions) for one in some))

    async def _free(self, snapshot: Snapshot, after: int) -> Found:
        """Delete the bytes of what was given up long enough ago, unless another version names them."""
        done, now_ms = after, self._clock.now_ms()
        async for commit in self._commits(snapshot, after):
            if commit.at_ms + self._free_after_ms > now_ms:
                return Found([], done, commit.at_ms + self._free_after_ms)
            for purged in commit.purged:
                named = await snapshot.named(purged.location)
                if not named:
                    await self._objects.delete_version(purged.location.key, purged.location.s3_version)
                    await self._usage.freed(snapshot.library, purged.location, now_ms=now_ms)
                self._measures.given_up.labels("still-named" if named else "freed").inc()
            done = commit.seq
        return Found([], done, now_ms + self._free_after_ms if done == snapshot.seq else now_ms)


def _files_in(commit: Commit) -> dict[str, str]:
    """The files whose versions a commit touched, each with its current version afterwards."""
    touched = (
        change for change in commit.changes if change.effect is Effect.LATE or change.node.content_seq == commit.seq
    )
    return {change.node.id: _current(change.node) for change in touched if change.node.version is not None}


def _current(node: Node) -> str:
    return "" if node.version is None else node.version.id


def _but(node: Node, versions: Sequence[Version], *but: str) -> list[Purge]:
    return given_up(node, [version for version in versions if version.id not in but]).requests
