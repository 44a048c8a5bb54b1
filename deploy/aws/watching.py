"""What CloudWatch watches: the alarms of `syncline/domain/alarms.py`, each as figures that CloudWatch has.

Plain values without the CDK: `observability.py` makes alarms, metric filters and a dashboard of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from deploy.names import Names
from syncline.domain.alarms import ALARMS, Alarm, Severity
from syncline.domain.figures import (
    WINDOW_S,
    AwsMetric,
    DeadLetters,
    Fold,
    Living,
    Measured,
    QueueAge,
    RowsAside,
    Share,
    Source,
)

READY_PULSES = "pulses_ready"
HELD = "held_requests"
MINUTE_S = 60
# How often AWS tells a figure, where that is less often than each minute.
_PERIODS_S = {"AWS/CertificateManager": 24 * 3600, "AWS/SES": 3600, "AWS/Backup": 3600}
SUM_PERIOD_S = 300
# DynamoDB counts failures of each operation apart.
OPERATIONS = (
    "GetItem",
    "BatchGetItem",
    "Query",
    "PutItem",
    "UpdateItem",
    "DeleteItem",
    "BatchWriteItem",
    "TransactWriteItems",
)
ROLLBACK_ALARMS_MAX = 10


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of CloudWatch; dimensions may be tokens of the CDK."""

    namespace: str
    name: str
    statistic: str
    dimensions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Watched:
    """One alarm of CloudWatch. `expression` is metric math over `metrics` by their ids; without it there is one."""

    name: str
    alarm: Alarm
    metrics: Mapping[str, Metric]
    expression: str
    period_s: int
    missing: str

    @property
    def periods(self) -> int:
        return max(1, math.ceil(self.alarm.for_s / self.period_s))

    @property
    def description(self) -> str:
        return f"{self.alarm.says}. {self.alarm.why} Runbook: {self.alarm.runbook}"


Resources = Mapping[str, Mapping[str, Mapping[str, str]]]
"""What `AwsMetric.of` speaks of: each resource's dimensions by what ends the alarm's name ("" for a single one)."""


def watched(names: Names) -> list[Watched]:
    """The alarms about the services and their queues. One is not CloudWatch's: who is lost only health tells."""
    return [one for alarm in ALARMS for one in _of(alarm, names)]


def watched_of_aws(names: Names, resources: Resources) -> list[Watched]:
    """The alarms about what AWS alone tells of, one for each resource. Spending is watched by AWS Budgets."""
    return [
        one
        for alarm in ALARMS
        if isinstance(alarm.source, AwsMetric)
        for one in _of_aws(alarm, alarm.source, names, resources[alarm.source.of])
    ]


def alarm_name(names: Names, alarm: Alarm, of: str = "") -> str:
    return "-".join(filter(None, (names.stack, alarm.name, of)))


def namespace(names: Names) -> str:
    """Of the metrics made from pulses."""
    return f"Syncline/{names.stack}"


def measured_metric(service: str, measure: str) -> str:
    return f"{service}.{measure}"


def measures() -> list[tuple[str, str]]:
    """Each service's measures that must become metrics, sorted."""
    found = {one for alarm in ALARMS for one in _measures_of(alarm.source)}
    return sorted(found | {("syncer", HELD)})


def rollback_alarms(names: Names, service: str) -> list[str]:
    """The alarms that undo an upgrade of `service`: those about it that people notice at once."""
    found = [
        alarm_name(names, alarm)
        for alarm in ALARMS
        if alarm.severity is Severity.PAGE and service in _services_of(alarm.source)
    ]
    return found[:ROLLBACK_ALARMS_MAX]


def _of(alarm: Alarm, names: Names) -> Iterator[Watched]:
    name = alarm_name(names, alarm)
    match alarm.source:
        case Living(service):
            # A line with state ready is an instance: without any for a minute there is none.
            pulses = _pulse(names, service, READY_PULSES, "Sum")
            yield Watched(name, alarm, {"pulses": pulses}, "", MINUTE_S, "breaching")
        case QueueAge(queue, _):
            age = Metric("AWS/SQS", "ApproximateAgeOfOldestMessage", "Maximum", {"QueueName": names.queue(queue)})
            yield Watched(name, alarm, {"age": age}, "", MINUTE_S, "notBreaching")
        case DeadLetters(queue):
            dimensions = {"QueueName": names.dead_queue(queue)}
            dead = Metric("AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum", dimensions)
            yield Watched(name, alarm, {"dead": dead}, "", MINUTE_S, "notBreaching")
        case Measured(services, measure, fold):
            yield _of_measure(name, alarm, names, services, measure, fold)
        case RowsAside(service, measure):
            yield _of_measure(name, alarm, names, (service,), measure, Fold.SUM)
        case Share(service, part, whole, least):
            metrics = {kind: _pulse(names, service, of, "Sum") for kind, of in (("part", part), ("whole", whole))}
            expression = f"IF(whole >= {least}, 100 * FILL(part, 0) / whole, 0)"
            yield Watched(name, alarm, metrics, expression, WINDOW_S, "notBreaching")


def _of_measure(name: str, alarm: Alarm, names: Names, services: tuple[str, ...], measure: str, fold: Fold) -> Watched:
    summed = fold is Fold.SUM
    metrics = {service: _pulse(names, service, measure, "Sum" if summed else "Maximum") for service in services}
    expression = ""
    if len(services) > 1:
        listed = ", ".join(f"FILL({service}, 0)" for service in services)
        expression = f"{'SUM' if summed else 'MAX'}([{listed}])"
    return Watched(name, alarm, metrics, expression, WINDOW_S if summed else MINUTE_S, "notBreaching")


def _of_aws(
    alarm: Alarm, source: AwsMetric, names: Names, resources: Mapping[str, Mapping[str, str]]
) -> Iterator[Watched]:
    otherwise = SUM_PERIOD_S if source.statistic == "Sum" else MINUTE_S
    period_s = _PERIODS_S.get(source.namespace, otherwise)
    missing = "breaching" if alarm.below and period_s == MINUTE_S else "notBreaching"
    for of, dimensions in resources.items():
        metric = Metric(source.namespace, source.metric, source.statistic.value, dimensions)
        metrics, expression = {"figure": metric}, ""
        if source.namespace == "AWS/DynamoDB":
            metrics = {
                operation.lower(): Metric(
                    metric.namespace, metric.name, metric.statistic, {**dimensions, "Operation": operation}
                )
                for operation in OPERATIONS
            }
            expression = " + ".join(f"FILL({operation}, 0)" for operation in metrics)
        yield Watched(alarm_name(names, alarm, of), alarm, metrics, expression, period_s, missing)


def _pulse(names: Names, service: str, measure: str, statistic: str) -> Metric:
    return Metric(namespace(names), measured_metric(service, measure), statistic)


def _measures_of(source: Source) -> list[tuple[str, str]]:
    match source:
        case Living(service):
            return [(service, READY_PULSES)]
        case Measured(services, measure, _):
            return [(service, measure) for service in services]
        case Share(service, part, whole, _):
            return [(service, part), (service, whole)]
        case RowsAside(service, measure):
            return [(service, measure)]
    return []


def _services_of(source: Source) -> tuple[str, ...]:
    match source:
        case Living(service) | Share(service, _, _, _) | QueueAge(_, service):
            return (service,)
        case Measured(services, _, _):
            return services
    return ()
