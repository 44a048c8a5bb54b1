"""The topic ``changes`` on SNS."""

from __future__ import annotations

from typing import Any

from syncline.aws.bodies import to_text, with_attributes
from syncline.aws.errors import ours
from syncline.domain.traceparent import TRACEPARENT
from syncline.ports import tracing

Client = Any


class SnsChangesTopic:
    """``ChangesTopic`` at ``arn``. Its subscriptions are raw, so the queues give back the same bytes."""

    def __init__(self, client: Client, arn: str) -> None:
        self._client = client
        self._arn = arn

    async def publish(self, body: bytes) -> None:
        # Raw delivery makes of the topic's attributes those of the queues' messages.
        attributes = with_attributes({TRACEPARENT: tracing.current()})
        with ours("Publish changes"):
            await self._client.publish(TopicArn=self._arn, Message=to_text(body), **attributes)
