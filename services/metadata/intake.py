"""Intake: the durable road. S3's events in, commit commands out for what the fast road has not committed.

Events come late, twice, in any order, and from anyone who may write under a prefix; so each is judged by the object
itself: its permit, its size, its checksum and when it landed. An event is one of:

- ``not-ours``: its key is none of an upload (counted, dropped)
- ``known``: its permit has become a version or was withdrawn (dropped; the usual case)
- ``gone``: the object version is not there any more (dropped)
- ``set-aside``: no permit, a forged one, another key's, another content, or landed too late
- ``early``: a version of a file whose own first version has not been seen yet (comes again later)
- ``sent``: a command for it is on its way to the committer
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import msgspec

from services.metadata.landing import Landing, judge
from services.metadata.measures import Measures
from syncline.domain.commands import AddVersion, Command, Permit
from syncline.domain.errors import Refused, Temporary
from syncline.domain.ids import id_from_bytes
from syncline.domain.nodes import Location
from syncline.domain.permits import METADATA_NAME, PermitKeys, open_permit, parse_key
from syncline.messages import commit_changes, object_landed
from syncline.messages.commit_changes import CommitChanges
from syncline.messages.envelope import Unreadable
from syncline.messages.object_landed import ObjectLanded
from syncline.ports.objects import ObjectInfo, ObjectStore
from syncline.ports.queues import Message, Queue, Queues
from syncline.ports.tables import Tables
from syncline.serving.consumer import Batch
from syncline.serving.logging import get_logger
from syncline.store.views import Views

VERSIONS_PER_COMMAND_MAX = 100
"""A command of so many permits stays well below what a message holds."""


class Landed(msgspec.Struct, frozen=True):
    """One event that a message reports, and where in S3 its permit's bytes are supposed to be."""

    message: Message
    event: ObjectLanded
    library: str
    permit: str


class Checked(msgspec.Struct, frozen=True):
    message: Message
    permit: Permit
    location: Location


