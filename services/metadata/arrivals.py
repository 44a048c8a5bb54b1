"""Arrivals: objects that landed and may become versions. Judged and sent on the same way by intake and the sweep."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager

import msgspec

from services.metadata.landing import Landing, judge
from syncline.domain.commands import AddVersion, Command, Permit
from syncline.domain.errors import Refused
from syncline.domain.ids import id_from_bytes
from syncline.domain.nodes import Location
from syncline.domain.permits import METADATA_NAME, PermitKeys, open_permit
from syncline.domain.traceparent import TRACEPARENT
from syncline.messages import commit_changes
from syncline.messages.commit_changes import CommitChanges
from syncline.ports import tracing
from syncline.ports.objects import ObjectInfo, ObjectStore
from syncline.ports.queues import Queue, Queues
from syncline.ports.tables import Tables
from syncline.ports.tracing import SpanKind
from syncline.serving.contexts import OutsideContexts
from syncline.serving.logging import get_logger
from syncline.store.views import Views

VERSIONS_PER_COMMAND_MAX = 100
"""A command of so many permits stays well below what a message holds."""


class Arrival(msgspec.Struct, frozen=True):
    """Bytes that landed as their permit allows, and where. ``trace`` is what their client says was the context
    (``traceparent``) in which it put them; ``at_s`` when they landed (Unix s)."""

    permit: Permit
    location: Location
    trace: str = ""
    at_s: int = 0


class Arrivals:
    """What becomes of objects. Raises ``Temporary``, ``Broken``."""

    def __init__(self, tables: Tables, objects: ObjectStore, queues: Queues, keys: PermitKeys) -> None:
        self._views = Views(tables)
        self._landing = Landing(objects)
        self._queues = queues
        self._keys = keys
        self._contexts = OutsideContexts()

    async def known(self, library: str, permits: Sequence[str]) -> Collection[str]:
        """Those permits that have become a version or were withdrawn, as far as the views know."""
        return (await self._views.version_records(library, permits)).keys()

    async def heads(self, wanted: Sequence[tuple[str, str]]) -> list[ObjectInfo | None]:
        """What S3 holds for each (key, S3 version or "")."""
        return await self._landing.heads(wanted)

    def judge(self, found: ObjectInfo) -> Arrival:
        """Raises ``Refused`` with the reason why an object can never become a version."""
        sealed = found.metadata.get(METADATA_NAME, "")
        if not sealed:
            raise Refused("no-permit", "The object carries no permit.")
        permit = open_permit(sealed, self._keys)
        location = judge(permit, found)
        if isinstance(location, str):
            raise Refused(location, f"Permit {permit.id} is not good for what landed.")
        return Arrival(permit, location, found.metadata.get(TRACEPARENT, ""), found.last_modified)

    async def early(self, arrivals: Sequence[Arrival]) -> set[str]:
        """The permits for versions of files that nobody has heard of: the file's own first version may follow."""
        unnamed = [one.permit for one in arrivals if not one.permit.new and not one.permit.name]
        if not unnamed:
            return set()
        coming = {one.permit.node for one in arrivals if one.permit.new}
        early: set[str] = set()
        for library in dict.fromkeys(permit.library for permit in unnamed):
            asked = [permit for permit in unnamed if permit.library == library and permit.node not in coming]
            there = await self._views.first_states(library, [permit.node for permit in asked])
            early.update(permit.id for permit in asked if permit.node not in there)
        return early

    async def send(self, command: Command, arrivals: Sequence[Arrival], *, dedup: str = "") -> int:
        """Put a command of ``commands_for`` on its queue; how many versions it may make."""
        permits = permits_of(command)
        locations = {one.permit.id: one.location for one in arrivals if one.permit.id in permits}
        body = commit_changes.encode(CommitChanges(command, landed=locations))
        with self._traced([one for one in arrivals if one.permit.id in permits]):
            await self._queues.send(Queue.COMMITS, body, group=command.library, dedup=dedup or command.id)
            get_logger().info("sent", library=command.library, command=command.id, versions=len(permits))
        return len(permits)

    def _traced(self, arrivals: Sequence[Arrival]) -> AbstractContextManager[object]:
        """What landed goes on in the trace of the first one's client, which S3's event knows nothing of."""
        first, others = tracing.first_and_others([one.trace for one in arrivals])
        links = [*others[: tracing.LINKS_MAX - 1], tracing.current()]
        return tracing.span("landed", SpanKind.PRODUCER, parent=self._contexts.take(first), links=links)


def commands_for(arrivals: Sequence[Arrival]) -> list[Command]:
    """Commands that make versions of what landed, each of one device under one epoch, in the device's order.

    Their ids follow from the permits, so the same arrivals make the same commands.
    """
    groups: dict[tuple[str, str, str, int], list[Permit]] = {}
    for one in arrivals:
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


def permits_of(command: Command) -> set[str]:
    """The ids of the permits that a command would make versions of."""
    return {request.permit.id for request in command.requests if isinstance(request, AddVersion)}


def command_id(permits: Sequence[Permit]) -> str:
    """The id of the command that is made for these permits."""
    named = "\n".join(["intake", *(permit.id for permit in permits)])
    return id_from_bytes(hashlib.sha256(named.encode()).digest())
