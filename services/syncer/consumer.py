"""Queue ``sync``: ``LibraryMoved`` from metadata, for held requests here and elsewhere, and for the archiver."""

from __future__ import annotations

from services.syncer.hub import Hub
from syncline.messages.library_moved import WAKE_CHANNEL, decode
from syncline.ports.cache import Cache
from syncline.ports.queues import Message
from syncline.serving.consumer import BatchHandler, each
from syncline.store.archiving import ArchiveStore
from syncline.store.checkpoints import ARCHIVER, Checkpoints


def hear_of_moves(hub: Hub, cache: Cache, archive: ArchiveStore, checkpoints: Checkpoints) -> BatchHandler:
    """Wakes at once who is held here, passes the message on for those held elsewhere, and marks what to archive."""

    async def handle(message: Message) -> None:
        moved = decode(message.body)
        hub.moved(moved, "queue")
        await cache.publish(WAKE_CHANNEL, message.body)
        await archive.mark_commits(moved.library, moved.incarnation, moved.seq)
        # The sweep publishes a library again until this says that it was heard of.
        await checkpoints.advance(ARCHIVER, moved.library, moved.incarnation, moved.seq)

    return each(handle)
