"""Seeing inside: metrics from the services' pulses, the alarms, whom they tell, and a dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aws_cdk as cdk
from aws_cdk import (
    aws_budgets as budgets,
    aws_cloudwatch as cloudwatch,
    aws_logs as logs,
    aws_sns as sns,
)

from deploy import permissions
from deploy.aws.dashboard import dashboard
from deploy.aws.services import ServicesStack
from deploy.aws.settings import Settings
from deploy.aws.watching import (
    READY_PULSES,
    Metric,
    Resources,
    Watched,
    measured_metric,
    measures,
    namespace,
    watched,
)
from deploy.definition import TABLES, Definition
from syncline.domain.alarms import Severity


class ObservabilityStack(cdk.Stack):
    """Made last: alarms name what the other stacks hold."""

    def __init__(
        self,
        scope: Any,
        name: str,
        *,
        settings: Settings,
        definition: Definition,
        services: ServicesStack,
        redis_nodes: list[str],
        **options: Any,
    ) -> None:
        super().__init__(scope, name, **options)
        self._settings = settings
        self._definition = definition
        for service, measure in measures():
            self._metric_filter(service, measure)
        topics = {severity: self._topic(severity) for severity in Severity}
        alarms = [
            self._alarm(one, topics[one.alarm.severity])
            for one in watched(definition.names, self._resources(services, redis_nodes))
        ]
        if settings.monthly_budget_usd:
            self._budget()
        dashboard(self, definition.names, services.balancer, alarms)

    def _resources(self, services: ServicesStack, redis_nodes: list[str]) -> Resources:
        names, balancer = self._definition.names, services.balancer
        whole = {"LoadBalancer": balancer.balancer.load_balancer_full_name}
        groups = balancer.target_groups.items()
        return {
            "the load balancer": {"": whole},
            "each target group": {
                service: {**whole, "TargetGroup": group.target_group_full_name} for service, group in groups
            },
            "each table": {table: {"TableName": names.table(table)} for table in TABLES},
            "each Redis node": {node.rpartition("-")[2]: {"CacheClusterId": node} for node in redis_nodes},
            "the account": {"": {}},
            "the certificate": {"": {"CertificateArn": balancer.certificate.certificate_arn}},
            "the backup vault": {"": {"BackupVaultName": names.backups}},
        }

    def _metric_filter(self, service: str, measure: str) -> None:
        ready = measure == READY_PULSES
        wanted = '$.state = "ready"' if ready else f"$.measures.{measure} = *"
        logs.CfnMetricFilter(
            self,
            f"{service.title()}{measure.title().replace('_', '')}",
            log_group_name=self._definition.names.log_group(service),
            filter_pattern=f'{{ $.event = "pulse" && {wanted} }}',
            metric_transformations=[
                logs.CfnMetricFilter.MetricTransformationProperty(
                    metric_namespace=namespace(self._definition.names),
                    metric_name=measured_metric(service, measure),
                    metric_value="1" if ready else f"$.measures.{measure}",
                )
            ],
        )

    def _topic(self, severity: Severity) -> sns.CfnTopic:
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
        return topic

    def _alarm(self, one: Watched, topic: sns.CfnTopic) -> cloudwatch.CfnAlarm:
        alarm = one.alarm
        figure: dict[str, Any] = _math(one) if one.expression else _single(one)
        return cloudwatch.CfnAlarm(
            self,
            one.name.removeprefix(f"{self._definition.names.stack}-").title().replace("-", ""),
            alarm_name=one.name,
            alarm_description=one.description,
            threshold=alarm.threshold,
            comparison_operator="LessThanThreshold" if alarm.below else "GreaterThanThreshold",
            evaluation_periods=one.periods,
            treat_missing_data=one.missing,
            alarm_actions=[topic.ref],
            ok_actions=[topic.ref],
            **figure,
        )

    def _budget(self) -> None:
        subscriber = budgets.CfnBudget.SubscriberProperty(
            subscription_type="EMAIL", address=self._settings.alarm_address
        )
        budgets.CfnBudget(
            self,
            "Budget",
            budget=budgets.CfnBudget.BudgetDataProperty(
                budget_name=self._definition.names.stack,
                budget_type="COST",
                time_unit="MONTHLY",
                budget_limit=budgets.CfnBudget.SpendProperty(amount=self._settings.monthly_budget_usd, unit="USD"),
            ),
            notifications_with_subscribers=[
                budgets.CfnBudget.NotificationWithSubscribersProperty(
                    notification=budgets.CfnBudget.NotificationProperty(
                        notification_type=kind, comparison_operator="GREATER_THAN", threshold=100
                    ),
                    subscribers=[subscriber],
                )
                for kind in ("ACTUAL", "FORECASTED")
            ],
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
