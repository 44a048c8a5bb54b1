"""A world with grants and a notifier, in which the sweep's rounds go by."""

from __future__ import annotations

import msgspec

from services.notifier.app import Ports as NotifierPorts, make_notifier
from services.syncer.app import Ports as SyncerPorts, make_syncer
from syncline.domain.ids import id_from_bytes
from syncline.domain.permits import write_prefix
from syncline.memory.mail import MemoryMailer
from syncline.ports.mail import Mailer
from syncline.ports.queues import Queue
from syncline.ports.tables import Table, Tables
from syncline.store.checkpoints import HEARERS, Checkpoints
from syncline.store.grants import GrantRecord, Grants
from tests.unit.metadata.steps import Step, Stepped
from tests.unit.metadata.world import ALICE, GRANT, LAPTOP, LIBRARY, SWEEP_S, Worker, World

CREDENTIAL_S = 900
DIRECT_GRANT = "h" * 20
ALL = (Queue.UPLOADS, Queue.DIRECT, Queue.COMMITS, Queue.SYNC, Queue.NOTIFY)


class Key(msgspec.Struct, frozen=True):
    id: str
    secret: bytes


KEY = Key("k1", b"l" * 32)
PUBLIC_URL = "https://sync.example.org"


async def a_grant(
    world: World, grant: str = GRANT, *, direct: bool = False, opened_at_ms: int | None = None, library: str = LIBRARY
) -> GrantRecord:
    """What the gateway stores when it issues a credential, a renewed one when ``opened_at_ms`` is given."""
    now_ms = world.clock.now_ms()
    opened = now_ms if opened_at_ms is None else opened_at_ms
    expires_at = now_ms // 1000 + CREDENTIAL_S
    record = GrantRecord(
        grant, library, ALICE, LAPTOP, write_prefix(library, grant, direct), direct, opened, expires_at
    )
    await Grants(world.tables).open(record)
    return record


async def sweep(world: World, worker: Worker | None = None, *, rounds: int = 1) -> Worker:
    """Rounds of the sweep, an interval between them, after each of which the workers do what is on their queues."""
    worker = worker or world.worker()
    for _ in range(rounds):
        world.clock.advance(SWEEP_S)
        await worker.sweep.once()
        await worker.drain()
    return worker


async def emptied(world: World, *queues: Queue) -> None:
    """All messages of some queues (of all when none is named) are gone, those in work too: purged by mistake."""
    for queue in queues or ALL:
        world.queues._lines[queue].waiting.clear()


class Hearers:
    """The services that hear of moves: a notifier and a syncer on the world's ports."""

    def __init__(self, world: World, *, mailer: MemoryMailer | None = None, step: Step | None = None) -> None:
        self.mailer = mailer or MemoryMailer()
        tables: Tables = world.tables if step is None else Stepped(world.tables, step)
        sending: Mailer = self.mailer if step is None else Stepped(self.mailer, step)
        self.notifier = make_notifier(
            NotifierPorts(tables, world.queues, sending, world.clock),
            link_keys=[KEY],
            public_url=PUBLIC_URL,
            mail_from="Syncline <mail@sync.example.org>",
            window_s=120,
        )
        self.syncer = make_syncer(
            SyncerPorts(world.tables, world.objects, world.queues, world.cache, world.clock),
            token_keys=[KEY],
            public_url=PUBLIC_URL,
        )

    async def listen(self) -> None:
        """Take in all that is on their queues."""
        while await self.notifier.consumer.run_once() + await self.syncer.consumer.run_once():
            pass


async def heard(world: World, library: str = LIBRARY, incarnation: str = "inc") -> int:
    """How far all of them have come."""
    checkpoints = Checkpoints(world.tables)
    return min([await checkpoints.get(hearer, library, incarnation) for hearer in HEARERS])


def moves_of(world: World) -> list[str]:
    """The libraries that are marked as moved."""
    return sorted(sk for pk, sk in world.rows(Table.JOURNAL) if pk.startswith("moved#"))


def some_id(name: str) -> str:
    return id_from_bytes(name.encode().ljust(20, b"."))
