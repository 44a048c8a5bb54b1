"""How many instances each service has: by requests, by backlog, or by held requests, per instance."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_autoscaling as autoscaling

from deploy.aws.balancer import Balancer
from deploy.aws.watching import HELD, measured_metric, namespace
from deploy.definition import Definition
from services.syncer.hub import HELD_MAX
from syncline.domain.figures import CONSUMED

# A minute and instance: some 50 a second, of which one core serves a few hundred.
REQUESTS_PER_TARGET = 3_000
# Messages that wait, per instance: some ten seconds of metadata's work, and a minute of the notifier's.
BACKLOG_PER_INSTANCE = {"metadata": 100, "notifier": 500}
# At HELD_MAX an instance refuses to hold more.
HELD_PER_INSTANCE = HELD_MAX * 6 // 10

_Metric = autoscaling.CfnScalingPolicy.TargetTrackingMetricDataQueryProperty
_Tracking = autoscaling.CfnScalingPolicy.TargetTrackingConfigurationProperty


def scale(
    scope: cdk.Stack,
    service: str,
    definition: Definition,
    group: autoscaling.CfnAutoScalingGroup,
    balancer: Balancer,
) -> None:
    """Give the group of `service` its policy: it keeps one figure per instance near its target."""
    if service == "gateway":
        tracking = _by_requests(balancer)
    elif service == "syncer":
        tracking = _by_held(definition)
    else:
        tracking = _by_backlog(service, definition)
    policy = autoscaling.CfnScalingPolicy(
        scope,
        f"{service.title()}Scaling",
        auto_scaling_group_name=group.ref,
        policy_type="TargetTrackingScaling",
        target_tracking_configuration=tracking,
    )
    for listener in balancer.listeners:
        policy.node.add_dependency(listener)  # a target group without a load balancer has no such metric


def _by_requests(balancer: Balancer) -> Any:
    label = cdk.Fn.join(
        "/",
        [balancer.balancer.load_balancer_full_name, balancer.target_groups["gateway"].target_group_full_name],
    )
    return _Tracking(
        target_value=REQUESTS_PER_TARGET,
        predefined_metric_specification=autoscaling.CfnScalingPolicy.PredefinedMetricSpecificationProperty(
            predefined_metric_type="ALBRequestCountPerTarget", resource_label=label
        ),
    )


def _by_held(definition: Definition) -> Any:
    """Each instance tells in its pulse how many requests it holds: their average is the figure per instance."""
    return _Tracking(
        target_value=HELD_PER_INSTANCE,
        customized_metric_specification=autoscaling.CfnScalingPolicy.CustomizedMetricSpecificationProperty(
            namespace=namespace(definition.names), metric_name=measured_metric("syncer", HELD), statistic="Average"
        ),
    )


def _by_backlog(service: str, definition: Definition) -> Any:
    names, queues = definition.names, CONSUMED[service]
    waiting = [
        _metric(queue, "AWS/SQS", "ApproximateNumberOfMessagesVisible", "Sum", {"QueueName": names.queue(queue)})
        for queue in queues
    ]
    instances = _metric(
        "instances",
        "AWS/AutoScaling",
        "GroupInServiceInstances",
        "Average",
        {"AutoScalingGroupName": names.identity(service)},
    )
    # A queue at rest for hours tells CloudWatch nothing.
    backlog = " + ".join(f"FILL({queue}, 0)" for queue in queues)
    share = _Metric(id="share", expression=f"({backlog}) / IF(instances > 0, instances, 1)", return_data=True)
    return _Tracking(
        target_value=BACKLOG_PER_INSTANCE[service],
        customized_metric_specification=autoscaling.CfnScalingPolicy.CustomizedMetricSpecificationProperty(
            metrics=[*waiting, instances, share]
        ),
    )


def _metric(name: str, space: str, metric: str, statistic: str, dimensions: dict[str, str]) -> Any:
    wanted = autoscaling.CfnScalingPolicy.MetricProperty(
        namespace=space,
        metric_name=metric,
        dimensions=[
            autoscaling.CfnScalingPolicy.MetricDimensionProperty(name=key, value=value)
            for key, value in dimensions.items()
        ],
    )
    stat = autoscaling.CfnScalingPolicy.TargetTrackingMetricStatProperty(metric=wanted, stat=statistic)
    return _Metric(id=name, metric_stat=stat, return_data=False)
