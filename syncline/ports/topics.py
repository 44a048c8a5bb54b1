"""The topic ``changes`` (Amazon SNS): each publication reaches every subscribed queue at least once, in any order.

Errors: ``Temporary``, ``Broken``.
"""

from __future__ import annotations

from typing import Protocol


class ChangesTopic(Protocol):
    async def publish(self, body: bytes) -> None:
        """Publish a message; it arrives raw (no envelope) on the queues ``sync`` and ``notify``."""
        ...
