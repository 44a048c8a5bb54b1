"""The topic in memory: fans out to the queues ``sync`` and ``notify``."""

from __future__ import annotations

from syncline.ports.queues import Queue, Queues


class MemoryTopic:
    """``ChangesTopic`` over any queues."""

    def __init__(self, queues: Queues) -> None:
        self._queues = queues

    async def publish(self, body: bytes) -> None:
        for queue in (Queue.SYNC, Queue.NOTIFY):
            await self._queues.send(queue, body)
