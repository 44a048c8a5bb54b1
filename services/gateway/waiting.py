"""Sending a command and waiting for its outcome."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import msgspec

from syncline.domain.commands import Command
from syncline.domain.commits import Outcome
from syncline.messages import commit_changes, outcome_ready
from syncline.messages.commit_changes import MAX_INLINE_BYTES, CommitChanges
from syncline.messages.envelope import Unreadable
from syncline.ports.cache import Cache
from syncline.ports.clock import Clock
from syncline.ports.objects import ObjectStore
from syncline.ports.queues import Queue, Queues
from syncline.serving.logging import bind_context
from syncline.store.journal import Journal

WAIT_S_MAX = 25.0
POLL_FIRST_S = 0.1
POLL_S_MAX = 1.0


class Commands:
    """The way of a command to metadata and of its outcome back."""

    def __init__(
        self,
        journal: Journal,
        queues: Queues,
        objects: ObjectStore,
        cache: Cache,
        clock: Clock,
        *,
        wait_s: float = WAIT_S_MAX,
    ) -> None:
        self._journal = journal
        self._queues = queues
        self._objects = objects
        self._cache = cache
        self._clock = clock
        self._wait_s = wait_s

    async def submit(self, command: Command) -> Outcome | None:
        """Send a command and wait; None when it is not decided in time. Repeating it is harmless."""
        bind_context(command=command.id)
        # Listening begins before sending, or a quick outcome would be missed.
        async with self._cache.subscribe(outcome_ready.channel(command.id)) as messages:
            await self._send(command)
            outcome = await self._wait(command.id, messages)
        if outcome is not None:
            bind_context(seq=outcome.seq)
        return outcome

    async def outcome(self, command: str) -> Outcome | None:
        return await self._journal.outcome(command)

    async def _send(self, command: Command) -> None:
        wire = commit_changes.encode(CommitChanges(command))
        if len(wire) > MAX_INLINE_BYTES:
            key = f"commands/{command.library}/{command.id}"
            await self._objects.put(key, msgspec.msgpack.encode(command))
            wire = commit_changes.encode(CommitChanges(None, key))
        await self._queues.send(Queue.COMMITS, wire, group=command.library, dedup=command.id)

    async def _wait(self, command: str, messages: AsyncIterator[bytes]) -> Outcome | None:
        listening = asyncio.create_task(_first_outcome(messages))
        polling = asyncio.create_task(self._poll(command))
        try:
            await asyncio.wait([listening, polling], return_when=asyncio.FIRST_COMPLETED)
            if listening.done() and (heard := listening.result()) is not None:
                return heard
            return await polling
        finally:
            for task in (listening, polling):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _poll(self, command: str) -> Outcome | None:
        """Look the outcome up, ever more rarely: what is right when the cache is away or a message was lost."""
        until_ms = self._clock.now_ms() + int(self._wait_s * 1000)
        pause_s = POLL_FIRST_S
        while (left_s := (until_ms - self._clock.now_ms()) / 1000) > 0:
            await self._clock.sleep(min(pause_s, left_s))
            if (outcome := await self._journal.outcome(command)) is not None:
                return outcome
            pause_s = min(pause_s * 2, POLL_S_MAX)
        return None


async def _first_outcome(messages: AsyncIterator[bytes]) -> Outcome | None:
    """The first outcome that is heard; None when listening ends."""
    async for message in messages:
        with suppress(Unreadable):  # from another release of ours: polling finds the outcome
            return outcome_ready.decode(message)
    return None
