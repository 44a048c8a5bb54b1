"""Composes one mail from a claimed window: reads the journal in its ranges, checks rights again, writes the letter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from email.message import EmailMessage

import msgspec
from yarl import URL

from services.notifier.digesting import Digesting, Told as Read
from services.notifier.languages import language
from services.notifier.letters import Surroundings, write_letter
from services.notifier.members import Members
from services.notifier.places import Places
from services.notifier.recipients import Recipient, Recipients
from services.notifier.rendering import Renderer
from services.notifier.windows import Mailbox, Window
from syncline.domain.capabilities import (
    FILE_LINK_LIFE_S,
    RENEW_LIFE_S,
    UNSUBSCRIBE_LIFE_S,
    Capability,
    FileCapability,
    FollowCapability,
    SigningKey,
    UnsubscribeCapability,
    seal_capability,
)
from syncline.domain.digests import Digest, Happened, Told
from syncline.domain.following import Scope
from syncline.domain.membership import MembersTold
from syncline.domain.nodes import Kind
from syncline.ports.clock import Clock
from syncline.store.directory import Directory, LibraryRecord
from syncline.store.follows import Follows, terms_of
from syncline.store.outsiders import RENEWAL_S
from syncline.store.suppressions import Suppressions


class Composed(msgspec.Struct, frozen=True):
    """A mail and the address it goes to; when the oldest commit was made that it tells of (0: none), and in which
    traces they were."""

    message: EmailMessage
    to: str
    since_ms: int = 0
    traces: tuple[str, ...] = ()


class Nothing(msgspec.Struct, frozen=True):
    """No mail, and why: ``no-follower``, ``no-library``, ``unfollowed``, ``suppressed``, ``nothing-left``."""

    reason: str


class Composer:
    """Makes the mail of a window. Raises ``Refused("mail-rejected")`` for an impossible address, ``Temporary``."""

    def __init__(
        self,
        *,
        digesting: Digesting,
        directory: Directory,
        recipients: Recipients,
        follows: Follows,
        suppressions: Suppressions,
        members: Members,
        renderer: Renderer,
        link_keys: Sequence[SigningKey],
        public_url: str,
        clock: Clock,
    ) -> None:
        self._digesting = digesting
        self._directory = directory
        self._recipients = recipients
        self._follows = follows
        self._suppressions = suppressions
        self._members = members
        self._renderer = renderer
        self._link_keys = link_keys
        self._public_url = public_url
        self._clock = clock

    async def compose(self, box: Mailbox, window: Window) -> Composed | Nothing:
        library = await self._directory.library(box.library)
        if library is None:
            return Nothing("no-library")
        # The window was opened minutes or hours ago: what holds now decides.
        recipient = await self._recipients.find(library.id, box.account)
        if recipient is None:
            return Nothing("no-follower")
        scope = await self._scope(box, window, recipient)
        if not scope.counted:
            return Nothing("unfollowed")
        if await self._suppressions.reason(recipient.email) is not None:
            return Nothing("suppressed")
        return await self._compose(library, recipient, scope, box, window)

    async def address(self, box: Mailbox) -> str | None:
        """Where a follower's mail goes."""
        recipient = await self._recipients.find(box.library, box.account)
        return None if recipient is None else recipient.email

    async def _scope(self, box: Mailbox, window: Window, recipient: Recipient) -> Scope:
        follows = [f for f in await self._follows.of_account(recipient.id) if f.library == box.library]
        terms = {follow.node: terms_of(follow, recipient.preferences) for follow in follows}
        # A follow that changed its schedule since the window opened was perhaps told of into this one: better in
        # both mails than in none.
        counted = frozenset(
            follow.node
            for follow in follows
            if terms[follow.node].lane == box.lane
            or max(follow.at_ms, recipient.preferences.at_ms) > window.opened_at_ms
        )
        return Scope(box.library, terms, counted)

    async def _compose(
        self, library: LibraryRecord, recipient: Recipient, scope: Scope, box: Mailbox, window: Window
    ) -> Composed | Nothing:
        read = await self._digesting.digest(library.id, box.incarnation, window.ranges, recipient.id, scope)
        members = MembersTold()
        if window.members and scope.wants_members and not recipient.outside:
            members = await self._members.told(library.id, window.members, recipient.id)
        if not read.digest.count and not members.told:
            return Nothing("nothing-left")
        letter = write_letter(read.digest, await self._surroundings(read, members, library, recipient, scope))
        message = self._renderer.message(
            letter,
            to_name=recipient.name,
            to=recipient.email,
            library=library.id,
            account=recipient.id,
            first=window.first,
            lane=box.lane,
            now_ms=self._clock.now_ms(),
        )
        return Composed(message, recipient.email, read.since_ms, read.traces)

    async def _surroundings(
        self, read: Read, members: MembersTold, library: LibraryRecord, recipient: Recipient, scope: Scope
    ) -> Surroundings:
        digest = read.digest
        shown = [told for group in digest.groups for told in group.told]
        named = {who for group in digest.groups for who in group.accounts} | set(digest.accounts[:3])
        named |= members.accounts
        people = await self._directory.accounts(sorted(named))
        folders = await _folders(digest, read.places, scope if recipient.outside else None)
        linked = [told for told in shown if told.node.parent in folders or told.node.id in scope.follows]
        return Surroundings(
            library=library.name,
            people={who: record.name for who, record in people.items()},
            folders=folders,
            links=await self._links(linked, library.id, recipient, read.places) if recipient.links else {},
            unsubscribe=self._unsubscribe(library.id, recipient),
            language=language(recipient.language),
            cut=read.cut,
            members=members,
            outside=recipient.outside,
            ends_at_ms=recipient.ends_at_s * 1000,
            renew=self._renew(library.id, recipient, scope),
        )

    async def _links(self, shown: Iterable[Told], library: str, recipient: Recipient, places: Places) -> dict[str, str]:
        """A link to each file that is still there."""
        ends_at = self._clock.now_ms() // 1000 + FILE_LINK_LIFE_S
        links: dict[str, str] = {}
        for told in shown:
            node = told.node
            if node.kind is Kind.FILE and told.happened is not Happened.REMOVED and await places.is_live(node.id):
                token = self._seal(FileCapability(recipient.id, library, node.id, ends_at))
                links[node.id] = self._url(f"/v1/links/{token}", recipient)
        return links

    def _unsubscribe(self, library: str, recipient: Recipient) -> str:
        ends_at = self._clock.now_ms() // 1000 + UNSUBSCRIBE_LIFE_S
        token = self._seal(UnsubscribeCapability(recipient.id, library, ends_at))
        return self._url("/v1/unsubscribe", recipient, token)

    def _renew(self, library: str, recipient: Recipient, scope: Scope) -> str:
        now_s = self._clock.now_ms() // 1000
        if not recipient.outside or recipient.ends_at_s - now_s > RENEWAL_S:
            return ""
        node = min(scope.follows)
        token = self._seal(FollowCapability(recipient.id, library, node, now_s + RENEW_LIFE_S))
        return self._url("/v1/confirm", recipient, token)

    def _url(self, path: str, recipient: Recipient, token: str = "") -> str:
        """``lang`` makes the page speak as the mail does; who never said which language is asked by their browser."""
        query = {"lang": recipient.language, "token": token}
        return str(URL(self._public_url + path).with_query({name: value for name, value in query.items() if value}))

    def _seal(self, capability: Capability) -> str:
        return seal_capability(capability, self._link_keys)


async def _folders(digest: Digest, places: Places, only: Scope | None) -> dict[str, str]:
    """The paths of the folders a letter speaks of; only those below what is followed when ``only`` is given."""
    told = [told for group in digest.groups for told in group.told]
    parents = {one.node.parent for one in told} | {one.was.parent for one in told if one.was}
    parents |= {parent for group in digest.groups for parent, _ in group.elsewhere}
    found: dict[str, str] = {}
    for parent in sorted(parents):
        path = await (places.path(parent) if only is None else places.path_below(parent, only.follows))
        if path is not None:
            found[parent] = path
    return found
