"""Queues (Amazon SQS).

What a caller may rely on: a sent message is received at least once, in any order, unless deleted; a received message
stays hidden for the queue's visibility time, then comes again. On ``COMMITS`` (FIFO) messages of one ``group`` come
in order, the next ones only after the earlier are deleted or hidden no more, and a ``dedup`` id repeated in its
group within five minutes is dropped. After ``receives_max`` a message goes to the dead-letter queue.

Errors: ``Temporary``, ``Broken``.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from syncline.domain.errors import Broken

MAX_RECEIVE = 10
MAX_BODY_BYTES = 256 * 1024
"""SQS takes 1 MiB since 2025, but older tools and SNS do not: we stay below the old limit."""


class Queue(StrEnum):
    UPLOADS = "uploads"  # S3 events of objects/, delayed
    DIRECT = "direct"  # S3 events of direct/, not delayed
    COMMITS = "commits"  # FIFO: CommitChanges by library
    SYNC = "sync"  # LibraryMoved for the syncer
    NOTIFY = "notify"  # LibraryMoved for the notifier
    LETTERS = "letters"  # SendLetter for the notifier
    BOUNCES = "bounces"  # SES's events, for the notifier


RECEIVES_MAX = 5
LETTER_RECEIVES_MAX = 100
"""Letters wait for a mail service that is away for hours; each says itself until when it is worth sending."""


def receives_max(queue: Queue) -> int:
    """How often a message of this queue is received before it goes to the dead-letter queue."""
    return LETTER_RECEIVES_MAX if queue is Queue.LETTERS else RECEIVES_MAX


VISIBILITY_S = 60
COMMITS_VISIBILITY_S = 15
"""A library waits so long when the worker that holds its next commit is killed. Consumers extend what they work on."""


def visibility_s(queue: Queue) -> int:
    """How long a received message of this queue stays hidden, unless it is deleted or hidden longer."""
    return COMMITS_VISIBILITY_S if queue is Queue.COMMITS else VISIBILITY_S


class Message(msgspec.Struct, frozen=True):
    """One received message. ``receipt`` names this receiving of it; ``received`` counts receivings, from 1; ``trace``
    is the context (``traceparent``) in which it was sent, or ""."""

    body: bytes
    receipt: str
    group: str
    received: int
    sent_at_ms: int
    trace: str = ""


DeadLetter = tuple[Message, str]
"""A message of a dead-letter queue, and the reason why it is there."""


class Queues(Protocol):
    async def send(self, queue: Queue, body: bytes, *, group: str = "", dedup: str = "") -> None:
        """Put a message of at most ``MAX_BODY_BYTES``. ``group`` and ``dedup`` only, and always, on ``COMMITS``."""
        ...

    async def receive(self, queue: Queue, *, limit: int = 10, wait_s: int = 20) -> Sequence[Message]:
        """Up to ``limit`` (≤ 10) messages; waits up to ``wait_s`` for the first; empty when none came."""
        ...

    async def delete(self, queue: Queue, messages: Sequence[Message]) -> None:
        """The work is done: never deliver these again. Harmless when a message is gone already."""
        ...

    async def hide(self, queue: Queue, message: Message, seconds: int) -> None:
        """Keep a message hidden for this long from now on; 0 delivers it again at once."""
        ...

    async def set_aside(self, queue: Queue, message: Message, reason: str) -> None:
        """Move a message that can never succeed to the queue's dead-letter queue, with its reason, and delete it."""
        ...

    async def dead_letters(self, queue: Queue, *, limit: int = 10) -> Sequence[DeadLetter]:
        """A look at up to ``limit`` dead letters with their reasons ("" when the receive limit put them
        there and they were not redriven)."""
        ...

    async def dead_depth(self, queue: Queue) -> int:
        """About how many dead letters wait."""
        ...

    async def redrive(self, queue: Queue, *, limit: int = 10) -> Sequence[DeadLetter]:
        """Send up to ``limit`` (≤ 10) dead letters to their queue again, the oldest of a group first; those it sent.

        They are counted and ordered as new messages. The reason stays with them: dead again by the receive limit, they
        have it still. After ``Temporary`` some may have been sent; repeating sends those again, except on ``COMMITS``.
        """
        ...

    async def discard_dead(self, queue: Queue, *, limit: int = 10) -> Sequence[DeadLetter]:
        """Delete up to ``limit`` (≤ 10) dead letters for ever; those it deleted."""
        ...

    async def depth(self, queue: Queue) -> int:
        """About how many messages wait."""
        ...


def check_message(queue: Queue, body: bytes, group: str, dedup: str) -> None:
    """Raises ``Broken`` for a message that SQS would not take, or that would lose its order."""
    if len(body) > MAX_BODY_BYTES:
        raise Broken(f"A message of {len(body)} bytes is over {MAX_BODY_BYTES}: store it and send a reference")
    is_fifo = queue is Queue.COMMITS
    if bool(group) != is_fifo or bool(dedup) != is_fifo:
        raise Broken(f"Messages on {queue.value} {'need' if is_fifo else 'take no'} group and dedup")


def check_limit(limit: int) -> None:
    if not 1 <= limit <= MAX_RECEIVE:
        raise Broken(f"1 to {MAX_RECEIVE} messages are received at once, not {limit}")
