"""Queues with their dead-letter queues, and the topics."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_sns as sns, aws_sqs as sqs

from deploy.aws.settings import Settings
from deploy.definition import FIFO, Definition, Queue, Topic
from deploy.names import Names


class MessagingStack(cdk.Stack):
    """Queues with their dead-letter queues, and the topics.

    Queues are encrypted under SQS's own keys, to which S3 and SNS may send. Topics are not: SNS keeps a message only
    until the queue has it, and SES cannot publish under a key of AWS's own.
    """

    def __init__(self, scope: Any, name: str, *, settings: Settings, definition: Definition, **options: Any) -> None:
        super().__init__(scope, name, **options)
        self._names = definition.names
        queues = {queue.short_name: self._queue(queue, definition.names) for queue in definition.queues}
        self._topic("Changes", definition.topic, queues)
        self._topic("MailEvents", definition.mail_topic, queues)

    def _queue(self, queue: Queue, names: Names) -> sqs.CfnQueue:
        called = queue.short_name.title()
        fifo: dict[str, Any] = {"fifo_queue": True} if queue.fifo else {}
        dead = sqs.CfnQueue(
            self,
            f"{called}Dead",
            queue_name=queue.dead_name,
            message_retention_period=queue.retention_seconds,
            redrive_allow_policy=queue.redrive_allow(names),
            sqs_managed_sse_enabled=True,
            **fifo,
        )
        made = sqs.CfnQueue(
            self,
            called,
            queue_name=queue.name,
            message_retention_period=queue.retention_seconds,
            visibility_timeout=queue.visibility_seconds,
            delay_seconds=queue.delay_seconds,
            redrive_policy=queue.redrive(names),
            sqs_managed_sse_enabled=True,
            **fifo,
        )
        if queue.fifo:
            for name, value in FIFO.items():
                made.add_property_override(name, value)
        made.add_resource_dependency(dead)
        for one, policy in ((made, queue.policy_aws), (dead, queue.dead_policy_aws)):
            sqs.CfnQueuePolicy(self, f"{one.node.id}Policy", queues=[one.ref], policy_document=policy)
        return made

    def _topic(self, called: str, topic: Topic, queues: dict[str, sqs.CfnQueue]) -> None:
        made = sns.CfnTopic(self, called, topic_name=topic.name, signature_version="2")
        sns.CfnTopicPolicy(self, f"{called}Policy", topics=[made.ref], policy_document=topic.policy_aws)
        for short_name in topic.subscribers:
            subscription = sns.CfnSubscription(
                self,
                f"{called}To{short_name.title()}",
                topic_arn=made.ref,
                protocol="sqs",
                endpoint=self._names.queue_arn(short_name),
                raw_message_delivery=topic.raw,
            )
            subscription.add_resource_dependency(queues[short_name])
