"""The archiver: libraries that changed go to the bucket, at short intervals, and get snapshots when they have changed
enough.

Which ones changed is in the tables (``syncline/store/archiving.py``), so a syncer that dies forgets nothing, and
whoever comes first takes it up. All of it can be done twice, by anyone, at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from services.syncer.tidying import REPLACED_KEPT_S, Tidying
from syncline.domain.commits import Commit
from syncline.domain.errors import SynclineError, Temporary
from syncline.domain.rights import Role, highest
from syncline.ports.clock import Clock
from syncline.ports.objects import ObjectStore
from syncline.ports.tables import Tables
from syncline.serving.logging import get_logger
from syncline.serving.metrics import Metrics
from syncline.store.archive import Archive
from syncline.store.archiving import SHARDS, ArchiveState, ArchiveStore, Due
from syncline.store.directory import Directory
from syncline.store.follows import Follows
from syncline.store.groups import Groups
from syncline.store.incarnations import Incarnations
from syncline.store.journal import Head, Journal
from syncline.store.retentions import Retentions
from syncline.store.segments import About, Member, Settings, first_of_segment, last_of_segment
from syncline.store.together import together
from syncline.store.tree_snapshots import SNAPSHOT_CHANGES, TreeSnapshots, is_due
from syncline.store.usage import Usage

ARCHIVE_S = 60
LIBRARIES_AT_ONCE = 4
CLAIM_MS = 10 * 60 * 1000
"""As long as a library may take before somebody else tries too."""
OBJECT_CHANGES_MAX = 50_000
"""About 16 MB of commits: an object holds no more, unless one commit alone does."""
STEP_COMMITS = 64
"""Commits are read from the journal so many at a time, and counted."""


class Archiver:
    """A part of the service's life: every ``interval_s`` it archives what is due."""

    def __init__(
        self,
        tables: Tables,
        objects: ObjectStore,
        clock: Clock,
        metrics: Metrics,
        *,
        interval_s: float = ARCHIVE_S,
        snapshot_changes: int = SNAPSHOT_CHANGES,
        replaced_kept_s: int = REPLACED_KEPT_S,
    ) -> None:
        self._journal = Journal(tables)
        self._directory = Directory(tables)
        self._groups = Groups(tables)
        self._follows = Follows(tables)
        self._retentions = Retentions(tables)
        self._usage = Usage(tables)
        self._incarnations = Incarnations(tables)
        self._store = ArchiveStore(tables)
        self._archive = Archive(objects)
        self._snapshots = TreeSnapshots(objects, self._journal, self._store, clock)
        self._tidying = Tidying(objects, clock, kept_s=replaced_kept_s)
        self._clock = clock
        self._interval_s = interval_s
        self._snapshot_changes = snapshot_changes
        self._draining = asyncio.Event()
        self._failed_in_a_row = 0
        self._commits = metrics.counter("archived_commits", "Commits written to the archive.")
        self._made = metrics.counter("snapshots_made", "Snapshots written.")
        self._failures = metrics.counter("archive_failures", "Libraries that could not be archived this time.")

    # -- life

    async def start(self) -> None:
        """Nothing to make ready."""

    async def run(self) -> None:
        draining = asyncio.create_task(self._draining.wait())
        try:
            while not self._draining.is_set():
                sleeping = asyncio.ensure_future(self._clock.sleep(self._interval_s))
                await asyncio.wait([sleeping, draining], return_when=asyncio.FIRST_COMPLETED)
                sleeping.cancel()
                await self._turn()
        finally:
            draining.cancel()

    async def drain(self) -> None:
        """One last turn, then ``run`` returns."""
        self._draining.set()

    async def stop(self) -> None:
        self._draining.set()

    async def _turn(self) -> None:
        try:
            await self.archive_due()
        except Temporary as error:
            # The marks stay where they are: the next turn takes them up.
            get_logger().warning("archive-away", reason=str(error)[:200])

    # -- one turn

    async def archive_due(self) -> int:
        """Archive every library that is due; how many there were. Raises ``Temporary`` when the marks cannot be read.

        A library that cannot be archived stays due, and does not hold up the others.
        """
        count = failed = 0
        for shard in range(SHARDS):
            due = [one async for one in self._store.due(shard)]
            await together(due, self._archive_one, at_once=LIBRARIES_AT_ONCE)
            count += len(due)
            failed = max(failed, *(one.failures for one in due), 0)
        self._failed_in_a_row = failed
        return count

    async def failed_in_a_row(self) -> float:
        """How often in a row some library could not be archived, as this instance last saw."""
        return self._failed_in_a_row

    async def _archive_one(self, due: Due) -> None:
        now_ms = self._clock.now_ms()
        try:
            if not await self._store.claim(due, now_ms=now_ms, until_ms=now_ms + CLAIM_MS):
                return
            await self.archive(due.library)
            await self._store.done(due)
        except SynclineError as error:
            self._failures.inc()
            log = get_logger().warning if isinstance(error, Temporary) else get_logger().error
            log("not-archived", library=due.library, reason=str(error)[:200])
            await self._give_back(due)

    async def _give_back(self, due: Due) -> None:
        try:
            await self._store.failed(due)
        except Temporary:
            return  # the claim ends by itself

    async def archive(self, library: str) -> None:
        """Bring the bucket up to the library's head, and make a snapshot if it is time."""
        head = await self._journal.head(library)
        if head is None:
            return  # it was removed, or is being rebuilt
        state = await self._store.state(library, head.incarnation)
        await self._keep_about(library, head, state)
        seq, changes = state.seq, state.changes
        await self._keep_snapshot(library, head.incarnation, seq, changes)  # the last turn may have been cut short
        while seq < head.seq:
            commits = await self._next_commits(library, seq, head.seq)
            await self._archive.keep(head.incarnation, commits)
            seq, changes = commits[-1].seq, changes + _count(commits)
            if seq == last_of_segment(seq):
                await self._keep_whole(library, head.incarnation, commits)
            await self._store.advance(library, head.incarnation, seq=seq, changes=changes)
            self._commits.inc(len(commits))
            await self._keep_snapshot(library, head.incarnation, seq, changes)
        await self._tidy(library, head.incarnation, state, seq)

    async def _tidy(self, library: str, incarnation: str, state: ArchiveState, seq: int) -> None:
        """Delete what was replaced long enough ago. Whatever this turn leaves, the next one finds."""
        tidied = await self._tidying.segments(library, incarnation, state.tidied, seq)
        abouts = state.untidy_abouts and await self._tidying.abouts(library, incarnation)
        if tidied != state.tidied or abouts:
            await self._store.tidy(library, incarnation, tidied=tidied, abouts_of=state.epoch if abouts else None)

    async def _next_commits(self, library: str, after: int, upto: int) -> list[Commit]:
        """The commits that the next object holds: all of one segment, as many as fit."""
        upto = min(upto, last_of_segment(after + 1))
        commits: list[Commit] = []
        changes = 0
        while after < upto and changes < OBJECT_CHANGES_MAX:
            step = [commit async for commit in self._journal.read(library, after, min(upto, after + STEP_COMMITS))]
            commits += step
            changes += _count(step)
            after = step[-1].seq
        return commits

    async def _keep_whole(self, library: str, incarnation: str, latest: Sequence[Commit]) -> None:
        """The segment is full: one object in place of its pieces, unless it would be too large."""
        last = latest[-1].seq
        first = first_of_segment(last)
        if latest[0].seq == first:
            return
        commits = await self._next_commits(library, first - 1, last)
        if commits[-1].seq == last:
            await self._archive.keep(incarnation, commits)

    async def _keep_about(self, library: str, head: Head, state: ArchiveState) -> None:
        """Name, members and settings, when they changed."""
        record = await self._directory.library(library)
        if record is None:
            return
        settings = await self._settings(library)
        if (head.epoch, record.name, settings.digest()) == (state.epoch, state.name, state.settings):
            return
        members = {member.account: member.role for member in await self._directory.members(library)}
        through_groups = await self._through_groups(library)
        lineage = await self._incarnations.lineage(library, head.incarnation)
        about = About(
            library,
            head.incarnation,
            record.name,
            record.created_at_ms,
            await self._known(members),
            lineage.began_at_ms,
            lineage.origins,
            await self._known(through_groups),
            settings,
        )
        await self._archive.keep_about(about, self._clock.now_ms())
        await self._store.about_archived(
            library, head.incarnation, epoch=head.epoch, name=record.name, settings=settings.digest()
        )

    async def _settings(self, library: str) -> Settings:
        usage = await self._usage.of_library(library)
        follows = [follow for follow in await self._follows.of_library(library) if not follow.outside]
        return Settings(await self._retentions.rules(library), usage.quota_bytes, tuple(follows))

    async def _through_groups(self, library: str) -> dict[str, Role]:
        roles: dict[str, list[Role]] = {}
        for group, role in (await self._directory.groups_in(library)).items():
            for account in await self._groups.members(group):
                roles.setdefault(account, []).append(role)
        return {account: top for account, held in roles.items() if (top := highest(held)) is not None}

    async def _known(self, roles: dict[str, Role]) -> tuple[Member, ...]:
        accounts = await self._directory.accounts(list(roles))
        known = [(account, role, accounts.get(account)) for account, role in roles.items()]
        return tuple(
            Member(account, role, record.email if record else "", record.name if record else "")
            for account, role, record in known
        )

    async def _keep_snapshot(self, library: str, incarnation: str, seq: int, changes: int) -> None:
        newest = await self._store.snapshot(library, incarnation)
        if is_due(newest, changes, self._snapshot_changes):
            made = await self._snapshots.make(library, incarnation, seq, changes=changes)
            self._made.inc()
            get_logger().info("snapshot-made", library=library, seq=made.seq, nodes=made.nodes)
            await self._tidying.snapshots(library, incarnation, made.seq)


def _count(commits: Sequence[Commit]) -> int:
    return sum(len(commit.changes) for commit in commits)
