"""A notifier, or several, on ports in memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from email.message import EmailMessage

import msgspec

from services.notifier.app import Notifier, Ports, make_notifier
from syncline.domain.errors import Temporary
from syncline.memory.cache import MemoryCache
from syncline.memory.clock import ManualClock
from syncline.memory.mail import MemoryMailer
from syncline.memory.queues import MemoryQueues
from syncline.memory.tables import MemoryTables
from syncline.messages.library_moved import LibraryMoved, encode
from syncline.ports.queues import Queue
from syncline.ports.tables import Check, Delete, Put, Table, Tables, Update, Write
from syncline.store.directory import Directory
from syncline.store.follows import Follows
from tests.unit.writing import INCARNATION, Writer, make_account

WINDOW_S = 120
PUBLIC_URL = "https://sync.example.org"


class Key(msgspec.Struct, frozen=True):
    id: str
    secret: bytes


LINK_KEYS = (Key("k1", b"l" * 32),)


class World:
    """People, libraries, and the mail they get."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.tables = MemoryTables()
        self.queues = MemoryQueues(self.clock)
        self.mailer = MemoryMailer()
        self.cache = MemoryCache(self.clock)
        self.certificates: dict[str, bytes] = {}
        self.mail_topic_arn = ""
        self.mail_events_raw = False
        self.directory = Directory(self.tables)
        self.follows = Follows(self.tables)

    def notifier(self, *, tables: Tables | None = None, mailer: MemoryMailer | None = None) -> Notifier:
        ports = Ports(
            tables or self.tables,
            self.queues,
            mailer or self.mailer,
            self.clock,
            MemoryCertificates(self.certificates),
            cache=self.cache,
        )
        return make_notifier(
            ports,
            link_keys=LINK_KEYS,
            public_url=PUBLIC_URL,
            mail_from="Syncline <mail@sync.example.org>",
            window_s=WINDOW_S,
            mail_topic_arn=self.mail_topic_arn,
            mail_events_raw=self.mail_events_raw,
        )

    async def account(self, name: str) -> str:
        return await make_account(self.tables, name)

    async def library(self, name: str, owner: str, *members: str) -> Writer:
        return await Writer(self.tables, self.clock, name).create(owner, *members)

    async def published(self, library: Writer) -> None:
        """Metadata says that the library moved."""
        await self.queues.send(Queue.NOTIFY, encode(LibraryMoved(library.id, library.seq, INCARNATION)))

    async def told(self, notifier: Notifier, library: Writer) -> None:
        """Published, and taken in."""
        await self.published(library)
        while await notifier.consumer.run_once():
            pass

    async def window_over(self, notifier: Notifier) -> None:
        self.clock.advance(WINDOW_S)
        await notifier.sender.round()

    def sent_to(self, name: str) -> list[EmailMessage]:
        return [sent.message for sent in self.mailer.sent if sent.to == f"{name.lower()}@example.org"]


class MemoryCertificates:
    """``Certificates`` of a dictionary by URL."""

    def __init__(self, certificates: dict[str, bytes]) -> None:
        self._certificates = certificates

    async def get(self, url: str) -> bytes:
        if url not in self._certificates:
            raise Temporary("SNS does not answer")
        return self._certificates[url]


class FlakyMailer(MemoryMailer):
    """Fails ``fails`` times with ``Temporary``, before (or after) the mail has gone; then works."""

    def __init__(self, fails: int, *, after: bool = False) -> None:
        super().__init__()
        self.fails = fails
        self.after = after

    async def send(self, message: EmailMessage, *, to: str) -> str:
        if self.fails > 0:
            self.fails -= 1
            if self.after:
                await super().send(message, to=to)
            raise Temporary("SES is throttling")
        return await super().send(message, to=to)


class Crash(BaseException):
    """The process dies: nothing catches this."""


class CrashingTables(MemoryTables):
    """Dies at the ``at``-th write (from 1), before or after it took effect, then stays dead. Shares ``of``'s rows."""

    def __init__(self, of: MemoryTables, at: int, *, after: bool) -> None:
        super().__init__()
        self._partitions = of._partitions
        self.writes = 0
        self._dies_at = at
        self._dies_after = after

    @property
    def dead(self) -> bool:
        return self.writes >= self._dies_at

    async def write(self, operation: Write) -> None:
        await self._around(lambda: super(CrashingTables, self).write(operation))

    async def transact(self, operations: Sequence[Put | Update | Delete | Check]) -> None:
        await self._around(lambda: super(CrashingTables, self).transact(operations))

    async def _around(self, write: Callable[[], Awaitable[None]]) -> None:
        if self.dead:
            raise Crash
        self.writes += 1
        if not self.dead:
            await write()
            return
        if self._dies_after:
            await write()
        raise Crash


class DyingMailer(MemoryMailer):
    """Belongs to the process of ``tables``: sends nothing once that is dead. What it sends lies in ``sent_by``."""

    def __init__(self, tables: CrashingTables, sent_by: MemoryMailer) -> None:
        super().__init__()
        self._tables = tables
        self._sent_by = sent_by

    async def send(self, message: EmailMessage, *, to: str) -> str:
        if self._tables.dead:
            raise Crash
        return await self._sent_by.send(message, to=to)


def body_of(message: EmailMessage, kind: str = "plain") -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def rows(tables: MemoryTables, prefix: str) -> list[str]:
    """The keys of the table ``mail`` that begin so."""
    found = tables._partitions.items()
    return [f"{pk} {sk}" for (table, pk), p in found if table is Table.MAIL and pk.startswith(prefix) for sk in p.order]
