"""The alarms about what AWS alone tells of go off, and tell whom they should, in the local CloudWatch.

It takes every point of a metric's name, whatever its dimensions, and knows no metric math, by which the operations of a
table are added up: `test_observability` holds the templates to both. Spending is watched by AWS Budgets.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from deploy.local.place import Place
from deploy.names import Names
from syncline.domain.alarms import ALARMS, Alarm, Severity
from syncline.domain.figures import AwsMetric
from tests.conformance.local_aws import aws_process
from tests.deploy.conftest import Synthesis
from tests.deploy.local_cloudformation import clients_of
from tests.deploy.test_observability import of
from tests.e2e.embedded import free_place

TOLD_SECONDS_MAX = 20
OF_TABLES = "AWS/DynamoDB"
ON_AWS = [alarm for alarm in ALARMS if isinstance(alarm.source, AwsMetric) and alarm.source.namespace != OF_TABLES]


@dataclass(frozen=True)
class Watching:
    """A local AWS with a topic for each severity, and a queue that hears each of them."""

    place: Place
    names: Names
    queues: dict[Severity, str]


@pytest.fixture(scope="module")
def watching(local_synthesis: Synthesis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watching]:
    place = free_place(tmp_path_factory.mktemp("watched"))
    place.make()
    names = local_synthesis.settings.definition().names
    with aws_process(place):
        yield Watching(place, names, asyncio.run(_topics(place, names)))


async def _topics(place: Place, names: Names) -> dict[Severity, str]:
    queues = {}
    async with clients_of(place, "sns", "sqs") as (sns, sqs):
        for severity in Severity:
            topic = (await sns.create_topic(Name=names.alarm_topic(severity.value)))["TopicArn"]
            assert topic == names.alarm_topic_arn(severity.value)
            name = f"told-{severity.value}"
            arn = f"arn:aws:sqs:{names.region}:{names.account}:{name}"
            policy = {"Policy": json.dumps(_from_topic(topic, arn))}
            queues[severity] = (await sqs.create_queue(QueueName=name, Attributes=policy))["QueueUrl"]
            await sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return queues


def _from_topic(topic: str, queue: str) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": queue,
                "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
            }
        ],
    }


@pytest.mark.parametrize("alarm", ON_AWS, ids=lambda alarm: str(alarm.name))
async def test_an_alarm_of_aws_goes_off_and_tells_whom_it_should(
    alarm: Alarm, watching: Watching, local_synthesis: Synthesis
):
    first, *others = of(local_synthesis, alarm)
    # Those of other resources differ by these alone, so one of them is tried.
    assert all(_alike(other) == _alike(first) for other in others)
    quiet, wrong = _figures(alarm)
    async with clients_of(watching.place, "cloudwatch", "sqs") as (cloudwatch, sqs):
        await cloudwatch.put_metric_alarm(**_asked(first))
        assert await _state(cloudwatch, first, quiet) == "OK"
        assert await _state(cloudwatch, first, wrong) == "ALARM"
        told = await _told(sqs, watching.queues[alarm.severity], first["AlarmName"])
    assert told["AlarmDescription"].endswith(f"Runbook: {alarm.runbook}")


def _alike(alarm: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in alarm.items() if name not in ("AlarmName", "Dimensions")}


def _figures(alarm: Alarm) -> tuple[float, float]:
    """One at which nothing is wrong, and one at which it is."""
    return (alarm.threshold, alarm.threshold / 2) if alarm.below else (alarm.threshold / 2, alarm.threshold * 2 + 1)


def _asked(alarm: dict[str, Any]) -> dict[str, Any]:
    """What CloudFormation would ask for; its dimensions name resources that are not here."""
    return {name: value for name, value in alarm.items() if name not in ("Dimensions", "TreatMissingData")}


async def _state(cloudwatch: Any, alarm: dict[str, Any], value: float) -> str:
    """The alarm's state once its metric has had `value`."""
    point = {"MetricName": alarm["MetricName"], "Value": value}
    await cloudwatch.put_metric_data(Namespace=alarm["Namespace"], MetricData=[point])
    [found] = (await cloudwatch.describe_alarms(AlarmNames=[alarm["AlarmName"]]))["MetricAlarms"]
    return str(found["StateValue"])


async def _told(sqs: Any, queue: str, name: str) -> dict[str, Any]:
    """What the topic said of the alarm `name` going off."""
    for _ in range(TOLD_SECONDS_MAX):
        received = await sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1, MaxNumberOfMessages=10)
        for message in received.get("Messages", []):
            await sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            told: dict[str, Any] = json.loads(json.loads(message["Body"])["Message"])
            if told["AlarmName"] == name and told["NewStateValue"] == "ALARM":
                return told
    raise AssertionError(f"{name} told nobody")
