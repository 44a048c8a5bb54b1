"""Sweeping grants: finds what landed in S3 and became no version, and sends it to the committer as intake does.

Every grant is looked at in each round while its credential lives and a little longer, and once more when its permits
have ended; then it is done. A look lists the grant's prefix. Its steps, each harmless to do twice: ask the views what
is known, head and judge the rest, send commands, remember how far all is settled, move the grant's entry on. What can
never become a version (forged, too late, refused by the committer) is settled as well: it is not tried again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

from services.metadata.arrivals import Arrival, Arrivals, commands_for, permits_of
from services.metadata.measures import Measures
from syncline.domain.checksums import SINGLE_PUT_MAX_BYTES
from syncline.domain.errors import Broken, Refused, SynclineError, Temporary
from syncline.domain.permits import parse_key
from syncline.ports.clock import Clock
from syncline.ports.objects import ListedObject, ListedVersion, ObjectStore
from syncline.ports.tables import Tables
from syncline.serving.logging import get_logger
from syncline.store.grants import LAST_AFTER_S, Entry, GrantRecord, Grants, hour_of
from syncline.store.journal import Journal
from syncline.store.recounting import Recounting
from syncline.store.sweeps import Sweeps
from syncline.store.together import together
from syncline.store.usage import Usage

GRANTS_AT_ONCE = 8
KEYS_AT_ONCE = 500
CLOCKS_DIFFER_S = 120
"""S3's clock and ours agree at least so well."""
CREDENTIAL_S_MAX = 3_600
ENDED_AFTER_S = 600
"""What was being sent when the credential ended has arrived by then, but for the slowest."""
ENDED_S_MAX = 6 * 3_600
"""A grant with something unsettled is looked at in every round so long after its credential ended."""
GIVE_UP_AFTER_S = LAST_AFTER_S + 7 * 24 * 3_600
LOOK_BACK_HOURS = 9 * 24
"""Where the first sweep of all begins."""


