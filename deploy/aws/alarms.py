"""What tells of the services: their logs, metrics of the pulses in them, the alarms, and whom these tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch, aws_logs as logs, aws_sns as sns

from deploy import permissions
from deploy.aws.settings import Settings
from deploy.aws.watching import READY_PULSES, Metric, Watched, measured_metric, measures, namespace, watched
from deploy.definition import SERVICES, Definition
from deploy.names import Names
from syncline.domain.alarms import Severity

LOGS_DAYS = 90


class AlarmsStack(cdk.Stack):
    """Made before the services: an upgrade of theirs is undone when one of these alarms goes off."""

    def __init__(self, scope: Any, name: str, *, settings: Settings, definition: Definition, **options: Any) -> None:
        super().__init__(scope, name, **options)
        self._settings = settings
        self._definition = definition
        groups = {service: self._log_group(service) for service in SERVICES}
        for service, measure in measures():
            self._metric_filter(groups[service], service, measure)
        for severity in Severity:
            self._topic(severity)
        for one in watched(definition.names):
            make_alarm(self, definition.names, one)

    def _log_group(self, service: str) -> logs.CfnLogGroup:
        group = logs.CfnLogGroup(
            self,
            f"{service.title()}Logs",
            log_group_name=self._definition.names.log_group(service),
            retention_in_days=LOGS_DAYS,
        )
        group.apply_removal_policy(cdk.RemovalPolicy.RETAIN if self._settings.production else cdk.RemovalPolicy.DESTROY)
        return group

    def _metric_filter(self, group: logs.CfnLogGroup, service: str, measure: str) -> None:
        ready = measure == READY_PULSES
        wanted = '$.state = "ready"' if ready else f"$.measures.{measure} = *"
        logs.CfnMetricFilter(
            self,
            f"{service.title()}{measure.title().replace('_', '')}",
            log_group_name=group.ref,
            filter_pattern=f'{{ $.event = "pulse" && {wanted} }}',
            metric_transformations=[
                logs.CfnMetricFilter.MetricTransformationProperty(
                    metric_namespace=namespace(self._definition.names),
                    metric_name=measured_metric(service, measure),
                    metric_value="1" if ready else f"$.measures.{measure}",
                )
            ],
        )

    def _topic(self, severity: Severity) -> None:
        """Whom alarms of a severity tell. Not encrypted by KMS: what they say is in docs/operations.md, and no content
        of anybody's; CloudWatch could publish only by a key of our own, one more thing that can keep an alarm silent.
        """
        names = self._definition.names
        address = self._settings.paging_address if severity is Severity.PAGE else ""
        topic = sns.CfnTopic(
            self,
            f"{severity.value.title()}Topic",
            topic_name=names.alarm_topic(severity.value),
            display_name=f"Syncline {severity.value}",
            subscription=[
                sns.CfnTopic.SubscriptionProperty(protocol="email", endpoint=address or self._settings.alarm_address)
            ],
        )
        sns.CfnTopicPolicy(
            self,
            f"{severity.value.title()}Policy",
            topics=[topic.ref],
            policy_document=permissions.alarms_may_publish(names, severity.value),
        )


def make_alarm(scope: cdk.Stack, names: Names, one: Watched) -> None:
    """An alarm of CloudWatch, which tells the topic of its severity when it goes off, and when it is over."""
    alarm, topic = one.alarm, names.alarm_topic_arn(one.alarm.severity.value)
    figure: dict[str, Any] = _math(one) if one.expression else _single(one)
    cloudwatch.CfnAlarm(
        scope,
        one.name.removeprefix(f"{names.stack}-").title().replace("-", ""),
        alarm_name=one.name,
        alarm_description=one.description,
        threshold=alarm.threshold,
        comparison_operator="LessThanThreshold" if alarm.below else "GreaterThanThreshold",
        evaluation_periods=one.periods,
        treat_missing_data=one.missing,
        alarm_actions=[topic],
        ok_actions=[topic],
        **figure,
    )


def _single(one: Watched) -> dict[str, Any]:
    [metric] = one.metrics.values()
    return {
        "namespace": metric.namespace,
        "metric_name": metric.name,
        "statistic": metric.statistic,
        "period": one.period_s,
        "dimensions": _dimensions(metric.dimensions),
    }


def _math(one: Watched) -> dict[str, Any]:
    parts = [_query(identifier, metric, one.period_s) for identifier, metric in one.metrics.items()]
    whole = cloudwatch.CfnAlarm.MetricDataQueryProperty(
        id="figure", expression=one.expression, label=one.alarm.unit, return_data=True
    )
    return {"metrics": [*parts, whole]}


def _query(identifier: str, metric: Metric, period_s: int) -> cloudwatch.CfnAlarm.MetricDataQueryProperty:
    wanted = cloudwatch.CfnAlarm.MetricProperty(
        namespace=metric.namespace, metric_name=metric.name, dimensions=_dimensions(metric.dimensions)
    )
    stat = cloudwatch.CfnAlarm.MetricStatProperty(metric=wanted, period=period_s, stat=metric.statistic)
    return cloudwatch.CfnAlarm.MetricDataQueryProperty(id=identifier, metric_stat=stat, return_data=False)


def _dimensions(dimensions: Mapping[str, str]) -> list[cloudwatch.CfnAlarm.DimensionProperty]:
    return [cloudwatch.CfnAlarm.DimensionProperty(name=name, value=value) for name, value in dimensions.items()]
