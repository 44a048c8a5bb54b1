"""Queue ``bounces``: an address that mail came back from, or that called it spam, gets no more."""

from __future__ import annotations

from services.notifier.signatures import Certificates, certificate_url, read_envelope, verify
from syncline.messages.envelope import Unreadable
from syncline.messages.mail_returned import decode
from syncline.ports.queues import Message
from syncline.serving.consumer import BatchHandler, each
from syncline.serving.logging import get_logger
from syncline.serving.metrics import Metrics
from syncline.store.suppressions import Suppressions


class Returns:
    """Only what SNS signed for the topic ``topic_arn`` counts; with "" nothing does. ``raw`` takes events as they come,
    on the word of whoever may send to the queue: for a local AWS, which signs nothing."""

    def __init__(
        self, suppressions: Suppressions, certificates: Certificates, metrics: Metrics, *, topic_arn: str, raw: bool
    ) -> None:
        self._suppressions = suppressions
        self._certificates = certificates
        self._topic_arn = topic_arn
        self._raw = raw
        self.returned = metrics.counter("mail_returned", "Addresses that mail came back from.", ("kind",))

    async def take(self, wire: bytes) -> None:
        """Raises ``Unreadable`` for what is no event of SES, or is not signed as it should be; ``Temporary``."""
        for returned in decode(await self._opened(wire)):
            await self._suppressions.add(returned.address, returned.reason)
            kind = returned.reason.partition(":")[0]
            self.returned.labels(kind).inc()
            get_logger().warning("address-suppressed", kind=kind)

    async def _opened(self, wire: bytes) -> bytes:
        if self._raw:
            return wire
        if not self._topic_arn:
            # Set aside, not lost: once the topic is named, an operator sends it back.
            raise Unreadable("no topic is named whose signed events count: set SYNCLINE_MAIL_TOPIC_ARN")
        envelope = read_envelope(wire)
        verify(envelope, await self._certificates.get(certificate_url(envelope, self._topic_arn)))
        return envelope.Message.encode()


def take_returns(returns: Returns) -> BatchHandler:
    async def handle(message: Message) -> None:
        await returns.take(message.body)

    return each(handle)
