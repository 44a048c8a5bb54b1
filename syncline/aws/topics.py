"""The topic ``changes`` on SNS."""

from __future__ import annotations

from typing import Any

from syncline.aws.bodies import to_text
from syncline.aws.errors import ours

Client = Any


class SnsChangesTopic:
    """``ChangesTopic`` at ``arn``. Its subscriptions are raw, so the queues give back the same bytes."""

    def __init__(self, client: Client, arn: str) -> None:
        self._client = client
        self._arn = arn

    async def publish(self, body: bytes) -> None:
        with ours("Publish changes"):
            await self._client.publish(TopicArn=self._arn, Message=to_text(body))
