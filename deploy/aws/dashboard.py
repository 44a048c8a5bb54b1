"""The dashboard: what people notice on top, then queues, then what it runs on."""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch

from deploy.aws.balancer import Balancer
from deploy.aws.watching import HELD, measured_metric, namespace
from deploy.definition import SERVICES, TABLES
from deploy.names import Names
from syncline.domain.figures import CONSUMED

WIDTH = 8
HEIGHT = 6
PERIOD = cdk.Duration.minutes(1)


def dashboard(scope: cdk.Stack, names: Names, balancer: Balancer, alarm_arns: list[str]) -> None:
    """One dashboard of the whole stack, called like it."""
    queues = [queue for consumed in CONSUMED.values() for queue in consumed]
    whole = {"LoadBalancer": balancer.balancer.load_balancer_full_name}
    shown = [cloudwatch.Alarm.from_alarm_arn(scope, f"Shown{position}", arn) for position, arn in enumerate(alarm_arns)]
    rows: list[list[cloudwatch.IWidget]] = [
        [cloudwatch.AlarmStatusWidget(title="Alarms", alarms=shown, width=3 * WIDTH, height=HEIGHT)],
        [
            _graph("Requests", _of_targets("RequestCount", "Sum", balancer)),
            _graph("Errors (5xx)", _of_targets("HTTPCode_Target_5XX_Count", "Sum", balancer)),
            _graph("Time to answer, p99 (s)", _of_targets("TargetResponseTime", "p99", balancer)),
        ],
        [
            _graph("Commits, p99 (s)", [_measure(names, "metadata", "commit_p99_s", "Maximum")]),
            _graph("Held requests an instance", [_measure(names, "syncer", HELD, "Average")]),
            _graph(
                "Mails", [_measure(names, "notifier", measure, "Sum") for measure in ("mails_sent", "mails_bounced")]
            ),
        ],
        [
            _graph("Oldest message (s)", _of_queues("ApproximateAgeOfOldestMessage", queues, names, dead=False)),
            _graph("Messages waiting", _of_queues("ApproximateNumberOfMessagesVisible", queues, names, dead=False)),
            _graph("Dead letters", _of_queues("ApproximateNumberOfMessagesVisible", queues, names, dead=True)),
        ],
        [
            _graph(
                "Instances in service",
                [
                    _metric(
                        "AWS/AutoScaling",
                        "GroupInServiceInstances",
                        "Average",
                        service,
                        {"AutoScalingGroupName": names.identity(service)},
                    )
                    for service in SERVICES
                ],
            ),
            _graph(
                "Processor (%)",
                [
                    _metric(
                        "AWS/EC2",
                        "CPUUtilization",
                        "Average",
                        service,
                        {"AutoScalingGroupName": names.identity(service)},
                    )
                    for service in SERVICES
                ],
            ),
            _graph(
                "Connections", [_metric("AWS/ApplicationELB", "ActiveConnectionCount", "Sum", "connections", whole)]
            ),
        ],
        [
            _graph(
                title,
                [_metric("AWS/DynamoDB", metric, "Sum", table, {"TableName": names.table(table)}) for table in TABLES],
            )
            for title, metric in (
                ("Read units", "ConsumedReadCapacityUnits"),
                ("Write units", "ConsumedWriteCapacityUnits"),
                ("Throttled writes", "WriteThrottleEvents"),
            )
        ],
    ]
    cloudwatch.Dashboard(scope, "Dashboard", dashboard_name=names.stack, widgets=rows)


def _of_targets(metric: str, statistic: str, balancer: Balancer) -> list[cloudwatch.IMetric]:
    whole = {"LoadBalancer": balancer.balancer.load_balancer_full_name}
    return [
        _metric(
            "AWS/ApplicationELB", metric, statistic, service, {**whole, "TargetGroup": group.target_group_full_name}
        )
        for service, group in balancer.target_groups.items()
    ]


def _of_queues(metric: str, queues: list[str], names: Names, *, dead: bool) -> list[cloudwatch.IMetric]:
    called = names.dead_queue if dead else names.queue
    return [_metric("AWS/SQS", metric, "Maximum", queue, {"QueueName": called(queue)}) for queue in queues]


def _measure(names: Names, service: str, measure: str, statistic: str) -> cloudwatch.IMetric:
    return _metric(namespace(names), measured_metric(service, measure), statistic, measure, {})


def _metric(space: str, name: str, statistic: str, label: str, dimensions: Mapping[str, str]) -> cloudwatch.IMetric:
    return cloudwatch.Metric(
        namespace=space,
        metric_name=name,
        statistic=statistic,
        label=label,
        dimensions_map=dict(dimensions) or None,
        period=PERIOD,
    )


def _graph(title: str, metrics: list[cloudwatch.IMetric]) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=metrics, width=WIDTH, height=HEIGHT)
