"""Rebuilding a library from the bucket alone: its journal, its views, its name and its members.

The steps, in order: take the head away, if there is one (from then on the library is not there, and nobody appends);
write the archived commits and their views; see what landed after them; remove what an earlier life left behind; write
what was recovered; put library, members and accounts back where they are lost; open the journal under a new
incarnation, last. Cut short at any step, doing it again does it all.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence

import msgspec

from syncline.admin.answers import require_yes
from syncline.admin.leftovers import Leftovers
from syncline.admin.ports import Ports
from syncline.admin.recovering import MayWrite, Recovery, Unrecovered
from syncline.domain.commits import Commit
from syncline.domain.errors import ConditionFailed, Refused, Temporary
from syncline.domain.facts import version_records
from syncline.domain.nodes import Kind
from syncline.domain.permits import parse_key, read_prefixes
from syncline.domain.rights import may_write
from syncline.domain.tree import Tree
from syncline.messages import library_moved
from syncline.messages.library_moved import LibraryMoved
from syncline.ports.tables import Put, Table
from syncline.store.archive import Archive, Archived
from syncline.store.archiving import ArchiveStore
from syncline.store.checkpoints import NOTIFIER, Checkpoints
from syncline.store.directory import Directory
from syncline.store.directory_rows import (
    AccountRecord,
    LibraryRecord,
    MemberRecord,
    library_key,
    member_puts,
    row_of,
)
from syncline.store.follows import Follows
from syncline.store.incarnations import ALL, Incarnations, Lineage, begun_from
from syncline.store.journal import Head, Journal
from syncline.store.moves import move_of
from syncline.store.recounting import Recounting
from syncline.store.retentions import Retentions, Rules
from syncline.store.segments import About, Member, Settings
from syncline.store.usage import Usage
from syncline.store.views import Views

COMMITS_AT_ONCE = 64
CLOSE_TRIES = 8
NO_PASSWORD = "none"
"""The hash of no password."""


class Rebuilt(msgspec.Struct, frozen=True):
    """What came of it. ``kept`` commits were known, ``recovered`` were made again from permits."""

    library: str
    name: str
    incarnation: str
    seq: int
    kept: int
    recovered: int
    leftovers_removed: int
    accounts_restored: int
    unrecovered: tuple[Unrecovered, ...]
    damaged: tuple[str, ...]


class Rebuilding:
    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._journal = Journal(ports.tables)
        self._views = Views(ports.tables)
        self._directory = Directory(ports.tables)
        self._archive = Archive(ports.objects)
        self._incarnations = Incarnations(ports.tables)
        self._last_ms = 0
        self._versions: set[str] = set()

    async def rebuild(self, library: str, *, yes: bool) -> Rebuilt:
        """Raises ``Refused``: "not-archived", "needs-yes" when the tables have the library; ``Temporary``."""
        archived = await self._archive.incarnations(library)
        if not archived:
            raise Refused("not-archived", f"The bucket has no library {library}.", status=404)
        newest = archived[-1]
        head = await self._journal.head(library)
        if head is not None:
            require_yes(yes, f"The tables have the library {library} ({newest.about.name}), at {head.seq}: it is made"
                             " again from the bucket, and every client starts anew.")  # fmt: skip
            head = await self._close(library)
        # A rebuild that was cut short has left this row too.
        lived_before = head is not None or await self._views.begun(library)
        tree = Tree(library)
        await self._write(tree, self._known(archived, head))
        kept = tree.seq
        await self._views.restart(library, kept)
        recovery = Recovery(
            self._ports.objects,
            self._ports.permit_keys,
            tree,
            await self._may_write(newest.about),
            after_ms=self._last_ms,
        )
        await recovery.run()
        removed = await self._remove_leftovers(tree, kept) if lived_before else 0
        await self._write(tree, _each(recovery.commits), applied=True)
        restored = await self._restore_people(newest.about)
        await self._count_bytes(library)
        incarnation = await self._open(tree, newest, kept)
        return Rebuilt(
            library,
            newest.about.name,
            incarnation,
            tree.seq,
            kept,
            len(recovery.commits),
            removed,
            restored,
            tuple(recovery.unrecovered),
            tuple(self._archive.damaged),
        )

    async def _close(self, library: str) -> Head | None:
        """Take the head away; what it was."""
        for _ in range(CLOSE_TRIES):
            head = await self._journal.head(library)
            if head is None:
                return None
            with contextlib.suppress(ConditionFailed):
                await self._journal.close(library, head)
                return head
        raise Temporary(f"The library {library} keeps moving.")

    async def _known(self, archived: Sequence[Archived], head: Head | None) -> AsyncIterator[Commit]:
        """Every commit that is known, in order: archived under this incarnation, under those it came from as far as
        they are part of it, and the tables' own after them."""
        newest = archived[-1]
        lineage = Lineage(newest.about.began_at_ms, newest.about.origins)
        sources = [(newest, None), *((one, lineage.kept(one.incarnation)) for one in reversed(archived[:-1]))]
        seq, went_on = 0, True
        while went_on:
            went_on = False
            for source, upto in sources:
                async for commit in self._archive.commits(source, seq):
                    if upto is not None and commit.seq > upto:
                        break
                    yield commit
                    seq, went_on = commit.seq, True
        if head is not None and head.incarnation == newest.incarnation and head.seq > seq:
            async for commit in self._journal.read(newest.library, seq, head.seq):
                yield commit

    async def _write(self, tree: Tree, commits: AsyncIterator[Commit], *, applied: bool = False) -> None:
        """Write commits and their views, and fold them, unless ``applied``, into the tree."""
        batch: list[Commit] = []
        async for commit in commits:
            if not applied:
                tree.apply(commit)
            self._last_ms = commit.at_ms
            self._versions.update(version for version, _ in version_records(commit))
            batch.append(commit)
            if len(batch) == COMMITS_AT_ONCE:
                await self._write_batch(batch)
                batch = []
        await self._write_batch(batch)

    async def _write_batch(self, commits: Sequence[Commit]) -> None:
        if commits:
            await self._journal.restore(commits)
            await self._views.write(*commits)

    async def _may_write(self, about: About) -> MayWrite:
        """By the directory's word, where it has the library; else by the archive's."""
        archived = {member.account: member.role for member in (*about.through_groups, *about.members)}
        if await self._directory.library(about.library) is not None:
            roles = {account: await self._directory.member(about.library, account) for account in archived}
            now = {member.account: member.role for member in await self._directory.members(about.library)}
            return lambda account: may_write(roles.get(account) or now.get(account))
        return lambda account: may_write(archived.get(account))

    async def _remove_leftovers(self, tree: Tree, kept: int) -> int:
        removed = await self._journal.cut(tree.library, kept)
        nodes = tree.changed_since(-1)
        folders = [node.id for node in nodes if node.kind is Kind.FOLDER]
        versions = {
            key.permit
            for prefix in read_prefixes(tree.library)
            async for named in self._ports.objects.list_keys(prefix)
            if (key := parse_key(named)) is not None
        }
        leftovers = Leftovers(self._ports.tables, tree.library, kept)
        return removed + await leftovers.remove(folders, [node.id for node in nodes], versions | self._versions)

    async def _restore_people(self, about: About) -> int:
        """Put library, members and accounts back where the tables lack them; how many accounts.

        A restored account has no password: its owner asks for a new one by mail.
        """
        restored = 0
        record = await self._directory.library(about.library)
        members = about.members if record is not None else _merged(about)
        for member in members:
            restored += await self._restore_account(member)
        if record is None:
            for member in members:
                for put in member_puts(MemberRecord(about.library, member.account, member.role)):
                    await self._ports.tables.write(put)
            await self._restore_settings(about.library, about.settings)
            found = LibraryRecord(about.library, about.name, about.created_at_ms)
            await self._ports.tables.write(Put(Table.DIRECTORY, row_of(library_key(about.library), found)))
        return restored

    async def _restore_settings(self, library: str, settings: Settings) -> None:
        tables = self._ports.tables
        if settings.rules != Rules():
            await Retentions(tables).set_rules(library, settings.rules)
        else:
            await Retentions(tables).watch(library)
        if settings.quota_bytes is not None:
            await Usage(tables).set_library_quota(library, settings.quota_bytes)
        for follow in settings.follows:
            await Follows(tables).follow(library, follow.node, follow.account, at_ms=follow.at_ms, wishes=follow.wishes)

    async def _count_bytes(self, library: str) -> None:
        """Where the tables have lost the count. One that they kept is right: nothing has come or gone in the bucket."""
        recounting = Recounting(self._ports.tables, self._ports.objects)
        if not await recounting.is_whole(library):
            await recounting.recount(library, now_s=self._ports.clock.now_ms() // 1000)

    async def _restore_account(self, member: Member) -> int:
        if not member.email or await self._directory.account(member.account) is not None:
            return 0
        record = AccountRecord(member.account, member.email, member.name, NO_PASSWORD, self._ports.clock.now_ms())
        try:
            await self._directory.create_account(record)
        except Refused:
            return 0  # the address has another account by now, or this one was removed
        return 1

    async def _open(self, tree: Tree, newest: Archived, kept: int) -> str:
        """The new incarnation, from now on the library's."""
        ports, library = self._ports, tree.library
        incarnation, now_ms = ports.new_id(), ports.clock.now_ms()
        before = Lineage(newest.about.began_at_ms, newest.about.origins)
        await self._incarnations.record(library, incarnation, begun_from(before, newest.incarnation, kept, now_ms))
        await self._views.restart(library, tree.seq)
        told = min(await self._told(library, newest.incarnation, kept), tree.seq)
        await Checkpoints(ports.tables).advance(NOTIFIER, library, incarnation, told)
        await Retentions(ports.tables).restart(library, kept)
        # Larger than any epoch that was counted up, so no remembered right outlives the rebuild.
        await self._journal.open(library, Head(tree.seq, now_ms // 1000, incarnation))
        await ArchiveStore(ports.tables).mark_commits(library, incarnation, tree.seq)
        # In place of what an earlier life left there: the sweep publishes until everyone has heard.
        await ports.tables.write(move_of(library, tree.seq, incarnation, now_ms))
        await ports.topic.publish(library_moved.encode(LibraryMoved(library, tree.seq, incarnation)))
        return incarnation

    async def _told(self, library: str, before: str, kept: int) -> int:
        """Up to which commit followers have been told. What landed after those that are known is perhaps told again;
        nothing is where nobody knows what was told."""
        told = await Checkpoints(self._ports.tables).get(NOTIFIER, library, before)
        return min(told, kept) if told else ALL


async def _each(commits: Sequence[Commit]) -> AsyncIterator[Commit]:
    for commit in commits:
        yield commit


def _merged(about: About) -> tuple[Member, ...]:
    """Where groups are lost too, who came through one is a member by itself."""
    own = {member.account for member in about.members}
    return (*about.members, *(member for member in about.through_groups if member.account not in own))
