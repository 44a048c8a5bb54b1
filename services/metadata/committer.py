"""The committer: the only writer of journals. ``CommitChanges`` in, commits, outcomes, views and publications out.

The steps, in order: append (with the outcome, one transaction), tell the outcome, write views, publish, delete the
message. A worker may die between any two of them: the message comes again, its command is found to have an outcome,
and the steps after the append are done again, which changes nothing that was done already.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

import msgspec

from services.metadata.desk import Desk, Desks
from services.metadata.landing import Landing
from services.metadata.measures import Measures
from syncline.domain.commands import MAX_REQUESTS, AddVersion, Command, Permit, Purge
from syncline.domain.commits import Outcome, Result, Status
from syncline.domain.cursors import CURSOR_GONE
from syncline.domain.deciding import Decision, refusal
from syncline.domain.errors import Broken, ConditionFailed, NotFound, Refused, SynclineError, Temporary
from syncline.domain.nodes import Location
from syncline.domain.rights import may_govern, may_write
from syncline.messages import commit_changes, library_moved, outcome_ready
from syncline.messages.envelope import Unreadable
from syncline.messages.library_moved import LibraryMoved
from syncline.ports import tracing
from syncline.ports.cache import Cache
from syncline.ports.clock import Clock
from syncline.ports.objects import ObjectStore
from syncline.ports.queues import Message
from syncline.ports.tables import Tables
from syncline.ports.topics import ChangesTopic
from syncline.serving.consumer import Batch
from syncline.serving.logging import bind_context, get_logger
from syncline.store.directory import Directory
from syncline.store.journal import Journal
from syncline.store.retentions import Retentions
from syncline.store.views import Views

APPEND_TRIES = 8
"""So often a command is decided again because another commit came first; then its message waits its turn."""
COMMAND_BYTES_MAX = 8 * 1024 * 1024
DEVICE_NAMES_MAX = 10_000
NOT_ALLOWED = "not-allowed"
UNDER_HOLD = "under-hold"
TOO_MANY_REQUESTS = "too-many-requests"
HOPELESS = (Unreadable, Refused, Broken)
UNKNOWN_DEVICE = "unknown device"


class Wanted(msgspec.Struct, frozen=True):
    """One message, read. ``landed`` says where bytes are that intake has looked at already, by permit id."""

    message: Message
    command: Command
    landed: Mapping[str, Location]


class Committer:
    """Handles batches of the queue ``commits``."""

    def __init__(
        self,
        tables: Tables,
        objects: ObjectStore,
        topic: ChangesTopic,
        cache: Cache,
        clock: Clock,
        measures: Measures,
    ) -> None:
        self._journal = Journal(tables)
        self._desks = Desks(self._journal, Views(tables))
        self._directory = Directory(tables)
        self._retentions = Retentions(tables)
        self._objects = objects
        self._landing = Landing(objects)
        self._topic = topic
        self._cache = cache
        self._clock = clock
        self._measures = measures
        self._device_names: dict[str, str] = {}

    async def handle(self, batch: Batch) -> None:
        """Commit the commands of a batch, library by library, each library's in order."""
        by_library: dict[str, list[Wanted]] = {}
        for message in batch.messages:
            try:
                wanted = await self._read(message)
            except (Unreadable, Refused) as error:
                batch.set_aside(message, reason_of(error))
                continue
            by_library.setdefault(wanted.command.library, []).append(wanted)
        for library, wanted_here in by_library.items():
            await self._commit_in(library, wanted_here, batch)

    async def _read(self, message: Message) -> Wanted:
        """Raises ``Unreadable``; ``Refused("command-missing")`` when the body it refers to is gone."""
        changes = commit_changes.decode(message.body)
        command = changes.command
        if command is None:
            try:
                body = await self._objects.get(changes.body_key, length=COMMAND_BYTES_MAX)
                command = msgspec.msgpack.decode(body, type=Command)
            except NotFound:
                raise Refused("command-missing", f"There is no command at {changes.body_key!r}.") from None
            except msgspec.DecodeError as error:
                raise Unreadable(f"not a command: {error}") from None
        return Wanted(message, command, changes.landed)

    async def _commit_in(self, library: str, wanted: Sequence[Wanted], batch: Batch) -> None:
        """The commands of one library: all appended, then the views written and one publication for all."""
        bind_context(library=library)
        desk = self._desks.take(library)
        commands = [one.command.id for one in wanted]
        with self._measures.step_seconds.labels("open").time():
            known, _ = await asyncio.gather(self._journal.outcomes(commands), desk.open())
        # A command that has an outcome already may have been appended by a worker that came no further.
        must_publish = bool(known)
        fresh = [one for one in wanted if one.command.id not in known]
        with self._measures.step_seconds.labels("look").time():
            landed, _ = await asyncio.gather(self._locate(fresh), desk.prepare([one.command for one in fresh]))
        began_at = desk.head.seq
        done, failure = await self._commit_each(desk, wanted, known, landed, batch)
        with self._measures.step_seconds.labels("settle").time():
            await desk.settle()
        appended_at_ms = desk.appended_at_ms if desk.head.seq > began_at else 0
        if appended_at_ms:
            self._measures.stage("applied", since_ms=appended_at_ms, now_ms=self._clock.now_ms())
        if must_publish or appended_at_ms:
            await self._publish(desk, appended_at_ms)
        for message in done:
            batch.finish(message)
        if failure is not None:
            raise failure
        self._desks.put_back(desk)

    async def _commit_each(
        self,
        desk: Desk,
        wanted: Sequence[Wanted],
        known: dict[str, Outcome],
        landed: Mapping[str, Location | str],
        batch: Batch,
    ) -> tuple[list[Message], SynclineError | None]:
        """The messages whose commands have an outcome, and what ended the work early, if anything did."""
        done: list[Message] = []
        for one in wanted:
            try:
                outcome = known.get(one.command.id)
                with _span_of(one) as span:
                    if outcome is None:
                        outcome = await self._commit(desk, one, landed)
                        get_logger().info("decided", command=outcome.command, seq=outcome.seq, refused=outcome.refused)
                    known[outcome.command] = outcome
                    span.set({"syncline.seq": outcome.seq})
                    await self._tell(outcome)
                done.append(one.message)
            except HOPELESS as error:
                batch.set_aside(one.message, reason_of(error))
            except (Temporary, ConditionFailed) as error:
                return done, error
        return done, None

    async def _locate(self, wanted: Sequence[Wanted]) -> dict[str, Location | str]:
        """Where the bytes of all commands are, looked at together."""
        permits: dict[str, Permit] = {}
        landed: dict[str, Location | str] = {}
        for one in wanted:
            landed.update(one.landed)
            adding = [request.permit for request in one.command.requests if isinstance(request, AddVersion)]
            permits.update({permit.id: permit for permit in adding})
        unseen = [permit for permit in permits.values() if permit.id not in landed]
        return landed | await self._landing.locate(unseen)

    async def _commit(self, desk: Desk, wanted: Wanted, landed: Mapping[str, Location | str]) -> Outcome:
        """Decide and append, again from the head when another commit came first."""
        command = wanted.command
        for _ in range(APPEND_TRIES):
            now_ms = self._clock.now_ms()
            with self._measures.step_seconds.labels("decide").time():
                decision = await self._decide(desk, command, landed, now_ms)
            try:
                with self._measures.step_seconds.labels("append").time():
                    await self._append(desk, _with_trace(decision), now_ms)
            except ConditionFailed:
                self._measures.collisions.inc()
                if (outcome := await self._journal.outcome(command.id)) is not None:
                    return outcome
                await desk.open()
                continue
            if decision.commit is not None:
                self._measures.stage("committed", since_ms=wanted.message.sent_at_ms, now_ms=self._clock.now_ms())
            return decision.outcome
        raise Temporary(f"Library {desk.library} moved on {APPEND_TRIES} times while a command was decided")

    async def _decide(
        self, desk: Desk, command: Command, landed: Mapping[str, Location | str], now_ms: int
    ) -> Decision:
        if len(command.requests) > MAX_REQUESTS:
            return refusal(command, desk.head.seq, TOO_MANY_REQUESTS)
        if command.incarnation not in ("", desk.head.incarnation):
            # Its base seqs are those of the journal before: nobody knows what its asker had seen of this one.
            return refusal(command, desk.head.seq, CURSOR_GONE)
        if not await self._is_allowed(command, desk.head.epoch):
            return refusal(command, desk.head.seq, NOT_ALLOWED)
        if _gives_up(command) and (await self._retentions.rules(command.library)).hold:
            return refusal(command, desk.head.seq, UNDER_HOLD)
        device_name = await self._device_name(command.device)
        return await desk.decide(command, landed, now_ms=now_ms, device_name=device_name)

    async def _is_allowed(self, command: Command, epoch: int) -> bool:
        """The gateway has asked, under the epoch in the command; when the members have changed since, ask again."""
        if command.epoch == epoch:
            return True
        role = await self._directory.member(command.library, command.account)
        return may_govern(role) if _gives_up(command) else may_write(role)

    async def _append(self, desk: Desk, decision: Decision, now_ms: int) -> None:
        try:
            await desk.append(decision, now_ms=now_ms)
        except Refused as refused:
            # More than a transaction holds: the command is answered, not set aside, since its asker can act on it.
            decision = refusal_of(decision.outcome, desk.head.seq, refused.kind)
            await desk.append(decision, now_ms=now_ms)
        self._count(decision)

    async def _device_name(self, device: str) -> str:
        if device not in self._device_names:
            if len(self._device_names) >= DEVICE_NAMES_MAX:
                self._device_names.clear()
            record = await self._directory.device(device)
            self._device_names[device] = record.name if record is not None else UNKNOWN_DEVICE
        return self._device_names[device]

    async def _tell(self, outcome: Outcome) -> None:
        channel = outcome_ready.channel(outcome.command)
        await self._cache.publish(channel, outcome_ready.encode(outcome))

    async def _publish(self, desk: Desk, at_ms: int) -> None:
        moved = LibraryMoved(desk.library, desk.head.seq, desk.head.incarnation, at_ms)
        await self._topic.publish(library_moved.encode(moved))
        self._measures.publications.inc()
        get_logger().info("published", seq=desk.head.seq)

    def _count(self, decision: Decision) -> None:
        outcome, commit = decision.outcome, decision.commit
        result = "refused" if outcome.refused else "committed" if commit is not None else "unchanged"
        self._measures.commands.labels(result).inc()
        for answer in outcome.results:
            self._measures.results.labels(answer.status.value).inc()
        if commit is not None:
            self._measures.commits.inc()
            self._measures.changes.inc(len(commit.changes))


def _span_of(wanted: Wanted) -> AbstractContextManager[tracing.Span]:
    """A command is committed in its own trace, whatever else is in the batch."""
    attributes = {"syncline.library": wanted.command.library, "syncline.command": wanted.command.id}
    return tracing.span_for(wanted.message.trace, "commit", attributes=attributes)


def _with_trace(decision: Decision) -> Decision:
    """The commit says in which trace it was made: its readers come hours later, and by other ways than messages."""
    trace = tracing.recorded()
    if decision.commit is None or not trace:
        return decision
    return replace(decision, commit=msgspec.structs.replace(decision.commit, trace=trace))


def _gives_up(command: Command) -> bool:
    return any(isinstance(request, Purge) for request in command.requests)


def refusal_of(outcome: Outcome, seq: int, kind: str) -> Decision:
    """What was decided has no effect after all."""
    results = tuple(Result(Status.REFUSED, reason=kind) for _ in outcome.results)
    return Decision(None, msgspec.structs.replace(outcome, seq=seq, results=results, refused=kind))


def reason_of(error: SynclineError) -> str:
    kind = error.kind if isinstance(error, Refused) else type(error).__name__
    return f"{kind}: {error}"