class GrantSweep:
    """One of the sweep's jobs. ``grace_s``: what landed later may still be on its way by the ordinary roads."""

    name = "grants"

    def __init__(
        self,
        tables: Tables,
        objects: ObjectStore,
        arrivals: Arrivals,
        clock: Clock,
        measures: Measures,
        *,
        grace_s: int,
    ) -> None:
        self._grants = Grants(tables)
        self._sweeps = Sweeps(tables)
        self._usage = Usage(tables)
        self._recounting = Recounting(tables, objects)
        self._journal = Journal(tables)
        self._objects = objects
        self._arrivals = arrivals
        self._clock = clock
        self._measures = measures
        self._grace_s = grace_s

    async def round(self) -> None:
        """Look at every grant whose hour has come. Raises ``Temporary``; the next round goes on where it ended."""
        now_s = self._clock.now_ms() // 1000
        begun = await self._sweeps.first_hour()
        first = hour_of(now_s) - LOOK_BACK_HOURS if begun is None else begun
        if begun is None:
            # Said before it is done: however long the first round keeps failing, none begins later than this one.
            await self._sweeps.advance(first)
        # A credential that is issued now puts its grant into this hour or a later one; clocks differ a little.
        waiting = max(first, hour_of(now_s) - 1)
        # In ascending order: an entry is moved to a later hour, so whoever finds an hour empty has not missed it.
        for hour in range(first, hour_of(now_s + CREDENTIAL_S_MAX) + 1):
            if await self._sweep_hour(hour, now_s):
                waiting = min(waiting, hour)
        if waiting > first:
            await self._sweeps.advance(waiting)

    async def _sweep_hour(self, hour: int, now_s: int) -> bool:
        """Whether something is left in the hour."""
        left = False
        async for entries in self._grants.entries(hour):
            ids = [entry.grant for entry in entries]
            swept, grants = await self._sweeps.swept(ids), await self._read(ids)
            work = [(entry, grants, swept[entry.grant]) for entry in entries]
            stay = await together(work, lambda one: self._sweep_entry(*one, now_s), at_once=GRANTS_AT_ONCE)
            left = left or any(stay)
        return left

    async def _read(self, ids: Sequence[str]) -> Mapping[str, GrantRecord] | None:
        """The grants, or None when one of them cannot be read: then each is read alone, to find which."""
        try:
            return await self._grants.many(ids)
        except Broken:
            return None

    async def _sweep_entry(self, entry: Entry, grants: Mapping[str, GrantRecord] | None, upto: int, now_s: int) -> bool:
        """Whether the entry stays where it is."""
        try:
            grant = await self._grants.get(entry.grant) if grants is None else grants.get(entry.grant)
            if grant is None:
                after = None
            elif entry.ends_at != grant.expires_at:
                # A newer credential: it decides when to look. Never in an earlier hour, which may be over for good.
                after = Entry(max(entry.hour, hour_of(grant.expires_at)), grant.id, grant.expires_at, last=False)
            elif entry.last and entry.hour > hour_of(now_s):
                return True
            else:
                over = entry.last or now_s >= entry.ends_at + ENDED_AFTER_S
                if over:
                    await self._recounting.begin(grant.library)
                counted = await self._usage.counted(grant) if over else None
                settled, landed_bytes = await self._look(grant, upto, now_s, everything=entry.last)
                if counted is not None and not await self._usage.settle(grant, counted, landed_bytes):
                    # Permits were given out meanwhile: the next round sees how it went on.
                    return True
                after = next_entry(entry, settled, now_s)
                if after is None and not settled:
                    self._give_up(grant)
            return await self._go_on(entry, after)
        except Temporary:
            raise
        except SynclineError as error:
            # Damaged data of one grant must not keep the others from being healed; its entry stays.
            get_logger().error("grant-not-swept", grant=entry.grant, reason=str(error)[:200])
            self._measures.sweep_grants.labels("failed").inc()
            return True

    async def _go_on(self, entry: Entry, after: Entry | None) -> bool:
        if after == entry:
            return True
        if after is not None:
            await self._grants.move(entry, after)
            return after.hour == entry.hour
        await self._sweeps.forget(entry.grant)
        await self._grants.done(entry)
        self._measures.sweep_grants.labels("done").inc()
        return False

    def _give_up(self, grant: GrantRecord) -> None:
        get_logger().error("grant-given-up", library=grant.library, grant=grant.id)
        self._measures.sweep_grants.labels("given-up").inc()

    async def _look(self, grant: GrantRecord, upto: int, now_s: int, *, everything: bool) -> tuple[bool, int]:
        """Whether all that landed under the grant is settled, and how many bytes did. ``everything``: also what was
        settled before."""
        self._measures.sweep_grants.labels("looked").inc()
        unsettled: list[int] = []
        landed_bytes, news = 0, False
        async for found in in_batches(self._landed(grant)):
            landed_bytes += sum(one.size_bytes for one in found)
            listed = [one for one in found if not isinstance(one, ListedVersion) or one.latest]
            # Of a multipart upload S3 tells when it was begun, which says nothing about when it landed.
            fresh = [one for one in listed if everything or one.last_modified >= upto or is_large(one)]
            unsettled += [one.last_modified for one in await self._heal(grant, fresh, now_s)]
            news = news or any(one.last_modified >= upto for one in fresh)
        settled_upto = min([now_s - CLOCKS_DIFFER_S, *unsettled])
        if news and settled_upto > upto:
            await self._sweeps.remember(grant.id, settled_upto)
        return not unsettled, landed_bytes

    def _landed(self, grant: GrantRecord) -> AsyncIterator[ListedObject]:
        """What lies under the grant's prefix, with what was overwritten where that can be."""
        list_all = self._objects.list_versions if grant.direct else self._objects.list_objects
        return list_all(grant.prefix)

    async def _heal(self, grant: GrantRecord, listed: Sequence[ListedObject], now_s: int) -> list[ListedObject]:
        """Those that nothing has become of yet; what is old enough of them is sent to the committer."""
        ours = {key.permit: one for one in listed if (key := parse_key(one.key)) is not None}
        known = await self._arrivals.known(grant.library, list(ours)) if ours else ()
        unknown = {permit: one for permit, one in ours.items() if permit not in known}
        ripe = {permit: one for permit, one in unknown.items() if one.last_modified <= now_s - self._grace_s}
        waiting = await self._send(grant, list(ripe.values()), now_s) if ripe else set()
        return [one for permit, one in unknown.items() if permit not in ripe or permit in waiting]

    async def _send(self, grant: GrantRecord, ripe: Sequence[ListedObject], now_s: int) -> set[str]:
        """Send what can become a version; the permits to look for again in the next round."""
        if await self._journal.head(grant.library) is None:
            self._count("no-such-library", len(ripe))
            return set()
        arrived = await self._judge(ripe)
        early = await self._arrivals.early(arrived)
        ready = [one for one in arrived if one.permit.id not in early]
        commands = commands_for(ready)
        decided = await self._journal.outcomes([command.id for command in commands])
        self._count("early", len(early))
        waiting = set(early)
        for command in commands:
            permits = permits_of(command)
            if command.id in decided:
                # The committer has said what it thinks of them; a view that lags is the other job's to heal.
                self._count("decided", len(permits))
                continue
            # An id of its own: within five minutes the queue would drop what it has seen, purged or not.
            self._count("sent", await self._arrivals.send(command, ready, dedup=f"{command.id}-{now_s}"))
            waiting |= permits
        return waiting

    async def _judge(self, ripe: Sequence[ListedObject]) -> list[Arrival]:
        arrived: list[Arrival] = []
        found = await self._arrivals.heads([(one.key, "") for one in ripe])
        for one, info in zip(ripe, found, strict=True):
            if info is None:
                continue
            try:
                arrived.append(self._arrivals.judge(info))
            except Refused as refused:
                self._count(refused.kind)
                get_logger().warning("object-refused", key=one.key, kind=refused.kind)
        return arrived

    def _count(self, result: str, amount: int = 1) -> None:
        self._measures.sweep_objects.labels(result).inc(amount)


def next_entry(entry: Entry, settled: bool, now_s: int) -> Entry | None:
    """Where a grant that was looked at is to be found next; None when it is done, or given up. Pure."""
    ends_at = entry.ends_at
    if not entry.last:
        if now_s < ends_at + (ENDED_AFTER_S if settled else ENDED_S_MAX):
            return entry
        return Entry(max(entry.hour, hour_of(ends_at + LAST_AFTER_S)), entry.grant, ends_at, last=True)
    if settled or now_s >= ends_at + GIVE_UP_AFTER_S:
        return None
    # Pauses grow with the time since the last look was due.
    again = now_s + 3_600 + max(0, now_s - ends_at - LAST_AFTER_S)
    return Entry(hour_of(again), entry.grant, ends_at, last=True)


def is_large(listed: ListedObject) -> bool:
    """Whether it may be a multipart upload."""
    return listed.size_bytes >= SINGLE_PUT_MAX_BYTES


async def in_batches(listed: AsyncIterator[ListedObject]) -> AsyncIterator[list[ListedObject]]:
    batch: list[ListedObject] = []
    async for one in listed:
        batch.append(one)
        if len(batch) == KEYS_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch
