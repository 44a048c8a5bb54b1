"""Queue ``sync``: ``LibraryMoved`` from metadata, to this process's held requests and to the other syncers."""

from __future__ import annotations

from services.syncer.hub import Hub
from syncline.messages.library_moved import WAKE_CHANNEL, decode
from syncline.ports.cache import Cache
from syncline.ports.queues import Message
from syncline.serving.consumer import BatchHandler, each


def wake_on_move(hub: Hub, cache: Cache) -> BatchHandler:
    """Wakes at once who is held here, and passes the message on for those held elsewhere."""

    async def handle(message: Message) -> None:
        moved = decode(message.body)
        hub.moved(moved, "queue")
        await cache.publish(WAKE_CHANNEL, message.body)

    return each(handle)
