"""Queue ``letters``: finds out whom a letter is for and what it says, and sends it.

A letter is sent at least once: a worker that dies after SES took it and before it says so sends it again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit

import msgspec

from services.notifier.languages import language
from services.notifier.letters_accounts import (
    AccountLetter,
    write_address,
    write_follow,
    write_invitation,
    write_notice,
    write_reset,
    write_webhook,
)
from services.notifier.rendering import Renderer
from syncline.domain.capabilities import (
    AddressCapability,
    Capability,
    FollowCapability,
    InvitationCapability,
    ResetCapability,
    SigningKey,
    account_stamp,
    seal_capability,
)
from syncline.domain.errors import ConditionFailed, Refused
from syncline.messages.envelope import Unreadable
from syncline.messages.send_letter import Letter, SendLetter, decode
from syncline.ports.clock import Clock
from syncline.ports.mail import Mailer
from syncline.ports.queues import Message
from syncline.ports.tables import Absent, Below, Key, Put, Row, Table, Tables, Update, Value
from syncline.serving.consumer import BatchHandler, each
from syncline.serving.logging import get_logger
from syncline.serving.metrics import Metrics
from syncline.store.addresses import AddressChanges
from syncline.store.directory import Directory
from syncline.store.invitations import Invitations
from syncline.store.journal import Journal
from syncline.store.outsiders import Outsiders
from syncline.store.suppressions import Suppressions
from syncline.store.tree import TreeReader
from syncline.store.views import Views
from syncline.store.webhooks import Webhooks

PER_ADDRESS_AND_HOUR_MAX = 10
"""Letters of a kind that others can have sent to an address. Counted in the table: it holds without the cache too."""
HOUR_S = 3600
SENT_KEPT_S = 15 * 24 * 3600
"""Longer than a message can wait on the queue."""
_ASKED_FOR = frozenset(
    {Letter.INVITATION, Letter.PASSWORD_RESET, Letter.ADDRESS_NEW, Letter.ADDRESS_OLD, Letter.FOLLOW}
)


class Written(msgspec.Struct, frozen=True):
    """A letter and where it goes."""

    to: str
    letter: AccountLetter


class Posting:
    """Rows in the table ``mail``, which expire: ``pk = letter#{id}`` with ``sk = counted`` and, once it was sent,
    ``sk = letter``; ``pk = letters#{kind}#{address}``, ``sk`` the hour, ``count``."""

    def __init__(
        self,
        tables: Tables,
        mailer: Mailer,
        renderer: Renderer,
        clock: Clock,
        metrics: Metrics,
        *,
        link_keys: Sequence[SigningKey],
        public_url: str,
    ) -> None:
        self._tables = tables
        self._directory = Directory(tables)
        self._invitations = Invitations(tables)
        self._changes = AddressChanges(tables)
        self._outsiders = Outsiders(tables)
        self._trees = TreeReader(Journal(tables), Views(tables))
        self._suppressions = Suppressions(tables, clock)
        self._webhooks = Webhooks(tables)
        self._mailer = mailer
        self._renderer = renderer
        self._clock = clock
        self._link_keys = link_keys
        self._public_url = public_url
        self.letters = metrics.counter("letters", "Letters about accounts by what became of them.", ("kind", "result"))
        self._writers: dict[Letter, Callable[[SendLetter], Awaitable[Written | None]]] = {
            Letter.INVITATION: self._invitation,
            Letter.PASSWORD_RESET: self._reset,
            Letter.ADDRESS_OLD: self._address,
            Letter.ADDRESS_NEW: self._address,
            Letter.PASSWORD_CHANGED: self._notice,
            Letter.ADDRESS_CHANGED: self._notice,
            Letter.ACCOUNT_REMOVED: self._notice,
            Letter.FOLLOW: self._follow,
            Letter.WEBHOOK_DISABLED: self._webhook,
        }

    async def post(self, wanted: SendLetter) -> str:
        """What became of a letter: ``sent``, ``sent-before``, ``too-late``, ``pointless``, ``suppressed``,
        ``too-many``, ``rejected``. Raises ``Temporary``: it is tried again; ``Unreadable`` for an unknown kind."""
        try:
            kind = Letter(wanted.kind)
        except ValueError:
            raise Unreadable(f"no letter is called {wanted.kind!r} here") from None
        result = await self._post(kind, wanted)
        self.letters.labels(kind.value, result).inc()
        get_logger().info("letter", kind=kind.value, letter=wanted.id, result=result)
        return result

    async def _post(self, kind: Letter, wanted: SendLetter) -> str:
        if self._now_s() >= wanted.not_after:
            return "too-late"
        sent = Key(f"letter#{wanted.id}", "letter")
        if await self._tables.get(Table.MAIL, sent) is not None:
            return "sent-before"
        written = await self._writers[kind](wanted)
        if written is None:
            return "pointless"
        if await self._suppressions.reason(written.to) is not None:
            return "suppressed"
        if kind in _ASKED_FOR and not await self._count(kind, wanted, written.to):
            return "too-many"
        try:
            message = self._renderer.about_account(
                written.letter, to=written.to, name=f"{wanted.id}.letter", now_ms=self._clock.now_ms()
            )
            await self._mailer.send(message, to=written.to)
        except Refused as refused:
            if refused.kind != "mail-rejected":
                raise
            return "rejected"
        row: Row = {"pk": sent.pk, "sk": sent.sk, "expires_at": self._now_s() + SENT_KEPT_S}
        await self._tables.write(Put(Table.MAIL, row))
        return "sent"

    async def _count(self, kind: Letter, wanted: SendLetter, address: str) -> bool:
        """Count one more letter to this address in this hour, once however often it is tried; False: too many."""
        hour = self._now_s() // HOUR_S
        counted: Row = {"pk": f"letter#{wanted.id}", "sk": "counted", "expires_at": self._now_s() + SENT_KEPT_S}
        key = Key(f"letters#{kind.value}#{address}", str(hour))
        expiry: dict[str, Value] = {"expires_at": (hour + 2) * HOUR_S}
        below = Below("count", PER_ADDRESS_AND_HOUR_MAX)
        operations: list[Put | Update] = [
            Put(Table.MAIL, counted, Absent()),
            Update(Table.MAIL, key, set=expiry, add={"count": 1}, when=below),
        ]
        try:
            await self._tables.transact(operations)
        except ConditionFailed as failed:
            return failed.index == 0
        return True

    # -- what they say ------------------------------------------------------------------------------------------

    async def _invitation(self, wanted: SendLetter) -> Written | None:
        record = await self._invitations.get(wanted.about.get("invitation", ""))
        if record is None or record.ends_at <= self._now_s():
            return None
        inviter = await self._directory.account(record.inviter)
        library = await self._directory.library(record.library) if record.library else None
        letter = write_invitation(
            language(wanted.language),
            who=inviter.name if inviter is not None else "",
            what=library.name if library is not None else "",
            link=self._link(wanted, "invitation", InvitationCapability(record.id, record.ends_at)),
            ends_at_ms=record.ends_at * 1000,
        )
        return Written(record.email, letter)

    async def _reset(self, wanted: SendLetter) -> Written | None:
        account = await self._directory.account_by_email(wanted.to)
        if account is None:
            return None
        stamp = account_stamp(account.id, account.email, account.epoch)
        link = self._link(wanted, "reset", ResetCapability(account.id, stamp, wanted.not_after))
        return Written(account.email, write_reset(language(wanted.language), email=account.email, link=link))

    async def _address(self, wanted: SendLetter) -> Written | None:
        change = await self._changes.get(wanted.about.get("account", ""))
        if change is None or change.id != wanted.about.get("change"):
            return None
        new = wanted.kind == Letter.ADDRESS_NEW
        letter = write_address(
            language(wanted.language),
            new=new,
            old_email=change.old,
            new_email=change.new,
            link=self._link(wanted, "address", AddressCapability(change.account, change.id, new, change.ends_at)),
        )
        return Written(change.new if new else change.old, letter)

    async def _follow(self, wanted: SendLetter) -> Written | None:
        library, node = wanted.about.get("library", ""), wanted.about.get("node", "")
        record = await self._outsiders.get(library, wanted.about.get("follower", ""))
        named = await self._directory.library(library)
        if record is None or named is None:
            return None
        inviter = await self._directory.account(record.invited_by)
        found = None if node == library else await (await self._trees.at_head(library)).node(node)
        letter = write_follow(
            language(wanted.language),
            who=inviter.name if inviter is not None else "",
            # Of the path, the name alone: the folders above it are none of an outsider's business.
            what=named.name if found is None else found.name,
            link=self._link(wanted, "confirm", FollowCapability(record.id, library, node, wanted.not_after)),
            ends_at_ms=wanted.not_after * 1000,
        )
        return Written(record.email, letter)

    async def _notice(self, wanted: SendLetter) -> Written | None:
        letter = write_notice(language(wanted.language), Letter(wanted.kind), email=wanted.to)
        return Written(wanted.to, letter) if wanted.to else None

    async def _webhook(self, wanted: SendLetter) -> Written | None:
        library = await self._directory.library(wanted.about.get("library", ""))
        found = await self._webhooks.get(wanted.about.get("library", ""), wanted.about.get("webhook", ""))
        if library is None or found is None or not wanted.to:
            return None
        # The host alone: the rest of such an address is often a secret.
        host = urlsplit(found[0].url).hostname or ""
        letter = write_webhook(
            language(wanted.language), library=library.name, host=host, since_ms=found[0].disabled_at_ms
        )
        return Written(wanted.to, letter)

    def _link(self, wanted: SendLetter, page: str, capability: Capability) -> str:
        # The token comes last, where people who copy it find it.
        token = seal_capability(capability, self._link_keys)
        return f"{self._public_url}/v1/{page}?lang={language(wanted.language).code}&token={token}"

    def _now_s(self) -> int:
        return self._clock.now_ms() // 1000


def post_letters(posting: Posting) -> BatchHandler:
    async def handle(message: Message) -> None:
        await posting.post(decode(message.body))

    return each(handle)
