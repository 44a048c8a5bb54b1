"""Queue ``sync``: ``LibraryMoved`` from metadata, for held requests here and elsewhere, and for the archiver."""

from __future__ import annotations

import msgspec

from services.syncer.hub import Hub
from syncline.messages.library_moved import WAKE_CHANNEL, decode, encode
from syncline.ports import tracing
from syncline.ports.cache import Cache
from syncline.ports.clock import Clock
from syncline.ports.queues import Message
from syncline.serving.consumer import BatchHandler, each
from syncline.serving.logging import bind_context
from syncline.serving.metrics import Stages
from syncline.store.archiving import ArchiveStore
from syncline.store.checkpoints import ARCHIVER, Checkpoints


def hear_of_moves(
    hub: Hub, cache: Cache, archive: ArchiveStore, checkpoints: Checkpoints, clock: Clock, stages: Stages
) -> BatchHandler:
    """Wakes at once who is held here, passes the message on for those held elsewhere, and marks what to archive."""

    async def handle(message: Message) -> None:
        moved = msgspec.structs.replace(decode(message.body), trace=tracing.current())
        bind_context(library=moved.library, seq=moved.seq)
        if moved.at_ms:
            stages.passed("woken", since_ms=moved.at_ms, now_ms=clock.now_ms())
        hub.moved(moved, "queue")
        await cache.publish(WAKE_CHANNEL, encode(moved))
        await archive.mark_commits(moved.library, moved.incarnation, moved.seq)
        # The sweep publishes a library again until this says that it was heard of.
        await checkpoints.advance(ARCHIVER, moved.library, moved.incarnation, moved.seq)

    return each(handle)
