"""Composes one mail from a claimed window: reads the journal in its ranges, checks rights again, writes the letter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from email.message import EmailMessage

import msgspec

from services.notifier.letters import Surroundings, write_letter
from services.notifier.places import Places
from services.notifier.rendering import Renderer
from services.notifier.suppressions import Suppressions
from services.notifier.windows import Mailbox, Window
from syncline.domain.capabilities import (
    FILE_LINK_LIFE_S,
    UNSUBSCRIBE_LIFE_S,
    FileCapability,
    SigningKey,
    UnsubscribeCapability,
    seal_capability,
)
from syncline.domain.commits import Change, Commit
from syncline.domain.digests import Digest, Happened, Told, arrange, concerned, fold
from syncline.domain.nodes import Kind
from syncline.domain.rights import may_read
from syncline.ports.clock import Clock
from syncline.store.directory import AccountRecord, Directory, LibraryRecord
from syncline.store.follows import Follows
from syncline.store.journal import Journal
from syncline.store.tree import TreeReader

CHANGES_READ_MAX = 50_000
"""A mail reads no more changes than this, and says "more than"."""


class Composed(msgspec.Struct, frozen=True):
    """A mail and the address it goes to."""

    message: EmailMessage
    to: str


class Nothing(msgspec.Struct, frozen=True):
    """No mail, and why: ``no-account``, ``no-library``, ``not-a-member``, ``unfollowed``, ``suppressed``,
    ``nothing-left``."""

    reason: str


class Composer:
    """Makes the mail of a window. Raises ``Refused("mail-rejected")`` for an impossible address, ``Temporary``."""

    def __init__(
        self,
        *,
        journal: Journal,
        trees: TreeReader,
        directory: Directory,
        follows: Follows,
        suppressions: Suppressions,
        renderer: Renderer,
        link_keys: Sequence[SigningKey],
        public_url: str,
        clock: Clock,
    ) -> None:
        self._journal = journal
        self._trees = trees
        self._directory = directory
        self._follows = follows
        self._suppressions = suppressions
        self._renderer = renderer
        self._link_keys = link_keys
        self._public_url = public_url
        self._clock = clock

    async def compose(self, box: Mailbox, window: Window) -> Composed | Nothing:
        account = await self._directory.account(box.account)
        library = await self._directory.library(box.library)
        if account is None or library is None:
            return Nothing("no-account" if account is None else "no-library")
        # The window was opened minutes ago: what holds now decides.
        if not may_read(await self._directory.member(box.library, box.account)):
            return Nothing("not-a-member")
        followed = {f.node for f in await self._follows.of_account(box.account) if f.library == box.library}
        if not followed:
            return Nothing("unfollowed")
        if await self._suppressions.reason(account.email) is not None:
            return Nothing("suppressed")
        return await self._compose(library, account, followed, window)

    async def address(self, account: str) -> str | None:
        """Where an account's mail goes."""
        record = await self._directory.account(account)
        return None if record is None else record.email

    async def _compose(
        self, library: LibraryRecord, account: AccountRecord, followed: set[str], window: Window
    ) -> Composed | Nothing:
        commits, cut = await self._read(library.id, window)
        places = Places(await self._trees.at_head(library.id))
        concerns = await _concerns(commits, library.id, followed, places)
        digest = arrange(fold(commits, account.id, concerns))
        if not digest.count:
            return Nothing("nothing-left")
        letter = write_letter(digest, await self._surroundings(digest, library, account, places, cut))
        now_ms = self._clock.now_ms()
        message = self._renderer.message(
            letter,
            to_name=account.name,
            to=account.email,
            library=library.id,
            account=account.id,
            first=window.first,
            now_ms=now_ms,
        )
        return Composed(message, account.email)

    async def _read(self, library: str, window: Window) -> tuple[list[Commit], bool]:
        """The window's commits, and whether there were more changes than may be read."""
        commits: list[Commit] = []
        room = CHANGES_READ_MAX
        for first, last in window.ranges:
            async for commit in self._journal.read(library, first - 1, last):
                if commits and len(commit.changes) > room:
                    return commits, True
                room -= len(commit.changes)
                commits.append(commit)
        return commits, False

    async def _surroundings(
        self, digest: Digest, library: LibraryRecord, account: AccountRecord, places: Places, cut: bool
    ) -> Surroundings:
        shown = [told for group in digest.groups for told in group.told]
        named = {who for group in digest.groups for who in group.accounts} | set(digest.accounts[:3])
        people = await self._directory.accounts(sorted(named))
        parents = {told.node.parent for told in shown} | {told.was.parent for told in shown if told.was}
        return Surroundings(
            library=library.name,
            recipient=account.name,
            people={who: record.name for who, record in people.items()},
            folders={parent: await places.path(parent) for parent in parents},
            links=await self._links(shown, library.id, account.id, places),
            unsubscribe=self._unsubscribe(library.id, account.id),
            cut=cut,
        )

    async def _links(self, shown: Iterable[Told], library: str, account: str, places: Places) -> dict[str, str]:
        """A link to each file that is still there."""
        ends_at = self._clock.now_ms() // 1000 + FILE_LINK_LIFE_S
        links: dict[str, str] = {}
        for told in shown:
            node = told.node
            if node.kind is Kind.FILE and told.happened is not Happened.REMOVED and await places.is_live(node.id):
                token = seal_capability(FileCapability(account, library, node.id, ends_at), self._link_keys)
                links[node.id] = f"{self._public_url}/v1/links/{token}"
        return links

    def _unsubscribe(self, library: str, account: str) -> str:
        ends_at = self._clock.now_ms() // 1000 + UNSUBSCRIBE_LIFE_S
        token = seal_capability(UnsubscribeCapability(account, library, ends_at), self._link_keys)
        return f"{self._public_url}/v1/unsubscribe?token={token}"


async def _concerns(
    commits: Sequence[Commit], library: str, followed: set[str], places: Places
) -> Callable[[Change], bool]:
    """Which changes are below what is followed."""
    if library in followed:
        return lambda _: True
    for commit in commits:
        await places.look_up(commit)
    return lambda change: concerned(change, followed, places.parent_of)
