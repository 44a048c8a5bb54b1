"""What the local AWS has been told is there again after a kill, without being told again: so compose starts it anew."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest

from deploy.local import aws
from deploy.local.keeping import PATH, authorization
from deploy.local.place import Place
from deploy.local.provision import embedded_definition, provision
from tests.e2e.embedded import READY_SECONDS_MAX, answers, aws_client, free_place

pytestmark = pytest.mark.e2e


@contextmanager
def killed_at_the_end(place: Place) -> Iterator[None]:
    """The local AWS as a process, until it is killed."""
    process = subprocess.Popen([sys.executable, "-m", "deploy.local.aws_server"], env=aws.environment(place))
    try:
        deadline = time.monotonic() + READY_SECONDS_MAX
        while not answers(place.aws_url + aws.HEALTH_PATH):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield
    finally:
        process.kill()
        process.wait()


async def keep(place: Place) -> None:
    headers = {"Authorization": authorization(aws.root_key(place).secret)}
    async with (
        aiohttp.ClientSession(raise_for_status=True) as session,
        session.post(place.aws_url + PATH, headers=headers),
    ):
        pass


async def test_identities_queues_topics_and_events_outlive_a_kill(tmp_path: Path) -> None:
    place, definition = free_place(tmp_path), embedded_definition()
    place.make()
    with killed_at_the_end(place):
        keys = await provision(place, definition)
        await keep(place)
    with killed_at_the_end(place):
        async with (
            aws_client(place, "sqs", keys["metadata"]) as sqs,
            aws_client(place, "dynamodb", keys["metadata"]) as dynamodb,
            aws_client(place, "sns", aws.root_key(place)) as sns,
            aws_client(place, "s3", aws.root_key(place)) as s3,
        ):
            url = (await sqs.get_queue_url(QueueName=definition.names.queue("commits")))["QueueUrl"]
            assert "Messages" not in await sqs.receive_message(QueueUrl=url)
            await dynamodb.get_item(
                TableName=definition.names.table("journal"), Key={"pk": {"S": "head#x"}, "sk": {"S": "head"}}
            )
            subscribed = await sns.list_subscriptions_by_topic(TopicArn=definition.names.topic_arn)
            assert len(subscribed["Subscriptions"]) == len(definition.topic.subscribers)
            events = await s3.get_bucket_notification_configuration(Bucket=definition.bucket.name)
            assert len(events["QueueConfigurations"]) == len(definition.bucket.notifications)
