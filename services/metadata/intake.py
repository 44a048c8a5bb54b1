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

from collections.abc import Iterable, Sequence

import msgspec

from services.metadata.arrivals import Arrival, Arrivals, commands_for
from services.metadata.measures import Measures
from syncline.domain.errors import Refused, Temporary
from syncline.domain.permits import PermitKeys, parse_key
from syncline.messages import object_landed
from syncline.messages.envelope import Unreadable
from syncline.messages.object_landed import ObjectLanded
from syncline.ports.clock import Clock
from syncline.ports.objects import ObjectStore
from syncline.ports.queues import Message, Queues
from syncline.ports.tables import Tables
from syncline.serving.consumer import Batch
from syncline.serving.logging import get_logger


class Landed(msgspec.Struct, frozen=True):
    """One event that a message reports, and where in S3 its permit's bytes are supposed to be."""

    message: Message
    event: ObjectLanded
    library: str
    permit: str


class Checked(msgspec.Struct, frozen=True):
    message: Message
    arrival: Arrival


class Intake:
    """Handles batches of the queues ``uploads`` and ``direct``."""

    def __init__(
        self,
        tables: Tables,
        objects: ObjectStore,
        queues: Queues,
        keys: PermitKeys,
        clock: Clock,
        measures: Measures,
    ) -> None:
        self._arrivals = Arrivals(tables, objects, queues, keys)
        self._clock = clock
        self._measures = measures

    async def handle(self, batch: Batch) -> None:
        """Judge every event of a batch. What is sent on is done once the commands are on their queue."""
        landed = self._read(batch)
        fresh = await self._drop_known(landed)
        checked = await self._check(fresh, batch)
        early = await self._arrivals.early([one.arrival for one in checked])
        self._count("early", len(early))
        ready = [one.arrival for one in checked if one.arrival.permit.id not in early]
        for command in commands_for(ready):
            self._count("sent", await self._arrivals.send(command, ready))
        if early:
            waiting = {one.message.receipt for one in checked if one.arrival.permit.id in early}
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
            known = await self._arrivals.known(library, [one.permit for one in here])
            fresh.extend(one for one in here if one.permit not in known)
        self._count("known", len(landed) - len(fresh))
        return fresh

    async def _check(self, landed: Sequence[Landed], batch: Batch) -> list[Checked]:
        heads = await self._arrivals.heads([(one.event.key, one.event.s3_version) for one in landed])
        checked: dict[str, Checked] = {}
        for one, found in zip(landed, heads, strict=True):
            if found is None:
                self._count("gone")
                get_logger().info("object-gone", library=one.library, permit=one.permit)
                continue
            try:
                arrival = self._arrivals.judge(found)
            except Refused as refused:
                self._count(refused.kind)
                batch.set_aside(one.message, f"{refused.kind}: {refused.detail} Object {one.event.key}.")
            else:
                # The same event twice in one batch, or a key overwritten with the same bytes: one version.
                self._measures.stage("seen", since_ms=arrival.at_s * 1000, now_ms=self._clock.now_ms())
                checked.setdefault(arrival.permit.id, Checked(one.message, arrival))
        return list(checked.values())

    def _count(self, result: str, amount: int = 1) -> None:
        self._measures.landed.labels(result).inc(amount)
