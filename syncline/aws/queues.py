"""Queues on SQS."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from syncline.aws.bodies import from_text, to_text, with_attributes
from syncline.aws.errors import code_of, ours
from syncline.aws.names import dead_queue_name, queue_name
from syncline.domain.errors import Broken, Temporary
from syncline.domain.traceparent import TRACEPARENT, clean_traceparent
from syncline.ports import tracing
from syncline.ports.queues import MAX_RECEIVE, VISIBILITY_S, DeadLetter, Message, Queue, check_limit, check_message

MAX_WAIT_S = 20
"""The longest SQS holds a receive; ``wait_s`` above it is cut."""

DEAD_WAIT_S = 1
"""A receive that waits asks all of SQS's servers; one that does not asks some of them, and may find nothing."""

MAX_REASON_CHARACTERS = 1000
REASON = "reason"
SYSTEM_ATTRIBUTES = ["ApproximateReceiveCount", "SentTimestamp", "MessageGroupId"]
NOT_IN_SQS = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""The characters SQS does not take. Source: SendMessage, "MessageBody"."""

GONE = {
    "ReceiptHandleIsInvalid",
    "InvalidParameterValue",  # FIFO: "The receipt handle has expired"
    "MessageNotInflight",
    "AWS.SimpleQueueService.MessageNotInflight",
}
"""Said of a receipt that names nothing any more."""

Client = Any


class SqsQueues:
    """``Queues`` whose names begin with ``stack``. Their URLs are asked for once."""

    def __init__(self, client: Client, stack: str) -> None:
        self._client = client
        self._stack = stack
        self._urls: dict[str, str] = {}

    async def send(self, queue: Queue, body: bytes, *, group: str = "", dedup: str = "") -> None:
        check_message(queue, body, group, dedup)
        order = {"MessageGroupId": group, "MessageDeduplicationId": dedup} if group else {}
        with ours(f"Send to {queue.value}"):
            url = await self._url(queue_name(self._stack, queue))
            await self._client.send_message(
                QueueUrl=url, MessageBody=to_text(body), **order, **with_attributes({TRACEPARENT: tracing.current()})
            )

    async def receive(self, queue: Queue, *, limit: int = 10, wait_s: int = 20) -> Sequence[Message]:
        check_limit(limit)
        with ours(f"Receive from {queue.value}"):
            answer = await self._client.receive_message(
                QueueUrl=await self._url(queue_name(self._stack, queue)),
                MaxNumberOfMessages=limit,
                WaitTimeSeconds=min(wait_s, MAX_WAIT_S),
                MessageSystemAttributeNames=SYSTEM_ATTRIBUTES,
                MessageAttributeNames=[TRACEPARENT],
            )
        return [_message(raw) for raw in answer.get("Messages", [])]

    async def delete(self, queue: Queue, messages: Sequence[Message]) -> None:
        await self._delete(queue, queue_name(self._stack, queue), messages)

    async def _delete(self, queue: Queue, name: str, messages: Sequence[Message]) -> None:
        for start in range(0, len(messages), MAX_RECEIVE):
            batch = messages[start : start + MAX_RECEIVE]
            entries = [{"Id": str(n), "ReceiptHandle": message.receipt} for n, message in enumerate(batch)]
            with ours(f"Deleting from {queue.value}"):
                url = await self._url(name)
                answer = await self._client.delete_message_batch(QueueUrl=url, Entries=entries)
            _require_deleted(queue, answer.get("Failed", []))

    async def hide(self, queue: Queue, message: Message, seconds: int) -> None:
        with ours(f"Hide a message on {queue.value}"):
            url = await self._url(queue_name(self._stack, queue))
            try:
                await self._client.change_message_visibility(
                    QueueUrl=url, ReceiptHandle=message.receipt, VisibilityTimeout=seconds
                )
            except ClientError as error:
                if code_of(error) not in GONE:
                    raise

    async def set_aside(self, queue: Queue, message: Message, reason: str) -> None:
        # Set aside again after a failed delete: one dead letter.
        dedup = hashlib.sha256(b"%d " % message.sent_at_ms + message.body).hexdigest()
        request = _with_reason(message, reason, dedup)
        with ours(f"Set a message of {queue.value} aside"):
            url = await self._url(dead_queue_name(self._stack, queue))
            await self._client.send_message(QueueUrl=url, **request)
        await self.delete(queue, [message])

    async def dead_letters(self, queue: Queue, *, limit: int = 10) -> Sequence[DeadLetter]:
        # A look, no more: the next one finds them again.
        return [(_message(raw), _reason(raw)) for raw in await self._dead(queue, limit, visibility_s=0, wait_s=0)]

    async def dead_depth(self, queue: Queue) -> int:
        return await self._depth(queue, dead_queue_name(self._stack, queue))

    async def redrive(self, queue: Queue, *, limit: int = 10) -> Sequence[DeadLetter]:
        found = await self._dead(queue, limit, visibility_s=VISIBILITY_S, wait_s=DEAD_WAIT_S)
        letters = [(_message(raw), _reason(raw)) for raw in found]
        for raw, (message, reason) in zip(found, letters, strict=True):
            # Its first id would be dropped within five minutes. Sent again after a failed delete: one message.
            dedup = hashlib.sha256(f"redriven {raw['MessageId']}".encode()).hexdigest()
            with ours(f"Redrive to {queue.value}"):
                url = await self._url(queue_name(self._stack, queue))
                await self._client.send_message(QueueUrl=url, **_with_reason(message, reason, dedup))
        await self._delete(queue, dead_queue_name(self._stack, queue), [message for message, _ in letters])
        return letters

    async def discard_dead(self, queue: Queue, *, limit: int = 10) -> Sequence[DeadLetter]:
        found = await self._dead(queue, limit, visibility_s=VISIBILITY_S, wait_s=DEAD_WAIT_S)
        letters = [(_message(raw), _reason(raw)) for raw in found]
        await self._delete(queue, dead_queue_name(self._stack, queue), [message for message, _ in letters])
        return letters

    async def depth(self, queue: Queue) -> int:
        return await self._depth(queue, queue_name(self._stack, queue))

    async def _dead(self, queue: Queue, limit: int, *, visibility_s: int, wait_s: int) -> Sequence[Mapping[str, Any]]:
        check_limit(limit)
        with ours(f"Receive the dead letters of {queue.value}"):
            answer = await self._client.receive_message(
                QueueUrl=await self._url(dead_queue_name(self._stack, queue)),
                MaxNumberOfMessages=limit,
                WaitTimeSeconds=wait_s,
                VisibilityTimeout=visibility_s,
                MessageSystemAttributeNames=SYSTEM_ATTRIBUTES,
                MessageAttributeNames=[REASON, TRACEPARENT],
            )
        found: Sequence[Mapping[str, Any]] = answer.get("Messages", [])
        return found

    async def _depth(self, queue: Queue, name: str) -> int:
        attribute = "ApproximateNumberOfMessages"
        with ours(f"Ask for the depth of {queue.value}"):
            answer = await self._client.get_queue_attributes(QueueUrl=await self._url(name), AttributeNames=[attribute])
        return int(answer["Attributes"][attribute])

    async def _url(self, name: str) -> str:
        if name not in self._urls:
            self._urls[name] = (await self._client.get_queue_url(QueueName=name))["QueueUrl"]
        return self._urls[name]


def _message(raw: Mapping[str, Any]) -> Message:
    attributes = raw.get("Attributes", {})
    return Message(
        body=from_text(raw["Body"]),
        receipt=raw["ReceiptHandle"],
        group=attributes.get("MessageGroupId", ""),
        received=int(attributes.get("ApproximateReceiveCount", 1)),
        sent_at_ms=int(attributes.get("SentTimestamp", 0)),
        trace=clean_traceparent(_attribute(raw, TRACEPARENT)),
    )


def _with_reason(message: Message, reason: str, dedup: str) -> dict[str, Any]:
    """What sends the message on, with the reason beside it; ``dedup`` counts where there is a group."""
    text = NOT_IN_SQS.sub("\ufffd", reason)[:MAX_REASON_CHARACTERS]
    request: dict[str, Any] = {"MessageBody": to_text(message.body)}
    request |= with_attributes({REASON: text, TRACEPARENT: message.trace})
    if message.group:
        request |= {"MessageGroupId": message.group, "MessageDeduplicationId": dedup}
    return request


def _reason(raw: Mapping[str, Any]) -> str:
    return _attribute(raw, REASON)


def _attribute(raw: Mapping[str, Any], name: str) -> str:
    return str(raw.get("MessageAttributes", {}).get(name, {}).get("StringValue", ""))


def _require_deleted(queue: Queue, failed: Sequence[Mapping[str, Any]]) -> None:
    failed = [entry for entry in failed if entry["Code"] not in GONE]
    if failed:
        error = Broken if failed[0].get("SenderFault") else Temporary
        raise error(f"Deleting from {queue.value}: {failed[0]['Code']}: {failed[0].get('Message', '')}")
