"""Metadata on memory ports, with a gateway's and a client's doings in short words."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

import msgspec

from services.metadata.app import make_sweep
from services.metadata.committer import Committer
from services.metadata.intake import Intake
from services.metadata.measures import Measures
from syncline.domain.commands import AddVersion, Command, Permit, Request
from syncline.domain.commits import Commit, Outcome
from syncline.domain.ids import id_from_bytes
from syncline.domain.permits import METADATA_NAME, PermitKey, PermitKeys, object_key, seal_permit
from syncline.domain.rights import Role
from syncline.domain.tree import Tree
from syncline.memory.cache import MemoryCache
from syncline.memory.clock import ManualClock
from syncline.memory.objects import MemoryObjects
from syncline.memory.queues import MemoryQueues
from syncline.memory.tables import MemoryTables
from syncline.memory.topics import MemoryTopic
from syncline.messages import commit_changes, library_moved
from syncline.messages.commit_changes import CommitChanges
from syncline.messages.library_moved import LibraryMoved
from syncline.ports.objects import ObjectInfo, ObjectStore
from syncline.ports.queues import Queue, Queues
from syncline.ports.tables import Table, Tables, Value
from syncline.ports.topics import ChangesTopic
from syncline.serving.consumer import Consumer
from syncline.serving.metrics import Metrics
from syncline.store.directory import DeviceRecord, Directory, LibraryRecord
from syncline.store.journal import Journal
from syncline.store.tree import TreeReader
from syncline.store.views import Views

LIBRARY = "l" * 20
ALICE, BOB = "a" * 20, "b" * 20
LAPTOP, DESKTOP = "d" * 20, "e" * 20
GRANT = "g" * 20
KEYS = PermitKeys((PermitKey("k1", b"a secret of at least 32 bytes...."),))
FORGERS_KEYS = PermitKeys((PermitKey("k1", b"another secret of 32 bytes......."),))
PERMIT_S = 900
SWEEP_S = 60


class Worker:
    """One metadata process: its consumers, with caches of their own. Ports may be wrapped."""

    def __init__(
        self,
        world: World,
        *,
        tables: Tables | None = None,
        objects: ObjectStore | None = None,
        topic: ChangesTopic | None = None,
        queues: Queues | None = None,
    ) -> None:
        self.metrics = metrics = Metrics("metadata")
        tables, objects = tables or world.tables, objects or world.objects
        topic, queues = topic or world.topic, queues or world.queues
        self.measures = Measures(metrics)
        self.committer = Committer(tables, objects, topic, world.cache, world.clock, self.measures)
        self.intake = Intake(tables, objects, queues, KEYS, world.clock, self.measures)
        self.sweep = make_sweep(
            tables=tables,
            objects=objects,
            queues=queues,
            topic=topic,
            clock=world.clock,
            keys=KEYS,
            measures=self.measures,
            interval_s=SWEEP_S,
        )
        handlers = {
            Queue.COMMITS: self.committer.handle,
            Queue.UPLOADS: self.intake.handle,
            Queue.DIRECT: self.intake.handle,
        }
        self.consumers = {
            queue: Consumer(queues, queue, handle, clock=world.clock, metrics=metrics)
            for queue, handle in handlers.items()
        }

    async def once(self, queue: Queue) -> int:
        """Receive and handle once."""
        return await self.consumers[queue].run_once()

    async def drain(self) -> None:
        """Work until nothing is visible on any queue."""
        while sum([await self.once(queue) for queue in self.consumers]):
            pass

    def swept(self, what: str, result: str) -> float:
        """How many the sweep counted so: of ``objects``, ``libraries`` or ``grants``."""
        value: float = getattr(self.measures, f"sweep_{what}").labels(result)._value.get()
        return value

    def landed(self, result: str) -> float:
        """How many events intake judged so."""
        value: float = self.measures.landed.labels(result)._value.get()
        return value


class World:
    """Everything metadata stands on. ``library`` is alice's, with bob as an editor."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.tables = MemoryTables()
        self.queues = MemoryQueues(self.clock)
        self.objects = MemoryObjects(self.clock, self.queues)
        self.topic = MemoryTopic(self.queues)
        self.cache = MemoryCache(self.clock)
        self.journal = Journal(self.tables)
        self.views = Views(self.tables)
        self.directory = Directory(self.tables)
        self.trees = TreeReader(self.journal, self.views)
        self._made = 0

    async def begin(self) -> World:
        await self.directory.create_library(LibraryRecord(LIBRARY, "Papers", 1), ALICE, "inc")
        await self.directory.set_member(LIBRARY, BOB, Role.EDITOR)
        await self.directory.create_device(DeviceRecord(LAPTOP, ALICE, "alice-laptop", "", "", 1))
        await self.directory.create_device(DeviceRecord(DESKTOP, BOB, "bob-desktop", "", "", 1))
        return self

    def worker(self) -> Worker:
        return Worker(self)

    def new_id(self) -> str:
        self._made += 1
        return id_from_bytes(hashlib.sha256(f"id {self._made}".encode()).digest())

    # -- what the gateway and clients do ----------------------------------------------------------------------------

    async def permit(
        self,
        content: bytes,
        *,
        name: str = "",
        parent: str = LIBRARY,
        node: str = "",
        base: str = "",
        account: str = ALICE,
        device: str = LAPTOP,
        direct: bool = False,
        library: str = LIBRARY,
    ) -> Permit:
        """What the gateway answers to an intent: for a new file, or a version of ``node``."""
        head = await self.journal.head(library)
        assert head is not None
        permit_id = self.new_id()
        return Permit(
            id=permit_id,
            grant=GRANT,
            library=library,
            account=account,
            device=device,
            counter=self._made,
            epoch=head.epoch,
            key=object_key(library, GRANT, permit_id, direct),
            node=node or self.new_id(),
            new=not node,
            parent="" if node else parent,
            name=name,
            base_version=base,
            size_bytes=len(content),
            checksum=checksum(content),
            mtime_ns=1,
            executable=False,
            expires_at=self.clock.now_ms() // 1000 + PERMIT_S,
        )

    async def put(self, permit: Permit, content: bytes, *, sealed: str | None = None, key: str = "") -> ObjectInfo:
        """The client's PUT, which sends an event."""
        sealed = seal_permit(permit, KEYS) if sealed is None else sealed
        metadata = {METADATA_NAME: sealed} if sealed else {}
        return await self.objects.put(key or permit.key, content, metadata=metadata)

    async def upload(self, name: str, content: bytes = b"content", **more: str) -> Permit:
        permit = await self.permit(content, name=name, **more)  # type: ignore[arg-type]
        await self.put(permit, content)
        return permit

    async def ask(
        self,
        *requests: Request,
        account: str = ALICE,
        device: str = LAPTOP,
        epoch: int | None = None,
        all_or_nothing: bool = False,
        library: str = LIBRARY,
    ) -> Command:
        """A command on the fast road."""
        head = await self.journal.head(library)
        assert head is not None
        epoch = head.epoch if epoch is None else epoch
        command = Command(
            self.new_id(), library, account, device, self._made, epoch, requests, all_or_nothing
        )  # fmt: skip
        await self.send(command)
        return command

    async def send(self, command: Command, dedup: str = "") -> None:
        body = commit_changes.encode(CommitChanges(command))
        if len(body) > commit_changes.MAX_INLINE_BYTES:
            key = f"commands/{command.library}/{command.id}"
            await self.objects.put(key, msgspec.msgpack.encode(command))
            body = commit_changes.encode(CommitChanges(None, key))
        await self.queues.send(Queue.COMMITS, body, group=command.library, dedup=dedup or command.id)

    async def add(self, *permits: Permit, **more: str) -> Command:
        return await self.ask(*map(AddVersion, permits), **more)  # type: ignore[arg-type]

    # -- what came of it --------------------------------------------------------------------------------------------

    async def commits(self, library: str = LIBRARY) -> list[Commit]:
        """The journal, which raises for gaps."""
        return [commit async for commit in self.journal.read(library, 0)]

    async def tree(self, library: str = LIBRARY) -> Tree:
        tree = Tree(library)
        tree.apply_all(await self.commits(library))
        return tree

    async def names(self, folder: str = LIBRARY) -> list[str]:
        return [node.name for node in (await self.tree()).children(folder)]

    async def outcome(self, command: Command) -> Outcome:
        outcome = await self.journal.outcome(command.id)
        assert outcome is not None
        return outcome

    async def published(self) -> list[LibraryMoved]:
        """What the notifier would receive now, without its times; takes it off its queue."""
        moved: list[LibraryMoved] = []
        while messages := await self.queues.receive(Queue.NOTIFY, wait_s=0):
            found = [library_moved.decode(message.body) for message in messages]
            moved += [msgspec.structs.replace(one, at_ms=0) for one in found]
            await self.queues.delete(Queue.NOTIFY, messages)
        return moved

    async def set_aside(self, queue: Queue) -> list[str]:
        return [reason for _, reason in await self.queues.dead_letters(queue)]

    async def left_on(self, *queues: Queue) -> int:
        """Messages waiting or hidden."""
        return sum(len(self.queues._lines[queue].waiting) for queue in queues)

    async def forget(self, queue: Queue) -> None:
        """Take everything off a queue."""
        while messages := await self.queues.receive(queue, wait_s=0):
            await self.queues.delete(queue, messages)

    def rows(self, table: Table) -> dict[tuple[str, str], dict[str, Value]]:
        found: dict[tuple[str, str], dict[str, Value]] = {}
        for (of, pk), partition in self.tables._partitions.items():
            if of is table:
                found.update({(pk, sk): dict(row) for sk, row in partition.rows.items()})
        return found

    def rows_in_place(self, pk_prefix: str) -> list[dict[str, Value]]:
        """The rows themselves, to be damaged."""
        partitions = [partition for (_, pk), partition in self.tables._partitions.items() if pk.startswith(pk_prefix)]
        return [row for partition in partitions for row in partition.rows.values()]

    async def whole(self) -> None:
        """What must hold once all work is done: views at the head, saying what the journal says; no gaps."""
        tree = await self.tree()
        head = await self.journal.head(LIBRARY)
        assert head is not None
        assert head.seq == tree.seq
        assert await self.views.applied(LIBRARY) == tree.seq
        once = MemoryTables()
        await Views(once).write(*await self.commits())
        written = self.rows(Table.VIEWS)
        written.pop((f"applied#{LIBRARY}", "applied"), None)
        fresh = {
            (pk, sk): dict(row) for (_, pk), partition in once._partitions.items() for sk, row in partition.rows.items()
        }
        assert written == fresh
        versions = [record.version.id for record in tree._versions.values() if record.version is not None]
        assert len(versions) == len(set(versions))


def checksum(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


def statuses(outcome: Outcome) -> list[str]:
    return [result.status.value for result in outcome.results]


def altered(permit: Permit, **changes: object) -> Permit:
    return msgspec.structs.replace(permit, **changes)


def in_order(commits: Sequence[Commit]) -> bool:
    return [commit.seq for commit in commits] == list(range(1, len(commits) + 1))