class Intake:
    """Handles batches of the queues ``uploads`` and ``direct``."""

    def __init__(
        self, tables: Tables, objects: ObjectStore, queues: Queues, keys: PermitKeys, measures: Measures
    ) -> None:
        self._views = Views(tables)
        self._landing = Landing(objects)
        self._queues = queues
        self._keys = keys
        self._measures = measures

    async def handle(self, batch: Batch) -> None:
        """Judge every event of a batch. What is sent on is done once the commands are on their queue."""
        landed = self._read(batch)
        fresh = await self._drop_known(landed)
        checked = await self._check(fresh, batch)
        early = await self._early(checked)
        ready = [one for one in checked if one not in early]
        for command in commands_for(ready):
            await self._send(command, ready)
        if early:
            waiting = {one.message.receipt for one in early}
            for message in batch.open:
                if message.receipt not in waiting:
                    batch.finish(message)
            raise Temporary(f"{len(early)} versions are of files that have not been committed yet")

    def _read(self, batch: Batch) -> list[Landed]:
        landed: list[Landed] = []
        for message in batch.messages:
            try:
                events = object_landed.decode(message.body)
            except Unreadable as error:
                self._count("unreadable")
                batch.set_aside(message, f"Unreadable: {error}")
                continue
            landed.extend(self._ours(message, events))
        return landed

    def _ours(self, message: Message, events: Sequence[ObjectLanded]) -> Iterable[Landed]:
        for event in events:
            key = parse_key(event.key)
            if key is None:
                self._count("not-ours")
                get_logger().warning("not-an-upload", key_prefix=event.key.partition("/")[0][:32])
            else:
                yield Landed(message, event, key.library, key.permit)

    async def _drop_known(self, landed: Sequence[Landed]) -> list[Landed]:
        """Those whose permit nothing has become of, as far as the views know; the committer knows the rest."""
        fresh: list[Landed] = []
        for library in dict.fromkeys(one.library for one in landed):
            here = [one for one in landed if one.library == library]
            known = await self._views.version_records(library, [one.permit for one in here])
            fresh.extend(one for one in here if one.permit not in known)
        self._count("known", len(landed) - len(fresh))
        return fresh

    async def _check(self, landed: Sequence[Landed], batch: Batch) -> list[Checked]:
        heads = await self._landing.heads([(one.event.key, one.event.s3_version) for one in landed])
        checked: dict[str, Checked] = {}
        for one, found in zip(landed, heads, strict=True):
            if found is None:
                self._count("gone")
                get_logger().info("object-gone", library=one.library, permit=one.permit)
                continue
            try:
                permit, location = self._judge(found)
            except Refused as refused:
                self._count(refused.kind)
                batch.set_aside(one.message, f"{refused.kind}: {refused.detail} Object {one.event.key}.")
            else:
                # The same event twice in one batch, or a key overwritten with the same bytes: one version.
                checked.setdefault(permit.id, Checked(one.message, permit, location))
        return list(checked.values())

    async def _early(self, checked: Sequence[Checked]) -> list[Checked]:
        """Versions of files that nobody has heard of. Events come in any order: the file's own may follow."""
        unnamed = [one for one in checked if not one.permit.new and not one.permit.name]
        if not unnamed:
            return []
        coming = {one.permit.node for one in checked if one.permit.new}
        early: list[Checked] = []
        for library in dict.fromkeys(one.permit.library for one in unnamed):
            here = [one for one in unnamed if one.permit.library == library]
            asked = [one.permit.node for one in here if one.permit.node not in coming]
            there = await self._views.first_states(library, asked)
            early.extend(one for one in here if one.permit.node not in coming and one.permit.node not in there)
        self._count("early", len(early))
        return early

    def _judge(self, found: ObjectInfo) -> tuple[Permit, Location]:
        """Raises ``Refused`` with the reason why an object can never become a version."""
        sealed = found.metadata.get(METADATA_NAME, "")
        if not sealed:
            raise Refused("no-permit", "The object carries no permit.")
        permit = open_permit(sealed, self._keys)
        location = judge(permit, found)
        if isinstance(location, str):
            raise Refused(location, f"Permit {permit.id} is not good for what landed.")
        return permit, location

    async def _send(self, command: Command, checked: Sequence[Checked]) -> None:
        permits = {request.permit.id for request in command.requests if isinstance(request, AddVersion)}
        locations = {one.permit.id: one.location for one in checked if one.permit.id in permits}
        body = commit_changes.encode(CommitChanges(command, landed=locations))
        await self._queues.send(Queue.COMMITS, body, group=command.library, dedup=command.id)
        self._count("sent", len(permits))
        get_logger().info("sent", library=command.library, command=command.id, versions=len(permits))

    def _count(self, result: str, amount: int = 1) -> None:
        self._measures.landed.labels(result).inc(amount)


def commands_for(checked: Sequence[Checked]) -> list[Command]:
    """Commands that make versions of what landed, each of one device under one epoch, in the device's order.

    Their ids follow from the permits, so the same events make the same commands.
    """
    groups: dict[tuple[str, str, str, int], list[Permit]] = {}
    for one in checked:
        permit = one.permit
        groups.setdefault((permit.library, permit.account, permit.device, permit.epoch), []).append(permit)
    commands: list[Command] = []
    for (library, account, device, epoch), permits in groups.items():
        permits.sort(key=lambda permit: (permit.counter, permit.id))
        for start in range(0, len(permits), VERSIONS_PER_COMMAND_MAX):
            some = permits[start : start + VERSIONS_PER_COMMAND_MAX]
            requests = tuple(AddVersion(permit) for permit in some)
            counter = max(permit.counter for permit in some)
            commands.append(Command(command_id(some), library, account, device, counter, epoch, requests))
    return commands


def command_id(permits: Sequence[Permit]) -> str:
    """The id of the command that intake makes for these permits."""
    named = "\n".join(["intake", *(permit.id for permit in permits)])
    return id_from_bytes(hashlib.sha256(named.encode()).digest())
